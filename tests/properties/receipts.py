# SPDX-License-Identifier: Apache-2.0
"""Strategies: JSON values, receipts of every shape, and changes to them."""

from __future__ import annotations

import json
import random
from base64 import b64encode
from typing import Any, Final

from hypothesis import strategies as st
from tests.material import (
    CONTEXTS,
    PUBLIC,
    Members,
    context,
    envelope,
    rotation,
    signed,
    uuid,
    with_member,
)

from tallystick.crypto.ed25519 import SigningKey
from tallystick.limits import JSON_INTEGER_MAX
from tallystick.model.taxonomy import BUILT_IN, TAXONOMY

# Half of the texts are short and of the characters that encoders and sorters get wrong.
ODD: Final = '"\\/\x00\x08\x1f\x7f\u2028\ud7ff\ue000\uffff\U00010000\U0001f600é{}[],:\n'
TEXTS = st.text(max_size=12) | st.text(st.sampled_from(ODD), max_size=6)
SOME_TEXT = TEXTS.filter(bool)
INTEGERS = st.integers(-JSON_INTEGER_MAX, JSON_INTEGER_MAX) | st.sampled_from(
    [0, 1, -1, JSON_INTEGER_MAX, -JSON_INTEGER_MAX, 10**15]
)
FLOATS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [0.0, -0.0, 1.0, -1.0, 0.1, 1e21, 1e-7, 5e-324, 2.0**53, 2.0**60, 1.7976931348623157e308]
)
SCALARS = st.none() | st.booleans() | INTEGERS | FLOATS | TEXTS
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)

UUIDS = st.integers(0, 2**128 - 1).map(uuid)
RECEIPT_IDS = UUIDS.map("urn:receipt:{}".format)
ACTION_IDS = UUIDS.map("act_{}".format)
DIGESTS = st.binary(min_size=32, max_size=32).map(lambda data: f"sha256:{data.hex()}")
COUNTS = st.integers(0, JSON_INTEGER_MAX)
DAYS = st.dates().map(str)
ZONES = st.sampled_from(["Z", "+00:00", "-00:00", "+23:59", "-11:30"])
FRACTIONS = st.just("") | st.text("0123456789", min_size=1, max_size=9).map(".{}".format)
CLOCKS = st.times().map(lambda time: f"{time:%H:%M:%S}")
INSTANTS = st.builds("{}T{}{}{}".format, DAYS, CLOCKS, FRACTIONS, ZONES)
BASE64 = st.binary(max_size=9).map(lambda data: b64encode(data).decode())


