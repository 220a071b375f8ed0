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

import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from tallystick import config
from tallystick.chain.issue import ABSENT, random_uuid
from tallystick.chain.payload import capped_outcome, payload_hash
from tallystick.chain.receipt_chain import ReceiptChain
from tallystick.chain.recorded import RecordedAction
from tallystick.chain.recorder import Recorder
from tallystick.chain.threads import Threads
from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.ed25519 import KeyPair
from tallystick.deliver.daemon import DaemonEmitter
from tallystick.errors import ReceiptError, RefusedInput, SettingError
from tallystick.limits import EMITTER_ANSWER_MS_MAX, FRAME_PAYLOAD_BYTES_MAX
from tallystick.model.action import Action, Intent, Outcome
from tallystick.model.receipt import Issuer, Principal
from tallystick.ports import Emitter, LeasedSigner, Signer


class DaemonRecorder(Recorder):
    """Tells a daemon on this host what was done; it signs, links and stores.

    Each call returns when the receipt is on the daemon's stable storage, and gives `Acknowledged`
    where a recorder with a chain of its own gives the receipt. The daemon says who the issuer is,
    and the kernel whose process this is: the issuer's id goes along as a name only, the principal
    not at all.
    """

    def __init__(self, emitter: DaemonEmitter, issuer: Issuer) -> None:
        self.emitter: Any = emitter
        self._told = {
            "issuer_name": issuer.name or issuer.id,
            "issuer_model": issuer.model,
            "operator_id": issuer.operator.id if issuer.operator else None,
            "operator_name": issuer.operator.name if issuer.operator else None,
        }
        self._threads = Threads()
        self._is_closed = False

    @property
    def chain(self) -> ReceiptChain:
        """Refused: the chain is the daemon's."""
        raise SettingError("the daemon has the chain; `tally list` and `tally show` read it")

    @property
    def is_closed(self) -> bool:
        """Whether this recorder was closed; the daemon's chain goes on."""
        return self._is_closed

    @property
    def undelivered(self) -> int:
        """How many frames wait in the spool directory or were lost without a word so far."""
        return int(self.emitter.spooled) + int(self.emitter.drops)

    def emit(
        self,
        action: Action | Mapping[str, Any],
        outcome: Outcome | Mapping[str, Any],
        **members: Any,
    ) -> Any:
        """Record one action with its outcome; what a frame has no place for is refused."""
        return self.emitter.send(self._told | _frame_of(action, outcome, members) | {"ack": True})

    def action(
        self,
        action: str | Action | Mapping[str, Any],
        *,
        target: Mapping[str, str] | None = None,
        parameters: object = ABSENT,
        correlation_id: str | None = None,
    ) -> RecordedAction:
        """Record a call as two receipts, as `ReceiptChain.action` does."""
        return _ToldAction(
            self, action, target, parameters, correlation_id or f"call_{random_uuid()}"
        )

    def flush(self, deadline_ms: int = 2000) -> int:
        """Try to deliver what the spool directory holds; return how many frames still wait."""
        return int(self.emitter.flush(deadline_ms=deadline_ms))

    def close(self, status: Literal["complete", "interrupted"] = "complete") -> None:  # noqa: ARG002
        """Let go of the connection. The daemon's chain is open to others: no receipt closes it."""
        self._is_closed = True
        self.emitter.close()


class _ToldAction(RecordedAction):
    """A call of which the daemon is told parameters and result: the hashes are its own."""

    def __init__(
        self,
        recorder: Any,
        action: str | Action | Mapping[str, Any],
        target: Mapping[str, str] | None,
        parameters: object,
        correlation_id: str,
    ) -> None:
        super().__init__(recorder, action, target, ABSENT, correlation_id)
        self._parameters = parameters
        if parameters is not ABSENT:
            payload_hash(parameters)  # what is no JSON shows here, and not when the call has run

    def _members(self) -> dict[str, Any]:
        members = super()._members()
        if self._parameters is not ABSENT:
            members["parameters"] = self._parameters
        if self._result is not ABSENT:
            members["response"] = self._result
        return members

    def _for_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RecordedAction:
        call = {"args": list(args), "kwargs": kwargs}
        for parameters in (call, ABSENT):
            try:
                return _ToldAction(
                    self._recorder, self._action, None, parameters, f"call_{random_uuid()}"
                )
            except RefusedInput:
                continue
        raise AssertionError("an action without parameters is always one")

    def _note(self, result: object) -> None:
        try:
            self.result = result
        except RefusedInput:
            self._result = ABSENT


