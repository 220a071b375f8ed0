# SPDX-License-Identifier: Apache-2.0
"""What `tally daemon doctor` looks at: each check says how it is, and what to do about it.

Nothing here changes anything. Only `roundtrip` leaves a receipt behind, and only who asks for it
gets it.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal

import msgspec

from tallystick.daemon.chain_names import root_of
from tallystick.daemon.key_choice import key_kind
from tallystick.daemon.peer import attest
from tallystick.daemon.publishing import archived, published
from tallystick.daemon.resume import checked
from tallystick.daemon.settings import Settings
from tallystick.daemon.status import ask_daemon, exchange
from tallystick.daemon.vouching import hand_overs, is_signed, unpublished_key, vouched_keys
from tallystick.durable.file import shown
from tallystick.errors import Error, MissingExtraError, PeerError, SigningError, UnreadableError
from tallystick.keys.signer_uri import open_signer
from tallystick.limits import CLOCK_BEHIND_MS_MAX, STATUS_MS_MAX
from tallystick.model.framing import encode_frame, read_answer
from tallystick.model.receipt import split_canonical
from tallystick.serve.given import quoted
from tallystick.store.ledger import LastRow
from tallystick.store.ledger_reads import Filter, LedgerReader, StoredReceipt
from tallystick.verify.trust import fingerprint_of

State = Literal["ok", "warn", "fail"]
_SECRET_MODE: Final = 0o077
_OUT_OF_REACH: Final = "out of this user's reach"
JOIN: Final = "add the user to the emitters' group, and log in anew"
_STORE_MODE: Final = 0o137  # nobody executes, the group does not write, others do nothing


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    name: str
    state: State
    found: str
    remedy: str = ""


def _ok(name: str, found: str) -> Check:
    return Check(name=name, state="ok", found=found)


def _warn(name: str, found: str, remedy: str = "") -> Check:
    return Check(name=name, state="warn", found=found, remedy=remedy)


def _fail(name: str, found: str, remedy: str = "") -> Check:
    return Check(name=name, state="fail", found=found, remedy=remedy)


def check_up(settings: Settings) -> Iterator[Check]:
    """Look at everything that can be seen without leaving a trace."""
    status = _status_of(settings)
    yield _guarded("daemon", lambda given: _daemon(given, status), settings)
    is_up = not isinstance(status, str)
    yield _guarded("socket", _socket, settings)
    key = (lambda given: _signer(given, is_up=is_up)) if settings.signer else _key
    yield _guarded("key", key, settings)
    for check in (_public_key, _store, _attestation, _chain):
        yield _guarded(check.__name__.removeprefix("_"), check, settings)


def roundtrip(settings: Settings, now: str, session_id: str) -> Check:
    """Send one frame and wait for its acknowledgement: this leaves a receipt in the chain."""
    body = encode_frame(
        {
            "ts_emit": now,
            "session_id": session_id,
            "channel": "doctor",
            "tool": {"server": "agent-receipts-doctor", "name": "roundtrip"},
            "decision": "allowed",
            "ack": True,
        }
    )
    try:
        answer = read_answer(exchange(settings.socket, body, wait_s=STATUS_MS_MAX / 1000))
    except (OSError, EOFError, ValueError) as fault:
        return _fail(
            "roundtrip",
            f"no answer: {fault.strerror if isinstance(fault, OSError) else fault}",
            "look at the daemon's log",
        )
    if not answer["ok"]:
        return _fail("roundtrip", f"refused: {answer['code']}")
    return _ok("roundtrip", f"receipt {answer['sequence']} of {answer['chain_id']} is stored")


def _guarded(name: str, check: Callable[[Settings], Check], settings: Settings) -> Check:
    try:
        return check(settings)
    except PermissionError as fault:
        where = f"{shown(str(fault.filename))}: " if fault.filename else ""
        return _fail(
            name,
            f"{where}this user may not",
            JOIN if name == "socket" else "ask as the daemon's user",
        )
    except (Error, OSError, ValueError) as fault:  # also of a path that the system takes for none
        why = fault.strerror or "" if isinstance(fault, OSError) else str(fault)
        return _fail(name, why, "see the message")


def _status_of(settings: Settings) -> dict[str, Any] | str:
    try:
        return ask_daemon(settings.status_socket, "status")
    except UnreadableError as fault:
        return str(fault)


def _daemon(settings: Settings, status: dict[str, Any] | str) -> Check:
    if isinstance(status, str):
        return _fail(
            "daemon",
            status,
            "start it: `tally daemon run`" if may_be_asked(settings.status_socket) else JOIN,
        )
    if status.get("fault"):
        return _fail(
            "daemon",
            f"it stores nothing any more: {status['fault']}",
            "free what it lacks, and start it again",
        )
    process, uptime_s = status.get("pid"), status.get("uptime_s")
    if type(process) is not int or type(uptime_s) not in (int, float):
        return _fail(
            "daemon",
            f"what answers at {quoted(settings.status_socket)} is no daemon of ours",
            "set TALLY_STATUS_SOCKET to where the daemon says how it is",
        )
    found = f"process {process}, up for {uptime_s} s"
    if status.get("socket") != settings.socket:
        return _warn(
            "daemon",
            f"{found}, but it listens at {status.get('socket')}",
            "set AGENTRECEIPTS_SOCKET to the same path for the daemon and its emitters",
        )
    ledger = status.get("ledger")
    behind_ms = ledger.get("clock_behind_ms") if type(ledger) is dict else None
    if type(behind_ms) is int and behind_ms > CLOCK_BEHIND_MS_MAX:
        return _warn(
            "daemon",
            f"{found}, and its clock is {behind_ms // 1000} s behind its last receipt",
            "look at the clock; until it has come there, receipts are dated as that one",
        )
    return _ok("daemon", found)


def _socket(settings: Settings) -> Check:
    path = settings.socket
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return _fail("socket", f"{shown(path)} is not there", "start it")
    if not stat.S_ISSOCK(found.st_mode):
        return _fail("socket", f"{shown(path)} is no socket")
    if found.st_mode & stat.S_IWOTH:
        return _warn(
            "socket",
            f"{shown(path)} can be written by every user",
            "name a group with emit_group, and start the daemon again",
        )
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(STATUS_MS_MAX / 1000)
            line.connect(path)
    except PermissionError:
        return _fail("socket", f"this user may not write to {shown(path)}", JOIN)
    if not settings.is_safe_path:
        return _warn(
            "socket",
            f"{shown(path)} lies where others may be able to put a socket",
            "leave the default path as it is",
        )
    return _ok("socket", f"{shown(path)} takes connections")


def _key(settings: Settings) -> Check:
    path = settings.key
    try:
        found = os.lstat(path)
    except PermissionError:
        return _ok("key", _OUT_OF_REACH)
    except FileNotFoundError:
        return _fail("key", f"{shown(path)} is not there", "`tally daemon init`")
    if not stat.S_ISREG(found.st_mode) or found.st_mode & _SECRET_MODE:
        return _fail(
            "key",
            f"{shown(path)} is no plain file that only its owner reads",
            f"chmod 600 {shown(path)}",
        )
    if os.access(path, os.R_OK) and os.geteuid() != 0:
        return _warn(
            "key",
            "this user can read the key: agents that run as this user can forge receipts",
            "give the daemon a user of its own: `tally daemon install --system`",
        )
    return _ok("key", f"{shown(path)} is closed to all but its owner")


def _signer(settings: Settings, *, is_up: bool) -> Check:
    """Look its public key up; nothing is signed, as that may cost money and leaves its traces."""
    kind = key_kind(settings)
    try:
        held = open_signer(settings.signer).get_public_key()
    except (SigningError, MissingExtraError) as fault:
        if is_up:  # and so has signed: who asks is somebody else, as should be
            return _ok("key", f"{kind}: {_OUT_OF_REACH}")
        return _fail("key", str(fault), "`tally signer URI` as its user")
    if not _follows_published(settings, held):
        return _fail(
            "key",
            f"{kind}: holds another key than {shown(settings.public_key)}",
            "name the signer that the last rotation handed over to",
        )
    return _ok("key", f"{kind}: holds the key {fingerprint_of(held)}")


def _follows_published(settings: Settings, held: bytes) -> bool:
    """Whether a signer's key is the published one, or the one that is to be published next."""
    if not _is_in_reach(settings.public_key):
        return True
    public_key = published(settings.public_key)
    if public_key in (None, held):
        return True
    if not os.access(settings.db, os.R_OK):
        return False
    with LedgerReader(settings.db) as reader:
        return _successor(reader, public_key) == held


