# SPDX-License-Identifier: Apache-2.0
"""Tells a signing daemon on this host what was done: frames over a Unix socket, no key, no store.

    from tallystick import DaemonEmitter

    with DaemonEmitter() as emitter:
        emitter.emit("read_file", channel="sdk", input={"path": "/etc/hosts"})

Importing this costs little, and sending one frame not much more: a hook that runs for each call of
a tool can afford it.
"""

from __future__ import annotations

import os
import sys
import time
from _collections_abc import Callable, Iterable, Mapping
from _thread import allocate_lock, get_ident  # all of `threading` that is needed here
from types import TracebackType

from tallystick.deliver.daemon_line import BrokenLine, DaemonLine
from tallystick.deliver.frame_members import body_of, instant, random_uuid
from tallystick.deliver.spool import Spool
from tallystick.environment import read
from tallystick.errors import EmitError, EmitTransportError, FrameRefused, SettingError
from tallystick.limits import (
    EMITTER_ANSWER_MS_MAX,
    EMITTER_WRITE_MS_MAX,
    EXIT_FLUSH_MS_MAX,
    JSON_INTEGER_MAX,
    SPOOL_ANSWER_MS_MAX,
    SPOOL_FLUSH_MS_MAX,
    SPOOL_LOOK_MS,
    SPOOL_PAUSE_MS,
)
from tallystick.model.framing import SOCKET_VARIABLE, default_socket_path, framed, read_answer

