# SPDX-License-Identifier: Apache-2.0
"""Leases: what the session key signs, when it stops, and what is left of it."""

from __future__ import annotations

import os
import pickle
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from tests.leaks import everything_shown_by

from tallystick import verify_chain
from tallystick.chain.issue import create_receipt, issue
from tallystick.crypto.checking import check
from tallystick.crypto.digest import sha256_tagged
from tallystick.crypto.ed25519 import KeyPair, SigningKey
from tallystick.errors import LeaseExpired, LimitError, SigningError
from tallystick.keys.lease import SessionSigner
from tallystick.keys.local import LocalSigner
from tallystick.limits import HAND_OVER_BYTES_MAX, LEASE_RECEIPTS_MAX, LEASE_SECONDS_MAX
from tallystick.model.chain import Head, Link
from tallystick.model.receipt import Receipt, UnsignedReceipt, statement_of
from tallystick.model.rotation import rotation_between
from tallystick.ports import LeasedSigner, Signer

ROOT = KeyPair.from_seed(bytes(range(32)))
ROOT_PUBLIC = ROOT.signing_key().public_key
SEED = bytes(range(1, 33))
SECOND = 1_000_000_000


class CountingRoot:
    """A root signer that counts, and that can be away."""

    def __init__(self) -> None:
        self.signatures = self.keys_given = 0
        self.is_away = False

    def sign(self, message: bytes, /) -> bytes:
        if self.is_away:
            raise SigningError("away")
        self.signatures += 1
        return ROOT.signing_key().sign(message)

    def get_public_key(self) -> bytes:
        if self.is_away:
            raise SigningError("away")
        self.keys_given += 1
        return ROOT_PUBLIC


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_700_000_000 * SECOND

    def __call__(self) -> int:
        return self.now


def hand_over(lease: SessionSigner, *, issuer: str = "did:agent:a") -> UnsignedReceipt:
    """Return the hand-over to a lease's session key, unsigned."""
    return _rotation(lease, Head(chain_id="c").link(), issuer)


def _rotation(lease: SessionSigner, link: Link, issuer: str = "did:agent:a") -> UnsignedReceipt:
    return create_receipt(
        issuer={"id": issuer},
        principal={"id": "did:user:u"},
        action={"type": "agent.key.rotate"},
        outcome={"status": "success"},
        key_rotation=rotation_between(lease.root.get_public_key(), lease.get_public_key()),
        chain=link,
    )


def lent(lease: SessionSigner) -> SessionSigner:
    """Let the root hand over, and return the lease."""
    lease.root.sign(statement_of(hand_over(lease)))
    return lease


def test_it_keeps_the_ports() -> None:
    """A SessionSigner is a Signer and a lease; so is what it renews to."""
    lease = SessionSigner(LocalSigner(ROOT))
    assert isinstance(lease, Signer)
    assert isinstance(lease, LeasedSigner)
    assert isinstance(lease.root, Signer)
    assert isinstance(lease.closing, Signer)
    assert isinstance(lease.renew(), LeasedSigner)
    assert not isinstance(LocalSigner(ROOT), LeasedSigner)


def test_a_chain_by_hand_follows_from_the_root() -> None:
    """The root signs the first receipt, the session key the rest; the root's key verifies all."""
    root = CountingRoot()
    lease = SessionSigner(root)
    head = Head(chain_id="c")
    receipts: list[Receipt] = []
    receipt, head = issue(head, lambda link: _rotation(lease, link), lease.root, "m")
    receipts.append(receipt)
    for _ in range(3):
        receipt, head = issue(
            head,
            lambda link: create_receipt(
                issuer={"id": "did:agent:a"},
                principal={"id": "did:user:u"},
                action={"type": "filesystem.file.read"},
                outcome={"status": "success"},
                chain=link,
            ),
            lease,
            "m",
        )
        receipts.append(receipt)
    report = verify_chain(receipts, ROOT.public_key, expected_length=4)
    assert report.verdict.name == "VERIFIED", report.codes()
    assert root.signatures == 1
    assert lease.receipts == 3


