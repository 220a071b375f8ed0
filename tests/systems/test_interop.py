# SPDX-License-Identifier: Apache-2.0
"""The other implementation, from PyPI: its receipts verify here, ours verify there."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import obsigna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obsigna.receipt.create import ActionInput
from obsigna.receipt.rotation import ALGORITHM_ED25519, key_fingerprint, pem_to_ed25519_raw
from obsigna.receipt.types import (
    AgentReceipt,
    Authorization,
    Chain,
    Delegation,
    Delegator,
    EmitterMetadata,
    Intent,
    Issuer,
    KeyRotation,
    Operator,
    Outcome,
    PeerCredential,
    Principal,
    Runtime,
    StateChange,
)
from tests.drafts import drafts, json_values

from tallystick import (
    Head,
    KeyPair,
    Receipt,
    canonicalize,
    create_receipt,
    decrypt_disclosure,
    decrypt_response,
    did_key_decode,
    encrypt_disclosure,
    encrypt_response,
    generate_forensic_key_pair,
    hash_receipt,
    issue,
    rotation_between,
    sign_receipt,
    verify_chain,
    verify_receipt,
)
from tallystick.crypto.digest import sha256_tagged
from tallystick.crypto.multibase import b64u_encode

ROOT = Path(__file__).resolve().parents[2]
OURS = KeyPair.from_seed(bytes(range(32)))
NEXT = KeyPair.from_seed(bytes(range(1, 33)))
THEIRS = obsigna.KeyPair(public_key=OURS.public_key, private_key=OURS.private_key)
METHOD = "did:agent:sample#key-1"
HASH = "sha256:" + "ab" * 32


def their_input(**changes: Any) -> obsigna.CreateReceiptInput:
    """Return the smallest input of theirs, or more than that."""
    arguments: dict[str, Any] = {
        "issuer": Issuer(id="did:agent:sample"),
        "principal": Principal(id="did:user:alice"),
        "action": ActionInput(type="filesystem.file.read", risk_level="low"),
        "outcome": Outcome(status="success"),
        "chain": Chain(sequence=1, previous_receipt_hash=None, chain_id="chain-1"),
    }
    return obsigna.CreateReceiptInput(**arguments | changes)


def their_full_input() -> obsigna.CreateReceiptInput:
    """Return an input with every member that theirs takes."""
    forensic = obsigna.generate_forensic_key_pair()
    return their_input(
        issuer=Issuer(
            id="did:agent:sample",
            type="AIAgent",
            name="Sample",
            operator=Operator(id="did:org:acme", name="Acme"),
            model="model-1",
            session_id="session-1",
            runtime=Runtime(agent_id="sub-1", agent_type="general", trace={"n": [1, 0.5, "ü"]}),  # type: ignore[call-arg]  # open
        ),
        principal=Principal(id="did:user:alice", type="HumanPrincipal"),
        action=ActionInput(
            type="filesystem.file.modify",
            risk_level="medium",
            target={"system": "disk", "resource": "/srv/😀.csv"},
            parameters_hash=HASH,
            parameters_disclosure=obsigna.encrypt_disclosure({"a": 1}, forensic.public_key, HASH),
            peer_credential=PeerCredential(
                platform="linux", pid=1, uid=0, gid=0, exe_path="/sbin/init"
            ),
            emitter_metadata=EmitterMetadata(drop_count=0),
            trusted_timestamp="MIIBAg==",
            idempotency_key="request-1",
        ),
        outcome=Outcome(
            status="success",
            error="none",
            reversible=True,
            reversal_method="restore",
            reversal_window_seconds=0,
            reversal_of="urn:receipt:00000000-0000-4000-8000-000000000001",
            state_change=StateChange(before_hash=HASH, after_hash=HASH),
            response_disclosure=obsigna.encrypt_response({"b": 2}, forensic.public_key, HASH),
        ),
        intent=Intent(
            conversation_hash=HASH,
            prompt_preview="read it",
            prompt_preview_truncated=False,
            reasoning_hash=HASH,
        ),
        authorization=Authorization(
            scopes=["files:read"], granted_at="2020-01-01T00:00:00Z", grant_ref="grant-1"
        ),
        delegation=Delegation(
            parent_chain_id="chain-0",
            parent_receipt_id="urn:receipt:00000000-0000-4000-8000-000000000002",
            delegator=Delegator(id="did:agent:parent"),
        ),
        correlation_id="call-1",
        response_body={"rows": [1, 2.5, None], "ok": True},
        terminal=True,
        termination_status="complete",
    )


def theirs(given: obsigna.CreateReceiptInput) -> AgentReceipt:
    """Return a receipt that they create and sign."""
    return obsigna.sign_receipt(obsigna.create_receipt(given), THEIRS.private_key, METHOD)


def wire(receipt: AgentReceipt) -> bytes:
    """Return what their emitters and their journal write: optional members as null."""
    return receipt.model_dump_json(by_alias=True).encode()


def lean(receipt: AgentReceipt) -> bytes:
    """Return what their store keeps: nulls left out, but for the one that has to be there."""
    made = receipt.model_dump(by_alias=True, exclude_none=True)
    made["credentialSubject"]["chain"].setdefault("previous_receipt_hash", None)
    return json.dumps(made).encode()


def there(receipt: Receipt) -> AgentReceipt:
    """Return our receipt as their model reads it."""
    return AgentReceipt.model_validate_json(receipt.to_json())


# ---- theirs, here


@pytest.mark.parametrize("full", [False, True], ids=["minimal", "full"])
def test_their_receipts_verify_here(full: bool) -> None:
    """Lean bytes verify plainly; wire bytes with nulls when nulls are accepted, and only then."""
    receipt = theirs(their_full_input() if full else their_input())
    report = verify_receipt(lean(receipt), OURS.public_key).ensure()
    assert report.findings == ()
    assert report.chains[0].head == obsigna.hash_receipt(receipt)
    data = wire(receipt)
    nulls = count_nulls(json.loads(data))
    assert nulls > (0 if full else 20)
    assert Counter(verify_receipt(data, OURS.public_key).codes()) == {"FIELD_NULL": nulls}
    accepted = verify_receipt(data, OURS.public_key, accept_nulls=True).ensure()
    assert Counter(accepted.codes()) == {"nulls_normalised": nulls}
    assert accepted.chains[0].head == obsigna.hash_receipt(receipt) == hash_receipt(data)


def count_nulls(value: Any, name: str = "") -> int:
    """Return how many members are null, the one that a genesis has to have not counted."""
    if isinstance(value, dict):
        return sum(count_nulls(member, key) for key, member in value.items())
    return value is None and name != "previous_receipt_hash"


def test_their_full_receipt_is_full() -> None:
    """Every member that their models know is tried here."""
    data = json.loads(wire(theirs(their_full_input())))
    subject = data["credentialSubject"]
    absent = [name for name, value in subject.items() if value is None]
    absent += [name for part in (subject["action"], subject["outcome"], data["issuer"])
               for name, value in part.items() if value is None]  # fmt: skip
    # Their input has no member for these two: see the rotation, and sign a model by hand.
    assert absent == ["keyRotation", "tool_name"]


def test_their_response_hash_is_checked_here() -> None:
    """The body that they hashed is the one that we compare with."""
    body = {"rows": [1, 2.5, None], "ok": True}
    data = lean(theirs(their_input(response_body=body)))
    assert verify_receipt(data, OURS.public_key, response_body=body).ensure().findings == ()
    other = verify_receipt(data, OURS.public_key, response_body={"rows": []})
    assert other.codes() == ["RESPONSE_MISMATCH"]


@pytest.mark.parametrize(
    "runtime",
    [{"agent_type": "a"}, {"agent_id": "sub-1"}, {"trace": "t-1"}, {"usage": {"cached": None}}],
    ids=["type", "id", "other", "null-inside"],
)
def test_their_runtimes_verify_here(runtime: dict[str, Any]) -> None:
    """A runtime without the declared members, which they write as null and sign as absent."""
    receipt = theirs(their_input(issuer=Issuer(id="did:agent:sample", runtime=Runtime(**runtime))))
    report = verify_receipt(wire(receipt), OURS.public_key, accept_nulls=True).ensure()
    assert set(report.codes()) == {"nulls_normalised"}


def their_chain(tmp_path: Path) -> tuple[list[AgentReceipt], list[bytes], list[bytes]]:
    """Return a chain of theirs: as models, from their journal, and from their store."""
    received = obsigna.InMemoryEmitter()
    chain = obsigna.ReceiptChain(
        chain_id="chain-1",
        private_key=THEIRS.private_key,
        verification_method=METHOD,
        emitter=received,
    )
    for number in range(5):
        last = number == 4
        given = their_full_input() if number == 2 else their_input()
        members = {name: getattr(given, name) for name in obsigna.ChainEmitInput.model_fields}
        members |= {"terminal": last, "termination_status": "interrupted" if last else None}
        chain.emit(obsigna.ChainEmitInput(**members))
    receipts = list(received.received)
    journal = obsigna.FileWal(tmp_path / "wal")
    store = obsigna.open_store(str(tmp_path / "receipts.db"))
    for receipt in receipts:
        journal.append(receipt)
        store.insert(receipt, obsigna.hash_receipt(receipt))
    store.close()
    kept = [path.read_bytes() for path in sorted((tmp_path / "wal").glob("*.json"))]
    with sqlite3.connect(tmp_path / "receipts.db") as database:
        rows = database.execute("SELECT receipt_json FROM receipts ORDER BY sequence").fetchall()
    database.close()
    return receipts, kept, [row[0].encode() for row in rows]


def test_their_chains_verify_here(tmp_path: Path) -> None:
    """From their store plainly, from their journal with nulls; same head, same ending."""
    receipts, journal, stored = their_chain(tmp_path)
    assert len(receipts) == len(journal) == len(stored) == 5
    head = obsigna.hash_receipt(receipts[-1])
    for data, accept in ((stored, False), (journal, True)):
        report = verify_chain(
            b"\n".join(data),
            OURS.public_key,
            expected_length=5,
            expected_head=head,
            require_terminal=True,
            verification_method=METHOD,
            accept_nulls=accept,
        ).ensure()
        assert report.chains[0].termination == "interrupted"
        # The full one in the middle has a session, and the others have none.
        assert set(report.codes()) - {"nulls_normalised"} == {"session_changed"}
    assert "FIELD_NULL" in verify_chain(b"\n".join(journal), OURS.public_key).codes()
    assert obsigna.verify_chain(receipts, THEIRS.public_key).valid


def test_their_rotations_verify_here() -> None:
    """A hand-over made of their parts: the chain goes on under the new key."""
    old, new = pem_to_ed25519_raw(OURS.public_key), pem_to_ed25519_raw(NEXT.public_key)
    hand_over = KeyRotation(
        event_type="key_rotated",
        new_public_key="u" + b64u_encode(new),
        old_key_fingerprint=key_fingerprint(old),
        new_key_fingerprint=key_fingerprint(new),
        old_algorithm=ALGORITHM_ED25519,
        new_algorithm=ALGORITHM_ED25519,
        signed_with="old",
    )
    unsigned = obsigna.create_receipt(
        their_input(action=ActionInput(type="agent.key.rotate", risk_level="high"))
    )
    unsigned.credentialSubject.key_rotation = hand_over
    first = obsigna.sign_receipt(unsigned, OURS.private_key, METHOD)
    link = Chain(sequence=2, previous_receipt_hash=obsigna.hash_receipt(first), chain_id="chain-1")
    later = obsigna.create_receipt(their_input(chain=link))
    second = obsigna.sign_receipt(later, NEXT.private_key, METHOD)
    assert obsigna.verify_chain([first, second], OURS.public_key).valid
    report = verify_chain([lean(first), lean(second)], OURS.public_key).ensure()
    used = [use.fingerprint for use in report.chains[0].keys]
    assert used == [key_fingerprint(old), key_fingerprint(new)]
    assert report.findings == ()
    unmoved = obsigna.sign_receipt(later, OURS.private_key, METHOD)
    assert verify_chain([lean(first), lean(unmoved)], OURS.public_key).codes() == ["KEY_CHANGED"]


def test_their_disclosures_open_here() -> None:
    """Envelopes inside of their signed receipts verify, and open to what was sealed."""
    forensic = generate_forensic_key_pair()
    receipt = theirs(
        their_input(
            action=ActionInput(
                type="filesystem.file.read",
                risk_level="low",
                parameters_disclosure=obsigna.encrypt_disclosure(
                    {"path": "/srv"}, forensic.public_key, forensic.kid
                ),
            ),
            outcome=Outcome(
                status="success",
                response_disclosure=obsigna.encrypt_response(
                    {"rows": 2}, forensic.public_key, forensic.kid
                ),
            ),
        )
    )
    data = lean(receipt)
    verify_receipt(data, OURS.public_key).ensure()
    subject = json.loads(data)["credentialSubject"]
    sealed = subject["action"]["parameters_disclosure"]
    assert decrypt_disclosure(sealed, forensic.private_key) == {"path": "/srv"}
    answer = subject["outcome"]["response_disclosure"]
    assert decrypt_response(answer, forensic.private_key) == {"rows": 2}


# ---- ours, there

# Drafts are drawn at random: hand-overs between keys that nobody has, windows long gone, names
# that do not fit the verification method.
SAID_OF_DRAFTS = {
    "ROTATION_KEY_WEAK",
    "ROTATION_NEW_KEY",
    "ROTATION_OLD_KEY",
    "authorization_window",
    "proof_metadata_unsigned",
}


@given(drafts(lean=True))
@settings(max_examples=60)
def test_our_receipts_verify_there(arguments: dict[str, Any]) -> None:
    """Whatever members a receipt of ours has, their model and their raw path verify it."""
    receipt = sign_receipt(create_receipt(**arguments), OURS, METHOD)
    model = there(receipt)
    assert obsigna.verify_receipt(model, THEIRS.public_key)
    assert obsigna.verify_raw(receipt.to_json(), THEIRS.public_key)
    ours = hash_receipt(receipt)
    assert obsigna.hash_receipt(model) == obsigna.hash_raw_receipt(receipt.to_json()) == ours
    unsigned = {name: value for name, value in receipt.to_dict().items() if name != "proof"}
    assert obsigna.canonicalize(unsigned).encode() == receipt.unsigned().to_json()
    verify = verify_receipt(wire(model), OURS.public_key, accept_nulls=True)
    assert set(verify.codes()) <= {"nulls_normalised", *SAID_OF_DRAFTS}


def our_chain(length: int) -> list[Receipt]:
    """Return a closed chain of ours."""
    head, receipts = Head(chain_id="chain-ours"), []
    for number in range(length):
        receipt, head = issue(
            head,
            lambda link: create_receipt(
                issuer={"id": "did:agent:sample", "runtime": {"agent_id": "sub-1", "n": 0.1}},
                principal={"id": "did:user:alice"},
                action={"type": "filesystem.file.read", "tool_name": "read"},
                outcome={"status": "success"},
                chain=link,
                response_body={"n": link.sequence},
            ),
            OURS,
            METHOD,
            terminal=number == length - 1,
        )
        receipts.append(receipt)
    return receipts


def test_our_chains_verify_there() -> None:
    """Links, ending, length, head and response bodies, all by their verifier."""
    receipts = our_chain(5)
    answers: dict[str, object] = {one.id: {"n": one.link.sequence} for one in receipts}
    report = obsigna.verify_chain(
        [there(one) for one in receipts],
        THEIRS.public_key,
        expected_length=5,
        expected_final_hash=hash_receipt(receipts[-1]),
        require_terminal=True,
        response_bodies=answers,
    )
    assert (report.valid, report.status, report.error) == (True, "complete", "")
    assert report.warnings == []
    mine = verify_chain(receipts, OURS, responses=answers, require_terminal=True).ensure()
    assert mine.findings == ()
    for one in receipts:
        assert obsigna.verify_raw(one.to_json(), THEIRS.public_key)


def test_our_rotations_verify_there() -> None:
    """A hand-over of ours is followed by their verifier."""
    raw = [pair.signing_key().public_key for pair in (OURS, NEXT)]
    statement: dict[str, Any] = {
        "issuer": {"id": "did:agent:sample"},
        "principal": {"id": "did:user:alice"},
        "outcome": {"status": "success"},
    }
    unsigned = create_receipt(
        **statement,
        action={"type": "agent.key.rotate"},
        chain=Head(chain_id="c").link(),
        key_rotation=rotation_between(raw[0], raw[1]),
    )
    first = sign_receipt(unsigned, OURS, METHOD)
    head = Head(chain_id="c", sequence=1, hash=hash_receipt(first))
    later = create_receipt(**statement, action={"type": "data.api.read"}, chain=head.link())
    for signer, valid in ((NEXT, True), (OURS, False)):
        second = sign_receipt(later, signer, METHOD)
        told = obsigna.verify_chain([there(first), there(second)], THEIRS.public_key)
        assert told.valid is valid
        assert verify_chain([first, second], OURS).verified is valid


def test_our_disclosures_open_there() -> None:
    """What we seal into a receipt, they verify and open."""
    forensic = obsigna.generate_forensic_key_pair()
    kid = sha256_tagged(forensic.public_key)
    unsigned = create_receipt(
        issuer={"id": "did:agent:sample"},
        principal={"id": "did:user:alice"},
        action={
            "type": "filesystem.file.read",
            "parameters_disclosure": encrypt_disclosure({"a": 0.5}, forensic.public_key, kid),
        },
        outcome={
            "status": "success",
            "response_disclosure": encrypt_response({"b": []}, forensic.public_key, kid),
        },
        chain=Head(chain_id="c").link(),
    )
    model = there(sign_receipt(unsigned, OURS, METHOD))
    assert obsigna.verify_receipt(model, THEIRS.public_key)
    subject = model.credentialSubject
    assert subject.action.parameters_disclosure is not None
    assert subject.outcome.response_disclosure is not None
    sealed = subject.action.parameters_disclosure
    assert obsigna.decrypt_disclosure(sealed, forensic.private_key) == {"a": 0.5}
    answer = subject.outcome.response_disclosure
    assert obsigna.decrypt_response(answer, forensic.private_key) == {"b": []}


# ---- the same bytes


@given(json_values())
def test_canonical_forms_are_equal(value: Any) -> None:
    """Both spell every JSON value alike, up to integers of 2^53-1."""
    form = canonicalize(value)
    assert form == obsigna.canonicalize(value).encode()
    assert sha256_tagged(form) == obsigna.sha256(form.decode())


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=300)
def test_doubles_are_spelled_alike(number: float) -> None:
    """Both spell every double in ECMAScript's way."""
    assert canonicalize([number]) == obsigna.canonicalize([number]).encode()


