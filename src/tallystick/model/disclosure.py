# SPDX-License-Identifier: Apache-2.0
"""The disclosure envelope, version 1: parameters or a response, sealed to a forensic key.

The signed receipt carries the envelope; only who holds the forensic key reads what is inside.
The plaintext is the RFC 8785 form of a JSON object. Nothing in the envelope ties it to the hash
beside it: compare with `disclosure_matches` after decrypting.

Errors never quote plaintext, which is secret even when it is malformed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

import msgspec

from tallystick.crypto import hpke
from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.digest import sha256_tagged
from tallystick.crypto.multibase import b64u_decode, b64u_encode
from tallystick.errors import (
    EnvelopeError,
    KeyFormatError,
    LimitError,
    MalformedInput,
)
from tallystick.limits import DISCLOSURE_BYTES_MAX, RECEIPT_BYTES_MAX

ENVELOPE_VERSION: Final = "1"
ENVELOPE_ALG: Final = "hpke-x25519-hkdf-sha256-aes-256-gcm"

_ENC_CHARS: Final = 43
# `{}` is the shortest plaintext: 2 bytes and the tag of 16, in base64url.
_CT_CHARS_MIN: Final = 24

_MEMBERS: Final = ("alg", "ct", "recipients", "v")
_RECIPIENT_MEMBERS: Final = ("enc", "kid")


class DisclosureRecipient(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom an envelope is sealed to. `kid` only helps to find the key: nothing proves it."""

    enc: str
    kid: str

    def __post_init__(self) -> None:
        _check_text(self.kid, "kid")
        if not self.kid:
            raise EnvelopeError("kid is empty")
        try:
            self.kid.encode()
        except UnicodeEncodeError:
            raise EnvelopeError("kid holds half of a surrogate pair") from None
        _check_text(self.enc, "enc")
        if len(self.enc) != _ENC_CHARS:
            raise EnvelopeError(f"enc has {len(self.enc)} characters, not {_ENC_CHARS}")
        _decode(self.enc, "enc")


class DisclosureEnvelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One envelope of version 1: a constructed value always has the exact shape."""

    alg: str
    ct: str
    recipients: tuple[DisclosureRecipient, ...]
    v: str

    def __post_init__(self) -> None:
        _check_text(self.v, "v")
        if self.v != ENVELOPE_VERSION:
            raise EnvelopeError(f'v is not "{ENVELOPE_VERSION}"')
        _check_text(self.alg, "alg")
        if self.alg != ENVELOPE_ALG:
            raise EnvelopeError(f'alg is not "{ENVELOPE_ALG}"')
        if not isinstance(self.recipients, tuple):
            raise EnvelopeError("recipients is not an array")
        if len(self.recipients) != 1:
            raise EnvelopeError(f"{len(self.recipients)} recipients, where version 1 has one")
        if not isinstance(self.recipients[0], DisclosureRecipient):
            raise EnvelopeError("recipients[0] is not an object")
        _check_text(self.ct, "ct")
        if len(self.ct) < _CT_CHARS_MIN:
            raise EnvelopeError(f"ct has {len(self.ct)} characters, at least {_CT_CHARS_MIN}")
        _decode(self.ct, "ct")

    @property
    def recipient(self) -> DisclosureRecipient:
        """The only recipient."""
        return self.recipients[0]

    def to_dict(self) -> dict[str, Any]:
        """Return the envelope as a receipt carries it."""
        recipients = [{"enc": one.enc, "kid": one.kid} for one in self.recipients]
        return {"alg": self.alg, "ct": self.ct, "recipients": recipients, "v": self.v}


class ForensicKeyPair(msgspec.Struct, frozen=True, kw_only=True):
    """A raw X25519 key pair. Emitters get the public half; the private half stays offline."""

    public_key: bytes
    private_key: bytes

    def __post_init__(self) -> None:
        if hpke.forensic_public_key(self.private_key) != self.public_key:
            raise KeyFormatError("the public key does not belong to the private key")

    def __repr__(self) -> str:
        return f"ForensicKeyPair(public_key={self.public_key.hex()}, private_key=hidden)"

    def __rich_repr__(self) -> Any:
        """Hide the private key from rich too, which would list the fields."""
        yield "public_key", self.public_key.hex()
        yield "private_key", "hidden"

    @property
    def kid(self) -> str:
        """The fingerprint that names this key in an envelope."""
        return forensic_kid(self.public_key)


def generate_forensic_key_pair(entropy: Callable[[int], bytes]) -> ForensicKeyPair:
    """Make a key pair of 32 bytes that `entropy` gives."""
    private_key = entropy(hpke.KEY_BYTES)
    return ForensicKeyPair(
        public_key=hpke.forensic_public_key(private_key), private_key=private_key
    )


def forensic_kid(public_key: bytes) -> str:
    """Return `sha256:<hex>` of a raw public key: the usual `kid`."""
    if len(public_key) != hpke.KEY_BYTES:
        raise KeyFormatError(
            f"an X25519 public key has {hpke.KEY_BYTES} bytes, not {len(public_key)}"
        )
    return sha256_tagged(public_key)


def parse_envelope(value: object) -> DisclosureEnvelope:
    """Return the envelope that a JSON value is, or raise `EnvelopeError` with what is wrong."""
    if isinstance(value, DisclosureEnvelope):
        return value
    members = _object(value, "the envelope")
    if members and not members.keys() & set(_MEMBERS):
        _refuse_flat_map(members)
    _check_members(members, _MEMBERS, "the envelope")
    recipients = members["recipients"]
    if not isinstance(recipients, (list, tuple)):
        raise EnvelopeError("recipients is not an array")
    return DisclosureEnvelope(
        alg=members["alg"],
        ct=members["ct"],
        recipients=tuple(_parse_recipient(one, at) for at, one in enumerate(recipients)),
        v=members["v"],
    )


def encrypt_disclosure(
    parameters: Mapping[str, Any], recipient_public_key: bytes, kid: str
) -> dict[str, Any]:
    """Seal the parameters of an action: what `action.parameters_disclosure` carries."""
    return _encrypt(parameters, recipient_public_key, kid)


def encrypt_response(
    response: Mapping[str, Any], recipient_public_key: bytes, kid: str
) -> dict[str, Any]:
    """Seal a response: what `outcome.response_disclosure` carries. It must be an object."""
    return _encrypt(response, recipient_public_key, kid)


def decrypt_disclosure(envelope: object, private_key: bytes) -> dict[str, Any]:
    """Return the parameters inside an envelope.

    Raises `EnvelopeError` for what is no envelope or holds no canonical JSON object, and
    `DecryptionError` for what this key does not open.
    """
    parsed = parse_envelope(envelope)
    if len(parsed.ct) > RECEIPT_BYTES_MAX:
        raise LimitError(f"ct has {len(parsed.ct)} characters, a receipt {RECEIPT_BYTES_MAX} bytes")
    enc = _decode(parsed.recipient.enc, "enc")
    plaintext = hpke.open_(private_key, enc, _decode(parsed.ct, "ct"))
    return _parse_plaintext(plaintext)


def decrypt_response(envelope: object, private_key: bytes) -> dict[str, Any]:
    """Return the response inside an envelope, as `decrypt_disclosure` does."""
    return decrypt_disclosure(envelope, private_key)


def disclosure_matches(parameters: Mapping[str, Any], parameters_hash: str) -> bool:
    """Whether decrypted parameters (or a response) are those that the receipt's hash names."""
    return sha256_tagged(canonicalize(dict(parameters))) == parameters_hash


