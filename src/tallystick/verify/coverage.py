# SPDX-License-Identifier: Apache-2.0
"""Compares chains with what a log holds of them: what was cut off shows here.

An open chain can lose its end, and nothing in what is left says so. Whoever stored the receipts
can: a later receipt, signed with the chain's key, proves that the input is not all there is. So the
comparison believes no log. What it holds counts only where a key of the chain's own signed it: a
trusted one, the newest, or the one that the chain stood on in that place. Anybody may send a
collector receipts under any name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import msgspec

from tallystick.crypto.checking import check
from tallystick.limits import LOG_HELD_RECEIPTS_MAX
from tallystick.model.receipt import Receipt
from tallystick.verify.chain import Judge
from tallystick.verify.receipt import Examined, examine
from tallystick.verify.report import Findings
from tallystick.verify.source import Input, Source
from tallystick.verify.state import ChainState
from tallystick.verify.trust import Trust

# Gives what a log holds of the named chains; more than that is passed over.
Holdings: TypeAlias = Callable[[Sequence[str]], Iterable[Source]]


class _Chain(msgspec.Struct, kw_only=True):
    """What the log holds of one chain."""

    last: int = 0
    later: int = 0
    later_where: str = ""
    unsigned: int = 0
    unsigned_where: str = ""


class Coverage:
    """Reads what a log holds, once, and the input again where that is needed."""

    def __init__(
        self, judge: Judge, trust: Trust, findings: Findings, *, accept_nulls: bool
    ) -> None:
        self._judge = judge
        self._trust = trust
        self._findings = findings
        self._accept_nulls = accept_nulls
        self._chains: dict[str, _Chain] = {name: _Chain() for name in judge.chains}
        # Hash of a receipt that stands within a chain → its chain, its sequence, its place.
        self._within: dict[str, tuple[str, int, str]] = {}
        self._is_whole = True
        self._is_over_limit = False

    def run(self, holdings: Holdings, stream: Input) -> None:
        """Compare; the judge has taken all of the stream by now."""
        held = Input(list(holdings(list(self._chains))))
        for index, raw in enumerate(held):
            self._take(examine(raw, accept_nulls=self._accept_nulls), held, index)
        if self._within:
            self._drop_what_is_there(stream)
        for chain_id, sequence, where in self._within.values():
            message = f"is receipt {sequence} of chain {chain_id!r}, and not in the input"
            self._findings.add("LOG_HOLDS_OTHER", where, message)
        for chain_id, chain in self._chains.items():
            self._tell(self._judge.chains[chain_id], chain)
        if self._is_over_limit:
            message = f"holds more than {LOG_HELD_RECEIPTS_MAX} receipts to compare"
            self._findings.add("LOG_UNCONFIRMED", "log", message)

    def _take(self, examined: Examined, held: Input, index: int) -> None:
        if examined.faults and examined.faults[0].code == "SOURCE_UNREADABLE":
            self._is_whole = False
            message = examined.faults[0].message
            self._findings.add("LOG_UNREADABLE", f"log:{held.where(index)}", message)
            return
        receipt = examined.receipt
        subject = receipt.credentialSubject if receipt is not None else None
        link = subject.chain if subject is not None else None
        if receipt is None or link is None or link.sequence is None:
            return
        chain = self._chains.get(link.chain_id)
        if chain is None:
            return
        state = self._judge.chains[link.chain_id]
        where = f"log:{held.where(index)}"
        if not self._is_signed(examined, receipt, state):
            chain.unsigned += 1
            chain.unsigned_where = chain.unsigned_where or where
            return
        chain.last = max(chain.last, link.sequence)
        if link.sequence > state.sequence:
            chain.later += 1
            chain.later_where = chain.later_where or where
        elif len(self._within) < LOG_HELD_RECEIPTS_MAX:
            self._within.setdefault(examined.digest, (link.chain_id, link.sequence, where))
        else:
            self._is_over_limit = True

    def _is_signed(self, examined: Examined, receipt: Receipt, state: ChainState) -> bool:
        signature, body, issuer = examined.signature, examined.body, receipt.issuer
        if signature is None or body is None or issuer is None or issuer.id != state.issuer:
            return False
        keys = [entry.public_key for entry in self._trust.keys_for(issuer.id)]
        if state.active_key is not None:
            keys.append(state.active_key)
        # A key in the middle of a chain: up to its hand-over it spoke for the issuer, too.
        keys += state.earlier_keys(receipt.link.sequence)
        return any(check(signature, body, key) for key in dict.fromkeys(keys))

    def _drop_what_is_there(self, stream: Input) -> None:
        """Forget what the input holds too: the rest are other receipts in the same places."""
        is_same = stream.is_rereadable
        if is_same:
            trail = 0
            for raw in stream:
                digest = examine(raw, accept_nulls=self._accept_nulls).digest
                trail = hash((trail, digest))
                self._within.pop(digest, None)
            is_same = trail == self._judge.trail
        if not is_same:
            self._within.clear()
            message = "can't be read again as it was, which comparing it with a log calls for"
            self._findings.add("LOG_UNCONFIRMED", "input", message)

    def _tell(self, state: ChainState, chain: _Chain) -> None:
        if chain.later:
            more = "receipts" if chain.later > 1 else "receipt"
            self._findings.add(
                "LOG_HOLDS_MORE",
                chain.later_where,
                f"and on: {chain.later} later {more} of chain {state.chain_id!r}",
                expected=f"up to {chain.last}",
                found=f"up to {state.sequence}",
            )
        elif chain.last < state.sequence and self._is_whole:
            self._findings.add(
                "log_lacks",
                state.where,
                "begins a chain of which the log holds less",
                expected=f"up to {state.sequence}",
                found=f"up to {chain.last}" if chain.last else "nothing",
            )
        if chain.unsigned:
            message = f"is not signed with the key of chain {state.chain_id!r}"
            found = str(chain.unsigned)
            self._findings.add("log_unsigned", chain.unsigned_where, message, found=found)