def test_each_lease_has_a_key_of_its_own() -> None:
    """Keys come from the entropy that is given, 32 bytes at once; by default they all differ."""
    root = LocalSigner(ROOT)
    assert len({SessionSigner(root).get_public_key() for _ in range(10)}) == 10
    asked: list[int] = []

    def entropy(size: int) -> bytes:
        asked.append(size)
        return SEED

    lease = SessionSigner(root, entropy=entropy)
    assert lease.get_public_key() == KeyPair.from_seed(SEED).signing_key().public_key
    assert asked == [32]
    assert bytes(range(1, 33)) == SEED  # bytes that a caller gave are not overwritten


def test_a_pair_can_be_the_root() -> None:
    """For development, a key pair stands in for a KMS."""
    assert SessionSigner(ROOT).root.get_public_key() == ROOT_PUBLIC


def test_nothing_is_signed_before_the_hand_over() -> None:
    """A session key that no root vouches for would make receipts that nobody can verify."""
    lease = SessionSigner(ROOT)
    for signer in (lease, lease.closing):
        with pytest.raises(SigningError, match="has not handed"):
            signer.sign(b"x")
    assert check(lent(lease).sign(b"x"), b"x", lease.get_public_key())


def test_the_root_signs_the_hand_over_only() -> None:
    """Any other statement is refused before the root is asked: also one for another session."""
    root = CountingRoot()
    lease, other = SessionSigner(root), SessionSigner(root)
    sound = statement_of(hand_over(lease))
    of_another_root = sound.replace(
        sha256_tagged(ROOT_PUBLIC).encode(), sha256_tagged(bytes(32)).encode()
    )
    assert of_another_root != sound
    for message in (b"x", b"", statement_of(hand_over(other)), of_another_root):
        with pytest.raises(SigningError, match="and only that"):
            lease.root.sign(message)
    assert root.signatures == 0


def test_the_longest_hand_over_is_signed() -> None:
    """The bound may be reached, and not passed."""
    lease = SessionSigner(ROOT)
    statement = statement_of(hand_over(lease))
    longest = statement + b" " * (HAND_OVER_BYTES_MAX - len(statement))
    with pytest.raises(LimitError):
        lease.root.sign(longest + b" ")
    assert len(lease.root.sign(longest)) == 64


def test_the_root_signs_once() -> None:
    """The same statement again gives the same signature without asking; another one is refused."""
    root = CountingRoot()
    lease = SessionSigner(root)
    first, second = statement_of(hand_over(lease)), statement_of(hand_over(lease))
    signature = lease.root.sign(first)
    assert lease.root.sign(first) == signature
    with pytest.raises(SigningError, match="that is done"):
        lease.root.sign(second)
    assert root.signatures == 1


def test_a_root_that_is_away_can_be_asked_again() -> None:
    """A hand-over that failed was none: the next one may be another statement."""
    root = CountingRoot()
    lease = SessionSigner(root)
    root.is_away = True
    with pytest.raises(SigningError, match="away"):
        lent(lease)
    root.is_away = False
    assert len(lent(lease).sign(b"x")) == 64


def test_a_usual_hand_over_fits_every_service() -> None:
    """With long names it stays well below what AWS KMS signs."""
    lease = SessionSigner(ROOT)
    name = "did:web:agents.example.com:" + "department:" * 20 + "billing"
    statement = statement_of(hand_over(lease, issuer=name))
    assert len(statement) < 2048
    assert len(lease.root.sign(statement)) == 64


def test_a_hand_over_that_is_too_large() -> None:
    """It is refused here, in words that help, and the root is not asked."""
    root = CountingRoot()
    lease = SessionSigner(root)
    link = Head(chain_id="c" * 1000).link()
    statement = statement_of(
        create_receipt(
            issuer={"id": "i" * 1000, "name": "n" * 1000, "model": "m" * 1000},
            principal={"id": "did:user:u"},
            action={"type": "agent.key.rotate"},
            outcome={"status": "success"},
            key_rotation=rotation_between(ROOT_PUBLIC, lease.get_public_key()),
            chain=link,
        )
    )
    assert len(statement) > HAND_OVER_BYTES_MAX
    with pytest.raises(LimitError, match="shorten issuer, principal or chain_id"):
        lease.root.sign(statement)
    assert root.signatures == 0


