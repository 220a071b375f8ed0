# SPDX-License-Identifier: Apache-2.0
"""One batch inside its transaction: what is new gets rows and places, the rest its old places."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

import msgspec

from tallystick.limits import CHAIN_NAMES_KEPT_MAX
from tallystick.model.submission import Placed, Submission
from tallystick.store.batch_plan import (
    BODY_COLUMNS,
    CHAIN_COUNTS,
    ENTRY_COLUMNS,
    BatchTree,
    ChainName,
    ChainState,
    FamilyName,
    Rows,
    hash_of,
)
from tallystick.store.key_index import keys_of
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
        self._stop = 0  # the entries that there are where what is known holds

    def begin(self, start: int) -> None:
        """Forget what was noted in a transaction that came to nothing when it was committed."""
        if self.is_exclusive and start != self._stop:
            self.clear()

    def end(self, stop: int) -> None:
        """Note up to where the entries go, if this transaction is committed."""
        self._stop = stop

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
        self._start = start
        self._time_ms = time_ms
        self.rows: Rows
        self.keys: list[tuple[int, int]] = []
        self.changed: dict[int, ChainState] = {}
        self._names: dict[tuple[str, str, str], ChainName] = {}
        self._tenants: dict[str, bytes] = {}

    def run(self) -> tuple[Placed, ...]:
        """Write what is new, and return all places in the order of the submissions."""
        submissions = self._submissions
        names = self._names_of(submissions)
        salt_by_tenant = {tenant: salt_of(tenant) for tenant in {name[0] for name in names}}
        salts = [salt_by_tenant[name[0]] for name in names]
        digests = keys_of(salts, [one.digest for one in submissions])
        ids = keys_of(salts, [one.id_hash for one in submissions])
        # Who has the digest of another one has its id, too.
        known = self._reads.index.possible(ids)
        self.keys = [*zip(digests, ids, strict=True)]
        indexes: list[int] | None = None
        twins: set[int] = set()
        if known or len({*ids}) < len(ids):
            indexes, kept, twins = self._sorted_out(names, known)
            submissions = [submissions[at] for at in kept]
            names = [names[at] for at in kept]
            self.keys = [self.keys[at] for at in kept]
        self.rows = Rows(self._start, self._time_ms, submissions)
        forks = self._give_chains(names)
        new = self._write(twins, forks)
        return new if indexes is None else self._merged(indexes, new)

    def _sorted_out(
        self, names: Sequence[ChainName], known: set[int]
    ) -> tuple[list[int], list[int], set[int]]:
        """Return the index of each, which of them are new, and which of those share their id."""
        access, reads = self._access, self._reads
        indexes: list[int] = []
        kept: list[int] = []
        twins: set[int] = set()
        new: dict[tuple[bytes, bytes], int] = {}
        ids: set[tuple[bytes, bytes]] = set()
        for at, (one, (tenant, *_), (digest, receipt_id)) in enumerate(
            zip(self._submissions, names, self.keys, strict=True)
        ):
            there = None
            if receipt_id in known:
                there = reads.digest_at(access, tenant, one.digest, digest, receipt_id=receipt_id)
            if there is None:
                there = new.get((tenant, one.digest))
            if there is None:
                there = new[tenant, one.digest] = self._start + len(kept)
                own_id = (tenant, one.id_hash)
                if own_id in ids or (
                    receipt_id in known and reads.has_id(access, tenant, one.id_hash, receipt_id)
                ):
                    twins.add(len(kept))
                ids.add(own_id)
                kept.append(at)
            indexes.append(there)
        return indexes, kept, twins

    def _give_chains(self, names: Sequence[ChainName]) -> set[int]:
        """Give each new receipt its chain; return those whose position another one has."""
        rows, changed, forks = self.rows, self.changed, set[int]()
        chains, families = self._chains({*names})
        at, count = 0, len(names)
        while at < count:
            name, stop = names[at], at + 1
            while stop < count and names[stop] is name:
                stop += 1
            chain = chains.get(name)
            if chain is None:
                root = families.get(name[:2])
                one, no = rows.submissions[at], rows.start + at
                chain = chains[name] = ChainState(
                    name,
                    chain_id=one.chain_id.encode(),
                    issuer=one.issuer.encode(),
                    no=no,
                    family=no if root is None else root.no,
                    first_ms=rows.time_ms,
                )
                families.setdefault(name[:2], chain)
            rows.take(chain, stop - at)
            changed[chain.no] = chain
            root = families[name[:2]]
            top = root.top
            for place, sequence in enumerate(rows.sequences[at:stop], at):
                if sequence > top:
                    top = sequence
                elif sequence >= 0 and self._is_taken(root.no, sequence, place):
                    forks.add(place)
            if top > root.top:
                root.top = top
                changed[root.no] = root
            at = stop
        if self._known.is_exclusive:
            self._known.states.update(chains)
            self._known.roots.update(families)
        return forks

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

    def _names_of(self, submissions: Sequence[Submission]) -> list[ChainName]:
        """Return the chain of each; neighbours mostly share theirs."""
        names: list[ChainName] = []
        before = submissions[0]
        name = self._name_of(before)
        for one in submissions:
            if (
                one.chain_id != before.chain_id
                or one.issuer != before.issuer
                or one.tenant != before.tenant
            ):
                name = self._name_of(one)
                before = one
            names.append(name)
        return names

    def _name_of(self, one: Submission) -> ChainName:
        names = (one.tenant, one.chain_id, one.issuer)
        found = self._names.get(names)
        if found is None:
            tenant = self._tenants.setdefault(one.tenant, one.tenant.encode())
            found = self._names[names] = (tenant, hash_of(one.chain_id), hash_of(one.issuer))
        return found

    def _is_taken(self, family: int, sequence: int, place: int) -> bool:
        """Whether a receipt before the one at that place has this position."""
        return self.rows.holds(family, sequence, place) or bool(
            self._access.rows(
                "SELECT 1 FROM entry WHERE family = ? AND sequence = ? LIMIT 1", (family, sequence)
            )
        )

    def _write(self, twins: Container[int], forks: Container[int]) -> tuple[Placed, ...]:
        """Insert what is new, and return its places."""
        access, rows = self._access, self.rows
        if not rows.leaves:
            return ()
        tree = BatchTree(rows.start, rows.time_ms, rows.leaves)
        batch = tree.batch
        access.insert(
            "INSERT INTO batch (start, stop, time_ms, root)",
            [(batch.start, batch.stop, batch.time_ms, batch.root)],
        )
        access.insert_columns(f"INSERT INTO entry ({ENTRY_COLUMNS})", rows.entries())
        access.insert_columns(f"INSERT INTO body ({BODY_COLUMNS})", rows.bodies())
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
        for chain in changed:
            chain.is_new = False
        access.run(
            "UPDATE log_head SET next_index = ?, last_ms = ? WHERE one = 1",
            (batch.stop, batch.time_ms),
        )
        return tuple(
            Placed(
                index=index,
                batch=batch,
                leaf_hash=leaf,
                entry=entry,
                path_text=path,
                is_new=True,
                shares_id=at in twins,
                shares_position=at in forks,
            )
            for at, (index, leaf, entry, path) in enumerate(
                zip(
                    range(batch.start, batch.stop),
                    rows.leaves,
                    rows.encoded,
                    tree.paths(),
                    strict=True,
                )
            )
        )

    def _merged(self, indexes: Sequence[int], new: Sequence[Placed]) -> tuple[Placed, ...]:
        """Return the places of all, of which some were there; a new one counts once as new."""
        start = self._start
        old = sorted({index for index in indexes if index < start})
        places = dict(zip(old, old_places(self._access, old), strict=True))
        fresh = iter(new)
        following = next(fresh, None)
        merged: list[Placed] = []
        for index in indexes:
            if following is not None and following.index == index:
                merged.append(following)
                following = next(fresh, None)
            elif index < start:
                merged.append(places[index])
            else:
                merged.append(
                    msgspec.structs.replace(
                        new[index - start], is_new=False, shares_id=False, shares_position=False
                    )
                )
        return tuple(merged)


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
