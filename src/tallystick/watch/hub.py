# SPDX-License-Identifier: Apache-2.0
"""Watches the posts of a deployment: judges each, and challenges where a ground holds.

One round looks at the blocks since the cursor, a bounded number of them, and again at posts whose
window is open. The cursor is durable and moves only over what was looked at; it knows its block's
hash, so a reorganisation is noticed and walked over again. Nothing is spent unless the policy says
so, and never over its cap, which counts over all rounds: it is written down before a transaction is
sent.

Its own questions are followed to their end: what nobody answered in time is resolved, with wei that
was set aside when it was asked. What it wins stays claimable; a watcher claims nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import BinaryIO, Final

import msgspec

from tallystick.durable.file import make_directory
from tallystick.errors import (
    DurableError,
    LimitError,
    NodeError,
    PostingError,
    RevertError,
    SigningError,
    SpendRefused,
    UnreadableError,
    WalError,
)
from tallystick.limits import (
    FETCHING_SECONDS_MAX,
    WATCHED_BLOCKS_MAX,
    WATCHED_POSTS_MAX,
)
from tallystick.onchain import challenging
from tallystick.onchain.account import Account, Wish
from tallystick.onchain.contracts import Contracts, DisputeState, Posted, PostState, PostStatus
from tallystick.onchain.signed_post import SignedPost
from tallystick.watch.cursor import Seen, keep_cursor, read_cursor, step_back
from tallystick.watch.equivocation import is_equivocation
from tallystick.watch.fetching_ahead import Fetch, FetchingAhead
from tallystick.watch.post_evidence import SOUND, Beliefs, judge_evidence
from tallystick.watch.post_grounds import Ground, grounds_in, wish_of
from tallystick.watch.turns import Open, in_turn, is_due, looked

# Set aside with each question, to end it: `contracts/GAS.md` has 231,660 for that. Without it a cap
# could be reached by questions alone, and their bonds would lie there until somebody came.
RESOLUTION_GAS: Final = 300_000

# What begins an action after which the next ground is tried.
_REFUSED: Final = "refused: "
_SENT: Final = "sent in "
_OVER: Final = (PostStatus.FINALIZED, PostStatus.SLASHED, PostStatus.UNRESOLVED)


class WatchPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What a watcher may do by itself. By default it only tells."""

    prove: bool = False  # send proofs, which decide at once
    ask: bool = False  # ask for manifests that can't be had, with a bond
    spend_max: int = 0  # wei for gas and bonds, over all rounds


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """What a watcher tells of a post: a ground and what became of it, or what its bundle is worth.

    A bundle that is refused without a ground is told of, and nothing else: no contract decides it.
    """

    receipt_id: bytes
    verdict: str
    action: str = ""


