# SPDX-License-Identifier: Apache-2.0
"""The watcher finds what is wrong, acts only as its policy says, and forgets nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any, BinaryIO

import msgspec
import pytest
from tests.chains import (
    CHALLENGER,
    ETHER,
    FAST,
    REQUESTER,
    SOLVER,
    Chain,
    ask,
    embedded,
    signer_of,
)
from tests.curve import CurveKey
from tests.hostile_posts import post_at
from tests.posts import committed, lying_bundle, make_bundle

from tallystick.errors import DurableError, NodeError, PostingError, RevertError, SignerUnavailable
from tallystick.limits import FETCHES_AT_ONCE_MAX
from tallystick.onchain import challenging
from tallystick.onchain.account import Account
from tallystick.onchain.artifact import REGISTRY
from tallystick.onchain.contracts import Contracts, Posted, PostState, PostStatus
from tallystick.onchain.fetching import fetched
from tallystick.onchain.signed_post import sign_post
from tallystick.onchain.solving import Offer
from tallystick.watch import hub
from tallystick.watch.answering import answer_questions
from tallystick.watch.cursor import Cursor, read_cursor
from tallystick.watch.hub import RESOLUTION_GAS, PostWatcher, Sighting, WatchPolicy
from tallystick.watch.post_grounds import Ground

ACTIVE = WatchPolicy(prove=True, ask=True, spend_max=ETHER)


class Bundles:
    """Bundles by evidence hash; what is not there can't be had."""

    def __init__(self) -> None:
        self.paths: dict[bytes, Path] = {}

    @contextmanager
    def __call__(self, posted: Posted, /) -> Iterator[BinaryIO]:
        path = self.paths.get(posted.commitment.evidence_hash)
        if path is None:
            raise PostingError("nothing is there")
        with path.open("rb") as stream:
            yield stream


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with embedded(tmp_path / "chain") as made:
        yield made


def sightings(
    chain: Chain, bundles: Bundles, policy: WatchPolicy | None = None, **given: Any
) -> list[Sighting]:
    """Make a watcher as a new process would, and let it look once."""
    told: list[Sighting] = []
    watcher = PostWatcher(
        chain.contracts,
        chain.home / "watch",
        bundles,
        policy,
        account=chain.account(CHALLENGER) if policy else None,
        **given,
    )
    before = watcher.spent
    watcher.round(told.append)
    assert watcher.spent <= max(before, policy.spend_max if policy else 0)
    return told


def look(
    chain: Chain, bundles: Bundles, policy: WatchPolicy | None = None
) -> dict[bytes, Sighting]:
    """Return what a look tells last of each post."""
    return {one.receipt_id: one for one in sightings(chain, bundles, policy)}


def ends(
    chain: Chain, policy: WatchPolicy | None = None, **given: Any
) -> dict[bytes, tuple[str, str]]:
    """Return what a look tells of its own questions: which, and what became of it."""
    found = sightings(chain, Bundles(), policy, **given)
    return {
        one.receipt_id: (one.verdict, one.action[:9])
        for one in found
        if one.verdict.startswith("question")
    }


def cursor_of(chain: Chain) -> Cursor:
    """Return what a watcher wrote down."""
    (path,) = (chain.home / "watch").glob("watch-*.json")
    return read_cursor(path, chain.deployment)


