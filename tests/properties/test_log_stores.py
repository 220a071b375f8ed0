# SPDX-License-Identifier: Apache-2.0
"""Both stores equal a model of a few lines, whatever is asked of them and in whatever order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.logs import path_of
from tests.postgres_server import PostgresServer, running_postgres
from tests.stores import PostgresLog, SqliteLog
from tests.submissions import note_of, submission

from tallystick.crypto.merkle import leaf_hash, tree_root, verify_inclusion
from tallystick.model.log_entry import encode_entry
from tallystick.model.submission import Intent, Placed, Submission
from tallystick.store.fsck import check_engine
from tallystick.store.log_store import SqlLogStore

EXAMPLES = int(os.environ.get("TALLY_EXAMPLES", "12"))

# Few values, so that ids, positions and whole receipts meet again and again.
RECEIPTS = st.builds(
    submission,
    st.sampled_from("abcd"),
    tenant=st.sampled_from(["t", "u"]),
    chain_id=st.sampled_from(["one", "two"]),
    issuer=st.sampled_from(["did:a", "did:b"]),
    sequence=st.sampled_from([None, 0, 1, 2, 3]),
    terminal=st.sampled_from([None, None, "complete", "interrupted"]),
    note=st.sampled_from(["", "x"]),
)


class Model:
    """What a log store is: a list, and what follows from it."""

    def __init__(self) -> None:
        self.entries: list[tuple[Submission, int, bytes]] = []
        self.places: dict[tuple[str, bytes], Placed] = {}
        self.last_ms = 0
        self.checkpoints: list[Intent] = []

    def place(self, given: list[Submission], now_ms: int) -> list[tuple[int, bool, bool, bool]]:
        """Return (index, is new, shares id, shares position) of each."""
        found = []
        time_ms = max(now_ms, self.last_ms)
        for one in given:
            older = [entry for entry, _, _ in self.entries if entry.tenant == one.tenant]
            same = [
                at
                for at, (entry, _, _) in enumerate(self.entries)
                if (entry.tenant, entry.digest) == (one.tenant, one.digest)
            ]
            if same:
                found.append((same[0], False, False, False))
                continue
            position = (one.chain_id, one.sequence)
            found.append(
                (
                    len(self.entries),
                    True,
                    any(entry.receipt_id == one.receipt_id for entry in older),
                    one.sequence is not None
                    and any((entry.chain_id, entry.sequence) == position for entry in older),
                )
            )
            entry = encode_entry(time_ms, one.digest, one.id_hash)
            self.entries.append((one, time_ms, leaf_hash(entry)))
            self.last_ms = time_ms
        return found

    def summaries(self, tenant: str) -> list[tuple[object, ...]]:
        """Return what `chains` says of a tenant."""
        chains: dict[tuple[str, str], list[tuple[int, Submission, int]]] = {}
        for index, (one, time_ms, _) in enumerate(self.entries):
            if one.tenant == tenant:
                chains.setdefault((one.chain_id, one.issuer), []).append((index, one, time_ms))
        found: list[tuple[object, ...]] = []
        for (chain_id, issuer), members in chains.items():
            sequences = [one.sequence for _, one, _ in members if one.sequence is not None]
            last = max(sequences, default=None)
            at_end = [one.terminal for _, one, _ in members if one.sequence == last]
            found.append(
                (
                    chain_id,
                    issuer,
                    len(members),
                    last,
                    next((one for one in at_end if one is not None), "unknown"),
                    members[0][0],
                    members[-1][0],
                    members[0][2],
                    members[-1][2],
                )
            )
        return found


class Machine(RuleBasedStateMachine):
    """One store, now and then closed and opened, or opened twice where that is allowed."""

    server: PostgresServer | None = None

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self.now_ms = 1_700_000_000_000
        self.model = Model()
        self.stores: list[SqlLogStore] = []

    def open(self) -> SqlLogStore:
        """Open the store once more."""
        if self.server is None:
            return SqliteLog(Path(self._folder.name) / "db", clock_ms=lambda: self.now_ms)
        return PostgresLog(self.url, clock_ms=lambda: self.now_ms)

    @initialize()
    def begin(self) -> None:
        """Start with an empty store; on PostgreSQL two processes' worth of them."""
        self.url = "" if self.server is None else self.server.new_database()
        self.stores = [self.open() for _ in range(1 if self.server is None else 2)]

    @rule(given=st.lists(RECEIPTS, max_size=6), which=st.integers(0, 1))
    def place(self, given: list[Submission], which: int) -> None:
        """Places and flags are the model's; each place is proven; an old one is as it was."""
        store = self.stores[which % len(self.stores)]
        expected = self.model.place(given, self.now_ms)
        placed = store.place(given)
        assert [
            (one.index, one.is_new, one.shares_id, one.shares_position) for one in placed
        ] == expected
        for one, sent in zip(placed, given, strict=True):
            batch = one.batch
            assert verify_inclusion(
                leaf_hash(one.entry),
                one.index - batch.start,
                batch.stop - batch.start,
                path_of(one),
                batch.root,
            )
            kept = self.model.places.setdefault((sent.tenant, sent.digest), one)
            assert (one.batch, one.entry, one.path_lines) == (
                kept.batch,
                kept.entry,
                kept.path_lines,
            )

    @rule(step=st.integers(-5000, 20_000))
    def tick(self, step: int) -> None:
        """Time goes on, or back."""
        self.now_ms += step

    @rule(which=st.integers(0, 1))
    def advance(self, which: int) -> None:
        """The intent is the model's: everything so far, at a time that never goes back."""
        intent = self.stores[which % len(self.stores)].advance()
        known = self.model.checkpoints
        if known and known[-1].note is None:
            assert intent == known[-1]
            return
        self.model.last_ms = max(self.model.last_ms, self.now_ms)
        leaves = [leaf for _, _, leaf in self.model.entries]
        assert intent == Intent(
            number=len(known) + 1,
            time_s=self.model.last_ms // 1000,
            size=len(leaves),
            root=tree_root(leaves),
        )
        known.append(intent)

    @precondition(lambda self: self.model.checkpoints)
    @rule(which=st.integers(0, 1))
    def release(self, which: int) -> None:
        """The newest intent gets its note; once more changes nothing."""
        known = self.model.checkpoints
        note = note_of(known[-1])
        self.stores[which % len(self.stores)].release(known[-1].number, note)
        last = known[-1]
        known[-1] = Intent(
            number=last.number, time_s=last.time_s, size=last.size, root=last.root, note=note
        )

    @rule(which=st.integers(0, 1))
    def reopen(self, which: int) -> None:
        """A restart changes nothing."""
        at = which % len(self.stores)
        self.stores[at].close()
        self.stores[at] = self.open()

    @rule(tenant=st.sampled_from("tu"), which=st.integers(0, 1))
    def read(self, tenant: str, which: int) -> None:
        """Every reader's question has the model's answer."""
        store, entries = self.stores[which % len(self.stores)], self.model.entries
        own = [(at, one) for at, (one, _, _) in enumerate(entries) if one.tenant == tenant]
        for name in "abcd":
            receipt_id = f"urn:receipt:{name}"
            assert [(one.index, one.body) for one in store.by_id(tenant, receipt_id)] == [
                (at, one.body) for at, one in own if one.receipt_id == receipt_id
            ]
        for chain_id in ("one", "two"):
            order = sorted(
                (-1 if one.sequence is None else one.sequence, at, one.body)
                for at, one in own
                if one.chain_id == chain_id
            )
            found = store.chain(tenant, chain_id, after=(-1, -1), limit=1000)
            assert [
                (-1 if one.sequence is None else one.sequence, one.index, one.body) for one in found
            ] == order
        summed = store.chains(tenant, issuer=None, since_ms=None, after=-1, limit=1000)
        assert [
            (
                one.chain_id,
                one.issuer,
                one.length,
                one.last_sequence,
                one.termination,
                one.first_index,
                one.last_index,
                one.first_time_ms,
                one.last_time_ms,
            )
            for one in summed
        ] == self.model.summaries(tenant)
        for at, one in own:
            placed = store.placed(tenant, one.digest)
            assert placed is not None
            assert placed.index == at
            stored = store.by_leaf(tenant, entries[at][2])
            assert stored is not None
            assert stored.body == entries[stored.index][0].body

    @invariant()
    def log_is_the_model_s(self) -> None:
        """Leaves, entries, and the newest checkpoints."""
        for store in self.stores:
            entries = self.model.entries
            assert store.next_index() == len(entries)
            assert store.leaf_hashes(0, len(entries)) == b"".join(leaf for _, _, leaf in entries)
            assert store.entries(0, len(entries)) == tuple(
                encode_entry(time_ms, one.digest, one.id_hash) for one, time_ms, _ in entries
            )
            released = [one for one in self.model.checkpoints if one.note is not None]
            waiting = [one for one in self.model.checkpoints if one.note is None]
            assert store.released() == (released[-1] if released else None)
            assert store.pending() == (waiting[0] if waiting else None)

    def teardown(self) -> None:
        """What is left behind is sound."""
        for store in self.stores[:1]:
            assert check_engine(store.engine).faults == []
        for store in self.stores:
            store.close()
        self._folder.cleanup()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server for all examples."""
    with running_postgres() as one:
        yield one


def test_sqlite_equals_the_model() -> None:
    """The store on SQLite, closed and opened again at any moment."""
    run_state_machine_as_test(
        Machine, settings=settings(max_examples=2 * EXAMPLES, stateful_step_count=25)
    )


def test_postgres_equals_the_model(server: PostgresServer) -> None:
    """The store on PostgreSQL, by two processes' worth of stores on one database."""

    class OnPostgres(Machine):
        pass

    OnPostgres.server = server
    run_state_machine_as_test(
        OnPostgres, settings=settings(max_examples=EXAMPLES, stateful_step_count=25)
    )
