# SPDX-License-Identifier: Apache-2.0
"""One batch inside its transaction: what is new gets rows and places, the rest its old places."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tallystick.limits import CHAIN_NAMES_KEPT_MAX
from tallystick.model.submission import Placed, Submission
from tallystick.store.batch_plan import (
    CHAIN_COUNTS,
    BatchTree,
    ChainName,
    ChainState,
    FamilyName,
    Rows,
    hash_of,
    sequence_of,
)
from tallystick.store.key_index import DIGEST, RECEIPT_ID, keys_of
from tallystick.store.log_reads import LogReads, old_places, salt_of
from tallystick.store.sql import Access, Row

CHAIN_COLUMNS = (
    "tenant, no, family, chain_hash, issuer_hash, chain_id, issuer, length, last_sequence, "
    "terminal, top, last_index, first_ms, last_ms"
)


class KnownChains:
    """Chains that a store need not look for: by name, and as they are where nobody else writes."""

    def __init__(self, *, is_exclusive: bool) -> None:
        self.is_exclusive = is_exclusive
        self.numbers: dict[ChainName, tuple[int, int]] = {}
        self.states: dict[ChainName, ChainState] = {}
        self.roots: dict[FamilyName, ChainState] = {}

    def clear(self) -> None:
        """Forget all: the database knows."""
        self.numbers.clear()
        self.states.clear()
        self.roots.clear()

    def remember(self, chains: Iterable[ChainState]) -> None:
        """Note which chains there are, once that is durable."""
        if not self.is_exclusive:
            self.numbers.update({one.name: (one.no, one.family) for one in chains})
        if len(self.numbers) + len(self.states) > CHAIN_NAMES_KEPT_MAX:
            self.clear()


class Sequencing:
    """One batch inside its transaction."""

    def __init__(
        self,
        reads: LogReads,
        known: KnownChains,
        access: Access,
        submissions: Sequence[Submission],
        *,
        start: int,
        time_ms: int,
    ) -> None:
        self._reads = reads
        self._known = known
        self._access = access
        self._submissions = submissions
        self.rows = Rows(start, time_ms)
        self.keys: list[tuple[int, int]] = []
        self.changed: dict[int, ChainState] = {}
        self._names: dict[tuple[str, str, str], ChainName] = {}
        self._tenants: dict[str, bytes] = {}

    def run(self) -> tuple[Placed, ...]:
        """Write what is new, and return all places in the order of the submissions."""
        found: list[tuple[int, bool, bool, bool]] = []
        new: dict[tuple[bytes, bytes], int] = {}
        ids: set[tuple[bytes, bytes]] = set()
        rows, take, changed = self.rows, self.rows.take, self.changed
        names = [self._name_of(one) for one in self._submissions]
        judged = self._judged(names)
        chains, families = self._chains(
            {name for name, (old, _, _) in zip(names, judged, strict=True) if old is None}
        )
        for one, name, (old, keys, knows_id) in zip(self._submissions, names, judged, strict=True):
            there = new.get((name[0], one.digest)) if old is None else old
            if there is not None:
                found.append((there, False, False, False))
                continue
            chain = chains.get(name)
            root = families.get(name[:2])
            if chain is None:
                index = rows.start + len(rows.leaves)
                family = index if root is None else root.no
                chain = chains[name] = ChainState(
                    name,
                    chain_id=one.chain_id.encode(),
                    issuer=one.issuer.encode(),
                    no=index,
                    family=family,
                    first_ms=rows.time_ms,
                )
                if root is None:
                    root = families[name[:2]] = chain
            assert root is not None
            sequence = sequence_of(one)
            shares_position = self._shares_position(root, sequence)
            own_id = (name[0], one.id_hash)
            shares_id = knows_id or own_id in ids
            ids.add(own_id)
            index = take(one, chain, sequence)
            changed[chain.no] = chain
            new[name[0], one.digest] = index
            self.keys.append(keys)
            found.append((index, True, shares_id, shares_position))
        places = self._write(found)
        if self._known.is_exclusive:
            for chain in (*chains.values(), *families.values()):
                chain.is_new = False
            self._known.states.update(chains)
            self._known.roots.update(families)
        return places

    def _judged(self, names: Sequence[ChainName]) -> list[tuple[int | None, tuple[int, int], bool]]:
        """Return for each (index it already has, its keys, whether its id is known)."""
        index, access, reads = self._reads.index, self._access, self._reads
        salt_by_tenant = {tenant: salt_of(tenant) for tenant in {name[0] for name in names}}
        salts = [salt_by_tenant[name[0]] for name in names]
        digests = keys_of(salts, [one.digest for one in self._submissions])
        ids = keys_of(salts, [one.id_hash for one in self._submissions])
        known_digests, known_ids = index.possible(DIGEST, digests), index.possible(RECEIPT_ID, ids)
        if not (known_digests or known_ids):
            return [(None, keys, False) for keys in zip(digests, ids, strict=True)]
        judged: list[tuple[int | None, tuple[int, int], bool]] = []
        for one, name, digest, receipt_id in zip(
            self._submissions, names, digests, ids, strict=True
        ):
            old = None
            if digest in known_digests:
                old = reads.digest_at(access, name[0], one.digest)
            knows_id = (
                old is None
                and receipt_id in known_ids
                and reads.has_id(access, name[0], one.id_hash, receipt_id)
            )
            judged.append((old, (digest, receipt_id), knows_id))
        return judged

    def _chains(
        self, names: set[ChainName]
    ) -> tuple[dict[ChainName, ChainState], dict[FamilyName, ChainState]]:
        """Return the chains there are, by their names, and their families' roots."""
        known = self._known
        chains = {name: known.states[name] for name in names if name in known.states}
        families = {name[:2]: known.roots[name[:2]] for name in names if name[:2] in known.roots}
        rest = names - chains.keys()
        if rest:
            for state in self._stored_chains(rest):
                # Where one is known already, that is the object which counts on.
                same = known.states.get(state.name, state)
                chains[same.name] = same
                if same.no == same.family:
                    families.setdefault(same.name[:2], same)
        return chains, families

    def _stored_chains(self, names: set[ChainName]) -> list[ChainState]:
        """Return the chains of these names, and the roots of their families, as they are stored."""
        known = self._known.numbers
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
        return [
            chain_state(row)
            for row in self._access.lookup(
                f"SELECT {CHAIN_COLUMNS} FROM chain", ("tenant", "no"), list(wanted)
            )
        ]

    def _name_of(self, one: Submission) -> ChainName:
        names = (one.tenant, one.chain_id, one.issuer)
        found = self._names.get(names)
        if found is None:
            tenant = self._tenants.setdefault(one.tenant, one.tenant.encode())
            found = self._names[names] = (tenant, hash_of(one.chain_id), hash_of(one.issuer))
        return found

    def _shares_position(self, root: ChainState, sequence: int) -> bool:
        """Whether the family has this sequence already, and note that it has it now."""
        if sequence < 0:
            return False
        if sequence > root.top:
            root.top = sequence
            self.changed[root.no] = root
            return False
        return self.rows.holds(root.no, sequence) or bool(
            self._access.rows(
                "SELECT 1 FROM entry WHERE family = ? AND sequence = ? LIMIT 1",
                (root.no, sequence),
            )
        )

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
            changed = self.changed.values()
            access.insert(
                f"INSERT INTO chain ({CHAIN_COLUMNS})", [one.row() for one in changed if one.is_new]
            )
            access.update(
                "chain",
                CHAIN_COUNTS,
                ("tenant", "no"),
                [one.counts() for one in changed if not one.is_new],
            )
            access.run(
                "UPDATE log_head SET next_index = ?, last_ms = ? WHERE one = 1",
                (batch.stop, batch.time_ms),
            )
        old = sorted({index for index, *_ in found if index < rows.start})
        places = dict(zip(old, old_places(access, old), strict=True))
        paths = [] if tree is None else tree.paths()
        given = []
        for index, is_new, shares_id, shares_position in found:
            at = index - rows.start
            if at < 0:
                given.append(places[index])
                continue
            assert tree is not None
            given.append(
                Placed(
                    index=index,
                    batch=tree.batch,
                    leaf_hash=rows.leaves[at],
                    entry=rows.encoded[at],
                    path_lines=paths[at],
                    is_new=is_new,
                    shares_id=shares_id,
                    shares_position=shares_position,
                )
            )
        return tuple(given)


def chain_state(row: Row) -> ChainState:
    """Return a chain as its row has it."""
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
    state.is_new = False
    return state
