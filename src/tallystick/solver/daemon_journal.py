# SPDX-License-Identifier: Apache-2.0
"""The receipts of one run where a daemon signs them: told by frames, and acknowledged one by one.

The run is an agent of the daemon, by the id of the run: its receipts stand in a chain of their own
below the daemon's root. Each action waits for the daemon's word that its receipt is on stable
storage, and each word is kept in the run's directory, so that who finishes a run after a crash
knows the head. A day that ends during a run, or a key that is replaced, begins the chain anew: the
new one says then behind which head it goes on, and states the decision again: whoever holds the
bound chain alone sees of which run it speaks.

The manifest binds the last head that was acknowledged. The receipts themselves come from the
daemon's store, where that may be read; a store that holds something else than what the daemon
acknowledged gives none.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Literal, Self

import msgspec

from tallystick.chain.issue import random_uuid, timestamp
from tallystick.chain.payload import payload_hash
from tallystick.crypto.canonical import canonicalize
from tallystick.deliver.daemon import DaemonEmitter
from tallystick.durable.file import write_replace
from tallystick.errors import FrameRefused, RunError, StoreError
from tallystick.limits import FRAME_PAYLOAD_BYTES_MAX, RUN_ERROR_BYTES_MAX, RUN_RECEIPTS_BYTES_MAX
from tallystick.model.decision import Decision
from tallystick.model.intent import Intent
from tallystick.model.manifest import fit_text
from tallystick.model.run_decision import DECIDE, decided_on, decided_what
from tallystick.solver.records import append_fact, last_fact
from tallystick.solver.setup import Solver
from tallystick.solver.workspace import RECEIPTS

ACKNOWLEDGED: Final = "acknowledged.jsonl"
# Types of ours, as `DECIDE` is one.
END: Final = "dev.tallystick.run.end"
CONTINUE: Final = "dev.tallystick.run.continue"
CHANNEL: Final = "solver"
_LOG: Final = logging.getLogger("tallystick.solver.journal")


class Heard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The daemon's word on one receipt of the run."""

    at: str
    chain_id: str
    sequence: int
    hash: str
    is_end: bool = False
    # The chain before, its length and head, until this one has named it and states the decision.
    behind: tuple[str, int, str] | None = None


class DaemonJournal:
    """Tells a daemon what a run does. Goes on where an earlier process stopped."""

    def __init__(
        self,
        solver: Solver,
        intent: Intent,
        run_id: str,
        run_dir: str,
        *,
        decision: Decision | None = None,
    ) -> None:
        self._path = os.path.join(run_dir, ACKNOWLEDGED)
        self._copy_path = os.path.join(run_dir, RECEIPTS)
        self._store = solver.store
        self._clock = solver.clock
        self._agent = run_id
        self._decided = None if decision is None else self._statement(intent, decision)
        self._last = last_fact(self._path, Heard)
        self._telling = threading.Lock()
        self._socket = solver.daemon
        self.records = ToldActions(self._tell)

    def decided(self, intent: Intent, decision: Decision) -> None:
        """Record the gate's decision, all reasons included."""
        self._decided = self._statement(intent, decision)
        self._tell(self._decided)

    def _statement(self, intent: Intent, decision: Decision) -> dict[str, object]:
        refused = fit_text(f"refused: {decision}", RUN_ERROR_BYTES_MAX)
        return {
            "tool": {"name": "decide", "server": CHANNEL},
            "action_type": DECIDE,
            "target_system": CHANNEL,
            "target_resource": f"intent:{intent.intent_id}",
            "decision": "allowed" if decision.allowed else "denied",
            "input": decided_on(intent.intent_hash, self._agent),
            "output": decided_what(decision.to_dict()),
            "error": None if decision.allowed else refused,
        }

    def close(self, status: Literal["complete", "interrupted"]) -> None:
        """Tell the end of the run, unless that is told, and take its receipts from the store."""
        if self._last is None or not self._last.is_end:
            self._tell(
                {
                    "tool": {"name": "end", "server": CHANNEL},
                    "action_type": END,
                    "target_system": CHANNEL,
                    "target_resource": f"run:{self._agent}",
                    "decision": "allowed",
                    "output": {"status": status},
                    "error": status if status == "interrupted" else None,
                },
                is_end=True,
            )
        with self._telling:
            self._link()  # where a crash came between the first receipt of a chain and this
        self._copy()

    def binding(self) -> dict[str, Any]:
        """Return what the manifest says of the chain: what was acknowledged last."""
        if self._last is None:
            raise RunError("the daemon has acknowledged nothing of this run")
        last = self._last
        return {"chainId": last.chain_id, "length": last.sequence, "headHash": last.hash}

    def _tell(self, members: Mapping[str, object], *, is_end: bool = False) -> None:
        with self._telling:
            before, heard = self._last, self._send(members, is_end=is_end)
            if (
                before is not None
                and heard.chain_id == before.chain_id
                and heard.sequence <= before.sequence
            ):
                raise RunError(
                    f"the daemon acknowledged receipt {heard.sequence} of {heard.chain_id} "
                    f"after receipt {before.sequence}: its store was put back"
                )
            self._link()

    def _link(self) -> None:
        """Have a new chain name the head of the old one, and state the decision: it is bound alone.

        The daemon may begin yet another chain meanwhile, which is then linked in its turn.
        """
        while (last := self._last) is not None and last.behind is not None:
            if self._decided is None:
                raise RunError("its chain was begun anew, and nobody knows how it was decided")
            chain_id, length, head = last.behind
            self._send(
                {
                    "tool": {"name": "continue", "server": CHANNEL},
                    "action_type": CONTINUE,
                    "target_system": CHANNEL,
                    "target_resource": f"{chain_id}#{length}:{head}",
                    "decision": "allowed",
                    "input": {"chainId": chain_id, "length": length, "headHash": head},
                },
                is_end=last.is_end,
            )
            self._send(self._decided, is_end=last.is_end, is_linked=True)

    def _send(
        self, members: Mapping[str, object], *, is_end: bool, is_linked: bool = False
    ) -> Heard:
        whole = {**members, "agent_id": self._agent, "channel": CHANNEL, "ack": True}
        # A connection for each: a program may run for hours, and the daemon be replaced meanwhile.
        try:
            with DaemonEmitter(
                socket_path=self._socket, session_id=self._agent, clock=self._clock
            ) as emitter:
                answer = emitter.send(whole)
        except FrameRefused as fault:
            raise RunError(f"the daemon did not record what this run does: {fault}") from fault
        if answer is None or not answer.chain_id.endswith(f"/agent/{self._agent}"):
            raise RunError("the daemon did not say that it recorded this in the run's own chain")
        before = self._last
        behind = None if before is None or is_linked else before.behind
        if before is not None and before.chain_id != answer.chain_id:
            behind = before.chain_id, before.sequence, before.hash
        heard = Heard(
            at=timestamp(self._clock()),
            chain_id=answer.chain_id,
            sequence=answer.sequence,
            hash=answer.hash,
            is_end=is_end,
            behind=behind,
        )
        append_fact(self._path, heard)
        self._last = heard
        return heard

    def _copy(self) -> None:
        """Put the receipts beside the run, or say why they are absent: the head is bound anyway."""
        if not self._store:
            return
        assert self._last is not None
        try:
            lines = _stored_lines(self._store, self._last)
        except (StoreError, RunError) as fault:
            _LOG.warning("run %s has no receipts in its bundle: %s", self._agent, fault)
            return
        write_replace(self._copy_path, b"".join(line + b"\n" for line in lines), 0o600)


