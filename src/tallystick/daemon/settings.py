# SPDX-License-Identifier: Apache-2.0
"""How a daemon is set up: flags, then environment, then `daemon.toml`, then defaults.

What contradicts itself does not start. A key where a path belongs is refused without a word of it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tallystick.config import process_environment, read
from tallystick.daemon.disclosing import parse_policy
from tallystick.daemon.socket_path import check_socket_path, socket_path
from tallystick.daemon.variables import DAEMON
from tallystick.durable.file import FilePath
from tallystick.errors import SettingError
from tallystick.keys.file import GIVE_A_PATH, is_key_itself
from tallystick.keys.signer_uri import receipt_signer_uri
from tallystick.limits import (
    DRAIN_MS_MAX,
    EMITTER_IDLE_MS_MAX,
    FRAME_IDENTITY_BYTES_MAX,
    FRAME_MS_MAX,
)
from tallystick.model.framing import data_home
from tallystick.serve.given import (
    Flags,
    given_values,
    is_text,
    quoted,
    read_flag,
    read_text,
    told_duration,
)

CONFIG_VARIABLE: Final = "AGENTRECEIPTS_CONFIG"
CONFIG_FILE: Final = "daemon.toml"

_PATHS: Final = (
    "db",
    "key",
    "public_key",
    "forensic_public_key",
    "redact_patterns",
)
_TRUE: Final = frozenset(("1", "t", "T", "true", "True", "TRUE"))
_FALSE: Final = frozenset(("0", "f", "F", "false", "False", "FALSE"))
# What a change of needs a new start: who listens where, and in whose name.
FIXED: Final = (
    "socket",
    "status_socket",
    "db",
    "key",
    "signer",
    "public_key",
    "chain_id",
    "issuer_id",
    "verification_method",
    "emit_group",
    "read_group",
    "unsafe_socket_path",
    "log_format",
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of a daemon, checked."""

    socket: str
    db: str
    # Empty where a signer is named: then no file holds the key.
    key: str
    signer: str
    next_signer: str
    public_key: str
    forensic_public_key: str
    chain_id: str
    issuer_id: str
    verification_method: str
    parameter_disclosure: str
    response_disclosure: str
    redact_patterns: str
    unsafe_socket_path: bool
    shutdown_deadline: int
    status_socket: str
    emit_group: str
    read_group: str
    max_connections: int
    frame_timeout: int
    idle_timeout: int
    log_format: str
    log_level: str
    # Whether the socket lies where only the system and the user create files.
    is_safe_path: bool


def load_settings(
    flags: Flags,
    *,
    file: FilePath | None = None,
    environ: Mapping[str, str] | None = None,
    platform: str = sys.platform,
) -> tuple[Settings, dict[str, str]]:
    """Return the settings, and from where each one comes; or raise `SettingError`."""
    given = process_environment() if environ is None else environ
    try:
        values, origins = given_values(
            DAEMON,
            flags,
            file=_config_file(file, given),
            environ=given,
            readers={
                "parameter_disclosure": _policy,
                "response_disclosure": _policy,
                "unsafe_socket_path": _bool,
                "key": _key_path,
                "signer": _signer_uri,
                "next_signer": _signer_uri,
            },
        )
    except SettingError as fault:
        # Out of the frames that a traceback shows.
        raise SettingError(str(fault)) from None
    if values["signer"] and origins["key"] != "default":
        raise SettingError(
            f"key (from {origins['key']}) and signer (from {origins['signer']}) name two keys: "
            "give one of them"
        )
    _fill(values, given, platform)
    _check(values)
    values["is_safe_path"] = check_socket_path(
        values["socket"], platform, given, may_be_unsafe=values["unsafe_socket_path"]
    )
    return Settings(**values), origins


def print_config(settings: Settings, origins: Mapping[str, str]) -> str:
    """Return the settings as a TOML file that sets the same, with where each one comes from."""
    lines = []
    for one in DAEMON:
        value = getattr(settings, one.name)
        if one.name == "key" and not value:
            continue  # a signer is in its place
        if isinstance(value, bool):
            told = "true" if value else "false"
        elif one.kind == "duration":
            told = quoted(told_duration(value))
        else:
            told = str(value) if isinstance(value, int) else quoted(value)
        lines.append(f"{one.name} = {told}  # {origins[one.name]}")
    return "\n".join(lines)


def changed(before: Settings, after: Settings) -> tuple[list[str], list[str]]:
    """Return the names of what changed and can be taken over, and of what needs a new start."""
    names = [
        name
        for name in Settings.__struct_fields__
        if getattr(before, name) != getattr(after, name) and name != "is_safe_path"
    ]
    return [one for one in names if one not in FIXED], [one for one in names if one in FIXED]


def data_folder(environ: Mapping[str, str]) -> str:
    """Return where key and store lie unless told otherwise."""
    home = data_home(environ)
    if home is None:
        raise SettingError("neither XDG_DATA_HOME nor HOME says where the store should lie")
    return f"{home}/agent-receipts"


