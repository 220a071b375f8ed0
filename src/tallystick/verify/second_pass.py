# SPDX-License-Identifier: Apache-2.0
"""The second pass: confirms suspected repeats, and looks for the receipts that delegated."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from tallystick.limits import REPEATS_MAX
from tallystick.verify.chain import Judge
from tallystick.verify.fingerprints import fingerprint, in_chain
from tallystick.verify.receipt import examine
from tallystick.verify.report import Findings
from tallystick.verify.source import Input, is_unreadable
from tallystick.verify.state import ChainState

_ID: Final = "ID_DUPLICATE"
_KEY: Final = "duplicate_idempotency_key"
_PLACES: Final = {_ID: "/id", _KEY: "/credentialSubject/action/idempotency_key"}


class SecondPass:
    """Reads the input again, if there is something to look for."""

    def __init__(
        self, judge: Judge, stream: Input, findings: Findings, *, accept_nulls: bool
    ) -> None:
        self._judge = judge
        self._stream = stream
        self._findings = findings
        self._accept_nulls = accept_nulls
        # Digest of an id or key → where it stands first. The texts themselves may be long.
        self._first: dict[str, dict[bytes, int]] = {_ID: {}, _KEY: {}}
        self._wanted_parents: dict[tuple[str, str], list[ChainState]] = {}

    def run(self) -> None:
        """Look, if there is reason to."""
        ids, too_many_ids = _first(self._judge.ids.repeated(), REPEATS_MAX)
        keys, too_many_keys = _first(self._judge.idempotency_keys.repeated(), REPEATS_MAX)
        self._check_delegations()
        if not (ids or keys or self._wanted_parents):
            return
        if not self._stream.is_rereadable:
            if ids or self._wanted_parents:
                message = "can't be read again, which repeated ids and delegation call for"
                self._findings.add("REPEATS_UNCONFIRMED", "input", message)
            self._note_unconfirmed_keys(len(keys))
            return
        if too_many_ids:
            message = f"holds more than {REPEATS_MAX} repeated ids"
            self._findings.add("REPEATS_UNCONFIRMED", "input", message)
        if not self._read_again(ids, keys):
            return
        self._note_unconfirmed_keys(len(keys) if too_many_keys else 0)
        for (chain, receipt_id), children in self._wanted_parents.items():
            for child in children:
                self._findings.add(
                    "DELEGATION_PARENT_MISSING",
                    f"{child.where}/credentialSubject/delegation/parent_receipt_id",
                    f"is not in chain {chain!r}",
                    found=receipt_id,
                )

    def _note_unconfirmed_keys(self, count: int) -> None:
        # Repeated keys are no fault: that they can't be confirmed must not decide the verdict.
        if count:
            message = f"holds {count} or more keys that look repeated; not all could be confirmed"
            self._findings.add(_KEY, "input", message)

    def _check_delegations(self) -> None:
        chains, loops = self._judge.chains, self._loops()
        for state in chains.values():
            delegation = state.delegation
            if delegation is None or delegation.parent_chain_id is None:
                continue
            place = f"{state.where}/credentialSubject/delegation"
            parent = chains.get(delegation.parent_chain_id)
            if state.chain_id in loops:
                self._findings.add(
                    "DELEGATION_LOOP", f"{place}/parent_chain_id", "leads back to this chain"
                )
            elif parent is None:
                self._findings.add(
                    "delegation_unresolved",
                    f"{place}/parent_chain_id",
                    "is not in the input",
                    found=delegation.parent_chain_id,
                )
            else:
                delegator = delegation.delegator
                if (
                    delegator is not None
                    and None not in (delegator.id, parent.issuer)  # refused already
                    and delegator.id != parent.issuer
                ):
                    self._findings.add(
                        "DELEGATION_DELEGATOR",
                        f"{place}/delegator/id",
                        "is not the issuer of the parent chain",
                        expected=parent.issuer,
                        found=delegator.id,
                    )
                if delegation.parent_receipt_id is not None:
                    wanted = (delegation.parent_chain_id, delegation.parent_receipt_id)
                    self._wanted_parents.setdefault(wanted, []).append(state)

    def _loops(self) -> set[str]:
        """Return the chains whose parents lead in a circle; each chain is walked over once."""
        chains = self._judge.chains
        is_looped: dict[str, bool] = {}
        for chain_id in chains:
            path: list[str] = []
            name = chain_id
            while (
                name not in is_looped
                and (state := chains.get(name)) is not None
                and state.delegation is not None
            ):
                is_looped[name] = True  # what it is if this path comes by again
                path.append(name)
                name = state.delegation.parent_chain_id
            outcome = is_looped.get(name, False)
            is_looped.update(dict.fromkeys(path, outcome))
        return {name for name, looped in is_looped.items() if looped}

    def _read_again(self, ids: set[int], keys: set[int]) -> bool:
        """Look at each receipt once more; return whether all of them could be read."""
        trail = 0
        for index, raw in enumerate(self._stream):
            if is_unreadable(raw):
                message = "could be read once and not again; what looks repeated is unconfirmed"
                self._findings.add("REPEATS_UNCONFIRMED", self._stream.where(index), message)
                return False
            examined = examine(raw, accept_nulls=self._accept_nulls)
            trail = hash((trail, examined.digest))
            receipt = examined.receipt
            if receipt is None or receipt.credentialSubject is None:
                continue
            link, action = receipt.credentialSubject.chain, receipt.credentialSubject.action
            chain_id = link.chain_id if link is not None else None
            if receipt.id is not None and fingerprint(receipt.id) in ids:
                self._note_repeat(_ID, receipt.id, receipt.id, index)
            if action is not None and action.idempotency_key is not None:
                key = in_chain(chain_id, action.idempotency_key)
                if fingerprint(key) in keys:
                    self._note_repeat(_KEY, key, action.idempotency_key, index)
            if chain_id is not None and self._wanted_parents:
                self._wanted_parents.pop((chain_id, receipt.id), None)
        if trail != self._judge.trail:
            message = "is not what it was at the first reading: somebody writes to it"
            self._findings.add("REPEATS_UNCONFIRMED", "input", message)
            return False
        return True

    def _note_repeat(self, code: str, text: str, shown: str, index: int) -> None:
        earlier = self._first[code].setdefault(sha256(text.encode()).digest(), index)
        if earlier != index:
            message = f"was used before at {self._stream.where(earlier)}{_PLACES[code]}"
            where = self._stream.where(index) + _PLACES[code]
            self._findings.add(code, where, message, found=shown)


def _first(marks: Iterable[int], most: int) -> tuple[set[int], bool]:
    """Return the first marks, and whether there were more."""
    kept: set[int] = set()
    for mark in marks:
        if len(kept) >= most:
            return kept, True
        kept.add(mark)
    return kept, False
