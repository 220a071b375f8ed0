# SPDX-License-Identifier: Apache-2.0
"""Leased chains from end to end: a KMS root, a session key, and verifiers with the root's key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import obsigna
import pytest
from tests.systems.kept import ISSUER, READ, SUCCESS, Kept, chain_by
from tests.systems.kms_service import KmsService, client_for, refuses

from tallystick import (
    Source,
    connect,
    did_key_encode,
    parse_trust,
    sign_receipt,
    verify_chain,
    verify_input,
)
from tallystick.chain.receipt_chain import ReceiptChain
from tallystick.chain.recorder import Recorder
from tallystick.crypto.digest import sha256_tagged
from tallystick.crypto.ed25519 import KeyPair, public_key_pem
from tallystick.errors import (
    ChainClosedError,
    KeyMismatchError,
    LeaseExpired,
    SignerUnavailable,
    SigningError,
)
from tallystick.keys.aws import KMSSigner
from tallystick.keys.lease import SessionSigner
from tallystick.keys.local import LocalSigner
from tallystick.keys.remote import Retry
from tallystick.model.receipt import statement_of

ALIAS = "alias/agent"
SEED, OTHER_SEED = bytes(range(32)), bytes(range(1, 33))
SESSION_SEED, THIEF_SEED = bytes(range(2, 34)), bytes(range(3, 35))


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[KmsService]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not a secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with KmsService() as service:
        service.make_key(SEED, ALIAS)
        yield service


@pytest.fixture
def root(kms: KmsService) -> KMSSigner:
    return KMSSigner(ALIAS, client=client_for(kms), retry=Retry(attempts=1))


class Nobody:
    """Signs with no key at all."""

    def sign(self, _message: bytes, /) -> bytes:
        return b"\1" * 64

    def get_public_key(self) -> bytes:
        return bytes(32)


def codes(data: bytes, key: bytes) -> list[str]:
    """Return the codes that decide a chain's verdict."""
    return [code for code in verify_chain(data, key).codes() if code.isupper()]


def peer_says(kept: Kept, key: bytes) -> bool:
    """Return what the other implementation says about a chain, given one public key."""
    receipts = [obsigna.AgentReceipt.model_validate(json.loads(r.to_json())) for r in kept.receipts]
    return obsigna.verify_chain(receipts, public_key_pem(key), require_terminal=True).valid


def test_one_remote_signature_per_session(kms: KmsService, root: KMSSigner) -> None:
    """A chain of any length, with receipts of any size, costs KMS one signature; every verifier
    follows it with the root's public key alone, ours and the other implementation's."""
    kept = Kept()
    chain = chain_by(SessionSigner(root), kept)
    for _ in range(20):
        chain.emit(READ, SUCCESS)
    chain.emit(READ | {"tool_name": "t" * 8000}, SUCCESS)
    chain.close()
    assert (kms.count("Sign"), kms.count("GetPublicKey")) == (1, 1)
    report = verify_chain(kept.lines, root.get_public_key(), expected_length=23)
    assert report.verdict.name == "VERIFIED", report.codes()
    assert peer_says(kept, root.get_public_key())
    first, last = kept.receipts[0], kept.receipts[-1]
    assert len(statement_of(first)) < 2048
    assert first.credentialSubject.keyRotation is not None
    assert last.to_dict()["issuer"]["runtime"]["tallystick"] == {"lease_ended": True}


def test_the_session_key_alone_verifies_nothing(root: KMSSigner) -> None:
    """Who is given the session's public key instead of the root's refuses the chain."""
    kept = Kept()
    lease = SessionSigner(root)
    chain = chain_by(lease, kept)
    chain.emit(READ, SUCCESS)
    chain.close()
    assert codes(kept.lines, lease.get_public_key())
    assert not peer_says(kept, lease.get_public_key())


def test_the_report_says_which_key_signed_what(root: KMSSigner) -> None:
    """Both keys are named, with the receipts that each one signed."""
    kept = Kept()
    lease = SessionSigner(root)
    chain = chain_by(lease, kept)
    chain.emit(READ, SUCCESS)
    told = str(verify_chain(kept.lines, root.get_public_key()).to_dict())
    for key in (root.get_public_key(), lease.get_public_key()):
        assert sha256_tagged(key) in told


