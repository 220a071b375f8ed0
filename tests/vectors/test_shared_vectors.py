# SPDX-License-Identifier: Apache-2.0
"""The vectors that other implementations published: all of them, counted."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tallystick import (
    KeyPair,
    UnsignedReceipt,
    canonicalize,
    decrypt_disclosure,
    did_key_decode,
    did_key_encode,
    hash_receipt,
    rotation_between,
    sign_receipt,
    verify_chain,
    verify_receipt,
)
from tallystick.crypto.digest import sha256_tagged
from tallystick.crypto.multibase import b64u_encode
from tallystick.crypto.strict import parse_json
from tallystick.model.receipt import CONTEXT, VERSION

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("TALLY_SHARED") or ROOT.parent / "shared")
FOLDER = SHARED / "vectors" / "agent-receipts"

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"shared vectors not found at {FOLDER}; set TALLY_SHARED"
)

# Every published file, and how many vectors of it are used here (or where else).
COUNTS = {
    "canonicalization_vectors": 32 + 11,
    "did_key_vectors": 3,
    "disclosure_envelope_vectors": 2,  # tests/unit/crypto/test_hpke.py, model/test_disclosure.py
    "emit_failure_vectors": 2,  # prose for emitters: they come with the daemon
    "go_vectors": 1,
    "malformed_vectors": 6 + 1,
    "py_vectors": 1,
    "rotation_event_example": 1,
    "v020_vectors": 3,
    "v030_vectors": 3,
}

# RFC 8032 §7.1 TEST 2 and TEST 3: the keys of the rotation example.
OLD_KEY = KeyPair.from_seed(
    bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
)
NEW_KEY = KeyPair.from_seed(
    bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
)
# RFC 7748 §6.1: the private key of the envelopes' first recipient.
ALICE = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")


@cache
def load(name: str) -> Any:
    """Return one file, read by our own strict parser."""
    return parse_json((FOLDER / f"{name}.json").read_bytes(), 1024 * 1024)


def key_of(name: str) -> KeyPair:
    """Return the key pair that a file publishes."""
    return KeyPair.from_private_pem(load(name)["keys"]["privateKey"])


def resign(receipt: dict[str, Any], pair: KeyPair) -> dict[str, Any]:
    """Return the receipt with a fresh signature; all else of the proof stays."""
    made = copy.deepcopy(receipt)
    body = canonicalize({name: made[name] for name in made if name != "proof"})
    made["proof"]["proofValue"] = "u" + b64u_encode(pair.signing_key().sign(body))
    return made


def test_every_file_is_used() -> None:
    """No file of the folder is passed over, and each holds as many vectors as are counted."""
    assert {path.stem for path in FOLDER.glob("*.json")} == set(COUNTS)
    canonical = load("canonicalization_vectors")
    malformed = load("malformed_vectors")
    found = dict.fromkeys(COUNTS, 1) | {
        "canonicalization_vectors": len(canonical["canonicalization_vectors"])
        + len(canonical["receipt_hash_vectors"]),
        "did_key_vectors": len(load("did_key_vectors")["vectors"]),
        "disclosure_envelope_vectors": len(load("disclosure_envelope_vectors")["vectors"]),
        "emit_failure_vectors": len(load("emit_failure_vectors")["cases"]),
        "malformed_vectors": len(malformed["receipts"]) + len(malformed["chains"]),
        "v020_vectors": len(load("v020_vectors").keys() - {"version", "keys"}),
        "v030_vectors": sum(name.endswith("Receipt") for name in load("v030_vectors")),
    }
    assert found == COUNTS


# ---- canonical form and hashes


def test_canonicalization() -> None:
    """Every input has the published canonical form, and every form the published hash."""
    hashed = 0
    for vector in load("canonicalization_vectors")["canonicalization_vectors"]:
        # Some parsers lose the sign, so the file asks that it be made here.
        value = -0.0 if vector["name"] == "number_negative_zero" else vector["input"]
        form = canonicalize(value)
        assert form == vector["canonical"].encode(), vector["name"]
        if "expectedHash" in vector:
            hashed += 1
            assert sha256_tagged(form) == vector["expectedHash"], vector["name"]
    assert hashed == 3


def test_receipt_hashes() -> None:
    """Every receipt has the published hash, also where nulls count as absent."""
    rows = {row["name"]: row for row in load("canonicalization_vectors")["receipt_hash_vectors"]}
    hashed = 0
    for name, row in rows.items():
        if "receipt" not in row:
            assert row["receiptsFrom"].endswith("v020_vectors.json#/terminalChain/receipts")
            continue
        hashed += 1
        expected = row["expectedHash"]
        if expected.startswith("SAME_AS_"):
            expected = rows[expected.removeprefix("SAME_AS_")]["expectedHash"]
        assert hash_receipt(row["receipt"]) == expected, name
        assert hash_receipt(canonicalize(row["receipt"])) == expected, name
        if not row.get("preNormalizationInput"):
            typed = UnsignedReceipt.from_dict(row["receipt"])
            assert hash_receipt(typed) == expected, name
            assert row.get("mustContainSubstring", "").encode() in typed.to_json(), name
    assert hashed == 10


@pytest.mark.parametrize("name", ["go_vectors", "py_vectors"])
def test_other_languages(name: str) -> None:
    """Canonical form, hash, signature: ours are theirs, and theirs verify."""
    told = load(name)
    form, digests, signing = told["canonicalization"], told["hashing"], told["signing"]
    assert canonicalize(form["simpleInput"]) == form["simpleExpected"].encode()
    assert canonicalize(form["receiptInput"]) == form["receiptExpected"].encode()
    assert sha256_tagged(digests["simpleInput"].encode()) == digests["simpleExpected"]
    assert hash_receipt(form["receiptInput"]) == digests["receiptExpected"]
    report = verify_receipt(signing["signed"], told["keys"]["publicKey"]).ensure()
    assert report.findings == ()
    unsigned = UnsignedReceipt.from_dict(signing["unsigned"])
    ours = sign_receipt(unsigned, told["keys"]["privateKey"], signing["verificationMethod"])
    assert ours.proof.proofValue == signing["signed"]["proof"]["proofValue"]
    assert key_of(name).public_key == told["keys"]["publicKey"]


# ---- receipts of old versions


def test_version_0_2_0() -> None:
    """The closed chain verifies, with its old ids reported; so do response and flat disclosure."""
    told = load("v020_vectors")
    answer = told["responseHash"]
    assert sha256_tagged(canonicalize(answer["redactedResponse"])) == answer["expectedHash"]
    receipts, key = told["terminalChain"]["receipts"], told["keys"]["publicKey"]
    assert len(receipts) == 3
    report = verify_chain(receipts, key, expected_length=3, require_terminal=True).ensure()
    assert report.codes() == ["id_shape_legacy"] * 6
    assert report.chains[0].termination == "complete"
    assert report.chains[0].head == hash_receipt(receipts[-1])
    assert "EXPECTED_TERMINAL" in verify_chain(receipts[:2], key, require_terminal=True).codes()
    flat = told["parametersDisclosureReceipt"]
    report = verify_receipt(flat["receipt"], key).ensure()
    assert report.codes() == ["id_shape_legacy"] * 2
    assert hash_receipt(flat["receipt"]) == flat["expectedReceiptHash"]
    for receipt in [*receipts, flat["receipt"]]:
        assert resign(receipt, key_of("v020_vectors")) == receipt


def test_version_0_3_0() -> None:
    """Envelope, peer credential and metadata verify; the envelope opens to the published text."""
    told = load("v030_vectors")
    pair, key = key_of("v030_vectors"), told["keys"]["publicKey"]
    rows = [row for name, row in told.items() if name.endswith("Receipt")]
    assert len(rows) == 3
    for row in rows:
        assert verify_receipt(row["receipt"], key).ensure().findings == ()
        assert hash_receipt(row["receipt"]) == row["expectedReceiptHash"]
        assert resign(row["receipt"], pair) == row["receipt"]
    sealed = told["parametersDisclosureEnvelopeReceipt"]["receipt"]
    envelope = sealed["credentialSubject"]["action"]["parameters_disclosure"]
    published = load("disclosure_envelope_vectors")["vectors"][0]
    assert envelope == published["envelope_object"]
    assert decrypt_disclosure(envelope, ALICE) == published["plaintext_object"]


def test_rotation_example() -> None:
    """The hand-over verifies under the old key only, and the chain goes on under the new one."""
    receipt = load("rotation_event_example")
    report = verify_receipt(receipt, OLD_KEY.public_key).ensure()
    assert report.findings == ()
    assert verify_receipt(receipt, NEW_KEY.public_key).codes() == ["SIGNATURE_INVALID"]
    raw = [pair.signing_key().public_key for pair in (OLD_KEY, NEW_KEY)]
    made = rotation_between(raw[0], raw[1])
    assert made.to_dict() == receipt["credentialSubject"]["keyRotation"]
    following = copy.deepcopy(receipt)
    following["id"] = "urn:receipt:7c9e6679-7425-40de-944b-e07fc1f90ae8"
    del following["credentialSubject"]["keyRotation"]
    following["credentialSubject"]["chain"] |= {
        "sequence": 2,
        "previous_receipt_hash": hash_receipt(receipt),
    }
    good = verify_chain([receipt, resign(following, NEW_KEY)], OLD_KEY.public_key).ensure()
    assert [use.fingerprint for use in good.chains[0].keys] == list(map(sha256_tagged, raw))
    bad = verify_chain([receipt, resign(following, OLD_KEY)], OLD_KEY.public_key)
    assert bad.codes() == ["KEY_CHANGED"]


def test_did_keys() -> None:
    """Keys, did:key texts and the documents that they stand for agree."""
    for vector in load("did_key_vectors")["vectors"]:
        raw, did = bytes.fromhex(vector["public_key_hex"]), vector["did"]
        assert did_key_encode(raw) == did
        assert did_key_decode(did) == raw
        method = vector["did_document"]["verificationMethod"][0]
        assert method["publicKeyMultibase"] == did.removeprefix("did:key:")


# ---- malformed receipts

Change = Callable[[dict[str, Any]], None]


def rewrite_proof(**members: str) -> Change:
    """Return the change that sets members of the proof."""
    return lambda receipt: receipt["proof"].update(members)


def respell_proof(spell: Callable[[str], str]) -> Change:
    """Return the change that spells the signature otherwise."""

    def change(receipt: dict[str, Any]) -> None:
        receipt["proof"]["proofValue"] = spell(receipt["proof"]["proofValue"])

    return change


def set_member(*path: str, value: object) -> Change:
    """Return the change that sets one member."""

    def change(receipt: dict[str, Any]) -> None:
        inner = receipt
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value

    return change


def flip_one(text: str) -> str:
    """Return the text with its 64th character replaced, as the published vector does."""
    return text[:63] + ("A" if text[63] != "A" else "B") + text[64:]


MALFORMED: dict[str, tuple[str, Change]] = {
    "wrong_proof_type": ("PROOF_TYPE", rewrite_proof(type="RsaSignature2018")),
    "mutated_action_type": (
        "SIGNATURE_INVALID",
        set_member("credentialSubject", "action", "type", value="filesystem.file.delete"),
    ),
    "mutated_principal_id": (
        "SIGNATURE_INVALID",
        set_member("credentialSubject", "principal", "id", value="did:user:attacker"),
    ),
    "truncated_proof_value": ("SIGNATURE_LENGTH", respell_proof(lambda text: text[:1])),
    "wrong_multibase_prefix": ("SIGNATURE_PREFIX", respell_proof(lambda text: "z" + text[1:])),
    "flipped_proof_byte": ("SIGNATURE_INVALID", respell_proof(flip_one)),
}


def modern(receipt: dict[str, Any], number: int) -> dict[str, Any]:
    """Return the receipt in today's version, with ids of today's shape and a risk to match."""
    made = copy.deepcopy(receipt)
    made |= {"version": VERSION, "@context": list(CONTEXT)}
    made["credentialSubject"]["action"] |= {
        "id": f"act_00000000-0000-4000-8000-{number:012d}",
        "risk_level": "high",
    }
    return made


def test_malformed_receipts() -> None:
    """Each published malformed receipt is refused by the code of its own fault."""
    told = load("malformed_vectors")
    assert {row["name"] for row in told["receipts"]} == set(MALFORMED)
    for row in told["receipts"]:
        report = verify_receipt(row["receipt"], told["keys"]["publicKey"])
        decisive = [code for code in report.codes() if code.isupper()]
        assert decisive == [MALFORMED[row["name"]][0]], row["name"]
        # The base is of 0.2.0, and its action id has the shape of that time.
        assert "id_shape_legacy" in report.codes()


@pytest.mark.parametrize("name", sorted(MALFORMED))
def test_malformed_receipts_made_anew(name: str) -> None:
    """On a sound receipt of today's version, the same change gives that code and no other."""
    rows = {row["name"]: row["receipt"] for row in load("malformed_vectors")["receipts"]}
    base = copy.deepcopy(rows["wrong_proof_type"])
    base["proof"]["type"] = "Ed25519Signature2020"
    pair = key_of("malformed_vectors")
    assert resign(base, pair) == base, "the published base is sound but for its type"
    code, change = MALFORMED[name]
    published = copy.deepcopy(base)
    change(published)
    if name != "flipped_proof_byte":
        assert published == rows[name]
    made = resign(modern(base, 1), pair)
    assert verify_receipt(made, pair).ensure().findings == ()
    change(made)
    assert verify_receipt(made, pair).codes() == [code]