def _frame_of(
    action: Action | Mapping[str, Any],
    outcome: Outcome | Mapping[str, Any],
    members: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the frame that tells of an action; refuse what no frame can tell."""
    rest = dict(members)
    told = dict(action.to_dict() if isinstance(action, Action) else action)
    ended = capped_outcome(outcome)
    ended = dict(ended.to_dict() if isinstance(ended, Outcome) else ended)
    target = dict(told.pop("target", None) or {})
    intent = rest.pop("intent", None) or {}
    intent = dict(intent.to_dict() if isinstance(intent, Intent) else intent)
    status, kind = ended.pop("status", None), told.pop("type", None)
    if status not in ("success", "failure", "pending"):
        raise ReceiptError("is not success, failure or pending", "/outcome/status")
    frame = {
        "action_type": kind,
        "tool": {"name": told.pop("tool_name", None) or kind},
        "decision": "pending" if status == "pending" else "allowed",
        "channel": "sdk",
        "target_system": (target.get("system") or "local") if target else None,
        "target_resource": (target.get("resource") or "unspecified") if target else None,
        "idempotency_key": told.pop("idempotency_key", None),
        "correlation_id": rest.pop("correlation_id", None),
        "prompt_preview": intent.pop("prompt_preview", None),
        "input": _payload(rest.pop("parameters", ABSENT), told.pop("parameters_hash", None)),
        "output": _payload(rest.pop("response", ABSENT), ended.pop("response_hash", None)),
        "error": ended.pop("error", None) or ("failed" if status == "failure" else None),
    }
    told.pop("risk_level", None)  # the daemon finds its own
    for place, left in (("action", told), ("outcome", ended), ("intent", intent), ("", rest)):
        for name, value in left.items():
            if value is not None and value is not ABSENT:
                raise ReceiptError("a daemon can't be told of this member", f"/{place}/{name}")
    return frame


def _payload(payload: object, digest: object) -> object:
    """Return a payload as a frame can hold it: one that is too large, or not here, by its hash."""
    if payload is ABSENT:
        return None if digest is None else {"omitted": {"hash": digest}}
    size = len(canonicalize(payload))
    if size <= FRAME_PAYLOAD_BYTES_MAX:
        return payload
    return {"omitted": {"bytes": size, "hash": payload_hash(payload)}}


def _to_daemon(
    settings: dict[str, Any], deadline_ms: int | None, environ: Mapping[str, str] | None
) -> Recorder:
    by = settings["issuer"]
    if deadline_ms is None:
        deadline_ms = config.read_number("TALLY_DEADLINE_MS", environ)
    emitter = DaemonEmitter(
        session_id=settings["session_id"],
        best_effort=settings["best_effort"],
        spool=config.read("TALLY_SPOOL", environ) or None,
        answer_timeout_ms=deadline_ms or EMITTER_ANSWER_MS_MAX,
        environ=environ,
    )
    return DaemonRecorder(emitter, by if isinstance(by, Issuer) else Issuer.from_dict(by))


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

    AGENTRECEIPTS_SOCKET: tell the daemon there, which signs and stores. `signer` is not used then,
    and what is returned is a `DaemonRecorder`. What a daemon that is down could not be told is kept
    in the directory that TALLY_SPOOL names, if it does, and sent later.

    AGENTRECEIPTS_COLLECTOR_URL: sign here, deliver over HTTP behind a write-ahead log (a file
    where TALLY_WAL names one, else in memory). Neither: sign here, append to the file that
    TALLY_FILE names (`receipts.jsonl` in this folder by default). What an earlier process left in
    the log is delivered first: here, for two seconds at most, and by each `emit` before its own
    receipt. TALLY_LOG_TRUST says whose promises the answers must hold.

    `signer` is a key pair, a signer, or a function that makes a signer anew for each chain (a
    `SessionSigner`, say). Without one, AGENTRECEIPTS_KEY is the key; without that, a key is made
    for this process, which AGENTRECEIPTS_PRODUCTION=true forbids.

    `deadline_ms`, or TALLY_DEADLINE_MS, bounds the delivery of one receipt over HTTP (30 seconds),
    or the daemon's answer (10); give it less than the platform gives your function. With
    `hold_undelivered`, a receipt whose delivery failed for now waits, and the work goes on; what a
    daemon could not be told is kept in TALLY_SPOOL, or counted where there is none. With an
    `emitter` of your own, no delivery is read from the environment; the recorder closes it.
    """
    for name, given in (("issuer", issuer), ("principal", principal)):
        if given == "":
            raise SettingError(f"{name} is empty: wanted is an id, as did:web:agents.example")
    by: Mapping[str, Any] | Issuer = {"id": issuer} if isinstance(issuer, str) else issuer
    if emitter is None and config.read("AGENTRECEIPTS_SOCKET", environ):
        settings = {"issuer": by, "session_id": session_id, "best_effort": hold_undelivered}
        return _to_daemon(settings, deadline_ms, environ)
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
    folder = config.read("TALLY_LOG_TRUST", environ)
    if folder:
        settings = msgspec.structs.replace(
            settings,
            log=_log_trust(folder),
            promises=config.read("TALLY_PROMISES", environ) or None,
            require_promise=config.read_flag("TALLY_REQUIRE_PROMISE", environ),
        )
    elif config.read_flag("TALLY_REQUIRE_PROMISE", environ):
        raise SettingError("TALLY_REQUIRE_PROMISE: TALLY_LOG_TRUST must say which log promises")
    emitter = WalEmitter(inner=HttpEmitter(settings), wal=FileWal(path) if path else MemoryWal())
    emitter.flush()  # what an earlier process left; a cold start does not wait for all its attempts
    return emitter


def _log_trust(folder: str) -> Any:
    """Return which log is meant by a folder with its public key and its sheet."""
    from tallystick.deliver.promises import LogTrust
    from tallystick.durable.file import read_bounded
    from tallystick.limits import NOTE_BYTES_MAX

    vkey = read_bounded(os.path.join(folder, "log.vkey"), NOTE_BYTES_MAX)
    sheet = read_bounded(os.path.join(folder, "sheet"), NOTE_BYTES_MAX)
    return LogTrust(vkey.decode("utf-8", "replace"), sheet)
