# SPDX-License-Identifier: Apache-2.0
"""Structured logs: one line for each event, as JSON for machines or as text for people.

An event has a name that stays, and fields. No field ever holds a header, a body or a token.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

import msgspec

LogFormat = Literal["json", "text"]

LOGGER: Final = logging.getLogger("tallystick")
_FIELDS: Final = "tally_fields"
_ATTRIBUTES: Final = frozenset(
    {_FIELDS, "message", "asctime", "taskName", "color_message"}
    | vars(logging.makeLogRecord({})).keys()
)
_ENCODE: Final = msgspec.json.Encoder().encode


def event(level: int, name: str, **fields: Any) -> None:
    """Log one event."""
    if LOGGER.isEnabledFor(level):
        LOGGER.log(level, name, extra={_FIELDS: fields})


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _instant(record.created),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= {name: _shown(value) for name, value in _fields(self, record).items()}
        return _ENCODE(line).decode("utf-8", "backslashreplace")


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(
            f"{name}={_quoted(_shown(value))}" for name, value in _fields(self, record).items()
        )
        line = f"{_instant(record.created)} {record.levelname.lower():7} {_one_line(record)}"
        return f"{line} {fields}".rstrip()


def configure_logs(stream: TextIO, form: LogFormat, level: str) -> None:
    """Send events to a stream; the server's own warnings too. Only a program calls this."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Json() if form == "json" else _Text())
    for logger in (LOGGER, logging.getLogger("uvicorn.error")):
        logger.handlers = [handler]
        logger.propagate = False
    LOGGER.setLevel(level.upper())
    # What it says of its own life, our own events say better.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)


def _fields(formatter: logging.Formatter, record: logging.LogRecord) -> dict[str, Any]:
    given = vars(record)
    fields: dict[str, Any] = dict(given.get(_FIELDS, {}))
    # What other modules say with `extra` stands among the record's own attributes.
    fields |= {name: given[name] for name in given if name not in _ATTRIBUTES}
    if record.exc_info:
        fields["traceback"] = formatter.formatException(record.exc_info)
    return fields


def _instant(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _one_line(record: logging.LogRecord) -> str:
    return " ".join(record.getMessage().split())


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float):
        return round(value, 6)
    return value if value is None or isinstance(value, (int, bool)) else str(value)


def _quoted(value: Any) -> str:
    text = _ENCODE(value).decode()
    is_bare = isinstance(value, str) and text[1:-1] == value and value and " " not in value
    return value if is_bare else text