def _config_file(file: FilePath | None, environ: Mapping[str, str]) -> FilePath | None:
    """Return the file to read: one that was named must be there, the default one need not."""
    named = file or read(CONFIG_VARIABLE, environ)
    if named:
        return named
    home = data_home(environ)
    path = f"{home}/agent-receipts/{CONFIG_FILE}"
    return path if home is not None and os.path.exists(path) else None


def _fill(values: dict[str, Any], environ: Mapping[str, str], platform: str) -> None:
    values["socket"] = socket_path(platform, environ, values["socket"] or None)
    for name in _PATHS:
        if values[name].startswith("<data>"):
            values[name] = data_folder(environ) + values[name].removeprefix("<data>")
    if values["public_key"] == "<key>.pub":
        values["public_key"] = f"{values['key']}.pub"
    if values["signer"]:
        values["key"] = ""
    if values["verification_method"] == "<issuer_id>#k1":
        values["verification_method"] = f"{values['issuer_id']}#k1"
    if values["status_socket"].startswith("<"):
        values["status_socket"] = os.path.join(os.path.dirname(values["socket"]), "status.sock")


def _check(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, str) and not is_text(value):  # a folder of the environment's
            raise SettingError(f"{name} must be text")
    for name in ("socket", "db", "key", "public_key", "issuer_id", "verification_method"):
        if not values[name] and not (name == "key" and values["signer"]):
            raise SettingError(f"{name} must not be empty")
    for name in ("socket", "status_socket", *_PATHS):
        if values[name] and os.path.basename(values[name]) in ("", ".", ".."):
            raise SettingError(f"{name} must name a file, and {quoted(values[name])} is a folder")
    if values["db"] == ":memory:":
        raise SettingError("db must name a file: a chain must outlive its process")
    for name in ("issuer_id", "verification_method", "chain_id"):
        text = values[name]
        if len(text.encode()) > FRAME_IDENTITY_BYTES_MAX or not text.isprintable():
            raise SettingError(
                f"{name} must be printable, of {FRAME_IDENTITY_BYTES_MAX} bytes at most"
            )
    if "/" in values["chain_id"]:
        raise SettingError("chain_id must not hold a slash: sub-agents' chains hang below it")
    if values["key"] == values["public_key"] or values["db"] in (
        values["key"],
        values["public_key"],
    ):
        raise SettingError("db, key and public_key must be three files")
    if values["signer"] and values["signer"] == values["next_signer"]:
        raise SettingError("signer and next_signer must be two")
    if values["socket"] == values["status_socket"]:
        raise SettingError("socket and status_socket must be two")
    for name, least, most in (
        ("max_connections", 4, 1_000_000),
        ("shutdown_deadline", 0, DRAIN_MS_MAX),
        ("frame_timeout", 100, 60 * FRAME_MS_MAX),
        ("idle_timeout", 1000, 365 * EMITTER_IDLE_MS_MAX),
    ):
        if not least <= values[name] <= most:
            told = str if name == "max_connections" else told_duration
            raise SettingError(f"{name} must be from {told(least)} to {told(most)}")
    if values["log_format"] not in ("json", "text"):
        raise SettingError("log_format must be json or text")
    if values["log_level"] not in ("debug", "info", "warning", "error"):
        raise SettingError("log_level must be debug, info, warning or error")
    for name in ("parameter_disclosure", "response_disclosure"):
        if values[name] != "off" and not values["forensic_public_key"]:
            raise SettingError(f"{name} needs forensic_public_key: to whom it is disclosed")


def _key_path(given: Any) -> str:
    if isinstance(given, str) and is_key_itself(given):
        raise ValueError(f"holds no path: {GIVE_A_PATH}")
    if not is_text(given) or not re.fullmatch(r"[^\n]{1,4096}", given):
        raise ValueError("must be a path")
    return given


def _signer_uri(given: Any) -> str:
    text = read_text(given)
    if not text:
        return text
    try:
        uri = receipt_signer_uri(text)
    except SettingError as fault:
        del text, given  # out of the frame that a traceback shows
        raise ValueError(f"is not usable: {fault}") from None
    if not uri.scheme:
        raise ValueError("is the path of a file: that is what key is for")
    return text


def _bool(given: Any) -> bool:
    if isinstance(given, str) and given in _TRUE | _FALSE:
        return given in _TRUE
    return read_flag(given)


def _policy(given: Any) -> str:
    """Return a disclosure policy in its one spelling: off, high, all, or types with commas."""
    if not isinstance(given, (str, bool, int, list)):
        raise ValueError("must be off, high, all, or a list of action types")
    if isinstance(given, list) and not all(isinstance(one, str) for one in given):
        raise ValueError("must be off, high, all, or a list of action types")
    policy = parse_policy(given)
    return ",".join(sorted(policy.types)) if policy.mode == "list" else policy.mode
