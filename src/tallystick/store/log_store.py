# SPDX-License-Identifier: Apache-2.0
"""A collector's log store on any engine: sequencing, integration, checkpoints.

Sequencing and the fence lock one row, `log_head`, and read the clock after they have it: so entry
times never decrease, and no entry above a fence is older than the checkpoint that comes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tallystick.crypto.merkle import Edge, tree_root
from tallystick.errors import StoreCorruptError, StoreError
from tallystick.limits import (
    CHAIN_NAMES_KEPT_MAX,
    INDEX_SEGMENT_ENTRIES,
    INTEGRATED_LEAVES_MAX,
)
from tallystick.model.submission import Intent, Placed, Submission
from tallystick.store.batch_plan import (
    BatchTree,
    ChainName,
    ChainState,
    Rows,
    hash_of,
    sequence_of,
)
from tallystick.store.key_index import DIGEST, RECEIPT_ID, key_of
from tallystick.store.log_reads import (
    LogReads,
    leaves_of,
    newest_checkpoints,
    salt_of,
    tile_roots,
)
from tallystick.store.sql import Access, Engine, Row

_CHAIN_COLUMNS = (
    "tenant, no, family, chain_hash, issuer_hash, chain_id, issuer, length, last_sequence, "
    "terminal, top, last_index, first_ms, last_ms"
)
_UPSERT_CHAIN = (
    "ON CONFLICT (tenant, no) DO UPDATE SET length = excluded.length, "
    "last_sequence = excluded.last_sequence, terminal = excluded.terminal, top = excluded.top, "
    "last_index = excluded.last_index, last_ms = excluded.last_ms"
)


class SqlLogStore(LogReads):
    """The whole store; `LogStore` in ports says what each method promises."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._chain_names: dict[ChainName, tuple[int, int]] = {}

    def place(self, submissions: Sequence[Submission], /) -> tuple[Placed, ...]:
        """Sequence a batch in one commit: contiguous indexes for what is new, in this order."""
        if not submissions:
            return ()
        engine = self._engine
        with engine.writing() as access:
            start, last_ms = access.rows(
                f"SELECT next_index, last_ms FROM log_head WHERE one = 1{engine.for_update}"
            )[0]
            time_ms = max(engine.clock_ms(access), last_ms)  # read after the lock is held
            self._catch_up(access, start)
            sequencing = _Sequencing(self, access, start, time_ms, submissions)
            places = sequencing.run()
        self._remember(sequencing)
        return places

    def advance(self) -> Intent:
        """Fence, integrate all entries before the fence, and store the next checkpoint's intent."""
        self._close_segments()
        while True:
            waiting = self.pending()
            if waiting is not None:
                return waiting
            size, time_s = self._fence()
            intent = self._intend(size, time_s)
            if intent is not None:
                return intent

    def release(self, number: int, note: bytes, /) -> None:
        """Store the signed note of an intent; another note for the same number is an error."""
        with self._engine.writing() as access:
            rows = access.rows(
                f"SELECT note FROM checkpoint WHERE number = ?{self._engine.for_update}",
                (number,),
            )
            if rows and rows[0][0] is None:
                access.run("UPDATE checkpoint SET note = ? WHERE number = ?", (note, number))
        if not rows:
            raise StoreError(f"there is no checkpoint {number}")
        if rows[0][0] is not None and bytes(rows[0][0]) != note:
            raise StoreError(f"checkpoint {number} was released with another note")

    def probe(self) -> None:
        """Return when the store has made a real durable write."""
        with self._engine.writing() as access:
            access.run("UPDATE probe SET count = count + 1 WHERE one = 1")

    def close(self) -> None:
        """Let go of files, locks and connections."""
        self._engine.close()

    def _remember(self, done: _Sequencing) -> None:
        """Take up in memory what is durable now."""
        if done.keys:
            with self._indexing:
                if self._index.known >= done.rows.start:
                    self._index.add(done.rows.start, done.keys)
        names = self._chain_names
        if len(names) > CHAIN_NAMES_KEPT_MAX:
            names.clear()
        for chain in done.changed.values():
            names[chain.name] = (chain.no, chain.family)

    def _fence(self) -> tuple[int, int]:
        """Store the clock under the sequencer's lock: what comes later is not older."""
        engine = self._engine
        with engine.writing() as access:
            size, last_ms = access.rows(
                f"SELECT next_index, last_ms FROM log_head WHERE one = 1{engine.for_update}"
            )[0]
            now = max(engine.clock_ms(access), last_ms)
            access.run("UPDATE log_head SET last_ms = ? WHERE one = 1", (now,))
        return size, now // 1000

    def _intend(self, size: int, time_s: int) -> Intent | None:
        """Integrate up to `size` and store the intent; None where another process was faster."""
        while True:
            with self._engine.writing() as access:
                done, stored = access.rows(
                    f"SELECT size, edge FROM tree WHERE one = 1{self._engine.for_update}"
                )[0]
                newest = newest_checkpoints(access)[:1]
                if done > size or any(
                    one.note is None or one.size > size or one.time_s > time_s for one in newest
                ):
                    return None
                edge = edge_of(done, bytes(stored))
                _integrate(access, edge, min(size, done + INTEGRATED_LEAVES_MAX))
                if edge.size < size:
                    continue  # the next transaction goes on
                number = newest[0].number + 1 if newest else 1
                root = _head(access, edge)
                access.insert(
                    "INSERT INTO checkpoint (number, time_s, size)", [(number, time_s, size)]
                )
                intent = Intent(number=number, time_s=time_s, size=size, root=root)
            break
        return intent

    def _close_segments(self) -> None:
        """Write the runs of segments that are full: sorted before the transaction begins."""
        while (segment := self._index.full_segment()) is not None:
            start = segment * INDEX_SEGMENT_ENTRIES
            with self._engine.reading() as access:
                leaves = leaves_of(access, start, start + INDEX_SEGMENT_ENTRIES)
            rows = self._index.runs_of(segment, leaves)
            with self._engine.writing() as access:
                access.insert("INSERT INTO run (slot, words)", rows, "ON CONFLICT DO NOTHING")
            with self._indexing:
                self._index.close(segment)


