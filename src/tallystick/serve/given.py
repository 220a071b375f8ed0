# SPDX-License-Identifier: Apache-2.0
"""What a service was told: flags, then environment, then a TOML file, then defaults.

A table of `config.Variable` says what can be set. Here its texts become typed values, and each
value keeps from where it came.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, TypeGuard

import msgspec

from tallystick.config import Variable, read
from tallystick.crypto.strict_toml import parse_toml
from tallystick.durable.file import FilePath, read_bounded, shown
from tallystick.errors import LimitError, RefusedInput, SettingError
from tallystick.limits import SETTINGS_FILE_BYTES_MAX

# As many digits as a float takes exactly: what is bounded later must be a number first.
_PART: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)(ms|s|m|h)", re.ASCII)
_DURATION: Final = re.compile(f"(?:{_PART.pattern})+", re.ASCII)
_UNIT_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}

Flags = Mapping[str, str | bool | None]
Reader = Callable[[Any], Any]


def given_values(
    table: Sequence[Variable],
    flags: Flags,
    *,
    file: FilePath | None = None,
    environ: Mapping[str, str] | None = None,
    extra: Sequence[str] = (),
    readers: Mapping[str, Reader] | None = None,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the typed values, and from where each one comes; or raise `SettingError`.

    `extra` are members of the file that are no settings: they are returned as they stand there.
    `readers` read single settings in another way than their kind says.
    """
    names = [*(one.name for one in table), *extra]
    found = read_settings_file(file, names) if file is not None else {}
    values: dict[str, Any] = {name: found[name] for name in extra if name in found}
    origins: dict[str, str] = {}
    for setting in table:
        given, origin = _given(setting, flags, environ, found, file)
        reader = (readers or {}).get(setting.name) or _READERS.get(setting.kind, read_text)
        try:
            values[setting.name] = reader(given)
        except ValueError as fault:
            raise SettingError(f"{setting.name} (from {origin}) {fault}") from None
        origins[setting.name] = origin
    return values, origins


def read_settings_file(path: FilePath, known: Sequence[str]) -> dict[str, Any]:
    """Return what a TOML file sets; what is no setting is refused."""
    try:
        text = read_bounded(path, SETTINGS_FILE_BYTES_MAX).decode("utf-8")
    except LimitError as fault:
        raise SettingError(str(fault)) from None
    except ValueError as fault:
        raise SettingError(f"{shown(path)} is no TOML: {fault}") from None
    if text.startswith("\ufeff"):
        raise SettingError(f"{shown(path)} begins with a byte order mark: save it without one")
    try:
        table = parse_toml(text)
    except RefusedInput as fault:
        raise SettingError(f"{shown(path)} is no TOML that we read: {fault}") from None
    unknown = sorted(set(table) - set(known))
    if unknown:
        near = get_close_matches(unknown[0], known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise SettingError(f"{shown(path)} sets {unknown[0]!r}, which is no setting{hint}")
    return table


def read_text(given: Any) -> str:
    """Return text as it is."""
    if not is_text(given):
        raise ValueError("must be text")
    return given


def is_text(given: Any) -> TypeGuard[str]:
    """Whether this is text that can be written: the environment may hold bytes that are none."""
    try:
        return isinstance(given, str) and b"\0" not in given.encode()
    except UnicodeEncodeError:
        return False


def read_flag(given: Any) -> bool:
    """Return a flag."""
    if isinstance(given, bool):
        return given
    if given in ("true", "false"):
        return bool(given == "true")
    raise ValueError("must be true or false")


def read_number(given: Any) -> int:
    """Return a whole number that is not negative."""
    if type(given) is int and 0 <= given < 10**18:
        return given
    if isinstance(given, str) and re.fullmatch(r"[0-9]{1,18}", given, re.ASCII):
        return int(given)
    raise ValueError("must be a whole number, 0 or more")


def read_duration_ms(given: Any) -> int:
    """Return a duration in milliseconds."""
    if not isinstance(given, str) or not _DURATION.fullmatch(given):
        raise ValueError("must be a duration like 10s, 1m30s or 500ms")
    return round(sum(float(count) * _UNIT_MS[unit] for count, unit in _PART.findall(given)))


def told_duration(milliseconds: int) -> str:
    """Return a duration in the largest unit that it is whole in, as `read_duration_ms` reads it."""
    units = ("h", "m", "s") if milliseconds else ("s",)
    unit = next((one for one in units if milliseconds % _UNIT_MS[one] == 0), "ms")
    return f"{milliseconds // _UNIT_MS[unit]}{unit}"


def quoted(text: str) -> str:
    """Return a text as TOML spells it."""
    # JSON strings are TOML basic strings, but for DEL, which no path should hold.
    return msgspec.json.encode(text).decode()


_READERS: Final[Mapping[str, Reader]] = {
    "number": read_number,
    "duration": read_duration_ms,
    "flag": read_flag,
}


def _given(
    setting: Variable,
    flags: Flags,
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