def test_a_watchers_day(chain: Chain, tmp_path: Path) -> None:
    """An honest post, a lie, a replay and one without a bundle: told of, then acted on, once."""
    bundles = Bundles()
    path, made = make_bundle(tmp_path)
    bundles.paths[bytes.fromhex(made.manifest_sha256)] = path
    other_path, other = make_bundle(tmp_path, "other", run_id="1" * 64)
    bundles.paths[bytes.fromhex(other.manifest_sha256)] = other_path
    honest = chain.post(committed(chain, made))
    replayed = chain.post(committed(chain, made, intent_hash=b"\7" * 32))
    lie = chain.post(
        committed(chain, other, intent_hash=b"\6" * 32), Offer(requester=REQUESTER.address)
    )
    missing = chain.post(chain.commitment("missing"))

    told = look(chain, bundles)
    assert told[honest].verdict.startswith("unchecked: EVIDENCE_RECEIPTS_ABSENT")
    assert told[honest].action == ""
    assert told[replayed].action == told[lie].action == "would prove it"
    assert told[missing].action == "waiting for it"
    assert chain.contracts.post(lie).status is PostStatus.PENDING

    capped = look(chain, bundles, WatchPolicy(prove=True, spend_max=1))
    assert capped[lie].action.startswith("over the cap")

    acted = look(chain, bundles, ACTIVE)
    assert acted[lie].action.startswith("sent in 0x")
    assert chain.contracts.post(lie).status is PostStatus.SLASHED
    assert chain.contracts.post(replayed).status is PostStatus.SLASHED
    assert chain.contracts.post(honest).status is PostStatus.PENDING
    assert honest not in acted  # told of once

    chain.pass_time(3000)
    assert look(chain, bundles, ACTIVE)[missing].action.startswith("sent in 0x")
    (question,) = chain.contracts.questions(missing)
    assert question.challenger == CHALLENGER.address
    assert look(chain, bundles, ACTIVE).get(missing) is None  # asked once

    answers: list[str] = []
    solver = chain.account(SOLVER)
    folder = str(tmp_path)
    answer_questions(
        chain.contracts, solver, chain.solver_id, folder, lambda _one, told: answers.append(told)
    )
    assert answers == ["no bundle here has that manifest"]


def test_a_bundle_or_a_silence_that_convicts(chain: Chain, tmp_path: Path) -> None:
    """A size that the bytes have not is proven, an outcome that the manifest has not is asked for,
    and a settlement that is missing at its time is proven, each by itself.
    """
    bundles = Bundles()
    path, honest = make_bundle(tmp_path)
    made = lying_bundle(path, honest)
    bundles.paths[bytes.fromhex(made.manifest_sha256)] = path
    intent = "sha256:" + "6" * 64
    other_path, other = make_bundle(tmp_path, "other", run_id="1" * 64, intent_hash=intent)
    bundles.paths[bytes.fromhex(other.manifest_sha256)] = other_path
    promise = chain.commitment("late", expiry=chain.node.head()[1] + 1000)
    late, lie = chain.post(promise), chain.post(committed(chain, made))
    unopened = chain.post(committed(chain, other, outcome_hash=b"\7" * 32))
    told = look(chain, bundles, ACTIVE)
    assert told[lie].verdict == "entry 0 names another size than its bytes have"
    assert chain.contracts.post(lie).status is PostStatus.SLASHED
    assert told[unopened].action.startswith("sent in 0x")
    assert [one.index for one in chain.contracts.questions(unopened)] == [0]
    assert told[late].action == "waiting for it"
    chain.pass_time(1100)
    told = look(chain, bundles, ACTIVE)
    assert told[late].verdict == "a promised settlement is missing"
    assert chain.contracts.post(late).status is PostStatus.SLASHED