def test_a_count_of_receipts() -> None:
    """After `max_receipts`, sign raises LeaseExpired; hand-over and terminal do not count."""
    lease = lent(SessionSigner(ROOT, max_receipts=3))
    for number in range(3):
        assert lease.receipts == number
        lease.sign(b"x")
    for _ in range(2):
        with pytest.raises(LeaseExpired, match="for 3 receipts"):
            lease.sign(b"x")
    assert lease.receipts == 3
    assert check(lease.closing.sign(b"end"), b"end", lease.get_public_key())


def test_an_age() -> None:
    """From `max_age` on, counted from the hand-over, sign raises LeaseExpired."""
    clock = Clock()
    lease = SessionSigner(ROOT, max_age=timedelta(minutes=5), clock=clock)
    clock.now += 3600 * SECOND  # made at a cold start, and first needed much later
    assert lease.age == timedelta(0)
    lent(lease)
    clock.now += 299 * SECOND
    lease.sign(b"x")
    assert lease.age == timedelta(seconds=299)
    clock.now += SECOND
    with pytest.raises(LeaseExpired, match="for 0:05:00"):
        lease.sign(b"x")


def test_a_clock_that_is_set_back() -> None:
    """It makes no lease younger."""
    clock = Clock()
    lease = lent(SessionSigner(ROOT, max_age=timedelta(minutes=5), clock=clock))
    clock.now += 301 * SECOND
    with pytest.raises(LeaseExpired):
        lease.sign(b"x")
    clock.now -= 7200 * SECOND
    with pytest.raises(LeaseExpired):
        lease.sign(b"x")
    assert lease.age == timedelta(seconds=301)


def test_a_clock_that_is_set_back_at_once() -> None:
    """It makes no lease last longer: the other clock counts on."""
    clock, ticks = Clock(), Clock()
    lease = lent(SessionSigner(ROOT, max_age=timedelta(minutes=5), clock=clock, monotonic=ticks))
    clock.now -= 7200 * SECOND
    ticks.now += 299 * SECOND
    lease.sign(b"x")
    ticks.now += SECOND
    with pytest.raises(LeaseExpired):
        lease.sign(b"x")


def test_the_last_receipt_ends_the_key() -> None:
    """`closing` signs once, also after the age; then the key is gone."""
    clock = Clock()
    lease = lent(SessionSigner(ROOT, max_age=timedelta(minutes=5), clock=clock))
    clock.now += 86_400 * SECOND
    signature = lease.closing.sign(b"end")
    assert check(signature, b"end", lease.get_public_key())
    assert lease.is_closed
    assert lease.closing.get_public_key() == lease.get_public_key()
    assert lease.closing.sign(b"end") == signature  # the same statement, asked for again
    for signer in (lease, lease.closing):
        with pytest.raises(SigningError, match="is destroyed"):
            signer.sign(b"more")


def test_close_destroys_the_key() -> None:
    """The bytes of the private key are overwritten where they lay; nothing is signed again."""
    lease = lent(SessionSigner(ROOT))
    held = lease._key._secret
    assert any(held)
    lease.close()
    lease.close()
    assert held == bytes(64)
    assert lease._key._secret == b""
    for signer in (lease, lease.closing):
        with pytest.raises(SigningError, match="is destroyed"):
            signer.sign(b"x")
    assert lease.is_closed
    assert len(lease.get_public_key()) == 32