class _Sequencing:
    """One batch inside its transaction."""

    def __init__(
        self,
        store: SqlLogStore,
        access: Access,
        start: int,
        time_ms: int,
        submissions: Sequence[Submission],
    ) -> None:
        self._store = store
        self._access = access
        self._submissions = submissions
        self.rows = Rows(start, time_ms)
        self.keys: list[tuple[int, int]] = []
        self.changed: dict[int, ChainState] = {}
        self._salts: dict[str, tuple[bytes, int]] = {}
        self._names: dict[tuple[str, str, str], ChainName] = {}
        self._ids: set[tuple[bytes, bytes]] = set()
        self._positions: set[tuple[int, int]] = set()

    def run(self) -> tuple[Placed, ...]:
        """Write what is new, and return all places in the order of the submissions."""
        found: list[tuple[int, bool, bool, bool]] = []
        new: dict[tuple[bytes, bytes], int] = {}
        judged = [self._judged(one) for one in self._submissions]
        chains, families = self._chains(
            one
            for one, (_, old, _, _) in zip(self._submissions, judged, strict=True)
            if old is None
        )
        for one, (tenant, old, keys, knows_id) in zip(self._submissions, judged, strict=True):
            there = new.get((tenant, one.digest)) if old is None else old
            if there is not None:
                found.append((there, False, False, False))
                continue
            name = self._name_of(one)
            chain = chains.get(name)
            root = families.get(name[:2])
            if chain is None:
                index = self.rows.start + len(self.rows.leaves)
                family = index if root is None else root.no
                chain = chains[name] = ChainState(
                    name,
                    chain_id=one.chain_id.encode(),
                    issuer=one.issuer.encode(),
                    no=index,
                    family=family,
                    first_ms=self.rows.time_ms,
                )
                if root is None:
                    root = families[name[:2]] = chain
            assert root is not None
            shares_position = self._shares_position(root, sequence_of(one))
            shares_id = knows_id or (tenant, one.id_hash) in self._ids
            self._ids.add((tenant, one.id_hash))
            index = self.rows.take(one, chain)
            self.changed[chain.no] = chain
            new[tenant, one.digest] = index
            self.keys.append(keys)
            found.append((index, True, shares_id, shares_position))
        return self._write(found)

    def _judged(self, one: Submission) -> tuple[bytes, int | None, tuple[int, int], bool]:
        """Return (tenant, index it already has, keys, whether the id is known)."""
        salted = self._salts.get(one.tenant)
        if salted is None:
            tenant = one.tenant.encode()
            salted = self._salts[one.tenant] = (tenant, salt_of(tenant))
        tenant, salt = salted
        index = self._store._index
        digest_key, id_key = key_of(salt, one.digest), key_of(salt, one.id_hash)
        old = None
        if index.may_hold(DIGEST, digest_key):
            old = self._store._digest_at(self._access, tenant, one.digest)
        shares_id = (
            old is None
            and index.may_hold(RECEIPT_ID, id_key)
            and self._store._has_id(self._access, tenant, one.id_hash, id_key)
        )
        return tenant, old, (digest_key, id_key), shares_id

    def _chains(
        self, submissions: Iterable[Submission]
    ) -> tuple[dict[ChainName, ChainState], dict[tuple[bytes, bytes], ChainState]]:
        """Return the chains there are, by their names, and their families' roots."""
        names = {self._name_of(one) for one in submissions}
        known = self._store._chain_names
        numbers = {name: known[name] for name in names if name in known}
        unknown = [name for name in names if name not in known]
        wanted: set[tuple[bytes, int]] = set()
        if unknown:
            for tenant, chain_hash, issuer_hash, no, family in self._access.lookup(
                "SELECT tenant, chain_hash, issuer_hash, no, family FROM chain",
                ("tenant", "chain_hash", "issuer_hash"),
                unknown,
            ):
                numbers[bytes(tenant), bytes(chain_hash), bytes(issuer_hash)] = (no, family)
            for tenant, no in self._access.lookup(
                "SELECT tenant, no FROM chain WHERE no = family",
                ("tenant", "chain_hash"),
                list({name[:2] for name in unknown if name not in numbers}),
            ):
                wanted.add((bytes(tenant), no))
        for (tenant, _, _), both in numbers.items():
            wanted.update((tenant, no) for no in both)
        states = [
            _chain_state(row)
            for row in self._access.lookup(
                f"SELECT {_CHAIN_COLUMNS} FROM chain",
                ("tenant", "no"),
                list(wanted),
            )
        ]
        return (
            {one.name: one for one in states},
            {one.name[:2]: one for one in states if one.no == one.family},
        )

    def _name_of(self, one: Submission) -> ChainName:
        names = (one.tenant, one.chain_id, one.issuer)
        found = self._names.get(names)
        if found is None:
            tenant = self._salts[one.tenant][0]
            found = self._names[names] = (tenant, hash_of(one.chain_id), hash_of(one.issuer))
        return found

    def _shares_position(self, root: ChainState, sequence: int) -> bool:
        """Whether the family has this sequence already; notes that it has it now."""
        if sequence < 0:
            return False
        position = (root.no, sequence)
        if sequence > root.top:
            root.top = sequence
            self.changed[root.no] = root
            shares = False
        else:
            shares = position in self._positions or bool(
                self._access.rows(
                    "SELECT 1 FROM entry WHERE family = ? AND sequence = ? LIMIT 1", position
                )
            )
        self._positions.add(position)
        return shares

    def _write(self, found: list[tuple[int, bool, bool, bool]]) -> tuple[Placed, ...]:
        """Insert the rows, and put the places together."""
        access, rows = self._access, self.rows
        tree = None
        if rows.leaves:
            tree = BatchTree(rows.start, rows.time_ms, rows.leaves)
            batch = tree.batch
            access.insert(
                "INSERT INTO batch (start, stop, time_ms, root)",
                [(batch.start, batch.stop, batch.time_ms, batch.root)],
            )
            access.insert(
                "INSERT INTO entry (idx, tenant, chain, family, sequence, terminal, digest, "
                "id_hash, leaf_hash)",
                rows.entries,
            )
            access.insert(
                "INSERT INTO body (idx, tenant, family, receipt_id, receipt_hash, body)",
                rows.bodies,
            )
            access.insert(
                f"INSERT INTO chain ({_CHAIN_COLUMNS})",
                [one.row() for one in self.changed.values()],
                _UPSERT_CHAIN,
            )
            access.run(
                "UPDATE log_head SET next_index = ?, last_ms = ? WHERE one = 1",
                (batch.stop, batch.time_ms),
            )
        old = sorted({index for index, *_ in found if index < rows.start})
        places = dict(zip(old, self._store._old_places(access, old), strict=True))
        given = []
        for one, (index, is_new, shares_id, shares_position) in zip(
            self._submissions, found, strict=True
        ):
            if index < rows.start:
                given.append(places[index])
            else:
                assert tree is not None
                given.append(
                    tree.placed(
                        index,
                        one,
                        is_new=is_new,
                        shares_id=shares_id,
                        shares_position=shares_position,
                    )
                )
        return tuple(given)