def test_a_hand_over_that_the_root_did_not_sign(root: KMSSigner) -> None:
    """Signed by the session key itself, by another key, or not at all: refused everywhere."""
    kept = Kept()
    chain = chain_by(SessionSigner(root, entropy=lambda _size: SESSION_SEED), kept)
    chain.emit(READ, SUCCESS)
    chain.close()
    hand_over, session = kept.receipts[0], LocalSigner(KeyPair.from_seed(SESSION_SEED))
    for forger in (LocalSigner(KeyPair.from_seed(THIEF_SEED)), Nobody(), session):
        fakes = Kept()
        forged = sign_receipt(hand_over, forger, f"{ISSUER}#key-1")
        fakes.receipts = [forged, *kept.receipts[1:]]
        assert set(codes(fakes.lines, root.get_public_key())) == {"SIGNATURE_INVALID"}
        assert not peer_says(fakes, root.get_public_key())
    headless = b"".join(kept.lines.splitlines(keepends=True)[1:])
    assert codes(headless, root.get_public_key())


def test_a_thief_can_go_on_with_the_chain_but_not_begin_one(root: KMSSigner) -> None:
    """What ADR 0008 says about a stolen session key, shown: a second ending of the same chain
    verifies; a chain of the thief's own does not; what came before can't be changed."""
    kept = Kept()
    stolen = SessionSigner(root, entropy=lambda _size: THIEF_SEED)
    thief = LocalSigner(KeyPair.from_seed(THIEF_SEED))
    chain = chain_by(stolen, kept)
    chain.emit(READ, SUCCESS)
    key = root.get_public_key()
    at_theft = chain.head
    before = list(kept.receipts)
    chain.close()

    other_ending = Kept()
    ReceiptChain(
        signer=thief,
        issuer={"id": ISSUER},
        principal={"id": "did:user:u"},
        emitter=other_ending,
        head=at_theft,
    ).emit(READ, SUCCESS)
    forked = Kept()
    forked.receipts = before + other_ending.receipts
    assert codes(forked.lines, key) == []
    # Whoever holds the true ending sees two heads; after a terminal nothing follows.
    assert codes(kept.lines + other_ending.lines, key)

    own = Kept()
    chain_by(thief, own).emit(READ, SUCCESS)
    assert codes(own.lines, key)


def test_a_lease_that_is_used_up(kms: KmsService, root: KMSSigner) -> None:
    """The chain refuses more, and its terminal receipt can still be written."""
    kept = Kept()
    chain = chain_by(SessionSigner(root, max_receipts=2), kept)
    chain.emit(READ, SUCCESS)
    chain.emit(READ, SUCCESS)
    with pytest.raises(LeaseExpired):
        chain.emit(READ, SUCCESS)
    chain.close()
    with pytest.raises(ChainClosedError):
        chain.emit(READ, SUCCESS)
    report = verify_chain(
        kept.lines, root.get_public_key(), expected_length=4, require_terminal=True
    )
    assert report.verdict.name == "VERIFIED", report.codes()
    assert peer_says(kept, root.get_public_key())


def test_a_recorder_goes_on_with_the_next_chain(kms: KmsService, root: KMSSigner) -> None:
    """Callers notice nothing: each lease is one closed chain, one remote signature, and the next
    chain names the one before."""
    kept = Kept()
    lease = SessionSigner(root, max_receipts=3)

    def begin(previous: ReceiptChain | None) -> ReceiptChain:
        return ReceiptChain(
            signer=lease if previous is None else lease.renew(),
            issuer={"id": ISSUER},
            principal={"id": "did:user:u"},
            emitter=kept,
            previous_chain=None if previous is None else previous.head,
        )

    with Recorder(begin, kept) as recorder:
        for _ in range(8):
            recorder.emit(READ, SUCCESS)
    report = verify_input([Source(kept.lines)], root.get_public_key())
    assert report.verdict.name == "VERIFIED", report.codes()
    # 3 chains: hand-over and terminal each, and 8 actions between them.
    assert [len(report.chains), len(kept.receipts), kms.count("Sign")] == [3, 14, 3]
    genesis = [receipt for receipt in kept.receipts if receipt.link.sequence == 1]
    named = [r.to_dict()["issuer"].get("runtime", {}).get("tallystick") for r in genesis]
    assert named[0] is None
    assert [facts["previous_chain"]["sequence"] for facts in named[1:]] == [5, 5]


