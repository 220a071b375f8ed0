# SPDX-License-Identifier: Apache-2.0
"""What is asked of a solver: strict in shape, and named by a hash over every member.

An intent's id is the SHA-256 of its RFC 8785 form without `signature`, which is a proof around the
intent and no part of it: the same intent with another signature is the same intent. Nothing else
is left out, so two intents that differ in a deadline, or in a member of their inputs, are two.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.strict import parse_json
from tallystick.errors import IntentError, ReceiptError
from tallystick.limits import (
    INTENT_BYTES_MAX,
    INTENT_CRITERIA_MAX,
    INTENT_VALUES_MAX,
    JOB_TYPE_CHARS_MAX,
)
from tallystick.model.fact import Fact
from tallystick.model.shapes import Identifier, NonEmpty, instant_ns, is_moment

INTENT_VERSION: Final = "1.0.0"
# `\Z` and not `$`, which lets a newline follow: no manifest takes in such a name.
JOB_TYPE_PATTERN: Final = r"^[A-Za-z][A-Za-z0-9_.-]*\Z"
# What an Ed25519 signature of a requester is over, in front of the canonical intent: no receipt,
# checkpoint or manifest begins so.
SIGNING_PREFIX: Final = b"tallystick intent v1\n"

JobType = Annotated[str, Meta(pattern=JOB_TYPE_PATTERN, max_length=JOB_TYPE_CHARS_MAX)]


class Criterion(Fact, frozen=True, kw_only=True, gc=True):
    """One thing that the requester will look at."""

    description: str | None = None
    type: NonEmpty
    value: Any = None


class RequesterSignature(Fact, frozen=True, kw_only=True):
    """The requester's own signature; whose key it has to be is told by `requester`, not here."""

    scheme: Literal["ed25519", "eip712"]
    value: Identifier


class Intent(Fact, frozen=True, kw_only=True, dict=True, gc=True):
    """One intent. Make one with `parse_intent`, which checks what types alone do not say."""

    acceptanceCriteria: (  # noqa: N815  # the source's own spelling
        Annotated[tuple[Criterion, ...], Meta(max_length=INTENT_CRITERIA_MAX)] | None
    ) = None
    constraints: dict[str, Any] | None = None
    createdAt: Identifier  # noqa: N815
    expiresAt: Identifier | None = None  # noqa: N815
    inputs: dict[str, Any]
    intentVersion: Literal["1.0.0"]  # noqa: N815
    jobType: JobType  # noqa: N815
    meta: dict[str, Any] | None = None
    # Tells two intents apart that are otherwise the same.
    nonce: NonEmpty | None = None
    requester: NonEmpty
    signature: RequesterSignature | None = None

    @property
    def statement(self) -> bytes:
        """The canonical bytes without the signature: what is hashed and signed."""
        kept: bytes = self.__dict__["statement"]
        return kept

    @property
    def intent_id(self) -> str:
        """The intent's name: 64 hexadecimal digits."""
        kept: str = self.__dict__["intent_id"]
        return kept

    @property
    def intent_hash(self) -> str:
        """The same as the protocol spells hashes."""
        return "sha256:" + self.intent_id

    @property
    def inputs_bytes(self) -> int:
        """How many bytes the canonical inputs have."""
        kept: int = self.__dict__["inputs_bytes"]
        return kept

    @property
    def expires_ns(self) -> int | None:
        """When the intent expires, in nanoseconds since the year 1."""
        kept: int | None = self.__dict__["expires_ns"]
        return kept


def parse_intent(data: bytes) -> Intent:
    """Return the intent in `data`, or raise `MalformedInput` or `IntentError`."""
    value = parse_json(data, INTENT_BYTES_MAX, INTENT_VALUES_MAX)
    if not isinstance(value, dict):
        raise IntentError("INTENT_SHAPE", "is not an object")
    return intent_of(value)


def intent_of(value: dict[str, Any]) -> Intent:
    """Return the intent that a strict JSON value describes, or raise `IntentError`."""
    version = value.get("intentVersion")
    if isinstance(version, str) and version != INTENT_VERSION:
        raise IntentError("INTENT_VERSION", f"is not {INTENT_VERSION}", "/intentVersion")
    _refuse_nulls(value)
    try:
        intent = Intent.from_dict(value)
    except ReceiptError as fault:
        code = "INTENT_UNKNOWN_FIELD" if "unknown field" in fault.message else "INTENT_SHAPE"
        raise IntentError(code, fault.message, fault.where) from None
    for name in ("createdAt", "expiresAt"):
        if name in value and not is_moment(value[name]):
            raise IntentError("INTENT_TIME", "is no RFC 3339 timestamp", f"/{name}")
    # Over the value as it was read, not over the members that we know: nothing can be lost.
    statement = canonicalize({name: value[name] for name in value if name != "signature"})
    expires = intent.expiresAt
    intent.__dict__["statement"] = statement
    intent.__dict__["intent_id"] = sha256(statement).hexdigest()
    intent.__dict__["inputs_bytes"] = len(canonicalize(intent.inputs))
    intent.__dict__["expires_ns"] = None if expires is None else instant_ns(expires)
    return intent


def signing_bytes(intent: Intent) -> bytes:
    """Return what an Ed25519 signature of the requester is over."""
    return SIGNING_PREFIX + intent.statement


def with_signature(value: dict[str, Any], scheme: str, signature: str) -> dict[str, Any]:
    """Return the intent's JSON value with a requester's signature."""
    return {**value, "signature": {"scheme": scheme, "value": signature}}


def _refuse_nulls(value: dict[str, Any]) -> None:
    # Absent and null would be two spellings of one meaning, and two ids.
    places = [("", value), ("/signature", value.get("signature"))]
    criteria = value.get("acceptanceCriteria")
    if isinstance(criteria, list):
        places += [(f"/acceptanceCriteria/{at}", one) for at, one in enumerate(criteria)]
    for place, members in places:
        if isinstance(members, dict):
            for name, member in members.items():
                if member is None:
                    raise IntentError("INTENT_NULL", "is null; leave it out", f"{place}/{name}")
