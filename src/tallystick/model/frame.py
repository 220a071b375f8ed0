# SPDX-License-Identifier: Apache-2.0
"""The frame, version "1": what an emitter tells the daemon of one action, unsigned.

Strict where two parsers might read different things (keys twice or in another case, numbers that
no double holds, wrong types), bounded in every text, and tolerant of members that nobody here
knows. A refusal has one of `FRAME_CODES`; it never quotes what the frame holds.

`ack`, `late` and `rule` are ours: other daemons pass over them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from tallystick.crypto.quick import parse_quickly
from tallystick.errors import FrameRefused, MalformedInput
from tallystick.limits import (
    FRAME_BYTES_MAX,
    FRAME_IDENTITY_BYTES_MAX,
    FRAME_RESOURCE_BYTES_MAX,
    FRAME_TEXT_BYTES_MAX,
    FRAME_USAGE_BYTES_MAX,
    FRAME_USAGE_DEPTH_MAX,
    JSON_INTEGER_MAX,
)
from tallystick.model.shapes import is_moment
from tallystick.model.taxonomy import is_for_issuers_only

FRAME_VERSION: Final = "1"

FRAME_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "FRAME_SIZE": "longer than a frame may be, or with too many values",
        "FRAME_ENCODING": "not UTF-8, or with a byte order mark",
        "FRAME_JSON": "not JSON",
        "FRAME_TRAILING_DATA": "something follows the JSON value",
        "FRAME_DUPLICATE_KEY": "a key appears twice in one object, at any depth",
        "FRAME_CASE_VARIANT": "a known member in another case: other parsers would take it",
        "FRAME_NUMBER": "a number that no double holds exactly",
        "FRAME_SURROGATE": "text with half of a surrogate pair",
        "FRAME_DEPTH": "nested too deep",
        "FRAME_VERSION": "another version of the frame",
        "FRAME_MISSING": "a member is missing or empty that every frame has",
        "FRAME_TYPE": "a member of the wrong type",
        "FRAME_VALUE": "a member with a value that it may not have",
        "FRAME_LENGTH": "a text over its limit",
        "FRAME_CHARACTER": "a control character in a name",
        "FRAME_RESERVED_TYPE": "an action type that only the issuer itself may use",
    }
)

Decision = Literal["allowed", "denied", "pending"]
_Identity = Annotated[str, Meta(min_length=1, max_length=FRAME_IDENTITY_BYTES_MAX)]
_Resource = Annotated[str, Meta(min_length=1, max_length=FRAME_RESOURCE_BYTES_MAX)]
_Text = Annotated[str, Meta(max_length=FRAME_TEXT_BYTES_MAX)]
_Count = Annotated[int, Meta(ge=0, le=JSON_INTEGER_MAX)]


class Tool(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What was used, and on which server."""

    name: _Identity
    server: _Identity | None = None


