# SPDX-License-Identifier: Apache-2.0
"""`connect`: one call that picks signer, chain and delivery by what the environment names.

    from tallystick import connect

    with connect(issuer="did:agent:billing", principal="did:user:alice") as recorder:
        with recorder.action("filesystem.file.read", target={"resource": "/etc/hosts"}) as a:
            a.result = {"bytes": 120}

The same lines run on a laptop (a local file), on Lambda (a collector over HTTP) and, where a
daemon signs, on a host.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from tallystick import config
from tallystick.chain.issue import ABSENT, random_uuid
from tallystick.chain.receipt_chain import ReceiptChain
from tallystick.chain.recorded import RecordedAction
from tallystick.chain.threads import Threads
from tallystick.crypto.ed25519 import KeyPair
from tallystick.errors import (
    ChainClosedError,
    Error,
    KeyMismatchError,
    LeaseExpired,
    SettingError,
)
from tallystick.model.action import Action, Outcome
from tallystick.model.receipt import Issuer, Principal, Receipt
from tallystick.ports import Emitter, LeasedSigner, Signer

_LOG = logging.getLogger("tallystick.recorder")


class Recorder:
    """Records actions on one chain after the other: a lease that ends begins the next one."""

    def __init__(
        self, begin: Callable[[ReceiptChain | None], ReceiptChain], emitter: Emitter
    ) -> None:
        """Take a function that begins a chain, given the one before it."""
        self._begin = begin
        self._chain = begin(None)
        self._changing = threading.Lock()
        self._threads = Threads()
        # The last chain that was closed here, because its lease had ended.
        self._used_up: ReceiptChain | None = None
        self.emitter = emitter

    @property
    def chain(self) -> ReceiptChain:
        """The chain that the next receipt goes to."""
        return self._chain

    @property
    def is_closed(self) -> bool:
        """Whether the last chain has its terminal receipt."""
        return self._chain.is_closed

    def emit(
        self,
        action: Action | Mapping[str, Any],
        outcome: Outcome | Mapping[str, Any],
        **members: Any,
    ) -> Receipt:
        """Record one action with its outcome, as `ReceiptChain.emit` does."""
        chain, mismatches = self._chain, 0
        while True:
            try:
                return chain.emit(action, outcome, **members)
            except (ChainClosedError, LeaseExpired) as fault:
                # More than once, where others use up the new lease before it is our turn.
                chain = self._next_after(chain, fault)
            except KeyMismatchError as fault:
                # An alias was moved between warm-up and first receipt: nothing stands on its old
                # key yet. A chain that has begun never changes its key by itself.
                mismatches += 1
                if chain.head.sequence or mismatches > 1:
                    raise
                chain = self._next_after(chain, fault)

    async def aemit(
        self,
        action: Action | Mapping[str, Any],
        outcome: Outcome | Mapping[str, Any],
        **members: Any,
    ) -> Receipt:
        """Do what `emit` does without blocking the event loop."""
        return await self._threads.run(self.emit, action, outcome, **members)

    def action(
        self,
        action: str | Action | Mapping[str, Any],
        *,
        target: Mapping[str, str] | None = None,
        parameters: object = ABSENT,
        correlation_id: str | None = None,
    ) -> RecordedAction:
        """Record a call as two receipts, as `ReceiptChain.action` does."""
        return RecordedAction(
            self, action, target, parameters, correlation_id or f"call_{random_uuid()}"
        )

    def flush(self, deadline_ms: int = 2000) -> int:
        """Try to deliver what waits; return how many receipts still do."""
        flush = getattr(self.emitter, "flush", None)
        remaining: int = self._chain.flush() if flush is None else flush(deadline_ms=deadline_ms)
        return remaining

    @property
    def undelivered(self) -> int:
        """How many receipts of the chain are signed and stand in line for delivery."""
        return self._chain.undelivered

    def close(self, status: Literal["complete", "interrupted"] = "complete") -> None:
        """Close the chain, deliver what is left, and let go of files and connections."""
        try:
            if not self._chain.is_closed:
                self._chain.close(status)
        finally:
            close = getattr(self.emitter, "close", None)
            if close is not None:
                close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close("complete" if kind is None else "interrupted")

    def _next_after(self, ended: ReceiptChain, fault: Error) -> ReceiptChain:
        with self._changing:
            if self._chain is not ended:
                return self._chain  # another thread was here before
            if isinstance(fault, KeyMismatchError):
                self._chain = self._begin(ended)
                return self._chain
            if isinstance(fault, ChainClosedError) and ended is not self._used_up:
                raise fault  # closed by the caller, not by us
            if ended is not self._used_up:
                _LOG.info("chain %s: its lease has ended; a new chain begins", ended.chain_id)
                self._used_up = ended
                try:
                    ended.close()
                except Error as trouble:
                    _LOG.warning("chain %s: its end is not delivered: %s", ended.chain_id, trouble)
            self._chain = self._begin(ended)
            return self._chain


def connect(
    *,
    issuer: str | Issuer | Mapping[str, Any],
    principal: str | Principal | Mapping[str, Any],
    signer: KeyPair | Signer | Callable[[], KeyPair | Signer] | None = None,
    verification_method: str | None = None,
    session_id: str | None = None,
    emitter: Emitter | None = None,
    deadline_ms: int | None = None,
    hold_undelivered: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Recorder:
    """Return a recorder for what the environment names.

    AGENTRECEIPTS_COLLECTOR_URL: sign here, deliver over HTTP behind a write-ahead log (a file
    where TALLY_WAL names one, else in memory). Neither that nor AGENTRECEIPTS_SOCKET: sign here,
    append to the file that TALLY_FILE names (`receipts.jsonl` in this folder by default). What an
    earlier process left in the log is delivered first: here, for two seconds at most, and by each
    `emit` before its own receipt.

    `signer` is a key pair, a signer, or a function that makes a signer anew for each chain (a
    `SessionSigner`, say). Without one, AGENTRECEIPTS_KEY is the key; without that, a key is made
    for this process, which AGENTRECEIPTS_PRODUCTION=true forbids.

    `deadline_ms`, or TALLY_DEADLINE_MS, bounds the delivery of one receipt over HTTP (30 seconds);
    give it less than the platform gives your function. With `hold_undelivered`, a receipt whose
    delivery failed for now waits, and the work goes on. With an `emitter` of your own, no delivery
    is read from the environment; the recorder closes it.
    """
    for name, given in (("issuer", issuer), ("principal", principal)):
        if given == "":
            raise SettingError(f"{name} is empty: wanted is an id, as did:web:agents.example")
    by: Mapping[str, Any] | Issuer = {"id": issuer} if isinstance(issuer, str) else issuer
    for_whom = {"id": principal} if isinstance(principal, str) else principal
    method = verification_method or config.read("AGENTRECEIPTS_VERIFICATION_METHOD", environ)
    chosen = signer if signer is not None else _environment_key(environ)
    first_id = config.read("AGENTRECEIPTS_CHAIN_ID", environ) or None  # set to nothing is not set
    delivery = _delivery(emitter, deadline_ms, environ)

    def begin(previous: ReceiptChain | None) -> ReceiptChain:
        has_begun = previous is not None and previous.head.sequence > 0
        return ReceiptChain(
            signer=_signer_for_next(chosen, is_first=previous is None),
            issuer=by,
            principal=for_whom,
            emitter=delivery,
            verification_method=method,
            session_id=session_id,
            chain_id=None if has_begun else first_id,
            previous_chain=previous.head if previous is not None else None,
            hold_undelivered=hold_undelivered,
        )

    try:
        return Recorder(begin, delivery)
    except BaseException:
        close = getattr(delivery, "close", None)
        if close is not None and emitter is None:
            close()
        raise


def _signer_for_next(chosen: object, *, is_first: bool) -> Any:
    if isinstance(chosen, LeasedSigner):
        return chosen if is_first else chosen.renew()
    if isinstance(chosen, KeyPair | Signer):
        anew = getattr(chosen, "anew", None)
        return chosen if is_first or anew is None else anew()
    # What is neither is refused by the chain, in words.
    return chosen() if callable(chosen) else chosen


def _environment_key(environ: Mapping[str, str] | None) -> KeyPair:
    if config.read("AGENTRECEIPTS_KEY", environ):
        from tallystick.keys.env import EnvVarKeyProvider

        return EnvVarKeyProvider(environ=environ).get_key_pair()
    from tallystick.keys.generating import GeneratingKeyProvider

    return GeneratingKeyProvider(environ=environ).get_key_pair()


def _delivery(
    given: Emitter | None, deadline_ms: int | None, environ: Mapping[str, str] | None
) -> Emitter:
    if given is not None:
        if deadline_ms is not None:
            raise SettingError("deadline_ms is for what connect builds; set it on your emitter")
        return given
    if config.read("AGENTRECEIPTS_SOCKET", environ):
        raise SettingError(
            "AGENTRECEIPTS_SOCKET names a daemon, and this version has none to talk to; "
            "unset it, or set AGENTRECEIPTS_COLLECTOR_URL"
        )
    if config.read("AGENTRECEIPTS_COLLECTOR_URL", environ):
        return _to_collector(deadline_ms, environ)
    from tallystick.deliver.local_file import FileEmitter

    path = config.read("TALLY_FILE", environ)
    runtime = config.ephemeral_runtime(environ)
    if not path and runtime is not None:
        warnings.warn(
            "AGENTRECEIPTS_COLLECTOR_URL is not set: receipts go to receipts.jsonl in this folder, "
            f"which {runtime} gives back with the instance",
            RuntimeWarning,
            stacklevel=3,
        )
    return FileEmitter(path or "receipts.jsonl")


def _to_collector(deadline_ms: int | None, environ: Mapping[str, str] | None) -> Emitter:
    from tallystick.deliver.file_wal import FileWal
    from tallystick.deliver.http import BearerAuth, HttpEmitter, HttpEmitterConfig, NoAuth
    from tallystick.deliver.memory_wal import MemoryWal
    from tallystick.deliver.wal import WalEmitter

    token = config.read("AGENTRECEIPTS_COLLECTOR_TOKEN", environ)
    path = config.read("TALLY_WAL", environ)
    if deadline_ms is None:
        deadline_ms = config.read_number("TALLY_DEADLINE_MS", environ)
    settings = HttpEmitterConfig(
        endpoint=config.read("AGENTRECEIPTS_COLLECTOR_URL", environ) or "",
        auth=BearerAuth(token=token) if token else NoAuth(),
    )
    if deadline_ms is not None:
        settings = msgspec.structs.replace(settings, deadline_ms=deadline_ms)
    emitter = WalEmitter(inner=HttpEmitter(settings), wal=FileWal(path) if path else MemoryWal())
    emitter.flush()  # what an earlier process left; a cold start does not wait for all its attempts
    return emitter
