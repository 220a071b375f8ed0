# SPDX-License-Identifier: Apache-2.0
"""The published JSON Schema and our reader: what we make it accepts, what it refuses we refuse."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from tests.drafts import drafts, names
from tools.corpus.making import FIRST, NEWEST, Json, draft, full_draft, put, sign, without

from tallystick import KeyPair, create_receipt, sign_receipt, verify_receipt

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("TALLY_SHARED") or ROOT.parent / "shared")
SCHEMA = SHARED / "schema" / "agent-receipt.schema.json"

pytestmark = pytest.mark.skipif(
    not SCHEMA.is_file(), reason=f"published schema not found at {SCHEMA}; set TALLY_SHARED"
)

PAIR = KeyPair.from_seed(FIRST.seed)


@cache
def validator() -> jsonschema.Draft202012Validator:
    """Return the published schema, ready to check."""
    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


# ---- what we make


@given(drafts())
@settings(max_examples=60)
def test_what_we_create_the_schema_accepts(arguments: dict[str, Any]) -> None:
    """Every receipt that we create and sign is valid, as a dict and as the bytes that we send."""
    receipt = sign_receipt(create_receipt(**arguments), PAIR, "did:agent:sample#key-1")
    for form in (receipt.to_dict(), json.loads(receipt.to_json())):
        errors = [error.message for error in validator().iter_errors(form)]
        assert not errors


@given(names())
@settings(max_examples=5)
def test_tool_name_is_the_one_exception(name: str) -> None:
    """The schema forgot action.tool_name, which emitters in the field write: so do we."""
    unsigned = create_receipt(
        issuer={"id": "did:agent:sample"},
        principal={"id": "did:user:alice"},
        action={"type": "filesystem.file.read", "tool_name": name},
        outcome={"status": "success"},
        chain={"sequence": 1, "previous_receipt_hash": None, "chain_id": "c"},
    )
    receipt = sign_receipt(unsigned, PAIR, "did:agent:sample#key-1")
    (error,) = validator().iter_errors(receipt.to_dict())
    assert list(error.absolute_path) == ["credentialSubject", "action"]
    assert "tool_name" in error.message
    assert verify_receipt(receipt, PAIR).verified


# ---- what we accept

OTHER_VALUES: tuple[Any, ...] = (None, True, 1.0, -1, "", [], {"x": 1})
# Texts with one character too much or of the wrong kind.
RESPELLINGS = (str.swapcase, lambda text: text + " ", lambda text: text[:-1])

# Where we are stricter than the schema, and why.
STRICTER = {
    "1.0 is no integer: one value, one spelling": {
        "/credentialSubject/action/emitter_metadata/drop_count",
        "/credentialSubject/action/peer_credential/gid",
        "/credentialSubject/action/peer_credential/pid",
        "/credentialSubject/action/peer_credential/uid",
        "/credentialSubject/chain/sequence",
        "/credentialSubject/outcome/reversal_window_seconds",
    },
    "timestamps are RFC 3339, and days exist": {
        "/credentialSubject/action/timestamp",
        "/credentialSubject/authorization/expires_at",
        "/credentialSubject/authorization/granted_at",
        "/issuanceDate",
        "/proof/created",
    },
    "base64 is checked": {"/credentialSubject/action/trusted_timestamp"},
    "base64url has no unused bits that are set": {
        "/credentialSubject/action/parameters_disclosure/ct",
        "/credentialSubject/action/parameters_disclosure/recipients/0/enc",
        "/credentialSubject/outcome/response_disclosure/ct",
        "/credentialSubject/outcome/response_disclosure/recipients/0/enc",
    },
    "a hand-over goes from ed25519 to ed25519, and to a key": {
        "/credentialSubject/keyRotation/new_algorithm",
        "/credentialSubject/keyRotation/new_public_key",
        "/credentialSubject/keyRotation/old_algorithm",
    },
}


def places(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (JSON Pointer, value) of everything in a JSON value."""
    yield where, value
    if isinstance(value, dict):
        for name, member in value.items():
            yield from places(member, f"{where}/{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, f"{where}/{index}")


def mutations(receipt: Json) -> Iterator[tuple[str, Json]]:
    """Yield (place, receipt) with one thing changed, signed anew wherever that is possible."""
    for where, value in places(receipt):
        if where:
            for other in OTHER_VALUES:
                if type(other) is not type(value) or other != value:
                    yield where, signed_anew(put(receipt, where, other))
            if isinstance(value, str):
                for respell in RESPELLINGS:
                    if respell(value) != value:
                        yield where, signed_anew(put(receipt, where, respell(value)))
            if not where.rsplit("/", 1)[1].isdecimal():
                yield where, signed_anew(without(receipt, where))
        if isinstance(value, dict):
            yield where, signed_anew(put(receipt, f"{where}/added", "x"))


def signed_anew(receipt: Json) -> Json:
    """Return the receipt with a fitting signature; a changed proof stays as it was changed."""
    proof = receipt.get("proof")
    fresh = sign({name: receipt[name] for name in receipt if name != "proof"})["proof"]
    if isinstance(proof, dict) and proof.get("proofValue") == UNTOUCHED:
        fresh = proof | {"proofValue": fresh["proofValue"]}
    else:
        fresh = proof
    return {name: receipt[name] if name != "proof" else fresh for name in receipt}


FULL = sign(full_draft("schema"))
UNTOUCHED = FULL["proof"]["proofValue"]


def test_where_the_schema_refuses_we_refuse() -> None:
    """Over a thousand changed receipts, ours is the narrower gate, and named where it is."""
    assert validator().is_valid(FULL)
    assert verify_receipt(FULL, PAIR).verified
    refused_by_both, stricter, laxer = 0, set(), set()
    for where, receipt in mutations(FULL):
        valid = validator().is_valid(receipt)
        verified = verify_receipt(receipt, PAIR.public_key).verified
        refused_by_both += not valid and not verified
        if valid and not verified:
            stricter.add(where)
        if verified and not valid:
            laxer.add(where)
    assert not laxer
    assert refused_by_both > 750
    assert stricter == set().union(*STRICTER.values())


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.2.1"])
def test_old_ids_are_the_one_thing_that_we_take_and_the_schema_does_not(version: str) -> None:
    """Up to 0.2.1 an id may have any text, because published receipts have; it is reported."""
    made = put(draft("old", version=version), "/id", "urn:receipt:nightly-1")
    receipt = sign(put(made, "/credentialSubject/action/id", "act_1"))
    errors = {"/".join(map(str, error.absolute_path)) for error in validator().iter_errors(receipt)}
    assert errors == {"id", "credentialSubject/action/id"}
    assert verify_receipt(receipt, PAIR).ensure().codes() == ["id_shape_legacy"] * 2
    assert version != NEWEST
