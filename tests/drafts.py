# SPDX-License-Identifier: Apache-2.0
"""Arguments for `create_receipt`, drawn by hypothesis: every member of the protocol, sometimes."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tallystick.model.taxonomy import TAXONOMY

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
NAME = st.text(alphabet="abcXYZ:/-é漢😀", min_size=1, max_size=8)
HASH = st.binary(min_size=32, max_size=32).map(lambda raw: "sha256:" + raw.hex())
URN = st.uuids(version=4).map("urn:receipt:{}".format)
COUNT = st.integers(0, 2**53 - 1)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
TIME = st.sampled_from(
    ["2026-01-02T03:04:05Z", "2024-02-29T23:59:59.123456789+05:30", "2026-01-02T03:04:05.1-00:00"]
)


def json_values(*, nulls: bool = True) -> st.SearchStrategy[Any]:
    """Return JSON values that every double-based implementation reads alike."""
    scalars = st.booleans() | COUNT | COUNT.map(lambda one: -one) | FLOAT | TEXT
    return st.recursive(
        scalars | st.none() if nulls else scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=6,
    )


def names() -> st.SearchStrategy[str]:
    """Return short texts, not empty, of several alphabets."""
    return NAME


def members(required: dict[str, Any], **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Return dicts with these members; the optional ones may be absent."""
    return st.fixed_dictionaries(required, optional=optional)


def envelopes() -> st.SearchStrategy[dict[str, Any]]:
    """Return disclosure envelopes of the right shape."""
    return st.builds(
        lambda kid: {
            "v": "1",
            "alg": "hpke-x25519-hkdf-sha256-aes-256-gcm",
            "recipients": [{"kid": kid, "enc": "A" * 43}],
            "ct": "A" * 24,
        },
        NAME,
    )


def issuers(*, nulls: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Return issuers, with an open runtime."""
    more = st.dictionaries(
        TEXT.filter(lambda key: not key.startswith("agent_")), json_values(nulls=nulls), max_size=3
    )
    runtime = st.builds(
        lambda own, other: other | own, members({}, agent_id=TEXT, agent_type=TEXT), more
    )
    return members(
        {"id": NAME},
        type=TEXT,
        name=TEXT,
        model=TEXT,
        session_id=TEXT,
        operator=members({"id": NAME, "name": TEXT}),
        runtime=runtime,
    )


def actions(*, lean: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Return actions; lean ones hold nothing that the other implementation can't read."""
    if lean:
        target = members({"system": TEXT}, resource=TEXT)
        disclosure, metadata = envelopes(), members({"drop_count": COUNT})
    else:
        target = members({}, system=TEXT, resource=TEXT)
        disclosure = envelopes() | st.dictionaries(TEXT, TEXT, max_size=2)
        metadata = members({}, drop_count=COUNT)
    return members(
        {"type": st.sampled_from([*sorted(TAXONOMY), "com.example.invoice.send"])},
        risk_level=st.just("critical"),
        target=target,
        parameters_hash=HASH,
        parameters_disclosure=disclosure,
        peer_credential=members(
            {"platform": TEXT, "pid": st.integers(-5, 2**31)}, uid=COUNT, gid=COUNT, exe_path=TEXT
        ),
        emitter_metadata=metadata,
        trusted_timestamp=st.sampled_from(["", "MIIBAg==", "AAAA"]),
        idempotency_key=NAME,
    )


def outcomes() -> st.SearchStrategy[dict[str, Any]]:
    """Return outcomes."""
    return members(
        {"status": st.sampled_from(["success", "failure", "pending"])},
        error=TEXT,
        reversible=st.booleans(),
        reversal_method=TEXT,
        reversal_window_seconds=COUNT,
        reversal_of=URN,
        state_change=members({"before_hash": HASH, "after_hash": HASH}),
        response_hash=HASH,
        response_disclosure=envelopes(),
    )


def links() -> st.SearchStrategy[dict[str, Any]]:
    """Return places in a chain."""
    place = st.builds(
        lambda number, digest, name: {
            "sequence": number,
            "previous_receipt_hash": None if number == 1 else digest,
            "chain_id": name,
        },
        st.integers(1, 2**53 - 1),
        HASH,
        TEXT,
    )
    end = st.sampled_from([{}, {"terminal": True}, {"terminal": True, "status": "interrupted"}])
    return st.builds(lambda link, more: link | more, place, end)


def rotations() -> st.SearchStrategy[dict[str, Any]]:
    """Return hand-overs between keys that nobody has."""
    return members(
        {
            "event_type": st.just("key_rotated"),
            "new_public_key": st.just("u" + "A" * 43),
            "old_key_fingerprint": HASH,
            "new_key_fingerprint": HASH,
            "old_algorithm": st.just("ed25519"),
            "new_algorithm": st.just("ed25519"),
            "signed_with": st.just("old"),
        }
    )


def drafts(*, lean: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    """Return arguments for `create_receipt`; see `actions` for the lean ones."""
    principal = members(
        {"id": NAME}, type=st.sampled_from(["HumanPrincipal", "OrganizationPrincipal"])
    )
    intent = members(
        {},
        conversation_hash=HASH,
        prompt_preview=TEXT,
        prompt_preview_truncated=st.booleans(),
        reasoning_hash=HASH,
    )
    authorization = members(
        {"scopes": st.lists(TEXT, min_size=1, max_size=3), "granted_at": TIME},
        expires_at=TIME,
        grant_ref=TEXT,
    )
    delegation = members(
        {"parent_chain_id": TEXT, "parent_receipt_id": URN, "delegator": members({"id": NAME})}
    )
    return members(
        {
            "issuer": issuers(nulls=not lean),
            "principal": principal,
            "action": actions(lean=lean),
            "outcome": outcomes(),
            "chain": links(),
        },
        intent=intent,
        authorization=authorization,
        delegation=delegation,
        key_rotation=rotations(),
        correlation_id=NAME,
    )