def test_connect_takes_a_lease(kms: KmsService, root: KMSSigner, tmp_path: Path) -> None:
    """`connect(signer=lease)` is all that a program says; chains end and begin by themselves."""
    place = tmp_path / "receipts.jsonl"
    with connect(
        issuer=ISSUER,
        principal="did:user:u",
        signer=SessionSigner(root, max_receipts=4),
        environ={"TALLY_FILE": str(place)},
    ) as recorder:
        for _ in range(3):
            with recorder.action("filesystem.file.read", target={"resource": "/a"}) as done:
                done.result = {"bytes": 1}
    report = verify_input([Source(place.read_bytes())], root.get_public_key())
    assert report.verdict.name == "VERIFIED", report.codes()
    assert [len(report.chains), kms.count("Sign")] == [2, 2]


def test_an_alias_that_moved_is_followed_at_the_next_chain(
    kms: KmsService, root: KMSSigner
) -> None:
    """A running lease is not disturbed; the next one stands on the new key, and an auditor with
    both keys in the trust file verifies both chains."""
    kept = Kept()
    first = SessionSigner(root)
    chain = chain_by(first, kept)
    chain.emit(READ, SUCCESS)
    kms.make_key(OTHER_SEED, ALIAS)
    chain.emit(READ, SUCCESS)
    chain.close()
    second = first.renew()
    chain = chain_by(second, kept)
    chain.emit(READ, SUCCESS)
    chain.close()
    old, new = root.get_public_key(), second.root.get_public_key()
    assert new != old

    def trusting(*keys: bytes) -> str:
        rows = "".join(f'[[issuer.key]]\nkey = "{did_key_encode(key)}"\n' for key in keys)
        trust = parse_trust(f'[[issuer]]\nid = "{ISSUER}"\n{rows}'.encode())
        verdict: str = verify_input([Source(kept.lines)], trust).verdict.name
        return verdict

    assert trusting(old, new) == "VERIFIED"
    assert trusting(old) == "REFUSED"
    assert trusting(new) == "REFUSED"


def test_an_alias_that_moved_before_the_hand_over(kms: KmsService, root: KMSSigner) -> None:
    """Between warm-up and the first receipt, too: nothing is signed, and renew follows."""
    lease = SessionSigner(root)
    lease.warm_up()
    kms.make_key(OTHER_SEED, ALIAS)
    kept = Kept()
    with pytest.raises(KeyMismatchError, match="now names"):
        chain_by(lease, kept).emit(READ, SUCCESS)
    assert not kept.receipts
    chain_by(lease.renew(), kept).emit(READ, SUCCESS)
    assert len(kept.receipts) == 2


def test_a_root_that_is_away_at_the_start(kms: KmsService, root: KMSSigner) -> None:
    """The first emit fails and says that trying again may help; then the same chain begins."""
    kept = Kept()
    chain = chain_by(SessionSigner(root), kept)
    kms.tricks.append(refuses("ThrottlingException"))
    with pytest.raises(SignerUnavailable, match="ThrottlingException"):
        chain.emit(READ, SUCCESS)
    assert not kept.receipts
    chain.emit(READ, SUCCESS)
    chain.close()
    assert codes(kept.lines, root.get_public_key()) == []


def test_a_chain_that_is_closed_has_no_key(root: KMSSigner) -> None:
    """After the terminal receipt the session key is gone."""
    kept = Kept()
    lease = SessionSigner(root, max_age=timedelta(minutes=1))
    chain = chain_by(lease, kept)
    chain.emit(READ, SUCCESS)
    chain.close("interrupted")
    assert lease.is_closed
    with pytest.raises(SigningError, match="is destroyed"):
        lease.sign(b"x")
    assert kept.receipts[-1].link.status == "interrupted"
    assert peer_says(kept, root.get_public_key())