def test_the_seed_is_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the operating system gave for the key does not stay behind in memory."""
    seeds: list[bytes] = []
    real = os.urandom

    def urandom(size: int) -> bytes:
        seeds.append(real(size))
        return seeds[-1]

    monkeypatch.setattr(os, "urandom", urandom)
    SessionSigner(ROOT, entropy=os.urandom)
    assert seeds == [bytes(32)]


def test_a_closed_lease_is_not_handed_over() -> None:
    """After close the root is not asked either."""
    root = CountingRoot()
    lease = SessionSigner(root)
    statement = statement_of(hand_over(lease))
    lease.close()
    with pytest.raises(SigningError, match="has ended"):
        lease.root.sign(statement)
    assert root.signatures == 0


def test_renew() -> None:
    """A renewed lease has the same settings, another key, and a count from zero."""
    clock = Clock()
    first = lent(SessionSigner(ROOT, max_age=timedelta(minutes=7), max_receipts=9, clock=clock))
    first.sign(b"x")
    second = first.renew()
    assert (second.max_age, second.max_receipts) == (timedelta(minutes=7), 9)
    assert second.get_public_key() != first.get_public_key()
    assert second.root.get_public_key() == ROOT_PUBLIC
    assert second.receipts == 0
    assert len(lent(second).sign(b"x")) == 64


def test_renew_asks_a_root_anew() -> None:
    """A root that can look its name up again does so for the next chain."""

    class Named(CountingRoot):
        following = KeyPair.from_seed(SEED)

        def anew(self) -> LocalSigner:
            return LocalSigner(self.following)

    renewed = SessionSigner(Named()).renew()
    assert renewed.root.get_public_key() == Named.following.signing_key().public_key


def test_a_forked_child_signs_nothing() -> None:
    """A child holds a copy of the key, but a second writer would fork the chain."""
    lease = lent(SessionSigner(ROOT))
    lease._process = os.getpid() + 1  # what a child sees
    for signer in (lease, lease.root, lease.closing):
        with pytest.raises(SigningError, match="the process that forked"):
            signer.sign(b"x")


def test_the_count_holds_for_many_threads() -> None:
    """However many threads ask, exactly `max_receipts` signatures are given."""
    lease = lent(SessionSigner(ROOT, max_receipts=50))
    given: list[bytes] = []
    refused: list[LeaseExpired] = []
    start = Barrier(8)

    def ask() -> None:
        start.wait()
        for _ in range(20):
            try:
                given.append(lease.sign(b"x"))
            except LeaseExpired as fault:
                refused.append(fault)

    threads = [Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(given), len(refused)) == (50, 110)


@pytest.mark.parametrize(
    "settings",
    [
        {"max_age": timedelta(0)},
        {"max_age": timedelta(seconds=-1)},
        {"max_age": timedelta(seconds=LEASE_SECONDS_MAX + 1)},
        {"max_receipts": 0},
        {"max_receipts": LEASE_RECEIPTS_MAX + 1},
    ],
)
def test_bounds(settings: dict[str, object]) -> None:
    """A lease without an end is refused."""
    with pytest.raises(LimitError, match="wanted is"):
        SessionSigner(ROOT, **settings)  # type: ignore[arg-type]  # one setting at a time


def test_the_longest_lease() -> None:
    """Both bounds may be reached."""
    longest = timedelta(seconds=LEASE_SECONDS_MAX)
    lease = SessionSigner(ROOT, max_age=longest, max_receipts=LEASE_RECEIPTS_MAX)
    assert (lease.max_age, lease.max_receipts) == (longest, LEASE_RECEIPTS_MAX)


def test_warming_up_asks_the_root_for_its_key_alone() -> None:
    """Where the root is away, that is told before a request waits for it; nothing is signed."""
    root = CountingRoot()
    lease = SessionSigner(root)
    assert root.keys_given == 0
    lease.warm_up()
    assert (root.keys_given, root.signatures) == (1, 0)
    root.is_away = True
    with pytest.raises(SigningError, match="away"):
        SessionSigner(root).warm_up()


def test_the_key_is_not_shown() -> None:
    """repr shows the public key; errors show no secret; pickling refuses."""
    lease = lent(SessionSigner(ROOT, entropy=lambda _size: SEED, max_receipts=1))
    assert "did:key:z6Mk" in repr(lease)
    lease.sign(b"x")
    with pytest.raises(LeaseExpired) as caught:
        lease.sign(b"x")
    secrets = [repr(SEED)[2:-1], SEED.hex(), ROOT.private_key.splitlines()[1]]
    for text in (repr(lease), everything_shown_by(caught.value)):
        assert not [secret for secret in secrets if secret in text]
    with pytest.raises(TypeError):
        pickle.dumps(lease)


def test_short_entropy_is_refused() -> None:
    """A source that gives fewer bytes makes no key, and says nothing of what it gave."""
    with pytest.raises(ValueError, match="32 bytes, not 16") as caught:
        SessionSigner(ROOT, entropy=lambda size: b"\7" * (size // 2))
    assert "\\x07" not in everything_shown_by(caught.value)


def test_an_ordinary_key_is_no_erasable_one() -> None:
    """Only keys that are made to be destroyed can be: a shared one never is."""
    assert not hasattr(SigningKey, "erase")
