# SPDX-License-Identifier: Apache-2.0
"""One daemon from its start to its end, in the only order that keeps its word.

Start: store and lock, key, chain, and only then the sockets. End: no new connections, then all that
emitters have written already is read, stored and answered, then the chains are closed.
"""

from __future__ import annotations

import gc
import logging
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from tallystick.config import process_environment
from tallystick.daemon.connection import Arrived
from tallystick.daemon.connections import Connections
from tallystick.daemon.door import Door
from tallystick.daemon.head_sync import HeadSync
from tallystick.daemon.intake import Intake
from tallystick.daemon.ledger import Ledger
from tallystick.daemon.listener import Listener, group_id
from tallystick.daemon.loop import Loop
from tallystick.daemon.notify import Supervisor
from tallystick.daemon.quotas import Bounds, share_of
from tallystick.daemon.reports import Reports
from tallystick.daemon.settings import Settings, changed
from tallystick.daemon.signals import Signals
from tallystick.daemon.socket_path import legacy_link
from tallystick.daemon.stand_in import StandIn
from tallystick.daemon.statements import Statements
from tallystick.daemon.status import Reply, StatusDoor, failed
from tallystick.daemon.tallies import Tallies
from tallystick.errors import Error, StoreError
from tallystick.limits import EMITTERS_MAX, OWN_DESCRIPTORS_MAX
from tallystick.serve.logs import LOGGER, event
from tallystick.verify.trust import fingerprint_of

_TICK_MS: Final = 5000
_UNSAFE_WARNING_MS: Final = 60_000
_DRAIN_TURN_MS: Final = 100
_MORE_TIME_MS: Final = 30_000
_GARBAGE_OBJECTS: Final = 20_000


