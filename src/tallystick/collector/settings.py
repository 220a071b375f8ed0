# SPDX-License-Identifier: Apache-2.0
"""How a collector is set up: flags, then environment, then a TOML file, then defaults.

`config.COLLECTOR` is the one table: the command's options, the reference page and
`--print-config` are made from it. What contradicts itself, or would stand open to the network by
mistake, does not start.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tallystick.config import COLLECTOR, Variable
from tallystick.durable.file import FilePath
from tallystick.errors import RefusedInput, SettingError
from tallystick.limits import (
    BODY_BYTES_MAX,
    DRAIN_MS_MAX,
    RECEIPT_BYTES_MAX,
)
from tallystick.model.host import is_loopback
from tallystick.serve.given import Flags, given_values, quoted, told_duration
from tallystick.serve.tokens import check_tenant

# A connection as libpq also writes it, password and all: it would be a strange name for a file.
_LIBPQ: Final = re.compile(
    r"\s*(?:host|hostaddr|port|dbname|user|password|passfile|service|sslmode)\s*="
)
_BY_NAME: Final = {setting.name: setting for setting in COLLECTOR}
_CERTIFICATE_NAME: Final = re.compile(r"(?:sha256:[0-9a-f]{64}|(?:uri|dns|email|cn):.+)")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of a collector, checked."""

    host: str
    port: int
    db: str
    max_body_bytes: int
    drain_ms: int
    keys: str
    tokens: str
    allow_anonymous: bool
    tls_cert: str
    tls_key: str
    client_ca: str
    require_client_cert: bool
    rate: int
    burst: int
    max_connections: int
    log_format: str
    log_level: str
    log_requests: bool
    certificates: dict[str, str]

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)


def load_settings(
    flags: Flags,
    *,
    file: FilePath | None = None,
    environ: Mapping[str, str] | None = None,
) -> tuple[Settings, dict[str, str]]:
    """Return the settings, and from where each one comes; or raise `SettingError`."""
    values, origins = given_values(
        COLLECTOR, flags, file=file, environ=environ, extra=["certificates"]
    )
    values["certificates"] = _certificates(values.get("certificates", {}))
    return _checked(values), origins


def default_beside(db: str, ending: str) -> str:
    """Return where what belongs to a store lies: beside its file."""
    return f"collector.{ending}" if is_postgres(db) else f"{db.removesuffix('.db')}.{ending}"


def is_postgres(db: str) -> bool:
    """Whether a store is a PostgreSQL database."""
    return db.startswith(("postgresql://", "postgres://"))


def hidden_password(db: str) -> str:
    """Return the name of a store without the password that a URL may hold.

    Also where it holds what belongs percent-encoded, so that the URL means something else.
    """
    if not is_postgres(db):
        return db
    db = re.sub(r"(?<=://)([^/@:]*):.*@", r"\1:***@", db)
    return re.sub(r"([?&][a-z]*password=)[^&]*", r"\1***", db, flags=re.IGNORECASE)


def print_config(settings: Settings, origins: Mapping[str, str]) -> str:
    """Return the settings as a TOML file that sets the same, with where each one comes from."""
    lines = []
    for setting in COLLECTOR:
        value = _spelled(setting, settings)
        lines.append(f"{setting.name} = {value}  # {origins[setting.name]}")
    if settings.certificates:
        lines += ["", "[certificates]"]
        lines += [
            f"{quoted(name)} = {quoted(tenant)}" for name, tenant in settings.certificates.items()
        ]
    return "\n".join(lines)


def _certificates(given: Any) -> dict[str, str]:
    if not isinstance(given, dict):
        raise SettingError("[certificates] must be a table of names and tenants")
    for name, tenant in given.items():
        if not _CERTIFICATE_NAME.fullmatch(name):
            raise SettingError(
                f"[certificates] {name!r} must begin with sha256:, uri:, dns:, email: or cn:"
            )
        try:
            check_tenant(tenant if isinstance(tenant, str) else "")
        except RefusedInput as fault:
            raise SettingError(f"[certificates] {name!r}: {fault}") from None
    return given


def _checked(values: dict[str, Any]) -> Settings:
    host, port = _address(values.pop("addr"))
    drain_ms = values.pop("drain_timeout")
    db = values["db"]
    if db in ("", ":memory:"):
        raise SettingError("db must name a file or a database: a log must outlive its process")
    if ("://" in db and not is_postgres(db)) or _LIBPQ.match(db):
        raise SettingError("db must be the path of a file, or postgresql://…")
    if not is_postgres(db) and os.path.basename(db) in ("", ".", ".."):
        raise SettingError(f"db must name a file, and {quoted(db)} is a folder")
    values["max_body_bytes"] = values["max_body_bytes"] or RECEIPT_BYTES_MAX
    for name, least, most in (
        ("max_body_bytes", 1, BODY_BYTES_MAX),
        ("max_connections", 1, 1_000_000),
    ):
        if not least <= values[name] <= most:
            raise SettingError(f"{name} must be from {least} to {most}")
    if drain_ms > DRAIN_MS_MAX:
        raise SettingError(f"drain_timeout must be {told_duration(DRAIN_MS_MAX)} at most")
    if values["log_format"] not in ("json", "text"):
        raise SettingError("log_format must be json or text")
    if values["log_level"] not in ("debug", "info", "warning", "error"):
        raise SettingError("log_level must be debug, info, warning or error")
    for needs, needed in (("tls_key", "tls_cert"), ("client_ca", "tls_cert")):
        if values[needs] and not values[needed]:
            raise SettingError(f"{needs} needs {needed}")
    if values["require_client_cert"] and not values["client_ca"]:
        raise SettingError("require_client_cert needs client_ca")
    if values["client_ca"] and not values["certificates"]:
        raise SettingError("client_ca needs [certificates]: which certificate is which tenant's")
    if values["certificates"] and not values["client_ca"]:
        raise SettingError("[certificates] needs client_ca")
    for name in ("keys", "tokens"):
        if values[name] == _BY_NAME[name].default:
            values[name] = default_beside(db, name)
    values["burst"] = values["burst"] or 10 * values["rate"]
    return Settings(host=host, port=port, drain_ms=drain_ms, **values)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII):
        raise SettingError("addr must be HOST:PORT, like 127.0.0.1:8787 or [::1]:8787")
    if int(port) > 65535:
        raise SettingError("addr has a port that does not exist")
    return host, int(port)


def _spelled(setting: Variable, settings: Settings) -> str:
    if setting.name == "addr":
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        return quoted(f"{host}:{settings.port}")
    if setting.name == "drain_timeout":
        return quoted(told_duration(settings.drain_ms))
    value = getattr(settings, setting.name)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else quoted(hidden_password(value))