class ToldActions:
    """What a runner records by: each action is two frames, before and after it."""

    def __init__(self, tell: Callable[[Mapping[str, object]], None]) -> None:
        self._tell = tell

    def action(
        self,
        action: str,
        *,
        target: Mapping[str, str] | None = None,
        parameters: object = None,
        correlation_id: str | None = None,
    ) -> ToldAction:
        """Return a context manager that records one action as two receipts."""
        members: dict[str, object] = {
            "tool": {"name": action, "server": CHANNEL},
            "action_type": action,
            "input": _fitting(parameters),
            "correlation_id": correlation_id or f"call_{random_uuid()}",
        }
        if target is not None:
            members["target_system"] = target["system"]
            members["target_resource"] = target.get("resource") or target["system"]
        return ToldAction(self._tell, members)


class ToldAction:
    """One action while it runs. Set `result`, and `error` where it failed without an exception."""

    def __init__(
        self, tell: Callable[[Mapping[str, object]], None], members: Mapping[str, object]
    ) -> None:
        self._tell = tell
        self._members = members
        self.result: object = None
        self.error: str | None = None

    def __enter__(self) -> Self:
        self._tell({**self._members, "decision": "pending"})
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What an exception says may hold secrets: only its class is told.
        error = self.error or (None if kind is None else kind.__name__)
        output = _fitting(self.result)
        self._tell({**self._members, "decision": "allowed", "output": output, "error": error})


def _fitting(payload: object) -> object:
    """Return a payload, or its hash where no frame has room for it."""
    if payload is None or len(canonicalize(payload)) <= FRAME_PAYLOAD_BYTES_MAX:
        return payload
    return {"hash": payload_hash(payload)}


def _stored_lines(store: str, head: Heard) -> list[bytes]:
    """Return the chain's receipts from the first to the acknowledged head."""
    from tallystick.store.ledger_reads import Filter, LedgerReader

    lines: list[bytes] = []
    size, last = 0, ""
    with LedgerReader(store) as reader:
        for one in reader.receipts(Filter(chain_id=head.chain_id)):
            if one.sequence > head.sequence:
                break
            size += len(one.body) + 1
            if size > RUN_RECEIPTS_BYTES_MAX:
                raise RunError(f"they have more than {RUN_RECEIPTS_BYTES_MAX} bytes")
            lines.append(one.body)
            last = one.hash
    if len(lines) != head.sequence or last != head.hash:
        raise RunError(
            f"the store has {len(lines)} of {head.sequence} receipts of {head.chain_id}, "
            f"up to {last or 'none'} and not to the acknowledged {head.hash}"
        )
    return lines