def _public_key(settings: Settings) -> Check:
    if not _is_in_reach(settings.public_key):
        return _ok("public_key", f"{_OUT_OF_REACH}: it needs a copy")
    if published(settings.public_key) is None:
        return _fail(
            "public_key",
            f"{shown(settings.public_key)} is not there",
            "start the daemon: it publishes its key",
        )
    return _ok("public_key", f"{shown(settings.public_key)} is published")


def _store(settings: Settings) -> Check:
    if not _is_in_reach(settings.db):
        return _ok("store", _OUT_OF_REACH)
    wide = []
    for path in (settings.db, f"{settings.db}-wal", f"{settings.db}-shm"):
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(found.st_mode) or found.st_mode & _STORE_MODE:
            wide.append(path)
    if wide:
        return _fail(
            "store",
            f"{', '.join(map(shown, wide))}: not a plain file of mode 0640 at most",
            "chmod 640, and find out who changed it",
        )
    if not os.path.lexists(settings.db):
        return _warn(
            "store",
            f"{shown(settings.db)} is not there yet",
            "the daemon makes it at its first start",
        )
    return _ok("store", f"{shown(settings.db)} is closed to other users")


def _attestation(_settings: Settings) -> Check:
    here, there = socket.socketpair()
    with here, there:
        try:
            found = attest(here)
        except PeerError as fault:
            return _fail("attestation", str(fault))
    if found.peer.exe_status != "ok":
        return _warn(
            "attestation",
            f"the program of a peer is {found.peer.exe_status}",
            "the daemon's unit must not hide /proc, nor map users",
        )
    return _ok("attestation", f"a peer is seen: {found.credential.exe_path}")


