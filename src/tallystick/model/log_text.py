# SPDX-License-Identifier: Apache-2.0
"""What the text formats of a log have in common: numbers and hashes in exactly one spelling."""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Iterable, Sequence
from typing import Final

from tallystick.crypto.merkle import HASH_BYTES
from tallystick.crypto.multibase import b64_decode
from tallystick.errors import EncodingError, LogFormatError
from tallystick.limits import PATH_HASHES_MAX

# Sizes, indexes and times: what a signed 64-bit integer holds.
NUMBER_MAX: Final = 2**63 - 1
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


def number_in(text: str, what: str) -> int:
    """Return a decimal number from 0 to 2^63 - 1 without sign, leading zero or anything else."""
    number = int(text) if _NUMBER.fullmatch(text) is not None else -1
    if not 0 <= number <= NUMBER_MAX:
        raise LogFormatError(f"{what} is not a number in plain decimal below 2^63")
    return number


def hash_in(text: str, what: str) -> bytes:
    """Return the 32 bytes of a hash in canonical base64."""
    try:
        data = b64_decode(text)
    except EncodingError as fault:
        raise LogFormatError(f"{what} is {fault}") from None
    if len(data) != HASH_BYTES:
        raise LogFormatError(f"{what} is not a hash of {HASH_BYTES} bytes")
    return data


def after(word: str, line: str) -> str:
    """Return what stands in a line after its word and one space."""
    if not line.startswith(f"{word} "):
        raise LogFormatError(f"where a line with {word} belongs stands something else")
    return line[len(word) + 1 :]


def lines_of(text: str, count: int, what: str) -> list[str]:
    """Return the lines of a text that has exactly so many, each with its end."""
    lines = text.split("\n")
    if len(lines) != count + 1 or lines[-1]:
        raise LogFormatError(f"{what} has not the {count} lines that it must have")
    return lines[:-1]


def encode_proof(head: Sequence[str], path: Sequence[bytes], note: bytes) -> bytes:
    """Return a proof file: lines of a head, a path, an empty line, a note."""
    return "\n".join(head).encode() + b"\n" + b"".join(map(hash_line, path)) + b"\n" + note


def hash_line(value: bytes) -> bytes:
    """Return a hash as a line of its own."""
    return b2a_base64(value)  # canonical base64 with a line feed


def hash_texts(values: Iterable[bytes]) -> list[bytes]:
    """Return the same for each of many, as it stands within a JSON text."""
    return b"".join(map(b2a_base64, values)).replace(b"\n", rb"\n ").split()


def split_proof(data: bytes, size_max: int, what: str) -> tuple[list[str], bytes]:
    """Return the lines above the first empty line of a proof file, and the note below it."""
    if len(data) > size_max:
        raise LogFormatError(f"{what} of over {size_max} bytes")
    above, separator, note = data.partition(b"\n\n")
    if not separator:
        raise LogFormatError(f"{what} has no empty line before its note")
    try:
        return above.decode("ascii").split("\n"), note
    except UnicodeDecodeError as fault:
        raise LogFormatError(f"{what} is not ASCII at byte {fault.start}") from None


def path_from(lines: Sequence[str], what: str) -> tuple[bytes, ...]:
    """Return the hashes of a path, one a line."""
    if len(lines) > PATH_HASHES_MAX:
        raise LogFormatError(f"{what} has a path of over {PATH_HASHES_MAX} hashes")
    return tuple(hash_in(line, f"path of {what}") for line in lines)