def test_a_reorganisation_is_walked_again(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the cursor's block is another one now, posts behind it are found again."""
    bundles = Bundles()
    first = chain.post(chain.commitment("first"))
    assert first in look(chain, bundles)
    real = chain.node.block_hash
    gone = chain.node.head()[0]
    monkeypatch.setattr(
        chain.node, "block_hash", lambda number: b"\1" * 32 if number == gone else real(number)
    )
    second = chain.post(chain.commitment("second"))
    told = look(chain, bundles)
    assert {first, second} <= set(told)
    assert ask(chain.node, "eth_blockNumber") is not None


def test_an_end_of_a_post_that_may_be_undone_is_not_believed(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that is ahead of its time for once, or a block that goes, ends no watch for good."""
    post = chain.post(chain.commitment())
    real = Contracts.clock
    with monkeypatch.context() as ahead:
        ahead.setattr(Contracts, "clock", lambda self: real(self) + DAY)
        assert look(chain, Bundles())[post].verdict == "pending"
        assert look(chain, Bundles()) == {}  # told once
    chain.pass_time(1)
    assert look(chain, Bundles())[post].action == "waiting for it"

    with monkeypatch.context() as fork:
        fork.setattr(Contracts, "clock", lambda self: real(self) + DAY)
        look(chain, Bundles())
        chain.pass_time(1)
        look(chain, Bundles())
        assert cursor_of(chain).posts[post.hex()].is_over
    monkeypatch.setattr(chain.node, "block_hash", lambda _number: b"\1" * 32)
    assert look(chain, Bundles())[post].action == "waiting for it"


def test_who_catches_up_believes_an_end_and_has_room(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far behind the head a round is: what ended long ago is not looked at in each."""
    first = chain.post(chain.commitment("one"))
    chain.pass_time(DAY + 60)
    behind = chain.node.head()[0]
    second = chain.post(chain.commitment("two"))
    monkeypatch.setattr(hub, "WATCHED_POSTS_MAX", 1)
    monkeypatch.setattr(hub, "WATCHED_BLOCKS_MAX", behind - chain.deployment.first_block + 1)
    assert [*look(chain, Bundles())] == [first]
    assert cursor_of(chain).block == behind
    monkeypatch.setattr(hub, "WATCHED_BLOCKS_MAX", 0)
    chain.pass_time(1)
    assert look(chain, Bundles()) == {}
    assert cursor_of(chain).posts[first.hex()].is_over
    monkeypatch.setattr(hub, "WATCHED_BLOCKS_MAX", 100)
    assert [*look(chain, Bundles())] == [second]

    chain.pass_time(DAY + 60)
    assert look(chain, Bundles())[second].verdict == "pending"
    third = chain.post(chain.commitment("three"))
    assert [*look(chain, Bundles())] == [third]  # the second is not believed to be over yet


def test_a_location_that_is_no_text(chain: Chain) -> None:
    """A contract takes any bytes for a location; such a post is watched and proven wrong."""
    shown = chain.commitment("one")
    chain.post(shown)
    lie = post_at(chain, chain.commitment("lie", evidence_hash=shown.evidence_hash))
    with pytest.raises(PostingError), fetched(chain.contracts.posted(lie).location):
        pass
    told = look(chain, Bundles(), ACTIVE)
    assert told[lie].action.startswith("sent in 0x")
    assert chain.contracts.post(lie).status is PostStatus.SLASHED


def test_one_bad_post_hides_no_other(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be read of one post is told, and the others are looked at; a node's pause ends
    the round instead.
    """
    bad, good = (chain.post(chain.commitment(seed)) for seed in ("bad", "good"))
    look(chain, Bundles())
    real = Contracts.post
    faults: list[Exception] = [PostingError("not those"), NodeError("busy", is_transient=True)]

    def post(self: Contracts, receipt_id: bytes) -> PostState:
        if receipt_id == bad:
            raise faults.pop(0)
        return real(self, receipt_id)

    monkeypatch.setattr(Contracts, "post", post)
    told = look(chain, Bundles())
    assert told[bad].verdict == "not looked at: not those"
    assert told[good].action == "waiting for it"
    with pytest.raises(NodeError, match="busy"):
        look(chain, Bundles())


def test_slow_locations_hide_no_post(chain: Chain) -> None:
    """Where rounds take long, what can't be had is asked for before its window is over."""
    receipt_id = chain.post(chain.commitment())
    moment = 0.0
    told: list[Sighting] = []
    bundles = Slow()
    watcher = PostWatcher(chain.contracts, chain.home / "watch", bundles, clock=lambda: moment)

    def late(_posted: Posted) -> None:
        nonlocal moment
        moment += 1000.0

    bundles.before = late
    watcher.round(told.append)
    chain.pass_time(1800)  # half an hour is left: after the next round there may be none
    watcher.round(told.append)
    assert [one.action for one in told] == ["waiting for it", "would ask for it"]
    assert {one.receipt_id for one in told} == {receipt_id}


class Slow(Bundles):
    """Bundles before which something happens, in whatever thread they are opened."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[Posted], object] = lambda _posted: None

    @contextmanager
    def __call__(self, posted: Posted, /) -> Iterator[BinaryIO]:
        self.before(posted)
        with super().__call__(posted) as stream:
            yield stream


def test_a_tarpit_holds_up_no_other_post(chain: Chain) -> None:
    """Locations that answer late are waited for at the same time, and the others meanwhile."""
    names = [f"tarpit {number}" for number in range(FETCHES_AT_ONCE_MAX - 1)]
    tarpits = {chain.post(chain.commitment(name)) for name in names}
    withheld = chain.post(chain.commitment("withheld"))
    chain.pass_time(3000)
    told: list[Sighting] = []
    bundles, is_looked_at = Slow(), Event()

    def late(posted: Posted) -> None:
        assert posted.receipt_id == withheld or is_looked_at.wait(20)

    def tell(one: Sighting) -> None:
        told.append(one)
        is_looked_at.set()

    bundles.before = late
    watcher = PostWatcher(chain.contracts, chain.home / "watch", bundles)
    watcher.round(tell)
    assert told[0].receipt_id == withheld
    assert {one.receipt_id for one in told[1:]} == tarpits
    assert {one.action for one in told} == {"would ask for it"}


def test_a_burst_of_tarpits_keeps_no_due_post_unasked(chain: Chain) -> None:
    """What could not be had, and is due, is asked for also in a round that has no time for it."""
    withheld = chain.post(chain.commitment("withheld"))
    assert look(chain, Bundles())[withheld].action == "waiting for it"
    chain.post(chain.commitment("tarpit"))
    chain.pass_time(3000)
    bundles = Slow()
    opened: list[bytes] = []
    bundles.before = lambda posted: opened.append(posted.receipt_id)
    told = sightings(chain, bundles, fetching_seconds=-1.0)  # over before it began
    assert opened == []
    assert [(one.receipt_id, one.action) for one in told] == [(withheld, "would ask for it")]


def test_a_sound_bundle_is_not_fetched_in_every_round(chain: Chain, tmp_path: Path) -> None:
    """It is remembered; pauses grow, a new process keeps to them, and one look is near the end."""
    path, made = make_bundle(tmp_path)
    receipt_id = chain.post(committed(chain, made))
    bundles = Slow()
    opened: list[bytes] = []
    bundles.paths[bytes.fromhex(made.manifest_sha256)] = path
    bundles.before = lambda posted: opened.append(posted.receipt_id)

    def looks(seconds: int) -> int:
        chain.pass_time(seconds)
        opened.clear()
        look(chain, bundles)
        return len(opened)

    assert [looks(seconds) for seconds in (1, 10, 60, 60, 1800, 200)] == [1, 0, 1, 0, 1, 0]
    bundles.paths.clear()  # it was shown, and is withheld now
    chain.pass_time(600)  # a quarter of an hour is left
    assert look(chain, bundles, ACTIVE)[receipt_id].action.startswith("sent in 0x")
    assert len(chain.contracts.questions(receipt_id)) == 1


@pytest.mark.parametrize("fault", [DurableError("no room"), OSError("no room")])
def test_a_full_disk_asks_no_solver(chain: Chain, fault: Exception) -> None:
    """What can't be kept here may be there all the same: it is told of, and no bond is put down.

    Nor does a temporary folder that is gone, or too many open files, end the watch.
    """
    receipt_id = chain.post(chain.commitment())
    chain.pass_time(3000)

    def full(_posted: Posted) -> None:
        raise fault

    bundles = Slow()
    bundles.before = full
    assert look(chain, bundles, ACTIVE)[receipt_id].verdict == "not looked at: no room"
    assert chain.contracts.questions() == []


@pytest.mark.parametrize("is_transient", [True, False])
def test_a_node_that_fails_asks_no_solver(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_transient: bool
) -> None:
    """Whose key it was, the node did not tell: no bond is put down for a bundle that is there."""
    path, made = make_bundle(tmp_path)
    receipt_id = chain.post(committed(chain, made))
    bundles = Bundles()
    bundles.paths[bytes.fromhex(made.manifest_sha256)] = path
    chain.pass_time(3000)  # ten minutes are left

    def operator_at(_self: Contracts, _solver: bytes, _moment: int) -> str:
        raise NodeError("away", is_transient=is_transient)

    with monkeypatch.context() as patch:
        patch.setattr(Contracts, "operator_at", operator_at)
        if is_transient:
            with pytest.raises(NodeError, match="away"):
                look(chain, bundles, ACTIVE)
        else:
            assert look(chain, bundles, ACTIVE)[receipt_id].verdict == "not looked at: away"
    assert chain.contracts.questions() == []
    assert look(chain, bundles, ACTIVE)[receipt_id].action == ""


def test_of_two_in_one_block_the_later_by_number_is_proven(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who posts one evidence twice in a block chooses the order: the contract goes by the ids."""
    bundles = Bundles()
    first, second = (
        chain.post(chain.commitment(seed, evidence_hash=b"\5" * 32)) for seed in ("a", "b")
    )
    real = Contracts.post
    moment = real(chain.contracts, first).posted_at
    monkeypatch.setattr(
        Contracts,
        "post",
        lambda self, one: msgspec.structs.replace(real(self, one), posted_at=moment),
    )
    told = look(chain, bundles)
    smaller, greater = sorted((first, second))
    assert told[greater].verdict == f"it shows the evidence of 0x{smaller.hex()}"
    assert told[smaller].action == "waiting for it"


def test_a_refused_ground_is_not_the_last(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a contract takes one proof for none, the next ground that holds is tried."""
    shown = chain.commitment("one")
    first = chain.post(shown)
    lie = chain.post(chain.commitment("lie", evidence_hash=shown.evidence_hash))
    grounds = {
        lie: [
            Ground(kind="timeout", told="nothing was promised"),
            Ground(kind="replay", told="a replay", earlier=first),
        ]
    }
    monkeypatch.setattr(
        PostWatcher,
        "_replays",
        lambda _self, seen, _at: iter(grounds.get(bytes.fromhex(seen.receipt_id), ())),
    )
    assert look(chain, Bundles(), ACTIVE)[lie].action.startswith("sent in 0x")
    assert chain.contracts.post(lie).status is PostStatus.SLASHED


def test_a_cap_holds_whatever_the_node_says(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is signed costs what was counted, not what a node says a moment later; a second try of
    the same is counted once.
    """
    bundles, shown = Bundles(), chain.commitment("one")
    chain.post(shown)
    lie = chain.post(chain.commitment("lie", evidence_hash=shown.evidence_hash))
    gas = chain.node.gas
    asked: list[int] = []

    def more(transaction: Any) -> int:
        asked.append(1)
        return gas(transaction) * len(asked)

    monkeypatch.setattr(chain.node, "gas", more)
    monkeypatch.setattr(chain.node, "send", lambda _raw: True)  # and it loses what it takes
    account = chain.account(CHALLENGER)
    account.terms = msgspec.structs.replace(account.terms, wait_seconds=0)
    sightings: list[Sighting] = []
    watcher = PostWatcher(chain.contracts, chain.home / "watch", bundles, ACTIVE, account=account)
    watcher.round(sightings.append)
    assert "is not final" in sightings[-1].action
    spent = watcher.spent
    watcher.round(sightings.append)
    assert (len(asked), watcher.spent > spent) == (2, True)
    monkeypatch.setattr(chain.node, "gas", gas)
    most = watcher.spent
    watcher.round(sightings.append)
    assert watcher.spent == most
    monkeypatch.undo()
    account.terms = FAST
    watcher.round(sightings.append)
    assert chain.contracts.post(lie).status is PostStatus.SLASHED
    assert watcher.spent == most


def test_a_node_that_wants_another_transaction_is_counted_out(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told that a question's nonce went elsewhere, a watcher asks again, and counts bond and gas
    again: all that it signed together is within the cap.
    """
    missing = chain.post(chain.commitment())
    chain.pass_time(3000)
    account = chain.account(CHALLENGER)
    account.terms = msgspec.structs.replace(account.terms, wait_seconds=0)
    taken: list[bytes] = []
    monkeypatch.setattr(chain.node, "send", taken.append)
    monkeypatch.setattr(chain.node, "mined", lambda _hash: None)
    real = chain.node.nonce
    monkeypatch.setattr(chain.node, "nonce", lambda who, *_at: real(who) + len(set(taken)))
    wish = challenging.question(chain.contracts, chain.contracts.posted(missing), None)
    gas, fees = account.price(wish)
    each = wish.value + gas * fees.max_fee
    policy = WatchPolicy(ask=True, spend_max=3 * each + RESOLUTION_GAS * fees.max_fee)
    told: list[Sighting] = []
    watcher = PostWatcher(chain.contracts, chain.home / "watch", Bundles(), policy, account=account)
    for _ in range(6):
        watcher.round(told.append)
    assert "over the cap" in told[-1].action
    assert watcher.spent == policy.spend_max
    assert len(set(taken)) == 3


def test_what_a_refusal_did_not_cost_stays_set_aside(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that first says no to the end of a question does not eat up what is kept for it."""
    missing = chain.post(chain.commitment())
    chain.pass_time(3000)
    assert look(chain, Bundles(), ACTIVE)[missing].action.startswith("sent in 0x")
    spent = cursor_of(chain).spent
    chain.pass_time(DAY + 60)

    def refuse(_transaction: Any) -> int:
        raise RevertError("not now")

    exact = WatchPolicy(ask=True, spend_max=spent)
    with monkeypatch.context() as patch:
        patch.setattr(chain.node, "gas", refuse)
        assert ends(chain, exact)[missing][1] == "refused: "
    assert ends(chain, exact)[missing][1] == "sent in 0"


def test_a_node_that_renames_disputes_ends_none_for_free(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One question sets wei aside for one end; what is kept for another number is counted anew."""
    missing = chain.post(chain.commitment())
    chain.pass_time(3000)
    look(chain, Bundles(), ACTIVE)
    before = cursor_of(chain)
    monkeypatch.setattr(challenging, "opened_dispute", lambda _mined: 77)
    monkeypatch.setattr(chain.node, "block_hash", lambda _number: b"\1" * 32)
    account = chain.account(CHALLENGER)
    account.terms = msgspec.structs.replace(account.terms, wait_seconds=0)
    monkeypatch.setattr(account, "_wait", account._done)
    watcher = PostWatcher(chain.contracts, chain.home / "watch", Bundles(), ACTIVE, account=account)
    watcher.round(lambda _: None)
    kept = cursor_of(chain)
    assert set(kept.aside) == {*before.aside, "resolve:77"}
    paid = [wei for one in kept.posts.values() for wei in one.paid.values()]
    assert kept.spent == sum(paid) + sum(kept.aside.values())
    assert chain.contracts.questions(missing)[1:] == []


def test_a_signer_that_is_away_ends_no_round(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be signed is told, and tried again in the next round, for the same wei."""
    shown = chain.commitment("one")
    chain.post(shown)
    lie = chain.post(chain.commitment("lie", evidence_hash=shown.evidence_hash))

    def away(_self: Account, _journal: object, *_more: object) -> None:
        raise SignerUnavailable("the token is away")

    with monkeypatch.context() as patch:
        patch.setattr(Account, "_signed", away)
        assert look(chain, Bundles(), ACTIVE)[lie].action == "failed: the token is away"
    spent = cursor_of(chain).spent
    assert look(chain, Bundles(), ACTIVE)[lie].action.startswith("sent in 0x")
    assert cursor_of(chain).spent == spent


def test_a_head_that_never_was(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that once told of blocks far ahead hides no post of the blocks below them."""
    head = chain.node.head
    with monkeypatch.context() as patch:
        patch.setattr(chain.node, "head", lambda: (head()[0] + 90_000, head()[1]))
        patch.setattr(chain.node, "block_hash", lambda _number: b"\1" * 32)
        patch.setattr(chain.node, "_events", lambda _question: [])
        look(chain, Bundles())
    first = chain.post(chain.commitment("first"))
    assert first in look(chain, Bundles())


def test_a_block_that_is_told_of_and_not_there(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one node tells of blocks that the next has not yet, none of them counts as seen."""
    look(chain, Bundles())
    before = cursor_of(chain)
    first = chain.post(chain.commitment("first"))
    known = chain.node.block_hash
    with monkeypatch.context() as patch:  # the answers of one that is behind

        def block_hash(number: int) -> bytes | None:
            return known(number) if number <= before.block else None

        patch.setattr(chain.node, "block_hash", block_hash)
        patch.setattr(chain.node, "_events", lambda _question: [])
        assert first not in look(chain, Bundles())
    assert cursor_of(chain) == before
    assert first in look(chain, Bundles())


def test_a_round_goes_so_far_and_no_further(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """However far a node says that its head is, also for an asker whose questions are looked for;
    the next round goes on from there.
    """
    monkeypatch.setattr(hub, "WATCHED_BLOCKS_MAX", 3)
    first = chain.contracts.at.first_block
    real, head = chain.node.head()[0], chain.node.head
    asked: list[tuple[int, int]] = []

    def events(question: dict[str, Any]) -> list[Any]:
        asked.append((question["fromBlock"], question["toBlock"]))
        return []

    def rounds(count: int) -> list[int]:
        asked.clear()
        watcher = PostWatcher(
            chain.contracts, tmp_path / "watch", Bundles(), asker=CHALLENGER.address
        )
        return [watcher.round(lambda _told: None) for _ in range(count)]

    with monkeypatch.context() as patch:
        patch.setattr(chain.node, "head", lambda: (10**12, head()[1]))
        patch.setattr(chain.node, "block_hash", lambda _number: b"\1" * 32)
        patch.setattr(chain.node, "_events", events)
        assert rounds(2) == [10**12 - first - 2, 10**12 - first - 5]
        assert asked == 2 * [(first, first + 2)] + 2 * [(first + 3, first + 5)]
    missing = real - first + 1
    # An honest node: gone back to the first block, and on from there.
    assert rounds(3) == [max(0, missing - 3 * done) for done in (1, 2, 3)]


DAY = 24 * 3600


def asked(chain: Chain, key: CurveKey, seed: str) -> bytes:
    """Post, and ask for its manifest by hand; return the post's id."""
    posted = chain.contracts.posted(chain.post(chain.commitment(seed)))
    chain.account(key).do(challenging.question(chain.contracts, posted, None))
    return posted.receipt_id


def test_its_own_unanswered_question_is_ended(chain: Chain) -> None:
    """A day without an answer: told of in a dry run, then resolved with what was set aside when it
    was asked, however low the cap is since; what was won is not claimed.
    """
    contracts, me = chain.contracts, CHALLENGER.address
    missing = chain.post(chain.commitment(), Offer(requester=REQUESTER.address))
    chain.pass_time(3000)
    assert look(chain, Bundles(), ACTIVE)[missing].action.startswith("sent in 0x")
    spent = cursor_of(chain).spent
    (question,) = contracts.questions(missing)
    assert cursor_of(chain).aside[f"resolve:{question.dispute_id}"] > 0

    chain.pass_time(DAY - 60)
    assert ends(chain, ACTIVE) == {}
    assert cursor_of(chain).asked == [question]
    chain.pass_time(120)
    told = f"question {question.dispute_id} was not answered in time"
    assert ends(chain, asker=me) == {missing: (told, "would res")}
    assert ends(chain) == {}
    poor = WatchPolicy(ask=True, spend_max=spent - 1)
    assert ends(chain, poor) == {missing: (told, "over the ")}
    assert contracts.is_open(question.dispute_id)

    exact = WatchPolicy(ask=True, spend_max=spent)
    assert ends(chain, exact) == {missing: (told, "sent in 0")}
    assert contracts.post(missing).status is PostStatus.SLASHED
    assert contracts.read(REGISTRY, "claimable", me) > ETHER // 100  # the bond, and a share
    assert ends(chain, exact) == {}
    kept = cursor_of(chain)
    assert (kept.asked, kept.aside, kept.spent) == ([], {}, spent)


def test_questions_are_found_on_chain(chain: Chain) -> None:
    """Asked by hand, behind a lost cursor, or moot since another ground took the stake: each of the
    account's own is ended, and nobody else's.
    """
    contracts = chain.contracts
    look(chain, Bundles())
    moot, own = asked(chain, CHALLENGER, "moot"), asked(chain, CHALLENGER, "own")
    foreign = asked(chain, REQUESTER, "foreign")
    other = msgspec.structs.replace(contracts.posted(moot).commitment, outcome_hash=b"\7" * 32)
    signed = sign_post(contracts, signer_of(SOLVER), other, Offer())
    proof = challenging.equivocation(contracts, contracts.posted(moot), signed)
    chain.account(REQUESTER).do(proof)
    told = ends(chain, ACTIVE)
    assert told == {moot: ("question 1 came after another ground", "sent in 0")}

    (path,) = (chain.home / "watch").glob("watch-*.json")
    path.unlink()
    chain.pass_time(DAY + 60)
    told = ends(chain, ACTIVE)
    assert told == {own: ("question 2 was not answered in time", "sent in 0")}
    assert contracts.post(own).status is PostStatus.SLASHED
    assert contracts.post(foreign).status is PostStatus.DISPUTED
    # Of another account nothing was looked for yet.
    told = ends(chain, asker=REQUESTER.address)
    assert told == {foreign: ("question 3 was not answered in time", "would res")}


def test_too_many_posts_keep_no_question_open(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where more posts are open than one can watch, the round says so, and has ended questions."""
    own = asked(chain, CHALLENGER, "own")
    look(chain, Bundles())
    chain.pass_time(DAY + 60)
    chain.post(chain.commitment("another"))
    monkeypatch.setattr(hub, "WATCHED_POSTS_MAX", 1)
    with pytest.raises(PostingError, match="more than one can watch"):
        look(chain, Bundles(), ACTIVE)
    assert chain.contracts.post(own).status is PostStatus.SLASHED


def test_an_end_that_may_be_undone_is_not_believed(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question is forgotten when its end lies deep; a reorganisation has all looked for again."""
    post, me = asked(chain, CHALLENGER, "one"), CHALLENGER.address
    ends(chain, asker=me)
    (question,) = cursor_of(chain).asked
    chain.pass_time(DAY + 60)
    chain.account(REQUESTER).do(challenging.resolution(chain.contracts, question.dispute_id))
    assert ends(chain, asker=me, confirmations=2) == {}
    assert cursor_of(chain).asked == [question]
    chain.pass_time(1)
    assert ends(chain, asker=me, confirmations=2) == {}
    assert cursor_of(chain).asked == []

    monkeypatch.setattr(chain.node, "block_hash", lambda _number: b"\1" * 32)
    monkeypatch.setattr(Contracts, "is_open", lambda _self, _number: True)
    told = ends(chain, asker=me)
    assert told == {post: ("question 1 came after another ground", "would res")}


def test_a_question_that_can_not_be_read(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with one question is told, and posts are looked at; a pause ends the round."""
    asked(chain, CHALLENGER, "one")
    faults: list[Exception] = [PostingError("not those"), NodeError("busy", is_transient=True)]

    def is_open(_self: Contracts, _number: int) -> bool:
        raise faults.pop(0)

    monkeypatch.setattr(Contracts, "is_open", is_open)
    told = [one.verdict for one in sightings(chain, Bundles(), asker=CHALLENGER.address)]
    assert told == ["question 1 not looked at: not those", "nothing is there"]
    with pytest.raises(NodeError, match="busy"):
        sightings(chain, Bundles(), asker=CHALLENGER.address)
