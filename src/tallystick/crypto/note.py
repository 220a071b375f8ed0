# SPDX-License-Identifier: Apache-2.0
"""Signed notes (C2SP signed-note 1.0.0) with Ed25519: a text, an empty line, signature lines.

    example.com/log
    8
    0SM0thqi8kTxF1TECJZkFVHWTNXHn6D5dg0uwwedGDQ=

    — example.com/log fkKyo1XR2O2vwQOq…

There is one parser, for clients and for judges of evidence: a spelling that a client tolerated and
a judge refused would be a spelling in which a log could contradict itself unpunished. So each
decoder here takes exactly one text for each value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

import msgspec

from tallystick.crypto.checking import check
from tallystick.crypto.ed25519 import SigningKey, key_weakness, signature_fault
from tallystick.crypto.multibase import b64_decode, b64_encode
from tallystick.errors import EncodingError, KeyFormatError, LogFormatError, NoteSignatureError
from tallystick.limits import NOTE_BYTES_MAX, NOTE_NAME_BYTES_MAX, NOTE_SIGNATURES_MAX

# The types of key that we know. Both are Ed25519; a timed one signs a moment with each checkpoint.
PLAIN: Final = 0x01
TIMED: Final = 0x04
_KINDS: Final = (PLAIN, TIMED)

_PRIVATE: Final = "PRIVATE+KEY+"
_DASH: Final = "\u2014 "
_TIME_MAX: Final = 2**63 - 1

# No control, no Unicode space (which is what `\s` means in a text), no plus.
_NAME: Final = re.compile(r"[^\x00-\x20+\s]+")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_KEY_ID: Final = re.compile(r"[0-9a-f]{8}")


class VerifierKey(msgspec.Struct, frozen=True):
    """A public key that signs notes, under its name. Make one with `parse`, which checks it."""

    name: str
    kind: int
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes by which signature lines name this key."""
        described = self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key
        return sha256(described).digest()[:4]

    def encode(self) -> str:
        """Return the text form: `name+key id+base64 of type and key`."""
        data = b64_encode(bytes([self.kind]) + self.public_key)
        return f"{self.name}+{self.key_id.hex()}+{data}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Return the key of a text form; a key under which anybody can sign is refused."""
        name, key_id, data = _parse_key(text)
        key = cls(name, data[0], data[1:])
        if key.key_id.hex() != key_id:
            raise KeyFormatError("the key id of this note key is not that of its name and key")
        weakness = key_weakness(key.public_key)
        if weakness is not None:
            raise KeyFormatError(f"a signature under this note key proves nothing: {weakness}")
        return key


class NoteKey(msgspec.Struct, frozen=True):
    """A private key that signs notes. Neither shown nor pickled: its signing key refuses both."""

    name: str
    kind: int
    signing_key: SigningKey

    def __post_init__(self) -> None:
        """Refuse a name or type that no note could carry."""
        if name_fault(self.name) is not None:
            raise KeyFormatError(f"the name of a note key {name_fault(self.name)}")
        if self.kind not in _KINDS:
            raise KeyFormatError(f"note keys of type 0x{self.kind:02x} are not supported")

    @property
    def verifier(self) -> VerifierKey:
        """The public half."""
        return VerifierKey(self.name, self.kind, self.signing_key.public_key)

    @classmethod
    def parse(cls, text: str) -> NoteKey:
        """Return the key of the text form that `private_key_text` writes."""
        if not text.startswith(_PRIVATE):
            raise KeyFormatError(f"a private note key begins with {_PRIVATE}")
        name, key_id, data = _parse_key(text[len(_PRIVATE) :])
        del text  # out of the frame that a traceback shows
        key = cls(name, data[0], SigningKey(seed=data[1:]))
        del data
        if key.verifier.key_id.hex() != key_id:
            raise KeyFormatError("the key id of this private note key is not that of its key")
        return key

    def line(self, text: str, time_s: int | None = None) -> str:
        """Return this key's signature line over a text, the line's end included."""
        if self.kind == TIMED:
            if time_s is None:
                raise ValueError("a timed key needs the time that it signs")
            if not 0 < time_s <= _TIME_MAX:
                raise ValueError("the time that a key signs is above 0 and below 2^63")
            signature = time_s.to_bytes(8, "big")
            signature += self.signing_key.sign(_timed_message(text, time_s))
        else:
            signature = self.signing_key.sign(text.encode())
        return f"{_DASH}{self.name} {b64_encode(self.verifier.key_id + signature)}\n"


class Signature(msgspec.Struct, frozen=True):
    """A signature that was checked; `time_s` is what a timed key signed with it."""

    key: VerifierKey
    signature: bytes
    time_s: int | None = None


class Line(msgspec.Struct, frozen=True):
    """One signature line as it stands there, unchecked."""

    name: str
    key_id: bytes
    blob: bytes  # what follows the key id


class Note(msgspec.Struct, frozen=True):
    """A text and the signatures under it by keys that the reader knows; lines of others are not."""

    text: str
    signatures: tuple[Signature, ...]

    def by(self, key: VerifierKey) -> Signature | None:
        """Return the signature of one key, if there is one."""
        return next((one for one in self.signatures if one.key == key), None)