def objects(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[Members]:
    """Return objects with all of the required members and some of the optional ones."""
    return st.fixed_dictionaries(required, optional=optional)


RUNTIMES = st.builds(
    lambda free, named: free | named,
    st.dictionaries(
        TEXTS.filter(lambda name: name not in ("agent_id", "agent_type")), JSON, max_size=4
    ),
    objects({}, {"agent_id": TEXTS, "agent_type": TEXTS}),
)
ENVELOPES = st.builds(
    lambda kid: {**envelope(), "recipients": [{"enc": "A" * 43, "kid": kid}]}, SOME_TEXT
)
DISCLOSURES = ENVELOPES | st.dictionaries(TEXTS, TEXTS, max_size=4)
ISSUERS = objects(
    {"id": TEXTS},
    {
        "model": TEXTS,
        "name": TEXTS,
        "operator": objects({"id": TEXTS, "name": TEXTS}, {}),
        "runtime": RUNTIMES,
        "session_id": TEXTS,
        "type": TEXTS,
    },
)
TYPES = st.sampled_from(sorted({*TAXONOMY, *BUILT_IN, "com.example.own"})) | TEXTS
ACTIONS = objects(
    {
        "id": ACTION_IDS,
        "risk_level": st.sampled_from(["low", "medium", "high", "critical"]),
        "target": objects({"system": SOME_TEXT}, {"resource": TEXTS}),
        "timestamp": INSTANTS,
        "type": TYPES,
    },
    {
        "emitter_metadata": objects({}, {"drop_count": COUNTS}),
        "idempotency_key": SOME_TEXT,
        "parameters_disclosure": DISCLOSURES,
        "parameters_hash": DIGESTS,
        "peer_credential": objects(
            {"pid": INTEGERS, "platform": TEXTS},
            {"exe_path": TEXTS, "gid": COUNTS, "uid": COUNTS},
        ),
        "tool_name": TEXTS,
        "trusted_timestamp": BASE64,
    },
)
OUTCOMES = objects(
    {"status": st.sampled_from(["success", "failure", "pending"])},
    {
        "error": TEXTS,
        "response_disclosure": ENVELOPES,
        "response_hash": DIGESTS,
        "reversal_method": TEXTS,
        "reversal_of": RECEIPT_IDS,
        "reversal_window_seconds": COUNTS,
        "reversible": st.booleans(),
        "state_change": objects({"after_hash": DIGESTS, "before_hash": DIGESTS}, {}),
    },
)
INTENTS = objects(
    {},
    {
        "conversation_hash": DIGESTS,
        "prompt_preview": TEXTS,
        "prompt_preview_truncated": st.booleans(),
        "reasoning_hash": DIGESTS,
    },
)
AUTHORIZATIONS = objects(
    {"granted_at": INSTANTS, "scopes": st.lists(TEXTS, min_size=1, max_size=3)},
    {"expires_at": INSTANTS, "grant_ref": TEXTS},
)
DELEGATIONS = st.fixed_dictionaries(
    {
        "delegator": st.fixed_dictionaries({"id": TEXTS}),
        "parent_chain_id": TEXTS,
        "parent_receipt_id": RECEIPT_IDS,
    }
)
NEW_KEYS: Final = [SigningKey.from_seed(bytes([number]) * 32).public_key for number in range(4)]
ROTATIONS = st.sampled_from(NEW_KEYS).map(lambda new: rotation(PUBLIC, new))
CLOSINGS: Final[list[Members]] = [
    {}, {"terminal": True}, {"status": "complete", "terminal": True},
    {"status": "interrupted", "terminal": True},
]  # fmt: skip
LINKS = st.builds(
    lambda chain, number, digest, closing: {
        "chain_id": chain,
        "previous_receipt_hash": None if number == 1 else digest,
        "sequence": number,
        **closing,
    },
    TEXTS,
    st.just(1) | st.integers(1, JSON_INTEGER_MAX),
    DIGESTS,
    st.sampled_from(CLOSINGS),
)
SUBJECTS = objects(
    {
        "action": ACTIONS,
        "chain": LINKS,
        "outcome": OUTCOMES,
        "principal": objects(
            {"id": TEXTS}, {"type": st.sampled_from(["HumanPrincipal", "OrganizationPrincipal"])}
        ),
    },
    {
        "authorization": AUTHORIZATIONS,
        "correlation_id": SOME_TEXT,
        "delegation": DELEGATIONS,
        "intent": INTENTS,
        "keyRotation": ROTATIONS,
    },
)


@st.composite
def statements(draw: st.DrawFn) -> Members:
    """Return an unsigned receipt of any version, with any of the optional members."""
    version = draw(st.sampled_from([*CONTEXTS, "0.6.0", "0.6.0"]))
    return {
        "@context": context(version) + draw(st.lists(TEXTS, max_size=1)),
        "credentialSubject": draw(SUBJECTS),
        "id": draw(RECEIPT_IDS),
        "issuanceDate": draw(INSTANTS),
        "issuer": draw(ISSUERS),
        "type": ["VerifiableCredential", "AgentReceipt"],
        "version": version,
    }


def receipts() -> st.SearchStrategy[Members]:
    """Return signed receipts of every shape."""
    return st.builds(
        lambda statement, created, method: with_member(
            signed(statement, method=method), "/proof/created", created
        ),
        statements(),
        INSTANTS,
        TEXTS,
    )


Path = tuple[str | int, ...]


def paths_of(value: object, at: Path = ()) -> list[Path]:
    """Return the way to each member and item of a JSON value, at any depth."""
    ways: list[Path] = []
    if isinstance(value, dict):
        for name, member in value.items():
            ways += [(*at, name), *paths_of(member, (*at, name))]
    elif isinstance(value, list):
        for index, item in enumerate(value):
            ways += [(*at, index), *paths_of(item, (*at, index))]
    return ways


def at_path(value: Any, path: Path) -> Any:
    """Return what stands at a path."""
    for step in path:
        value = value[step]
    return value


RETYPED: Final = [None, True, False, 0, 1, 1.0, 1.5, "", "1", "x", [], {}, [1], {"a": 1}]


@st.composite
def mutations(draw: st.DrawFn, receipt: Members) -> Members:
    """Return a copy of a receipt with one member changed, at any depth."""
    changed: Members = json.loads(json.dumps(receipt))
    path = draw(st.sampled_from(paths_of(changed)))
    place, last = at_path(changed, path[:-1]), path[-1]
    kind = draw(st.sampled_from(["delete", "retype", "json", "text", "long", "add"]))
    if kind == "delete":
        del place[last]
    elif kind == "retype":
        place[last] = draw(st.sampled_from(RETYPED))
    elif kind == "json":
        place[last] = draw(JSON)
    elif kind == "text":
        old = place[last]
        place[last] = draw(edited(old)) if isinstance(old, str) else f"{old}"
    elif kind == "long":
        place[last] = "x" * draw(st.sampled_from([1023, 1024, 1025]))
    elif isinstance(place, dict):
        place[draw(TEXTS | st.sampled_from(["colour", "Id", "proof", "terminal", "runtime"]))] = (
            draw(JSON)
        )
    else:
        place.insert(draw(st.integers(0, len(place))), draw(JSON))
    return changed


def edited(text: str) -> st.SearchStrategy[str]:
    """Return texts that differ from one in a character or two."""
    return st.one_of(
        st.builds(
            lambda at, put: text[:at] + put + text[at:], st.integers(0, len(text)), SOME_TEXT
        ),
        st.builds(lambda at: text[:at] + text[at + 1 :], st.integers(0, max(0, len(text) - 1))),
        st.sampled_from(
            [text.upper(), text.lower(), text + "\n", " " + text, text * 2, text[::-1]]
        ),
    )


def spellings(receipt: Members) -> st.SearchStrategy[bytes]:
    """Return other bytes of the same JSON value: another order, blanks, escapes."""

    def spell(seed: int, indent: int | None, ascii_only: bool) -> bytes:
        shuffled = _shuffled(receipt, random.Random(seed))
        return json.dumps(shuffled, indent=indent, ensure_ascii=ascii_only).encode()

    return st.builds(spell, st.integers(0, 99), st.sampled_from([None, 0, 2]), st.booleans())


def _shuffled(value: Any, dice: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        dice.shuffle(names)
        return {name: _shuffled(value[name], dice) for name in names}
    if isinstance(value, list):
        return [_shuffled(item, dice) for item in value]
    return value
