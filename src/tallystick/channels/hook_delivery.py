# SPDX-License-Identifier: Apache-2.0
"""Brings frames of a hook to the daemon; where that fails, to a directory that outlives it.

A frame counts as delivered when the daemon says that its receipt is stored, or when the frame
itself is on stable storage. What the daemon would refuse goes along by hash.
"""

from __future__ import annotations

import os
import sys
from _collections_abc import Callable, Mapping

from tallystick.channels.hook_input import omitted_bytes
from tallystick.deliver.daemon import DaemonEmitter
from tallystick.deliver.frame_members import instant
from tallystick.errors import EmitError, EmitTransportError, FrameRefused
from tallystick.limits import FRAME_PAYLOAD_BYTES_MAX, HOOK_ANSWER_MS_MAX, SPOOL_FLUSH_MS_MAX
from tallystick.model.framing import encode_frame

_PAYLOADS = ("input", "output")


class HookDelivery:
    """One process's way to the daemon."""

    def __init__(
        self, *, socket: str | None, spool: str | None, channel: str, clock: Callable[[], int]
    ) -> None:
        self._socket = socket
        self._spool = spool
        self._channel = channel
        self._clock = clock

    def hand_over(self, members: Mapping[str, object], source: bytes) -> None:
        """Return when the frame is on stable storage somewhere; else raise `EmitError`.

        `source` is what the frame was made of: its hash stands in where a payload can't go along.
        """
        now = self._clock()
        frame = {
            **members,
            "channel": self._channel,
            "ts_emit": instant(now),
            "ack": True,
        }
        frame["session_id"] = frame.get("session_id") or "unknown"
        frame["idempotency_key"] = frame.get("idempotency_key") or f"hook:{os.urandom(16).hex()}"
        if _is_heavy(frame):
            frame = _by_hash(frame, source)
        try:
            self._send(frame, now)
        except FrameRefused:
            self._send(_by_hash(frame, source), now)

    def drain(self) -> None:
        """Try to send what earlier hooks left in the directory, if anything is there."""
        if self._spool is None:
            return
        try:
            if not any(name.endswith(".frame") for name in os.listdir(self._spool)):
                return
        except OSError:
            return
        load_packages()
        with DaemonEmitter(
            socket_path=self._socket, channel=self._channel, spool=self._spool
        ) as emitter:
            emitter.flush(SPOOL_FLUSH_MS_MAX)

    def _send(self, frame: dict[str, object], now: int) -> None:
        emitter = DaemonEmitter(
            socket_path=self._socket,
            channel=self._channel,
            session_id=str(frame["session_id"]),
            answer_timeout_ms=HOOK_ANSWER_MS_MAX,
        )
        try:
            emitter.send(frame)
        except EmitError as fault:
            # Also where the answer got lost: twice under one idempotency key beats not at all.
            self._keep(frame, now, fault)
        finally:
            if not emitter.drops:  # one that lost something has no connection, and would say so
                emitter.close()

    def _keep(self, frame: dict[str, object], now: int, fault: EmitError) -> None:
        if self._spool is None:
            raise fault
        load_packages()
        from tallystick.deliver.spool import Spool

        try:
            os.makedirs(os.path.dirname(self._spool), mode=0o700, exist_ok=True)
        except OSError as failed:
            raise EmitTransportError(f"{fault}; no spool: {failed.strerror}") from None
        Spool(self._spool).keep(frame, now)


def load_packages() -> None:
    """Find the installed packages, in a process that was started without them."""
    if sys.flags.no_site:
        import site

        site.main()


def _is_heavy(frame: Mapping[str, object]) -> bool:
    for name in _PAYLOADS:
        try:
            payload = frame.get(name)
            if payload is not None and len(encode_frame({"x": payload})) > FRAME_PAYLOAD_BYTES_MAX:
                return True
        except (ValueError, RecursionError):
            return True  # half of a surrogate pair, or too deep
    return False


def _by_hash(frame: Mapping[str, object], source: bytes) -> dict[str, object]:
    """Return the frame with hashes for payloads: each its own, or that of all that came."""
    load_packages()
    from tallystick.crypto.canonical import canonicalize
    from tallystick.crypto.digest import sha256_tagged
    from tallystick.errors import RefusedInput

    changed = dict(frame)
    for name in _PAYLOADS:
        payload = frame.get(name)
        if payload is None:
            continue
        try:
            form = canonicalize(payload)
        except (RefusedInput, RecursionError, ValueError):
            changed[name] = omitted_bytes(source)
        else:
            changed[name] = {"omitted": {"bytes": len(form), "hash": sha256_tagged(form)}}
    return changed
