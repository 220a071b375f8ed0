# SPDX-License-Identifier: Apache-2.0
"""The receipts of one run: a chain of its own, in the run's directory, durable line by line."""

from __future__ import annotations

import os
from typing import Any, Literal

from tallystick.chain.issue import head_behind
from tallystick.chain.receipt_chain import ReceiptChain
from tallystick.deliver.local_file import FileEmitter
from tallystick.durable.file import read_bounded
from tallystick.errors import RefusedInput, RunError
from tallystick.limits import RECEIPT_BYTES_MAX, RUN_RECEIPTS_BYTES_MAX
from tallystick.model.action import Action, Outcome, Target
from tallystick.model.chain import Head
from tallystick.model.decision import Decision
from tallystick.model.intent import Intent
from tallystick.model.reader import parse_receipt
from tallystick.model.run_decision import DECIDE, decided_on, decided_what, hash_of
from tallystick.solver.runner import Records
from tallystick.solver.setup import Solver
from tallystick.solver.workspace import RECEIPTS


class RunJournal:
    """Signs and keeps what a run does. Goes on where an earlier process stopped."""

    def __init__(self, solver: Solver, intent: Intent, run_id: str, run_dir: str) -> None:
        path = os.path.join(run_dir, RECEIPTS)
        self._run_id = run_id
        self._last = _last_of(path)
        self._emitter = FileEmitter(path)
        self.chain = ReceiptChain(
            signer=solver.signer,
            issuer={"id": solver.issuer, "session_id": run_id},
            principal={"id": intent.requester},
            emitter=self._emitter,
            chain_id=f"run_{run_id}",
            head=self._last[0] if self._last is not None else None,
            clock=solver.clock,
            ids=solver.ids,
        )

    def decided(self, intent: Intent, decision: Decision) -> None:
        """Record the gate's decision, all reasons included."""
        self.chain.emit(
            Action(
                type=DECIDE,
                target=Target(system="solver", resource=f"intent:{intent.intent_id}"),
                parameters_hash=hash_of(decided_on(intent.intent_hash, self._run_id)),
            ),
            Outcome(status="success")
            if decision.allowed
            else Outcome(status="failure", error=f"refused: {decision}"),
            response=decided_what(decision.to_dict()),
        )

    @property
    def records(self) -> Records:
        """What a runner records its own actions by."""
        return self.chain

    def close(self, status: Literal["complete", "interrupted"]) -> None:
        """Write the terminal receipt, unless it is there already."""
        if self._last is None or not self._last[1]:
            self.chain.close(status)
        self._emitter.close()

    def binding(self) -> dict[str, Any]:
        """Return what the manifest says of the chain."""
        head = self.chain.head
        return {"chainId": head.chain_id, "length": head.sequence, "headHash": head.hash}


def head_of_file(path: str) -> Head | None:
    """Return the head behind the last receipt of a run's file, or None where it holds none."""
    last = _last_of(path)
    return None if last is None else last[0]


def _last_of(path: str) -> tuple[Head, bool] | None:
    """Return the head behind the last receipt that is there in whole, and whether it closes."""
    if not os.path.lexists(path):
        return None
    lines = read_bounded(path, RUN_RECEIPTS_BYTES_MAX).split(b"\n")
    for line in reversed(lines):
        if not line:
            continue
        try:
            receipt = parse_receipt(line[:RECEIPT_BYTES_MAX])
        except RefusedInput as fault:
            if line is lines[-1]:
                continue  # torn off by a crash: whoever wrote it was never told that it is there
            raise RunError(f"{path} holds a line that is no receipt: {fault}") from None
        return head_behind(receipt), receipt.link.terminal is True
    return None