class FrameRule(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The rule that decided on the action, and who approved it (ours)."""

    action: _Identity | None = None
    approver: _Identity | None = None
    name: _Identity | None = None
    reason: _Resource | None = None


class Frame(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One action as its emitter tells it; nothing in it is proven."""

    ack: bool = False
    action_type: _Identity | None = None
    agent_id: _Identity | None = None
    agent_type: _Identity | None = None
    capture_method: _Identity | None = None
    channel: _Identity
    correlation_id: _Identity | None = None
    decision: Decision
    drop_count: _Count = 0
    error: _Text | None = None
    idempotency_key: _Identity | None = None
    input: Any = None
    issuer_model: _Identity | None = None
    issuer_name: _Identity | None = None
    late: bool = False
    model: _Identity | None = None
    operator_id: _Identity | None = None
    operator_name: _Identity | None = None
    output: Any = None
    prompt_preview: _Text | None = None
    rule: FrameRule | None = None
    session_id: _Identity
    target_resource: _Resource | None = None
    target_system: _Identity | None = None
    tool: Tool
    ts_emit: _Identity
    usage: Any = None
    v: Literal["1"]

    @property
    def type(self) -> str:
        """The action type: the emitter's, or `channel.server.name` without one."""
        if self.action_type is not None:
            return self.action_type
        tool = self.tool
        middle = f"{tool.server}." if tool.server is not None else ""
        return f"{self.channel}.{middle}{tool.name}"


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The daemon's word that the receipt of a frame is on stable storage."""

    ok: Literal[True] = True
    id: str
    chain_id: str
    sequence: int
    hash: str


class Refusal(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The daemon's word that a frame became no receipt, and why."""

    ok: Literal[False] = False
    code: str
    message: str


_REQUIRED: Final = ("v", "ts_emit", "session_id", "channel", "tool", "decision")
_TEXTS: Final[Mapping[str, int]] = MappingProxyType(
    {
        **dict.fromkeys(
            [
                "v",
                "ts_emit",
                "session_id",
                "channel",
                "decision",
                "action_type",
                "agent_id",
                "agent_type",
                "capture_method",
                "correlation_id",
                "idempotency_key",
                "issuer_model",
                "issuer_name",
                "model",
                "operator_id",
                "operator_name",
                "target_system",
            ],
            FRAME_IDENTITY_BYTES_MAX,
        ),
        "target_resource": FRAME_RESOURCE_BYTES_MAX,
        "error": FRAME_TEXT_BYTES_MAX,
        "prompt_preview": FRAME_TEXT_BYTES_MAX,
    }
)
_TOOL_TEXTS: Final = {"name": FRAME_IDENTITY_BYTES_MAX, "server": FRAME_IDENTITY_BYTES_MAX}
_RULE_TEXTS: Final = {
    "action": FRAME_IDENTITY_BYTES_MAX,
    "approver": FRAME_IDENTITY_BYTES_MAX,
    "name": FRAME_IDENTITY_BYTES_MAX,
    "reason": FRAME_RESOURCE_BYTES_MAX,
}
# Free text may hold line feeds and more: it is cut, redacted, and shown with care.
_FREE: Final = frozenset(("error", "prompt_preview", "target_resource", "reason"))
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_MEMBERS: Final = frozenset(Frame.__struct_fields__)
_TOOL_MEMBERS: Final = frozenset(Tool.__struct_fields__)
_RULE_MEMBERS: Final = frozenset(FrameRule.__struct_fields__)

_ENCODE: Final = msgspec.json.Encoder().encode


def parse_frame(data: bytes) -> Frame:
    """Return the frame that one body of JSON holds, or raise `FrameRefused`."""
    members = _value_of(data)
    if type(members) is not dict:
        raise FrameRefused("FRAME_TYPE", "is not an object")
    _refuse_case_variants(members, _MEMBERS, "")
    for name, known in (("tool", _TOOL_MEMBERS), ("rule", _RULE_MEMBERS)):
        inner = members.get(name)
        if type(inner) is dict:
            _refuse_case_variants(inner, known, f"/{name}")
    if b'""' in data or b"null" in data:
        members = _without_blanks(members)
    try:
        frame = msgspec.convert(members, Frame)
    except msgspec.ValidationError:
        raise _fault_in(members) from None
    # Names of plain ASCII without escapes can't be longer in bytes, nor hold control characters.
    if b"\\" in data or b"\x7f" in data or not data.isascii():
        _check_texts(members, _TEXTS, "")
        _check_texts(members["tool"], _TOOL_TEXTS, "/tool")
        _check_texts(members.get("rule") or {}, _RULE_TEXTS, "/rule")
    _check_rules(frame)
    return frame


def encode_acknowledgement(answer: Acknowledgement | Refusal) -> bytes:
    """Return the body of the frame by which the daemon answers."""
    return _ENCODE(answer)


def _value_of(data: bytes) -> Any:
    """Return the JSON value of a body."""
    if len(data) > FRAME_BYTES_MAX:
        raise FrameRefused("FRAME_SIZE", f"{len(data)} bytes, over the limit of {FRAME_BYTES_MAX}")
    try:
        return parse_quickly(data, FRAME_BYTES_MAX)
    except MalformedInput as fault:
        code = fault.code.replace("MALFORMED_", "FRAME_")
        # The parser's own words quote keys and numbers.
        raise FrameRefused(code, FRAME_CODES[code]) from None


def _refuse_case_variants(members: dict[str, Any], known: frozenset[str], where: str) -> None:
    if known.issuperset(members):
        return
    for name in members.keys() - known:
        if name.casefold() in known:
            raise FrameRefused(
                "FRAME_CASE_VARIANT",
                "is spelled in another case",
                f"{where}/{name.casefold()}",
            )


def _without_blanks(members: dict[str, Any]) -> dict[str, Any]:
    """Return the members without those that are null, or texts that are empty: both mean absent."""
    kept = {
        name: value
        for name, value in members.items()
        if name in _REQUIRED or (value is not None and (value != "" or name not in _TEXTS))
    }
    for name, required in (("tool", "name"), ("rule", None)):
        inner = kept.get(name)
        if type(inner) is dict:
            kept[name] = {
                key: value for key, value in inner.items() if value != "" or key == required
            }
    return kept


def _fault_in(members: dict[str, Any]) -> FrameRefused:
    """Return what is wrong with members that make no frame; looks at them one by one."""
    version = members.get("v")
    if version is not None and version != FRAME_VERSION:
        kind = "FRAME_VERSION" if type(version) is str else "FRAME_TYPE"
        return FrameRefused(kind, f'is not "{FRAME_VERSION}"', "/v")
    for name in _REQUIRED:
        if members.get(name) in (None, ""):
            return FrameRefused("FRAME_MISSING", "is missing or empty", f"/{name}")
    try:
        _check_texts(members, _TEXTS, "")
        for name, texts in (("tool", _TOOL_TEXTS), ("rule", _RULE_TEXTS)):
            inner = members.get(name)
            if inner is not None:
                if type(inner) is not dict:
                    return FrameRefused("FRAME_TYPE", "is not an object", f"/{name}")
                _check_texts(inner, texts, f"/{name}")
    except FrameRefused as fault:
        return fault
    if members["tool"].get("name") in (None, ""):
        return FrameRefused("FRAME_MISSING", "is missing or empty", "/tool/name")
    for name in ("ack", "late"):
        if type(members.get(name, False)) is not bool:
            return FrameRefused("FRAME_TYPE", "is not true or false", f"/{name}")
    drops = members.get("drop_count", 0)
    if type(drops) is not int:
        return FrameRefused("FRAME_TYPE", "is not a whole number", "/drop_count")
    if not 0 <= drops <= JSON_INTEGER_MAX:
        return FrameRefused("FRAME_VALUE", "is below zero or too large", "/drop_count")
    return FrameRefused("FRAME_VALUE", "is not allowed, denied or pending", "/decision")


def _check_texts(members: dict[str, Any], texts: Mapping[str, int], where: str) -> None:
    for name, limit in texts.items():
        text = members.get(name)
        if text is None:
            continue
        if type(text) is not str:
            raise FrameRefused("FRAME_TYPE", "is not text", f"{where}/{name}")
        if len(text) > limit or (not text.isascii() and len(text.encode()) > limit):
            raise FrameRefused("FRAME_LENGTH", f"over {limit} bytes", f"{where}/{name}")
        if name not in _FREE and _CONTROL.search(text):
            raise FrameRefused("FRAME_CHARACTER", "holds a control character", f"{where}/{name}")


def _check_rules(frame: Frame) -> None:
    if not is_moment(frame.ts_emit):
        raise FrameRefused("FRAME_VALUE", "is no RFC 3339 time", "/ts_emit")
    if is_for_issuers_only(frame.type):
        raise FrameRefused("FRAME_RESERVED_TYPE", "is for the issuer itself", "/action_type")
    if (frame.target_system is None) is not (frame.target_resource is None):
        raise FrameRefused(
            "FRAME_MISSING", "target_system and target_resource go together", "/target_system"
        )
    if frame.operator_name is not None and frame.operator_id is None:
        raise FrameRefused("FRAME_MISSING", "operator_name needs it", "/operator_id")
    if frame.agent_id is not None and "/" in frame.agent_id:
        raise FrameRefused("FRAME_VALUE", "holds a slash", "/agent_id")
    if frame.usage is not None:
        if len(_ENCODE(frame.usage)) > FRAME_USAGE_BYTES_MAX:
            raise FrameRefused("FRAME_LENGTH", f"over {FRAME_USAGE_BYTES_MAX} bytes", "/usage")
        if _is_deeper(frame.usage, FRAME_USAGE_DEPTH_MAX):
            raise FrameRefused("FRAME_DEPTH", "nested too deep", "/usage")


def _is_deeper(value: object, depth_max: int) -> bool:
    if isinstance(value, dict):
        return depth_max <= 0 or any(_is_deeper(one, depth_max - 1) for one in value.values())
    if isinstance(value, list):
        return depth_max <= 0 or any(_is_deeper(one, depth_max - 1) for one in value)
    return False