class PostWatcher:
    """Watches one deployment; `round` looks once."""

    def __init__(
        self,
        contracts: Contracts,
        directory: str | os.PathLike[str],
        fetch: Fetch,
        policy: WatchPolicy | None = None,
        *,
        account: Account | None = None,
        asker: str = "",
        confirmations: int = 1,
        beliefs: Beliefs | None = None,
        signed: Callable[[], Iterable[SignedPost]] = tuple,
        clock: Callable[[], float] = time.monotonic,
        fetching_seconds: float = FETCHING_SECONDS_MAX,
    ) -> None:
        """`account` sends what the policy allows; `signed` gives posts that were signed besides.

        `asker` is whose questions are followed; without, the account's. So long into a round
        bundles are begun to be fetched: what comes then waits for the next round.
        """
        self._signed = signed
        self._clock = clock
        self._took = 0.0  # seconds, for the last round
        self._newest = 0  # the last block that is confirmed, as this round found it
        self._fetching_seconds = fetching_seconds
        self._beliefs = beliefs or Beliefs()
        self._contracts = contracts
        self._ahead = FetchingAhead(fetch)
        self._policy = policy or WatchPolicy()
        self._account = account
        self._asker = asker or ("" if account is None else account.address)
        self._confirmations = confirmations
        make_directory(directory, 0o700)
        at = contracts.at
        name = f"watch-{at.chain_id}-{at.receipts[2:].lower()}.json"
        self._path = os.path.join(directory, name)
        self._cursor = read_cursor(self._path, at)
        for seen in self._cursor.posts.values():
            if seen.is_missing:
                seen.look_at = 0  # this watcher may have other ways to it

    def round(self, tell: Callable[[Sighting], None]) -> int:
        """Look at what is new and at what is open; tell of each finding once it is acted on.

        Return how many blocks are left for the next round: one goes so far and no further, also
        where a node tells of a head that never was.
        """
        begun = self._clock()
        head = self._contracts.node.head()[0]
        step_back(self._cursor, self._contracts, head)
        newest = self._newest = head - self._confirmations + 1
        stop = min(newest, self._cursor.block + WATCHED_BLOCKS_MAX)
        self._follow(stop, tell)  # first: bonds lie there, however many posts there are
        fresh = self._contracts.posts(self._cursor.block + 1, stop)
        for _, receipt_id in fresh:
            self._note(receipt_id)
        self._look_at_all(begun, tell)
        found = self._contracts.node.block_hash(stop) if stop >= self._cursor.block else None
        if found is not None:
            # Who has no such block, as one of several behind an address, tells of no post in it.
            self._cursor.block, self._cursor.block_hash = stop, found.hex()
        self._keep()
        self._took = self._clock() - begun
        return max(0, newest - self._cursor.block)

    def _look_at_all(self, begun: float, tell: Callable[[Sighting], None]) -> None:
        """Look at each open post: at its bundle where that has its turn, and at the chain."""
        open_posts = []
        for seen in [one for one in self._cursor.posts.values() if not one.is_over]:
            with self._by_itself(bytes.fromhex(seen.receipt_id), tell):
                state = self._contracts.post(bytes.fromhex(seen.receipt_id))
                deadline = -1 if state.status in _OVER else state.deadline
                open_posts.append(Open(seen=seen, deadline=deadline))
        turns = {one.seen.receipt_id: one.seen for one in in_turn(open_posts, self._now())}
        for one in open_posts:
            if one.seen.receipt_id not in turns:
                self._look(one.seen, None, tell)
        wanted = self._wanted(list(turns.values()), begun, tell)
        with closing(self._ahead.each(wanted)) as fetched:
            for posted, bundle in fetched:
                self._look(turns.pop(posted.receipt_id.hex()), bundle, tell)
        for seen in turns.values():
            self._look(seen, None, tell)

    def _wanted(
        self, turns: list[Seen], begun: float, tell: Callable[[Sighting], None]
    ) -> Iterator[Posted]:
        for seen in turns:
            if self._clock() - begun > self._fetching_seconds:
                return
            with self._by_itself(bytes.fromhex(seen.receipt_id), tell):
                yield self._contracts.posted(bytes.fromhex(seen.receipt_id))

    @contextmanager
    def _by_itself(
        self, receipt_id: bytes, tell: Callable[[Sighting], None], what: str = ""
    ) -> Iterator[None]:
        """Let what is wrong with one post or question keep no other from being looked at."""
        try:
            yield
        except (NodeError, PostingError, DurableError, OSError) as fault:
            if isinstance(fault, NodeError) and fault.is_transient:
                raise
            tell(Sighting(receipt_id=receipt_id, verdict=f"{what}not looked at: {fault}"))

    def _now(self) -> int:
        return self._contracts.clock()

    @property
    def spent(self) -> int:
        """The wei that was set aside for what this watcher sent, over all rounds."""
        return self._cursor.spent

    def _note(self, receipt_id: bytes) -> None:
        key = receipt_id.hex()
        if key in self._cursor.posts:
            return
        if len(self._cursor.posts) >= WATCHED_POSTS_MAX:
            self._forget_one()
        commitment = self._contracts.posted(receipt_id).commitment
        self._cursor.posts[key] = Seen(
            receipt_id=key,
            solver=commitment.solver_id.hex(),
            intent=commitment.intent_hash.hex(),
            evidence=commitment.evidence_hash.hex(),
        )

    def _forget_one(self) -> None:
        posts = self._cursor.posts
        believed = (key for key, one in posts.items() if one.is_over)
        found = (key for key, one in posts.items() if one.over_at)  # once: keeps no other out
        if (over := next(believed, None) or next(found, None)) is None:
            raise PostingError(f"over {WATCHED_POSTS_MAX} posts are open: more than one can watch")
        del posts[over]

    def _follow(self, stop: int, tell: Callable[[Sighting], None]) -> None:
        """End the asker's questions whose time is over; they are found on chain, however asked."""
        cursor = self._cursor
        if self._asker:
            is_known = self._asker == cursor.asker
            start = cursor.block + 1 if is_known else self._contracts.at.first_block
            known = {one.dispute_id: one for one in cursor.asked if is_known}
            for one in self._contracts.asked_by(self._asker, start, stop):
                known.setdefault(one.dispute_id, one)
            cursor.asked = list(known.values())
        cursor.asker = self._asker
        for question in [one for one in cursor.asked if self._asker]:
            with self._by_itself(question.receipt_id, tell, f"question {question.dispute_id} "):
                self._end(question, stop, tell)

    def _end(self, question: DisputeState, stop: int, tell: Callable[[Sighting], None]) -> None:
        contracts, number = self._contracts, question.dispute_id
        if not contracts.is_open(number):
            if contracts.has_ended(question, stop):  # so deep that it stays so
                self._cursor.asked.remove(question)
                self._cursor.aside.pop(challenging.resolution(contracts, number).name, None)
            return
        if contracts.post(question.receipt_id).status is PostStatus.SLASHED:
            told = f"question {number} came after another ground"
        elif contracts.clock() > question.due_at:
            told = f"question {number} was not answered in time"
        else:
            return
        action = "would resolve it"
        if self._policy.ask:
            wish = challenging.resolution(contracts, number)
            action = self._sent(self._cursor.aside, lambda: wish)
        tell(Sighting(receipt_id=question.receipt_id, verdict=told, action=action))
        self._keep()

    def _look(
        self, seen: Seen, bundle: BinaryIO | Exception | None, tell: Callable[[Sighting], None]
    ) -> None:
        """Look at one post, with what was fetched for it, if anything was."""
        with self._by_itself(bytes.fromhex(seen.receipt_id), tell):
            self._look_at(seen, bundle, tell)
        self._keep()

    def _look_at(
        self, seen: Seen, bundle: BinaryIO | Exception | None, tell: Callable[[Sighting], None]
    ) -> None:
        receipt_id = bytes.fromhex(seen.receipt_id)
        state = self._contracts.post(receipt_id)  # now: fetching took its time
        left = state.deadline - self._now()
        if state.status in _OVER or left < 0:
            if not seen.over_at:
                seen.over_at = self._contracts.node.head()[0]
                tell(Sighting(receipt_id=receipt_id, verdict=state.status.name.lower()))
            # Believed where blocks have come since: what ended it may be undone, and of several
            # nodes behind an address one may have another time.
            seen.is_over = seen.over_at < self._newest
            return
        seen.over_at = 0
        posted = self._contracts.posted(receipt_id)
        grounds, judged = self._judged(seen, posted, state, bundle)
        if state.promised and not state.settled and self._now() > state.expiry:
            grounds.insert(0, Ground(kind="timeout", told="a promised settlement is missing"))
        if not grounds and judged:
            seen.acted.append(SOUND)
            tell(Sighting(receipt_id=receipt_id, verdict=judged))
        for ground in grounds:
            if ground.kind in seen.acted:
                break
            action = self._act(seen, posted, ground, left)
            tell(Sighting(receipt_id=receipt_id, verdict=ground.told, action=action))
            if not action.startswith(_REFUSED):
                break  # one is enough to slash

    def _judged(
        self, seen: Seen, posted: Posted, state: PostState, bundle: BinaryIO | Exception | None
    ) -> tuple[list[Ground], str]:
        """Return the grounds; where there is none, what the evidence is worth, told once."""
        grounds = [*self._replays(seen, state.posted_at), *self._equivocations(posted)]
        if bundle is None:
            told = "its bundle could not be had when it was looked at"
            return grounds + [Ground(kind="unavailable", told=told)] * seen.is_missing, ""
        try:
            if isinstance(bundle, Exception):
                raise bundle
            shown = grounds_in(bundle, posted.commitment)
        except (NodeError, PostingError, UnreadableError) as fault:
            shown = [Ground(kind="unavailable", told=str(fault))]
        is_missing = any(one.kind == "unavailable" for one in shown)
        judged = ""
        if not (grounds or shown or SOUND in seen.acted or isinstance(bundle, Exception)):
            # Where this fails, it is the node that does not answer, and no solver that withholds.
            operator = self._contracts.operator_at(posted.commitment.solver_id, state.posted_at)
            bundle.seek(0)
            judged = judge_evidence(bundle, operator, self._beliefs)
        again = bool(shown) and not is_missing  # what convicts is not remembered
        looked(seen, self._now(), state.deadline, is_missing=is_missing, again=again)
        return grounds + shown, judged

    def _replays(self, seen: Seen, posted_at: int) -> Iterator[Ground]:
        """Yield the earlier posts with this one's evidence; of one block, as the contract counts.

        Not by the order in which they were seen: who posts two in one block chooses that.
        """
        for other in self._cursor.posts.values():
            is_same = (other.solver, other.evidence) == (seen.solver, seen.evidence)
            if not is_same or other.intent == seen.intent:
                continue
            earlier = bytes.fromhex(other.receipt_id)
            place = (self._contracts.post(earlier).posted_at, other.receipt_id)
            if place < (posted_at, seen.receipt_id):
                told = f"it shows the evidence of 0x{other.receipt_id}"
                yield Ground(kind="replay", told=told, earlier=earlier)
                return

    def _equivocations(self, posted: Posted) -> Iterator[Ground]:
        for one in self._signed():
            if is_equivocation(self._contracts, posted, one):
                told = "its solver signed another outcome of the same intent"
                yield Ground(kind="equivocation", told=told, signed=one)
                return

    def _act(self, seen: Seen, posted: Posted, ground: Ground, left: int) -> str:
        if ground.kind in ("unavailable", "unopened"):
            # What makes rounds long makes the next look late.
            if ground.kind == "unavailable" and not is_due(left, self._took):
                return "waiting for it"
            if not self._policy.ask:
                return "would ask for it"
        elif not self._policy.prove:
            return "would prove it"
        action = self._sent(seen.paid, lambda: wish_of(self._contracts, posted, ground))
        if action.startswith(_SENT):
            seen.acted.append(ground.kind)
        return action

    def _sent(self, paid: dict[str, int], wish: Callable[[], Wish]) -> str:
        """Do a wish, and say what became of it; `paid` has what was set aside, by wish."""
        if self._account is None:
            return "nobody to send it"
        try:
            return self._spend(self._account, paid, wish())
        except RevertError as fault:
            return f"{_REFUSED}{fault}"
        except (NodeError, PostingError, SpendRefused, LimitError, SigningError, WalError) as fault:
            return f"failed: {fault}"

    def _spend(self, account: Account, paid: dict[str, int], wish: Wish) -> str:
        gas, fees = account.price(wish)
        cost = gas * fees.max_fee + wish.value
        # What has a bond is a question, and has to be ended.
        later = RESOLUTION_GAS * fees.max_fee if wish.value else 0
        over = f"over the cap: it may cost {cost + later} wei"
        more = max(0, cost + later - paid.get(wish.name, 0))
        if not self._set_aside(more):
            return over
        paid[wish.name] = paid.get(wish.name, 0) + more
        self._keep()  # before it is sent: a crash must not spend it twice

        def anew() -> None:
            # The first one may count, too, whatever the node says of it.
            if not self._set_aside(cost):
                raise SpendRefused(over)
            self._keep()

        mined = account.do(wish, (gas, fees), anew=anew)
        dispute = challenging.opened_dispute(mined)
        if dispute is not None:
            end = challenging.resolution(self._contracts, dispute).name
            if end not in self._cursor.aside:
                paid[wish.name] -= later
                self._cursor.aside[end] = later
        return f"{_SENT}0x{mined.hash.hex()}"

    def _set_aside(self, wei: int) -> bool:
        """Count wei as spent, if the cap has room for it."""
        if self._cursor.spent + wei > self._policy.spend_max:
            return False
        self._cursor.spent += wei
        return True

    def _keep(self) -> None:
        keep_cursor(self._path, self._cursor)