def name_fault(name: str) -> str | None:
    """Say why a text can't be the name of a key or a log, or None."""
    if _NAME.fullmatch(name) is None:
        return "is empty, or holds a space, a control character or a plus sign"
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "is not Unicode"
    return f"is longer than {NOTE_NAME_BYTES_MAX} bytes" if size > NOTE_NAME_BYTES_MAX else None


def private_key_text(name: str, kind: int, seed: bytes) -> str:
    """Return the text form of a private key, as Go's tools write it. Secret."""
    key = NoteKey(name, kind, SigningKey(seed=seed))
    data = b64_encode(bytes([kind]) + seed)
    return f"{_PRIVATE}{name}+{key.verifier.key_id.hex()}+{data}"


def sign_note(text: str, keys: Iterable[NoteKey], *, time_s: int | None = None) -> bytes:
    """Return the note of a text with one signature line of each key, in their order."""
    _check_text(text)
    lines = [key.line(text, time_s) for key in keys]
    return f"{text}\n{''.join(lines)}".encode()


def parse_note(data: bytes) -> tuple[str, tuple[Line, ...]]:
    """Return the text and the signature lines of a note; nothing is checked against a key."""
    if len(data) > NOTE_BYTES_MAX:
        raise LogFormatError(f"a note of over {NOTE_BYTES_MAX} bytes")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise LogFormatError(f"note is not UTF-8 at byte {fault.start}") from None
    # The last empty line parts them: a text may hold empty lines, signature lines can't.
    at = whole.rfind("\n\n")
    if at < 0:
        raise LogFormatError("note has no empty line between text and signatures")
    text, below = whole[: at + 1], whole[at + 2 :]
    _check_text(text)
    if not below:
        raise LogFormatError("note has no signature line")
    if not below.endswith("\n"):
        raise LogFormatError("note does not end with the end of a line")
    lines = below[:-1].split("\n")
    if len(lines) > NOTE_SIGNATURES_MAX:
        raise LogFormatError(f"note has over {NOTE_SIGNATURES_MAX} signature lines")
    return text, tuple(_parse_line(line) for line in lines)


def open_note(data: bytes, known: Iterable[VerifierKey]) -> Note:
    """Return a note with the signatures of known keys, all checked; raise without any.

    A line of an unknown key is passed over, also where its name or its key id alone is known. A
    wrong signature of a known key refuses the whole note. Of several lines of one key the first
    counts, for every reader alike.
    """
    keys: dict[tuple[str, bytes], VerifierKey] = {}
    for one in known:
        if keys.setdefault((one.name, one.key_id), one) != one:
            raise NoteSignatureError("two known keys have one name and one key id")
    text, lines = parse_note(data)
    found: dict[VerifierKey, Signature] = {}
    for line in lines:
        key = keys.get((line.name, line.key_id))
        if key is not None and key not in found:
            found[key] = _check(text, line, key)
    if not found:
        raise NoteSignatureError("note has no signature of a known key")
    return Note(text, tuple(found.values()))


def _check(text: str, line: Line, key: VerifierKey) -> Signature:
    blob, message, time_s = line.blob, text.encode(), None
    if key.kind == TIMED:
        time_s, blob = int.from_bytes(blob[:8], "big"), blob[8:]
        message = _timed_message(text, time_s)
    is_good = signature_fault(blob) is None and check(blob, message, key.public_key)
    if not is_good or not (time_s is None or 0 < time_s <= _TIME_MAX):
        raise NoteSignatureError(f"note has a wrong signature of the known key {key.name}")
    return Signature(key, blob, time_s)


def _timed_message(text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise LogFormatError("text of a note does not end with the end of a line")
    if _CONTROL.search(text) is not None:
        raise LogFormatError("text of a note holds a control character")
    if _SURROGATE.search(text) is not None:
        raise LogFormatError("text of a note is not Unicode")


def _parse_line(line: str) -> Line:
    if not line.startswith(_DASH):
        raise LogFormatError("signature line does not begin with an em dash and a space")
    name, separator, encoded = line[len(_DASH) :].partition(" ")
    if not separator or name_fault(name) is not None:
        raise LogFormatError("signature line is not a name, a space and a signature")
    try:
        data = b64_decode(encoded)
    except EncodingError as fault:
        raise LogFormatError(f"signature line is {fault}") from None
    if len(data) < 5:
        raise LogFormatError("signature line holds no more than a key id")
    return Line(name, data[:4], data[4:])


def _parse_key(text: str) -> tuple[str, str, bytes]:
    """Return name, key id and data; no fault quotes the text, which may be a private key."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    if name_fault(name) is not None or _KEY_ID.fullmatch(key_id) is None:
        raise KeyFormatError(
            "not a note key: name, eight hexadecimal digits and base64, joined by +"
        )
    try:
        data = b64_decode(encoded)
    except EncodingError as fault:
        raise KeyFormatError(f"the key part of a note key is {fault}") from None
    if not data or data[0] not in _KINDS:
        raise KeyFormatError("note key is of a type that is not supported: Ed25519 ones are")
    if len(data) != 33:
        raise KeyFormatError(f"an Ed25519 key has 32 bytes, and this note key {len(data) - 1}")
    return name, key_id, data