class Daemon:
    """Serves emitters until it is told to stop. `run` returns when all that was taken is safe."""

    # Whether the next frame of one who was answered just now may come at any moment.
    _is_eager = False
    # Whether the manager knows that the end has begun, and nobody new finds the socket.
    _is_ending = False
    # Whether a tick is in line: behind a signer that is away, each one more would only be the same.
    _is_tick_in_line = False

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        statements: Statements,
        *,
        reload: Callable[[], Settings],
        clock_ns: Callable[[], int],
        bounds: Bounds | None = None,
        seek_next: Callable[[Settings], Callable[[], None]] = lambda _: lambda: None,
    ) -> None:
        """Listen; from here on emitters can connect, and are served by `run`.

        `seek_next` looks for who is to sign next, by other settings, and returns how to name it.
        """
        self._listener, self._status_listener = _listen(settings)
        self._settings = settings
        self._ledger = ledger
        self._statements = statements
        self._reload = reload
        self._seek_next = seek_next
        self._fixed_bounds = bounds
        self._fault: Exception | None = None
        self._supervisor = Supervisor()
        self._tallies = Tallies()
        self._loop = Loop(lambda: time.monotonic_ns() // 1_000_000)
        self._signals = Signals(self._loop.wake)
        self._stand_in = StandIn(self._turn_for, self._loop.wake)
        self._intake = Intake(
            ledger,
            tallies=self._tallies,
            finished=self._finished,
            on_stop=self._stop_for,
            ahead=statements.ahead,
            stand_in=self._stand_in,
            is_prompt=self._is_prompt,
        )
        self._connections = Connections(
            self._loop,
            submit=self._intake.submit,
            clock_ns=clock_ns,
            tallies=self._tallies,
            bounds=bounds or bounds_of(settings),
        )
        self._door = Door(
            self._loop,
            self._listener.socket,
            self._connections,
            tallies=self._tallies,
            attests=statements.attest,
        )
        self._reports = Reports(
            settings,
            ledger=ledger,
            tallies=self._tallies,
            intake=self._intake,
            connections=self._connections,
            clock_ns=clock_ns,
        )
        self._status = self._status_door()
        self._head_sync = HeadSync(ledger.sync_heads)

    def _status_door(self) -> StatusDoor:
        return StatusDoor(
            self._loop,
            self._status_listener.socket,
            status=lambda: self._reports.status(self._statements, self._listener),
            commands={"reload": self._reload_for, "rotate": self._rotate_for},
        )

    def run(self, *, on_ready: Callable[[], None] = lambda: None) -> None:
        """Serve until SIGTERM or SIGINT; raise the error after which nothing could be stored."""
        with self._signals.taken():
            try:
                self._begin()
                on_ready()
                self._serve()
                self._begin_end()
                if self._fault is None:
                    self._drain()
            finally:
                self._close()
        if self._fault is not None:
            raise self._fault

    def stop(self) -> None:
        """End as SIGTERM would, from any thread."""
        self._signals.note(signal.SIGTERM)

    def _finished(self, arrived: Arrived) -> None:
        self._connections.finished(arrived)

    # --------------------------------------------------------------------------------- serving

    def _begin(self) -> None:
        """Have done what is due by the clock, and tell that frames are taken."""
        loop, settings = self._loop, self._settings
        loop.call_every(_TICK_MS, self._tick)
        if self._supervisor.watchdog_ms:
            loop.call_every(self._supervisor.watchdog_ms, self._sign_of_life)
        if not settings.is_safe_path:
            self._warn_of_path()
            loop.call_every(_UNSAFE_WARNING_MS, self._warn_of_path)
        _settle_garbage()
        event(logging.INFO, "ready", socket=settings.socket, db=settings.db)
        self._supervisor.ready("taking frames")

    def _serve(self) -> None:
        while self._fault is None:
            self._turn()
            while (number := self._signals.next()) is not None:
                if number != signal.SIGHUP:
                    return
                self._take_settings()

    def _turn(self, wait_ms: int | None = None) -> None:
        self._loop.turn(wait_ms, is_eager=self._is_eager)
        self._is_eager = self._intake.pass_on()
        self._settle()

    def _turn_for(self) -> None:
        """Serve once for the thread that serves: it stores what came alone, and that takes long."""
        if self._signals.ask_for_an_end:
            self._begin_end()
        elif self._signals.next(signal.SIGHUP) is not None:
            self._take_settings()  # nothing of it needs the disk, and who asked waits for it
        self._loop.turn(_DRAIN_TURN_MS if self._is_ending else None)
        self._settle()
        if self._is_ending:
            self._supervisor.more_time(_MORE_TIME_MS)

    def _settle(self) -> None:
        self._connections.settle()
        self._status.settle()

    def _begin_end(self) -> None:
        """Tell the manager, and let nobody find the socket; again does nothing."""
        if not self._is_ending:
            self._is_ending = True
            self._supervisor.stopping()
            self._listener.withdraw()

    def _is_prompt(self, arrived: Arrived) -> bool:
        """Whether only the disk may keep it waiting: no directory, no signer, no end of a day."""
        uid = arrived.connection.attestation.credential.uid
        moment_ms = arrived.received_ns // 1_000_000
        return self._statements.knows(uid) and self._ledger.is_prompt_at(moment_ms)

    def _tick(self) -> None:
        """Have what is due without frames written: losses, and the end of a day."""
        if self._intake.fault is None and not self._is_tick_in_line:
            self._is_tick_in_line = True
            self._intake.do(self._ledger.tick, self._note_tick)
        for listener in (self._listener, self._status_listener):
            if not listener.is_in_place and not self._is_ending:
                event(logging.WARNING, "socket_gone", socket=listener.path)

    def _note_tick(self, _result: Any, fault: Exception | None) -> None:
        self._is_tick_in_line = False
        if fault is not None and not isinstance(fault, StoreError):
            event(logging.ERROR, "tick_failed", kind=type(fault).__name__)

    def _sign_of_life(self) -> None:
        # A disk that hangs is a daemon that hangs: no sign, and the manager starts it anew. To wait
        # for a signer is no hang: a new daemon would have to do the same, without the frames.
        if self._intake.busy_ms < 2 * self._supervisor.watchdog_ms:
            self._supervisor.alive()

    def _warn_of_path(self) -> None:
        event(logging.WARNING, "unsafe_socket_path", socket=self._settings.socket)

    def _stop_for(self, fault: Exception) -> None:
        """Hear from whoever drafts or stores that nothing more can be stored."""
        if self._fault is None:
            told = str(fault) if isinstance(fault, Error) else type(fault).__name__
            event(logging.CRITICAL, "store_failed", reason=told)
            self._fault = fault
        self._loop.wake()

    # -------------------------------------------------------------------------------- commands

    def _take_settings(self) -> dict[str, Any]:
        """Read the settings again, and go on with what can change while running."""
        self._supervisor.reloading()
        try:
            settings = self._reload()
            taken, fixed = changed(self._settings, settings)
            settings = msgspec.structs.replace(
                self._settings, **{name: getattr(settings, name) for name in taken}
            )
            name_next = self._seek_next(settings)
            self._statements.take(settings)
        except Error as fault:
            event(logging.ERROR, "reload_failed", reason=str(fault))
            return failed(fault)
        finally:
            self._supervisor.ready("taking frames")
        self._connections.take_bounds(self._fixed_bounds or bounds_of(settings))
        LOGGER.setLevel(settings.log_level.upper())
        name_next()  # last: what is refused changes nothing
        self._settings = self._reports.settings = settings
        event(logging.INFO, "reloaded", taken=",".join(taken), needs_start=",".join(fixed))
        return {"ok": True, "taken": taken, "needs_start": fixed}

    def _reload_for(self, reply: Reply) -> None:
        reply(self._take_settings())

    def _rotate_for(self, reply: Reply) -> None:
        def done(result: dict[str, Any] | None, fault: Exception | None) -> None:
            reply(failed(fault) if fault is not None else {"ok": True, **(result or {})})

        self._intake.do(self._rotate, done)

    def _rotate(self) -> dict[str, Any]:
        outgoing, incoming = self._ledger.rotate()
        told = {"outgoing": fingerprint_of(outgoing), "incoming": fingerprint_of(incoming)}
        event(logging.WARNING, "rotated", **told)
        return {**told, "published": self._settings.public_key}

    # --------------------------------------------------------------------------------- the end

    def _drain(self) -> None:
        """Read, store and answer all that emitters have written already."""
        event(logging.INFO, "draining", connections=len(self._connections))
        self._connections.drain()
        end_ms = self._loop.now_ms + self._settings.shutdown_deadline
        while self._fault is None:
            is_closed = self._door.close_when_empty()
            if is_closed and not self._connections.unread and not self._connections.is_waited_for:
                # Now for who has not taken its answers yet.
                end_ms = self._loop.now_ms + self._settings.shutdown_deadline
                break
            if self._intake.is_signer_away and self._loop.now_ms >= end_ms:
                # Who waits for an answer hears that there is none; the exit code says the rest.
                event(logging.ERROR, "signer_away", waiting=self._connections.waiting)
                break
            self._turn(_DRAIN_TURN_MS)
            self._supervisor.more_time(_MORE_TIME_MS)
        while len(self._connections) and self._loop.now_ms < end_ms:
            if self._signals.ask_for_an_end:
                break  # again: who takes no answers is waited for no longer
            self._turn(_DRAIN_TURN_MS)
        self._supervisor.more_time(_MORE_TIME_MS)
        self._intake.close()
        if self._fault is None:
            self._ledger.close("interrupted")

    def _close(self) -> None:
        for listener in (self._listener, self._status_listener):
            listener.withdraw()
        self._door.close()
        self._connections.close()
        self._status.close()
        self._intake.close()
        self._stand_in.close()
        self._head_sync.close()
        self._statements.ahead.close()
        try:
            # After an orderly end this is done already; else what was open stays open, and the next
            # start says so.
            self._ledger.close("interrupted")
        except Error as fault:
            event(logging.ERROR, "not_closed", reason=str(fault))
        self._loop.close()
        event(logging.INFO, "stopped", receipts=self._tallies.receipts)


def bounds_of(settings: Settings) -> Bounds:
    """Return what emitters may take up, within what the system lets this process have."""
    most = max(4, min(settings.max_connections, _descriptors() - OWN_DESCRIPTORS_MAX))
    return Bounds(
        connections=most,
        user_connections=max(3, share_of(most)),
        frame_ms=settings.frame_timeout,
        idle_ms=settings.idle_timeout,
    )


def _descriptors() -> int:
    """Raise the limit on descriptors as far as we may, and return it."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or soft < hard:
        wanted = 2 * EMITTERS_MAX + OWN_DESCRIPTORS_MAX
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if most > soft != resource.RLIM_INFINITY:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
                soft = most
            except (OSError, ValueError):
                pass  # then it is as it is
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft


def _listen(settings: Settings) -> tuple[Listener, Listener]:
    group = group_id(settings.emit_group, "emit_group")
    listener = Listener(settings.socket, group=group)
    try:
        listener.also_at(legacy_link(sys.platform, process_environment()))
        return listener, Listener(settings.status_socket, group=group)
    except BaseException:
        listener.close()
        raise


def _settle_garbage() -> None:
    """Let the interpreter look for garbage less often: frames leave hardly any in cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_OBJECTS, 20, 50)
