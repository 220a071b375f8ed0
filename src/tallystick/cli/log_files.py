# SPDX-License-Identifier: Apache-2.0
"""The files of a log as the command line names them."""

from __future__ import annotations

from typing import Any, Final

from tallystick.cli.arguments import STDIN, read_standard_input
from tallystick.cli.moments import told_ms
from tallystick.cli.output import Exit, Stop
from tallystick.crypto.note import VerifierKey
from tallystick.crypto.strict import parse_json
from tallystick.durable.file import read_bounded
from tallystick.errors import KeyFormatError, LimitError, MalformedInput, UnreadableError
from tallystick.keys.log_key import read_log_key
from tallystick.limits import ANSWER_BODY_BYTES_MAX

_WANTED: Final = "give the log's public key, name+id+base64, or a file that holds it"


def log_key_from(text: str) -> VerifierKey:
    """Return the log key of an option: the key itself, or the path of a file of it."""
    try:
        return read_log_key(text)
    except (KeyFormatError, LimitError, UnreadableError) as fault:
        raise Stop(Exit.USAGE, f"--vkey: {fault}; {_WANTED}") from None


def read_file(path: str, limit: int) -> bytes:
    """Return a file or standard input, or stop: without it the question is no question."""
    if path == STDIN:
        data = read_standard_input(limit + 1)
        if len(data) > limit:
            raise Stop(Exit.UNCHECKED, f"stdin: over {limit} bytes")
        return data
    try:
        return read_bounded(path, limit)
    except (LimitError, UnreadableError) as fault:
        raise Stop(Exit.UNCHECKED, str(fault)) from None


def promise_in(data: bytes) -> bytes:
    """Return a promise file: what was read, or the `promise` of an answer that an emitter kept."""
    if not data.startswith(b"{"):
        return data
    try:
        answer = parse_json(data, ANSWER_BODY_BYTES_MAX)
    except MalformedInput:
        return data  # and no promise file either: the report says so
    promise = answer.get("promise") if isinstance(answer, dict) else None
    return promise.encode() if isinstance(promise, str) else data


def told_place(report: Any) -> str:
    """Return where a log has a receipt, and since when, by a report that verified it."""
    return f"entry {report.index} of {report.origin}, taken at {told_ms(report.time_ms)}"