def edge_of(size: int, stored: bytes) -> Edge:
    """Return the right edge of the tree as it is stored."""
    if len(stored) != 32 * size.bit_count():
        raise StoreCorruptError(f"the edge of the tree of size {size} has another length")
    return Edge(size, [stored[at : at + 32] for at in range(0, len(stored), 32)])


def _integrate(access: Access, edge: Edge, stop: int) -> None:
    """Add leaves up to `stop`, with each tile that they fill."""
    size = edge.size
    if stop == size:
        return
    base = size // 256 * 256
    leaves = leaves_of(access, base, stop)
    if len(leaves) != stop - base:
        raise StoreCorruptError(f"entries {base} to {stop - 1} have gaps")
    for leaf in leaves[size - base :]:
        edge.append(leaf)
    tiles: list[Row] = []
    for number in range(base // 256, stop // 256):
        row = leaves[number * 256 - base : number * 256 - base + 256]
        tiles.append((0, number, tree_root(row), b"".join(row)))
    _insert_tiles(access, tiles)
    level = 1
    first, last = base // 256, stop // 256  # tiles that the level below has gained
    while last // 256 > first // 256:
        tiles = []
        for number in range(first // 256, last // 256):
            row = tile_roots(access, level - 1, number * 256, number * 256 + 256)
            tiles.append((level, number, tree_root(row), b"".join(row)))
        _insert_tiles(access, tiles)
        level, first, last = level + 1, first // 256, last // 256
    access.run("UPDATE tree SET size = ?, edge = ? WHERE one = 1", (stop, b"".join(edge.hashes)))


def _insert_tiles(access: Access, tiles: list[Row]) -> None:
    access.insert("INSERT INTO tile (level, number, root, hashes)", tiles)


def _head(access: Access, edge: Edge) -> bytes:
    """Return the tree's head; a size that was signed before must have the head that it had."""
    root = edge.root()
    rows = access.rows("SELECT root FROM head WHERE size = ?", (edge.size,))
    if not rows:
        access.insert("INSERT INTO head (size, root)", [(edge.size, root)])
    elif bytes(rows[0][0]) != root:
        raise StoreCorruptError(f"the tree of size {edge.size} had another head before")
    return root


def _chain_state(row: Row) -> ChainState:
    tenant, no, family, chain_hash, issuer_hash, chain_id, issuer, *counts = row
    name = (bytes(tenant), bytes(chain_hash), bytes(issuer_hash))
    length, last_sequence, terminal, top, last_index, first_ms, last_ms = counts
    state = ChainState(
        name,
        chain_id=bytes(chain_id),
        issuer=bytes(issuer),
        no=no,
        family=family,
        first_ms=first_ms,
    )
    state.length, state.last_sequence, state.terminal = length, last_sequence, terminal
    state.top, state.last_index, state.last_ms = top, last_index, last_ms
    return state