# ---- where the two differ, by name


def sound_vectors() -> list[tuple[str, bytes, str]]:
    """Return (name, receipt, key) of each receipt vector that verifies without any option."""
    found = []
    for folder in sorted((ROOT / "vectors" / "receipt").iterdir()):
        told = json.loads((folder / "expect.json").read_bytes())
        keys = told.get("keys") or [""]
        plain = "options" not in told and len(keys) == 1 and keys[0].startswith("did:key:")
        if told["verdict"] == "verified" and plain:
            found.append((folder.name, (folder / "input.json").read_bytes(), keys[0]))
    return found


def test_they_verify_what_we_verify() -> None:
    """Their raw path accepts each vector that we accept, but for what they are known to break."""
    refused = set()
    vectors = sound_vectors()
    for name, data, key in vectors:
        value = json.loads(data)
        pem = obsigna.public_key_to_pem(did_key_decode(key))
        if not obsigna.verify_raw(value if isinstance(value, dict) else value[0], pem):
            refused.add(name)
    assert len(vectors) > 30
    assert refused == {
        # They drop nulls inside of runtime, which its signer signed as they stood.
        "runtime-nulls",
        # They spell integers beyond 2^53-1 digit by digit: RFC 8785 wants the double's spelling.
        "runtime-floats-respelled",
    }


def test_a_null_that_they_dropped_can_not_be_brought_back() -> None:
    """An extra member of runtime that is None: signed as absent, sent as null, refused here."""
    runtime = Runtime(agent_id="sub-1", agent_type="general", note=None)  # type: ignore[call-arg]  # open
    receipt = theirs(their_input(issuer=Issuer(id="did:agent:sample", runtime=runtime)))
    report = verify_receipt(wire(receipt), OURS.public_key, accept_nulls=True)
    assert set(report.codes()) == {"nulls_normalised", "SIGNATURE_INVALID"}
    assert verify_receipt(lean(receipt), OURS.public_key).verified


def test_integers_that_no_double_holds_are_refused_here() -> None:
    """They sign 2^53+1 digit by digit; other languages read another number."""
    runtime = Runtime(agent_id="sub-1", agent_type="general", n=2**53 + 1)  # type: ignore[call-arg]  # open
    receipt = theirs(their_input(issuer=Issuer(id="did:agent:sample", runtime=runtime)))
    assert obsigna.verify_receipt(receipt, THEIRS.public_key)
    assert verify_receipt(lean(receipt), OURS.public_key).codes() == ["MALFORMED_NUMBER"]
