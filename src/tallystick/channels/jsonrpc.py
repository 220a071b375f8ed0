# SPDX-License-Identifier: Apache-2.0
"""One message of JSON-RPC 2.0: parsed once, strictly; its bytes are never written anew.

Two parsers must not read different things in what passes: keys that come twice or in another case,
a second message behind a carriage return, text with half a surrogate pair, ids that are no ids.
Numbers are left alone, also those that no double holds: tools are given such.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec

from tallystick.crypto.quick import parse_quickly
from tallystick.errors import MalformedInput, MessageRefused
from tallystick.limits import MESSAGE_BYTES_MAX, MESSAGE_ID_CHARS_MAX, MESSAGE_VALUES_MAX

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602

Id: TypeAlias = str | int
# Two ids are the same only where their types are, too: 1 is not "1".
Key: TypeAlias = tuple[type, Id]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for something, and waits for an answer under its id."""

    id: Id
    method: str
    params: dict[str, Any]

    @property
    def key(self) -> Key:
        """What its answer is found by."""
        return type(self.id), self.id


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """Says something; nobody answers."""

    method: str
    params: dict[str, Any]


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a request: what came of it, or an error."""

    id: Id | None
    error: Any = None
    output: Any = None

    @property
    def key(self) -> Key:
        """The request that it answers."""
        return type(self.id), self.id if self.id is not None else ""


Message: TypeAlias = Request | Notification | Response

_MEMBERS: Final = frozenset(("jsonrpc", "id", "method", "params", "result", "error"))
_ENCODE: Final = msgspec.json.Encoder().encode


class _Envelope(msgspec.Struct):
    jsonrpc: Any = None
    id: Any = None
    method: Any = None
    result: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Result(msgspec.Struct):
    isError: Any = None  # noqa: N815  # the protocol's spelling


_READ_RESULT: Final = msgspec.json.Decoder(_Result).decode
_READ_ENVELOPE: Final = msgspec.json.Decoder(_Envelope).decode


class Glimpse(msgspec.Struct, frozen=True, kw_only=True):
    """What can be told of an answer that was not parsed whole."""

    id: Id
    is_error: bool

    @property
    def key(self) -> Key:
        """The request that it seems to answer."""
        return type(self.id), self.id


def parse_message(line: bytes) -> tuple[tuple[Message, ...], bool]:
    """Return the messages of one line, and whether they are a batch; or raise `MessageRefused`."""
    value = _value_of(without_end(line))
    if type(value) is list:
        if not value:
            raise MessageRefused(INVALID_REQUEST, "an empty batch")
        return tuple([_message_of(one) for one in value]), True
    return (_message_of(value),), False


def without_end(line: bytes) -> bytes:
    """Return a line without the line feed at its end, and without the CR before that."""
    if line.endswith(b"\r\n"):
        return line[:-2]
    return line[:-1] if line.endswith(b"\n") else line


def glimpse(line: bytes) -> Glimpse | None:
    """Return what a quick look tells of an answer, or None; trusts nothing but the id."""
    try:
        seen = _READ_ENVELOPE(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
    if type(seen.id) is float and seen.id.is_integer():
        seen.id = int(seen.id)  # 7.0 is 7 for many clients
    if seen.jsonrpc != "2.0" or seen.method is not None or not is_id(seen.id):
        return None  # what no client takes for an answer must not end a call
    if bytes(seen.error) not in (b"", b"null"):
        return Glimpse(id=seen.id, is_error=True)
    if not bytes(seen.result):
        return None
    try:
        is_error = bool(_READ_RESULT(seen.result).isError)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        is_error = False
    return Glimpse(id=seen.id, is_error=is_error)


def error_line(id: Id | None, code: int, message: str, **data: Any) -> bytes:  # noqa: A002
    """Return the line by which a request is refused."""
    error: dict[str, Any] = {"code": code, "message": message}
    if told := {name: value for name, value in data.items() if value is not None}:
        error["data"] = told
    return _ENCODE({"jsonrpc": "2.0", "id": id, "error": error}) + b"\n"


def is_id(value: object) -> bool:
    """Whether a value may be an id: text or a whole number, of bounded length."""
    if type(value) is str:
        return len(value) <= MESSAGE_ID_CHARS_MAX
    return type(value) is int and abs(value) < 1 << 128


def folded(name: str) -> str:
    """Return a name as the most careless reader compares it: for some, a NUL ends a text."""
    return name.partition("\0")[0].strip().casefold()


def refuse_case_variants(members: dict[str, Any], known: frozenset[str], where: str) -> None:
    """Raise where a member is a known one in another spelling: some parsers would take it."""
    if members.keys() <= known:
        return
    for name in members.keys() - known:
        if folded(name) in known:
            raise MessageRefused(INVALID_REQUEST, f"{where} holds a known member in another case")


def _value_of(data: bytes) -> Any:
    if len(data) > MESSAGE_BYTES_MAX:
        raise MessageRefused(INVALID_REQUEST, f"a message of over {MESSAGE_BYTES_MAX} bytes")
    if b"\r" in data:
        # For some readers a line ends here, and what follows is a message of its own.
        raise MessageRefused(PARSE_ERROR, "a carriage return within a message")
    try:
        return parse_quickly(data, MESSAGE_BYTES_MAX, MESSAGE_VALUES_MAX, exact_numbers=False)
    except MalformedInput as fault:
        kind = fault.code.removeprefix("MALFORMED_").lower().replace("_", " ")
        raise MessageRefused(PARSE_ERROR, f"this is no strict JSON: {kind}") from None


def _message_of(members: Any) -> Message:
    if type(members) is not dict:
        raise MessageRefused(INVALID_REQUEST, "a message is an object")
    given = members.get("id")
    id_or_none = given if is_id(given) else None
    try:
        refuse_case_variants(members, _MEMBERS, "the message")
        return _checked(members, given)
    except MessageRefused as fault:
        raise MessageRefused(fault.code, fault.message, id_or_none) from None


def _checked(members: dict[str, Any], given: Any) -> Message:
    if members.get("jsonrpc") != "2.0":
        raise MessageRefused(INVALID_REQUEST, 'jsonrpc is not "2.0"')
    has_answer = "result" in members or "error" in members
    if "method" not in members:
        if not has_answer or ("result" in members and "error" in members):
            raise MessageRefused(INVALID_REQUEST, "neither a request nor an answer")
        if "id" not in members or not (is_id(given) or (given is None and "error" in members)):
            raise MessageRefused(INVALID_REQUEST, "an answer needs the id of a request")
        return Response(id=given, error=members.get("error"), output=members.get("result"))
    method, params = members["method"], members.get("params", {})
    if type(method) is not str or not method:
        raise MessageRefused(INVALID_REQUEST, "the method is no text")
    if has_answer:
        raise MessageRefused(INVALID_REQUEST, "a request that is an answer, too")
    if type(params) is not dict:
        raise MessageRefused(INVALID_PARAMS, "params is no object")
    if "id" not in members:
        return Notification(method=method, params=params)
    if not is_id(given):
        raise MessageRefused(INVALID_REQUEST, "the id is neither text nor a whole number")
    return Request(id=given, method=method, params=params)