def test_malformed_chain() -> None:
    """A null link in mid-chain is refused as that, in the published chain and in one of today."""
    told = load("malformed_vectors")
    (row,) = told["chains"]
    assert row["name"] == "missing_previous_receipt_hash_mid_chain"
    receipts, pair = row["receipts"], key_of("malformed_vectors")
    # The link was nulled after signing: that its signature does not fit any more is the same fault
    # seen again. Signed as it is, the null is the only one.
    codes = [code for code in verify_chain(receipts, pair).codes() if code.isupper()]
    assert codes == ["CHAIN_LINK_MISSING", "SIGNATURE_INVALID"]
    receipts = [*receipts[:1], resign(receipts[1], pair), *receipts[2:]]
    codes = [code for code in verify_chain(receipts, pair).codes() if code.isupper()]
    assert codes == ["CHAIN_LINK_MISSING"]
    for with_null in (False, True):
        made: list[dict[str, Any]] = []
        for number, receipt in enumerate(receipts, start=1):
            made.append(modern(receipt, number))
            link = made[-1]["credentialSubject"]["chain"]
            is_null = number == 1 or (with_null and number == 2)
            link["previous_receipt_hash"] = None if is_null else hash_receipt(made[-2])
            made[-1] = resign(made[-1], pair)
        expected = ["CHAIN_LINK_MISSING"] if with_null else []
        assert verify_chain(made, pair).codes() == expected
