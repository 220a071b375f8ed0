# SPDX-License-Identifier: Apache-2.0
"""Calls as they were recorded, to try rules on: messages of a client, or tool and arguments.

Parsed as strictly as calls that are made: what the proxy would refuse is refused here.
"""

from __future__ import annotations

from collections.abc import Iterator

from tallystick.channels.jsonrpc import INVALID_REQUEST, Request, parse_message
from tallystick.channels.mcp_calls import Call, call_of
from tallystick.channels.mcp_client_side import check_call
from tallystick.channels.mcp_methods import HOUSEKEEPING, TOOL_CALL
from tallystick.crypto.strict import parse_json
from tallystick.errors import LimitError, MalformedInput, MessageRefused
from tallystick.limits import MESSAGE_BYTES_MAX, RECORDED_CALLS_BYTES_MAX


def read_calls(data: bytes, server: str) -> Iterator[Call]:
    """Yield the calls of some lines; raise `MessageRefused` for the first that can't be read."""
    if len(data) > RECORDED_CALLS_BYTES_MAX:
        raise LimitError(f"over the limit of {RECORDED_CALLS_BYTES_MAX} bytes")
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            for request in _requests(line):
                check_call(request)
                yield call_of(request, "client", server)
        except MessageRefused as fault:
            raise MessageRefused(fault.code, f"line {number}: {fault.message}") from None


def _requests(line: bytes) -> list[Request]:
    try:
        value = parse_json(line, MESSAGE_BYTES_MAX, exact_numbers=False)
    except MalformedInput as fault:
        raise MessageRefused(INVALID_REQUEST, str(fault)) from None
    if isinstance(value, dict) and "jsonrpc" not in value and value.keys() <= {"tool", "arguments"}:
        params = {"name": value.get("tool"), "arguments": value.get("arguments")}
        return [Request(id=0, method=TOOL_CALL, params=params)]
    if isinstance(value, dict) and not value.keys() & {"jsonrpc", "id", "method", "params"}:
        told = 'neither a message nor {"tool": …, "arguments": …}'
        raise MessageRefused(INVALID_REQUEST, told)
    messages, _ = parse_message(line)
    return [one for one in messages if isinstance(one, Request) and one.method not in HOUSEKEEPING]