def _encrypt(value: Mapping[str, Any], public_key: bytes, kid: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise EnvelopeError("version 1 seals JSON objects only: wrap the value in one")
    plaintext = canonicalize(dict(value))
    if len(plaintext) > DISCLOSURE_BYTES_MAX:
        raise LimitError(
            f"{len(plaintext)} bytes to seal, over the limit of {DISCLOSURE_BYTES_MAX}"
        )
    # What we could not read back, we do not seal.
    _parse_plaintext(plaintext)
    enc, ct = hpke.seal(public_key, plaintext)
    recipient = DisclosureRecipient(enc=b64u_encode(enc), kid=kid)
    return DisclosureEnvelope(
        alg=ENVELOPE_ALG, ct=b64u_encode(ct), recipients=(recipient,), v=ENVELOPE_VERSION
    ).to_dict()


def _parse_plaintext(plaintext: bytes) -> dict[str, Any]:
    from tallystick.crypto.strict import parse_json  # a signer never comes here

    # Faults of the parser may quote the secret: only their code goes on, and no chained error.
    code = None
    value: object = None
    try:
        value = parse_json(plaintext, RECEIPT_BYTES_MAX)
    except MalformedInput as fault:
        code = fault.code
    if code is not None:
        raise EnvelopeError(f"the plaintext is not strict JSON ({code})")
    if not isinstance(value, dict):
        raise EnvelopeError("the plaintext is not a JSON object")
    if canonicalize(value) != plaintext:
        raise EnvelopeError("the plaintext is not in RFC 8785 form")
    return value


def _parse_recipient(value: object, at: int) -> DisclosureRecipient:
    members = _object(value, f"recipients[{at}]")
    _check_members(members, _RECIPIENT_MEMBERS, f"recipients[{at}]")
    return DisclosureRecipient(enc=members["enc"], kid=members["kid"])


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise EnvelopeError(f"{what} is not an object")
    return value


def _refuse_flat_map(members: dict[str, Any]) -> NoReturn:
    if all(isinstance(member, str) for member in members.values()):
        raise EnvelopeError("this is the flat map of protocol 0.2: its values are not encrypted")
    raise EnvelopeError("this object has no member of an envelope")


def _check_members(members: dict[str, Any], expected: tuple[str, ...], what: str) -> None:
    missing = [name for name in expected if name not in members]
    if missing:
        raise EnvelopeError(f"{what} lacks {', '.join(missing)}")
    if len(members) > len(expected):
        other = next(name for name in members if name not in expected)
        raise EnvelopeError(f"{what} has a member that version 1 has not: {ascii(other)[:60]}")


def _check_text(value: object, what: str) -> None:
    if not isinstance(value, str):
        raise EnvelopeError(f"{what} is not a string")


def _decode(text: str, what: str) -> bytes:
    try:
        return b64u_decode(text)
    except ValueError:
        raise EnvelopeError(f"{what} is not canonical base64url without padding") from None


def disclosure_fault(value: dict[str, Any]) -> str | None:
    """Return why this is neither an HPKE envelope nor the flat map of text of 0.2.x."""
    if all(type(member) is str for member in value.values()):
        return None
    try:
        parse_envelope(value)
    except EnvelopeError as fault:
        return str(fault)
    return None
