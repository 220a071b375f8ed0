# SPDX-License-Identifier: Apache-2.0
"""What a host tells a hook: one JSON object on standard input, read once and within bounds."""

from __future__ import annotations

import os

from tallystick.limits import HOOK_INPUT_BYTES_MAX
from tallystick.model.quick_json import make_decode

_CHUNK_BYTES = 1 << 16


class UnreadInput(Exception):
    """What came is no JSON object that can be read here; `omitted` is its hash and size."""

    def __init__(self, reason: str, omitted: dict[str, object]) -> None:
        super().__init__(reason)
        self.omitted = omitted


def read_event(descriptor: int = 0) -> tuple[dict[str, object], bytes]:
    """Return the object and the bytes that it was read from, or raise `UnreadInput`."""
    data = bytearray()
    try:
        while chunk := os.read(descriptor, _CHUNK_BYTES):
            data += chunk
            if len(data) > HOOK_INPUT_BYTES_MAX:
                raise UnreadInput(
                    f"is larger than {HOOK_INPUT_BYTES_MAX} bytes",
                    _hash_to_the_end(data, descriptor),
                )
        whole = bytes(data)
        return parse_event(whole), whole
    except OSError as fault:  # no input at all, or its time is up
        reason = fault.strerror or str(fault)
        raise UnreadInput(f"could not be read: {reason}", omitted_bytes(bytes(data))) from None


def parse_event(data: bytes) -> dict[str, object]:
    """Return the JSON object, or raise `UnreadInput`: two parsers must not read two things."""
    try:
        event = _DECODE(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise UnreadInput("is not strict JSON", omitted_bytes(data)) from None
    if type(event) is not dict:
        raise UnreadInput("is no JSON object", omitted_bytes(data))
    return event


def omitted_bytes(data: bytes) -> dict[str, object]:
    """Return what stands for an input that can't go along: hash and size of all its bytes."""
    import hashlib  # only who needs it pays for it

    return _omitted(hashlib.sha256(data).hexdigest(), len(data))


def _hash_to_the_end(begun: bytearray, descriptor: int) -> dict[str, object]:
    import hashlib

    digest, size = hashlib.sha256(begun), len(begun)
    begun.clear()
    try:
        while chunk := os.read(descriptor, _CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    except OSError:
        pass  # its end never came: as much as did
    return _omitted(digest.hexdigest(), size)


def _omitted(digest: str, size: int) -> dict[str, object]:
    return {"omitted": {"bytes": size, "hash": f"sha256:{digest}", "of": "hook input"}}


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice")
    return found


_DECODE = make_decode(_members)
