# SPDX-License-Identifier: Apache-2.0
"""How a collector is set up: flags, then environment, then a TOML file, then defaults.

`config.COLLECTOR` is the one table: the command's options, the reference page and
`--print-config` are made from it. What contradicts itself, or would stand open to the network by
mistake, does not start.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from tallystick.config import COLLECTOR, Variable, read
from tallystick.durable.file import FilePath, read_bounded, shown
from tallystick.errors import LimitError, RefusedInput, SettingError
from tallystick.limits import (
    BODY_BYTES_MAX,
    DRAIN_MS_MAX,
    RECEIPT_BYTES_MAX,
    SETTINGS_FILE_BYTES_MAX,
)
from tallystick.serve.tokens import check_tenant

_DURATION: Final = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h))+", re.ASCII)
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)", re.ASCII)
_UNIT_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
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
    flags: Mapping[str, str | bool | None],
    *,
    file: FilePath | None = None,
    environ: Mapping[str, str] | None = None,
) -> tuple[Settings, dict[str, str]]:
    """Return the settings, and from where each one comes; or raise `SettingError`."""
    table = _read_file(file) if file is not None else {}
    certificates = table.pop("certificates", {})
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for setting in COLLECTOR:
        given, origin = _given(setting, flags, environ, table, file)
        values[setting.name] = _typed(setting, given, origin)
        origins[setting.name] = origin
    values["certificates"] = _certificates(certificates)
    return _checked(values), origins


def default_beside(db: str, ending: str) -> str:
    """Return where what belongs to a store lies: beside its file."""
    return f"collector.{ending}" if is_postgres(db) else f"{db.removesuffix('.db')}.{ending}"


def is_postgres(db: str) -> bool:
    """Whether a store is a PostgreSQL database."""
    return db.startswith(("postgresql://", "postgres://"))


def hidden_password(db: str) -> str:
    """Return the name of a store without the password that a URL may hold."""
    return re.sub(r"(?<=://)([^/@:]*):[^/]*@", r"\1:***@", db) if is_postgres(db) else db


def print_config(settings: Settings, origins: Mapping[str, str]) -> str:
    """Return the settings as a TOML file that sets the same, with where each one comes from."""
    lines = []
    for setting in COLLECTOR:
        value = _spelled(setting, settings)
        lines.append(f"{setting.name} = {value}  # {origins[setting.name]}")
    if settings.certificates:
        lines += ["", "[certificates]"]
        lines += [
            f"{_quoted(name)} = {_quoted(tenant)}" for name, tenant in settings.certificates.items()
        ]
    return "\n".join(lines)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine for sure."""
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _read_file(path: FilePath) -> dict[str, Any]:
    try:
        table = tomllib.loads(read_bounded(path, SETTINGS_FILE_BYTES_MAX).decode("utf-8"))
    except LimitError as fault:
        raise SettingError(str(fault)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise SettingError(f"{shown(path)} is no TOML: {fault}") from None
    unknown = sorted(set(table) - set(_BY_NAME) - {"certificates"})
    if unknown:
        raise SettingError(f"{shown(path)} sets {unknown[0]!r}, which is no setting")
    return table


def _given(
    setting: Variable,
    flags: Mapping[str, str | bool | None],
    environ: Mapping[str, str] | None,
    table: Mapping[str, Any],
    file: FilePath | None,
) -> tuple[Any, str]:
    flag = flags.get(setting.name)
    if flag is not None and flag is not False:
        return flag, setting.flag
    text = read(setting.environment, environ)
    if text:
        return text, setting.environment
    if setting.name in table:
        return table[setting.name], shown(file) if file is not None else ""
    return setting.default, "default"


def _typed(setting: Variable, given: Any, origin: str) -> Any:
    reader: Callable[[Any], Any] = {
        "number": _number,
        "duration": _duration_ms,
        "flag": _flag,
    }.get(setting.kind, _text)
    try:
        return reader(given)
    except ValueError as fault:
        raise SettingError(f"{setting.name} (from {origin}) {fault}") from None


def _text(given: Any) -> str:
    if not isinstance(given, str) or "\0" in given:
        raise ValueError("must be text")
    return given


def _flag(given: Any) -> bool:
    if isinstance(given, bool):
        return given
    if given in ("true", "false"):
        return bool(given == "true")
    raise ValueError("must be true or false")


def _number(given: Any) -> int:
    if type(given) is int and given >= 0:
        return given
    if isinstance(given, str) and re.fullmatch(r"[0-9]{1,18}", given, re.ASCII):
        return int(given)
    raise ValueError("must be a whole number, 0 or more")


def _duration_ms(given: Any) -> int:
    if not isinstance(given, str) or not _DURATION.fullmatch(given):
        raise ValueError("must be a duration like 10s, 1m30s or 500ms")
    return round(sum(float(count) * _UNIT_MS[unit] for count, unit in _PART.findall(given)))


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
    values["max_body_bytes"] = values["max_body_bytes"] or RECEIPT_BYTES_MAX
    for name, least, most in (
        ("max_body_bytes", 1, BODY_BYTES_MAX),
        ("max_connections", 1, 1_000_000),
    ):
        if not least <= values[name] <= most:
            raise SettingError(f"{name} must be from {least} to {most}")
    if drain_ms > DRAIN_MS_MAX:
        raise SettingError(f"drain_timeout must be {DRAIN_MS_MAX // 1000}s at most")
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
        return _quoted(f"{host}:{settings.port}")
    if setting.name == "drain_timeout":
        return _quoted(f"{settings.drain_ms}ms")
    value = getattr(settings, setting.name)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else _quoted(hidden_password(value))


def _quoted(text: str) -> str:
    # JSON strings are TOML basic strings, but for DEL, which no path should hold.
    return msgspec.json.encode(text).decode()