def _chain(settings: Settings) -> Check:
    if not _is_in_reach(settings.db):
        return _ok("chain", _OUT_OF_REACH)
    if not os.path.exists(settings.db):
        return _warn("chain", "there is no receipt yet")
    if not os.access(settings.db, os.R_OK):
        return _ok("chain", _OUT_OF_REACH)
    public_key = published(settings.public_key)
    with LedgerReader(settings.db) as reader:
        newest = next(iter(reader.newest(limit=1)), None)
        if newest is None:
            return _warn("chain", "there is no receipt yet")
        total = reader.count()
        successor = _successor(reader, public_key)
        _check_end(settings, reader, newest, [one for one in (successor, public_key) if one])
    found = f"{total} receipts; the last, {newest.sequence} of {newest.chain_id}, is sound"
    return _ok("chain", found) if successor is None else _unfinished(settings, successor)


def _successor(reader: LedgerReader, public_key: bytes | None) -> bytes | None:
    """Return the key that follows the published one and is not published yet, if there is any."""
    return None if public_key is None else unpublished_key(public_key, hand_overs(reader))


def _check_end(
    settings: Settings, reader: LedgerReader, newest: StoredReceipt, keys: Sequence[bytes]
) -> None:
    """Raise where the end is not sound under the first of the keys, the newest, or one before."""
    public_key = keys[0] if keys else None
    # The root's end is the newest key's. What was written behind it may be an agent's end,
    # which after a rotation the outgoing key has signed.
    root = Filter(chain_id=root_of(newest.chain_id))
    last = next(iter(reader.newest(root, limit=1)), newest)
    checked(settings.db, _row(last), public_key)
    if public_key is not None and last.mark != newest.mark:
        earlier = [*keys[1:], *archived(settings.public_key)]
        trusted = vouched_keys(public_key, earlier, hand_overs(reader))
        public_key = _signing_key(newest.body, [one.public_key for one in trusted])
    checked(settings.db, _row(newest), public_key)


def _unfinished(settings: Settings, successor: bytes) -> Check:
    """Say what a rotation left that was committed and whose key is not published."""
    remedy = "start the daemon: it publishes that key, where its settings lead to it"
    if settings.key and os.path.lexists(f"{settings.key}.next"):
        remedy = f"start the daemon: it makes {shown(settings.key)}.next the key, and publishes it"
    return _warn(
        "chain",
        f"a rotation is not finished: the published key has handed over to "
        f"{fingerprint_of(successor)}, which is not published yet",
        remedy,
    )


def _row(stored: StoredReceipt) -> LastRow:
    return LastRow(
        chain_id=stored.chain_id,
        sequence=stored.sequence,
        hash=stored.hash,
        is_terminal=stored.terminal,
        receipt_id=stored.id,
        timestamp=stored.timestamp,
        body=stored.body.decode("utf-8", "surrogateescape"),  # what is no text, is no receipt
    )


def _signing_key(body: bytes, keys: Sequence[bytes]) -> bytes:
    """Return which of the keys has signed a receipt, or the first where none has."""
    found = split_canonical(body)
    if found is None:
        return keys[0]
    return next((key for key in keys if is_signed(*found, key)), keys[0])


def may_be_asked(path: str) -> bool:
    """Whether this user may write to a socket, as far as it is there."""
    return _is_in_reach(path) and (not os.path.lexists(path) or os.access(path, os.W_OK))


def _is_in_reach(path: str) -> bool:
    """Whether this user may look into the folder of a path."""
    try:
        os.lstat(path)
    except PermissionError:
        return False
    except OSError:
        pass  # it is not there, which others judge
    return True