_INFO, _WARNING = 20, 30  # as `logging` counts
_PLACES = (SOCKET_VARIABLE, "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "HOME")


class Acknowledged:
    """The daemon's word that a receipt is on stable storage, and which one."""

    __slots__ = ("chain_id", "hash", "id", "sequence")

    def __init__(self, *, id: str, chain_id: str, sequence: int, hash: str) -> None:  # noqa: A002
        self.id = id
        self.chain_id = chain_id
        self.sequence = sequence
        self.hash = hash

    def __repr__(self) -> str:
        return f"Acknowledged({self.id}: {self.chain_id} {self.sequence}, {self.hash})"


class DaemonEmitter:
    """Sends frames to the daemon. Threads may share it; a forked child gets its own connection.

    A failure to hand a frame over raises `EmitTransportError`, unless `best_effort`; what the
    caller got wrong raises `FrameRefused`, always. Both are counted as drops, and the count goes
    with the next frame that is taken, so that the chain says what is missing.

    With `best_effort=True`, one thing is lost without a trace: drops that no frame follows,
    because the process ends first. `spool` closes that gap: a directory for frames that could not
    be handed over. They are sent later, marked late; `emit` returns when they are on stable
    storage. One whose acknowledgement got lost may be recorded twice, under one idempotency key.
    """

    def __init__(
        self,
        *,
        socket_path: str | None = None,
        session_id: str | None = None,
        channel: str = "sdk",
        best_effort: bool = False,
        spool: str | os.PathLike[str] | None = None,
        answer_timeout_ms: int = EMITTER_ANSWER_MS_MAX,
        write_timeout_ms: int = EMITTER_WRITE_MS_MAX,
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Open nothing yet. The path is AGENTRECEIPTS_SOCKET, or where daemons are by default."""
        places = {name: read(name, environ) or "" for name in _PLACES}
        path = socket_path or default_socket_path(sys.platform, places)
        if not path:
            raise SettingError(f"no socket: set {SOCKET_VARIABLE}, or give socket_path")
        self.socket_path = path
        self.channel = channel
        # One for as long as this object lives, whatever happens to the connection.
        self.session_id = (session_id or "").strip() or random_uuid()
        self._is_best_effort = best_effort
        self._answer_ms = answer_timeout_ms
        self._write_ms = write_timeout_ms
        self._clock = clock
        self._line = DaemonLine(path)
        self._lock = allocate_lock()
        self._process = os.getpid()
        self._drops = self._writer = 0
        self._drains_from = self._empty_until = 0.0
        self._is_closed = False
        self._spool = None if spool is None else Spool(spool)

    @property
    def drops(self) -> int:
        """How many frames were lost here that no frame has reported yet."""
        return self._drops

    @property
    def spooled(self) -> int:
        """How many frames wait in the spool directory, of this and of other processes."""
        return 0 if self._spool is None else len(self._spool)

    def emit(
        self,
        tool: str,
        decision: str = "allowed",
        *,
        server: str | None = None,
        channel: str | None = None,
        input: object = None,  # noqa: A002  # the frame's own word
        output: object = None,
        error: str | None = None,
        ack: bool = False,
        **members: object,
    ) -> Acknowledged | None:
        """Hand one frame over. With `ack=True`, return when its receipt is on stable storage.

        `members` are the frame's other members, as `action_type`, `target_system` and
        `target_resource`, `agent_id`, `correlation_id`, `usage`. The answer is None without `ack`.
        """
        members |= {
            "tool": {"name": tool, "server": server} if server else {"name": tool},
            "decision": decision,
            "channel": channel or self.channel,
            "input": input,
            "output": output,
            "error": error,
            "ack": ack or None,
        }
        return self.send(members)

    async def aemit(
        self, tool: str, decision: str = "allowed", **members: object
    ) -> Acknowledged | None:
        """Do what `emit` does in a thread: the event loop is never blocked."""
        import asyncio

        emit: Callable[..., Acknowledged | None] = self.emit
        return await asyncio.to_thread(emit, tool, decision, **members)

    def send(
        self, members: Mapping[str, object], *, counts_refused: bool = True
    ) -> Acknowledged | None:
        """Hand a frame with these members over, as `emit` does; session and time are added.

        Without `counts_refused`, a frame that is refused here is no drop: the caller sends another.
        """
        patience = (self._answer_ms if members.get("ack") else self._write_ms) / 1000
        self._after_a_fork()
        if self._is_closed:
            raise EmitError("this emitter is closed")
        whole, me = self._whole(members), get_ident()
        if self._writer == me:
            fault = EmitTransportError("a signal handler interrupted this emitter; it can't emit")
        elif self._lock.acquire(timeout=patience):
            try:
                self._writer = me
                until = time.monotonic() + self._write_ms / 1000
                return self._send(whole, until, counts_refused=counts_refused)
            finally:
                self._writer = 0
                self._lock.release()
        else:
            fault = EmitTransportError("other threads wait for the daemon; nothing was sent")
        self._failed(fault, whole, 0)
        return None

    def emit_many(self, frames: Iterable[Mapping[str, object]]) -> list[object]:
        """Hand frames over without waiting for one after the other; return when all are stored.

        Each has the members that `send` takes; `tool` is an object of name and server. In the place
        of each stands its `Acknowledged`, or the error of it: none is raised, and those that were
        lost are counted as drops.
        """
        self._after_a_fork()
        if self._is_closed:
            raise EmitError("this emitter is closed")
        usual = {"channel": self.channel, "decision": "allowed"}
        wholes = [self._whole({**usual, **one, "ack": True}) for one in frames]
        if self._writer == get_ident() or not self._lock.acquire(timeout=self._answer_ms / 1000):
            fault = EmitTransportError("this emitter is busy; nothing was sent")
            return [self._kept(fault, one) for one in wholes]
        try:
            self._writer = get_ident()
            return self._send_many(wholes)
        finally:
            self._writer = 0
            self._lock.release()

    def flush(self, deadline_ms: int = EXIT_FLUSH_MS_MAX) -> int:
        """Try to deliver what is in the spool directory; return how many frames still are."""
        if self._spool is None:
            return 0
        self._after_a_fork()
        with self._lock:
            self._drain(time.monotonic() + deadline_ms / 1000)
        return len(self._spool)

    def close(self, *, delivers: bool = True) -> None:
        """Deliver what the spool holds, if there is a daemon, and let go of the connection."""
        # Of several emitters with one spool, one that delivers is enough.
        if self._is_closed:
            return
        if delivers and self._spool is not None and len(self._spool):
            self.flush()
        self._is_closed = True
        self._line.close()
        if self._drops:
            lost = "1 frame was" if self._drops == 1 else f"{self._drops} frames were"
            _tell(_WARNING, "%s lost, and no later frame told the daemon", lost)

    def __enter__(self) -> DaemonEmitter:  # noqa: PYI034  # `Self` needs typing
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _send(
        self, members: dict[str, object], until: float, *, counts_refused: bool
    ) -> Acknowledged | None:
        if drops := self._untold():
            members["drop_count"] = drops
        try:
            body = body_of(members)
        except FrameRefused:
            if counts_refused:
                self._add(1)  # the action was done, and there will be no receipt of it
            raise
        has_gone = False
        try:
            self._hand_over(framed(body), until)
            has_gone = True
            self._add(-drops)
            answer = self._answer(self._answer_ms) if members.get("ack") else None
        except (EmitError, FrameRefused) as fault:
            if has_gone:
                self._add(drops)  # without its receipt, nobody was told
            if isinstance(fault, EmitTransportError):
                self._failed(fault, members, drops)
                return None
            raise  # the daemon has seen this frame, and counts it itself
        now = time.monotonic()
        if self._spool is not None and now >= self._drains_from and now >= self._empty_until:
            self._drain(time.monotonic() + SPOOL_FLUSH_MS_MAX / 1000)
        return answer

    def _whole(self, members: Mapping[str, object]) -> dict[str, object]:
        return {"session_id": self.session_id, "ts_emit": instant(self._clock()), **members}

    def _send_many(self, wholes: list[dict[str, object]]) -> list[object]:
        from tallystick.deliver.volley import volley  # who sends one frame does not need it

        found: list[object] = list(wholes)
        frames: list[bytes] = []
        places: list[int] = []
        drops = self._untold()
        for place, whole in enumerate(wholes):
            try:
                told = {**whole, "drop_count": drops} if drops and not frames else whole
                frames.append(framed(body_of(told)))
                places.append(place)
            except FrameRefused as fault:
                self._add(1)
                found[place] = fault

        def send(frame: bytes, is_first: bool) -> None:
            until = time.monotonic() + self._answer_ms / 1000
            (self._hand_over if is_first else self._line.write)(frame, until)

        answers, sent, ended = volley(frames, send, lambda: self._answer(self._answer_ms))
        if answers and isinstance(answers[0], Acknowledged):
            self._add(-drops)
        for order, place in enumerate(places):
            if order < len(answers):
                found[place] = answers[order]
            else:
                lost = EmitTransportError(str(ended), may_be_stored=order < sent)
                found[place] = self._kept(lost, wholes[place])
        return found

    def _kept(self, fault: EmitTransportError, members: dict[str, object]) -> EmitTransportError:
        """Do what is done for a frame that was not handed over, and return what to tell."""
        try:
            self._failed(fault, members, 0)
        except EmitTransportError as told:
            return told
        return fault

    def _hand_over(self, frame: bytes, until: float) -> None:
        """Write one frame; once again over a fresh connection where the kept one had died."""
        self._untold()
        if self._line.is_open:
            try:
                self._line.write(frame, until)
                return
            except BrokenLine:
                pass  # nothing that was cut off becomes a receipt: sending it again is safe
        left = until - time.monotonic()
        self._line.dial()
        try:
            self._line.write(frame, time.monotonic() + left)  # a dial has a budget of its own
        except BrokenLine as fault:
            raise EmitTransportError(f"the daemon closed the connection: {fault}") from None

    def _untold(self) -> int:
        """Return the drops; those that a killed daemon left unread are one, as far as we know."""
        if self._line.has_lost_the_other_end():
            self._add(1)
        return self._drops

    def _answer(self, wait_ms: int) -> Acknowledged:
        body = self._line.read_body(time.monotonic() + wait_ms / 1000)
        try:
            answer = read_answer(body)
        except ValueError as fault:
            self._line.close()
            raise EmitTransportError(str(fault), may_be_stored=True) from None
        if answer["ok"]:
            return Acknowledged(
                id=str(answer["id"]),
                chain_id=str(answer["chain_id"]),
                sequence=int(str(answer["sequence"])),
                hash=str(answer["hash"]),
            )
        code, message = str(answer["code"]), str(answer["message"])
        if code.startswith("FRAME_"):
            raise FrameRefused(code, message)
        raise EmitError(f"the daemon did not record it: {code}: {message}", is_transient=True)

    def _failed(self, fault: EmitTransportError, members: dict[str, object], drops: int) -> None:
        """Keep the frame if there is a place for it; else count it, and tell the caller."""
        if self._spool is not None and not fault.may_be_stored:
            try:
                self._spool.keep(members, self._clock())
            except EmitError as full:
                fault = EmitTransportError(f"{fault}; {full}")
            else:
                self._add(-drops)
                self._empty_until = 0.0
                if self._is_best_effort or not members.get("ack"):
                    return
                raise EmitTransportError(f"{fault}; the frame is kept and will be sent later")
        self._add(1)
        if not self._is_best_effort:
            raise fault
        _tell(_WARNING, "%s", fault)

    def _drain(self, until: float) -> None:
        """Send what the spool holds, each frame until its receipt is stored; stop at a failure."""
        if self._spool is None:
            return

        def deliver(body: bytes) -> None:
            self._hand_over(framed(body), until)
            self._answer(SPOOL_ANSWER_MS_MAX)

        try:
            self._add(self._spool.deliver(deliver, until))
            self._drains_from = 0.0
            if not len(self._spool):
                # Looking each time costs as much as sending; others' frames can wait a moment.
                self._empty_until = time.monotonic() + SPOOL_LOOK_MS / 1000
        except EmitError as fault:
            if not self._drains_from:  # said once, until some were delivered
                _tell(_INFO, "frames wait in %s: %s", self._spool.path, fault)
            # A daemon that is slow would be asked to record the same frame at each `emit`.
            self._drains_from = time.monotonic() + SPOOL_PAUSE_MS / 1000

    def _add(self, drops: int) -> None:
        self._drops = min(self._drops + drops, JSON_INTEGER_MAX)

    def _after_a_fork(self) -> None:
        """Let a forked child begin anew: lock, connection and drops are its parent's."""
        if self._process != os.getpid():
            self._process, self._drops = os.getpid(), 0
            self._lock, self._writer = allocate_lock(), 0
            self._line.close()


def _tell(level: int, text: str, *given: object) -> None:
    import logging  # only who has something to say pays for it

    logging.getLogger("tallystick.deliver.daemon").log(level, text, *given)
