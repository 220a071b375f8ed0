# SPDX-License-Identifier: Apache-2.0
"""A daemon put together from its settings: where system clock and files come in."""

from __future__ import annotations

import logging
import os
import signal
import stat
import time
from collections.abc import Callable
from typing import Final

from tallystick.daemon.hardening import harden_process
from tallystick.daemon.key_choice import NextSigner, beside_key, key_source_of
from tallystick.daemon.key_succession import KeySuccession
from tallystick.daemon.ledger import Ledger
from tallystick.daemon.listener import group_id
from tallystick.daemon.opening import open_ledger
from tallystick.daemon.server import Daemon
from tallystick.daemon.settings import Settings
from tallystick.daemon.signals import TAKEN
from tallystick.daemon.statements import Statements
from tallystick.durable.file import make_directory
from tallystick.errors import SettingError
from tallystick.serve.logs import event

FOLDER_MODE: Final = 0o750
UMASK: Final = 0o027


def run_daemon(
    settings: Settings,
    *,
    reload: Callable[[], Settings],
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT, and return when all that was taken is safe."""
    # Emitters may have written before the first signal could be handled: until then it waits.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, TAKEN)
    try:
        set_umask()
        for missed in harden_process():
            event(logging.WARNING, "not_hardened", reason=missed)
        statements = Statements(settings)
        if statements.is_key_idle:
            event(logging.INFO, "forensic_key_unused")
        keys = key_source_of(settings)
        ledger = ledger_of(settings, statements, keys)
        try:
            daemon = Daemon(
                settings,
                ledger,
                statements,
                reload=reload,
                clock_ns=time.time_ns,
                seek_next=NextSigner(keys, settings).seek,
            )
        except BaseException:
            ledger.close()
            raise
        daemon.run(on_ready=on_ready)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ledger_of(
    settings: Settings, statements: Statements, keys: KeySuccession | None = None
) -> Ledger:
    """Open store, key and chains; by another key source where one is given."""
    prepare_store_folder(settings)
    return open_ledger(
        db=settings.db,
        keys=keys or key_source_of(settings),
        public_path=settings.public_key,
        heads_path=heads_path(settings),
        issuer_id=settings.issuer_id,
        drafting=statements.drafter,
        clock=time.time_ns,
        chain_id=settings.chain_id or None,
    )


def set_umask() -> None:
    """Let nobody else write to what we make, and others not even read it."""
    os.umask(UMASK)


def system_clock_ns() -> int:
    """Return the system's time, in nanoseconds since 1970."""
    return time.time_ns()


def heads_path(settings: Settings) -> str:
    """Return where the heads are kept: beside the key, or its public half."""
    return beside_key(settings, ".heads")


def prepare_key_folder(settings: Settings) -> None:
    """Make the folders of the key and of its public half where they are missing."""
    for path in (settings.key, settings.public_key):
        if path:
            _make_folder(os.path.dirname(os.path.abspath(path)))


def prepare_store_folder(settings: Settings) -> None:
    """Make the store's folder where it is missing, for its readers' group to look into."""
    folder = os.path.dirname(os.path.abspath(settings.db))
    _make_folder(folder)
    group = group_id(settings.read_group, "read_group")
    if group is not None and os.stat(folder).st_gid != group:
        try:
            # With the bit for the group, files that SQLite makes here belong to the readers, too.
            os.chown(folder, -1, group)
            os.chmod(folder, FOLDER_MODE | stat.S_ISGID)
        except OSError as fault:
            raise SettingError(f"read_group: {folder}: {fault.strerror}") from None


def _make_folder(folder: str) -> None:
    if not os.path.isdir(folder):
        os.makedirs(os.path.dirname(folder), mode=0o755, exist_ok=True)
        make_directory(folder, FOLDER_MODE)
