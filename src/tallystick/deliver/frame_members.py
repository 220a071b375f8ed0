# SPDX-License-Identifier: Apache-2.0
"""What a program tells of one action, as the body of a frame: looked at before it is sent.

A frame that the daemon would refuse is the caller's mistake, and shows here, where the caller is.
Only what costs nothing is imported; the strict parser is asked where a number looks too long.
"""

from __future__ import annotations

import os
import time
from _collections_abc import Mapping

from tallystick.errors import FrameRefused
from tallystick.limits import (
    FRAME_BYTES_MAX,
    FRAME_IDENTITY_BYTES_MAX,
    FRAME_RESOURCE_BYTES_MAX,
    FRAME_TEXT_BYTES_MAX,
    JSON_DEPTH_MAX,
    JSON_INTEGER_MAX,
    JSON_VALUES_MAX,
)
from tallystick.model.framing import encode_kept

DECISIONS = ("allowed", "denied", "pending")
# Texts of a frame by the bytes that each may have. A test holds them to the daemon's own table.
TEXTS: Mapping[str, int] = {
    **dict.fromkeys(
        (
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
        ),
        FRAME_IDENTITY_BYTES_MAX,
    ),
    "target_resource": FRAME_RESOURCE_BYTES_MAX,
    "error": FRAME_TEXT_BYTES_MAX,
    "prompt_preview": FRAME_TEXT_BYTES_MAX,
}
# Others than texts; `v` is set by who encodes.
OTHERS = frozenset(("ack", "drop_count", "input", "late", "output", "rule", "tool", "usage"))
_REQUIRED = ("ts_emit", "session_id", "channel", "tool", "decision")
_FREE = frozenset(("error", "prompt_preview", "target_resource", "reason"))
_TOOL = {"name": FRAME_IDENTITY_BYTES_MAX, "server": FRAME_IDENTITY_BYTES_MAX}
_RULE = {
    "action": FRAME_IDENTITY_BYTES_MAX,
    "approver": FRAME_IDENTITY_BYTES_MAX,
    "name": FRAME_IDENTITY_BYTES_MAX,
    "reason": FRAME_RESOURCE_BYTES_MAX,
}
# A run of digits that no double may hold, looked for where all digits are zeros.
_LONG_NUMBER = b"0" * 16
# The second that was last written, and how.
_second = (0, "1970-01-01T00:00:00")
_DIGITS_AS_ZEROS = bytes(48 if 48 <= byte <= 57 else 32 for byte in range(256))


def body_of(members: Mapping[str, object]) -> bytes:
    """Return the body of the frame, or raise `FrameRefused`: the caller told what no frame holds.

    Members that are None are left out; so are empty optional texts.
    """
    kept = {name: value for name, value in members.items() if value is not None and value != ""}
    for name in _REQUIRED:
        if name not in kept:
            raise FrameRefused("FRAME_MISSING", "is missing or empty", f"/{name}")
    _check(kept)
    try:
        body = encode_kept(kept)
    except RecursionError:
        raise FrameRefused("FRAME_DEPTH", "nested too deep, or within itself") from None
    except UnicodeEncodeError:
        raise FrameRefused("FRAME_SURROGATE", "text with half of a surrogate pair") from None
    except (TypeError, ValueError):
        raise FrameRefused("FRAME_JSON", "holds a value that JSON does not have") from None
    if len(body) > FRAME_BYTES_MAX:
        raise FrameRefused("FRAME_SIZE", f"{len(body)} bytes, over the limit of {FRAME_BYTES_MAX}")
    brackets = body.count(b"[") + body.count(b"{")
    if brackets > JSON_DEPTH_MAX or brackets + body.count(b",") > JSON_VALUES_MAX:
        _check_structure(kept)  # a text may hold as many
    if _LONG_NUMBER in body.translate(_DIGITS_AS_ZEROS):
        _ask_the_parser(body)
    return body


def _check(members: Mapping[str, object]) -> None:
    for name, value in members.items():
        limit = TEXTS.get(name)
        if limit is not None:
            _check_text(value, limit, name, "")
        elif name not in OTHERS:
            raise FrameRefused("FRAME_VALUE", "is no member of a frame that we know", f"/{name}")
    if not _check_object(members["tool"], _TOOL, "tool").get("name"):
        raise FrameRefused("FRAME_MISSING", "is missing or empty", "/tool/name")
    if "rule" in members:
        _check_object(members["rule"], _RULE, "rule")
    for name in ("ack", "late"):
        if type(members.get(name, False)) is not bool:
            raise FrameRefused("FRAME_TYPE", "is not true or false", f"/{name}")
    drops = members.get("drop_count", 0)
    if type(drops) is not int or not 0 <= drops <= JSON_INTEGER_MAX:
        raise FrameRefused("FRAME_TYPE", "is no count", "/drop_count")
    if members["decision"] not in DECISIONS:
        raise FrameRefused("FRAME_VALUE", "is not allowed, denied or pending", "/decision")
    if ("target_system" in members) is not ("target_resource" in members):
        raise FrameRefused(
            "FRAME_MISSING", "target_system and target_resource go together", "/target_system"
        )
    if "operator_name" in members and "operator_id" not in members:
        raise FrameRefused("FRAME_MISSING", "operator_name needs it", "/operator_id")
    if "/" in str(members.get("agent_id", "")):
        raise FrameRefused("FRAME_VALUE", "holds a slash", "/agent_id")


def _check_structure(members: object) -> None:
    level, depth, values = [members], 0, 1  # one for the `v` that is added
    while level:
        inner = [one for one in level if isinstance(one, (dict, list, tuple))]
        depth += bool(inner)
        if depth > JSON_DEPTH_MAX:
            raise FrameRefused("FRAME_DEPTH", f"nested deeper than {JSON_DEPTH_MAX} levels")
        values += sum(len(one) or 1 for one in inner)
        if values > JSON_VALUES_MAX:
            raise FrameRefused("FRAME_SIZE", f"more than {JSON_VALUES_MAX} values")
        level = [
            below for one in inner for below in (one.values() if isinstance(one, dict) else one)
        ]


def _check_object(value: object, texts: Mapping[str, int], name: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise FrameRefused("FRAME_TYPE", "is not an object", f"/{name}")
    for key, text in value.items():
        if key not in texts:
            raise FrameRefused("FRAME_VALUE", "holds a member that we do not know", f"/{name}")
        if text is not None:
            _check_text(text, texts[key], key, f"/{name}")
    return value


def _check_text(text: object, limit: int, name: str, where: str) -> None:
    if type(text) is not str:
        raise FrameRefused("FRAME_TYPE", "is not text", f"{where}/{name}")
    if len(text) > limit or (not text.isascii() and _bytes_of(text) > limit):
        raise FrameRefused("FRAME_LENGTH", f"over {limit} bytes", f"{where}/{name}")
    if name not in _FREE and not text.isprintable() and _has_control(text):
        raise FrameRefused("FRAME_CHARACTER", "holds a control character", f"{where}/{name}")


def _bytes_of(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _has_control(text: str) -> bool:
    return any(one < " " or "\x7f" <= one <= "\x9f" or one in "\u2028\u2029" for one in text)


def _ask_the_parser(body: bytes) -> None:
    from tallystick.crypto.strict import parse_json
    from tallystick.errors import MalformedInput

    try:
        parse_json(body, FRAME_BYTES_MAX)
    except MalformedInput as fault:
        code = fault.code.replace("MALFORMED_", "FRAME_")
        raise FrameRefused(code, "holds a number that no double holds exactly") from None


def instant(nanoseconds: int) -> str:
    """Return a time of the clock as frames write it."""
    global _second  # noqa: PLW0603  # many frames are of one second
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    told, text = _second
    if told != seconds:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        _second = seconds, text
    return f"{text}.{rest // 1_000_000:03d}Z"


def random_uuid() -> str:
    """Return a random UUID; the module `uuid` would cost as much as all of this."""
    number = bytearray(os.urandom(16))
    number[6] = number[6] & 0x0F | 0x40
    number[8] = number[8] & 0x3F | 0x80
    text = number.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
