# SPDX-License-Identifier: Apache-2.0
"""A daemon put together from its settings: store and lock, key, published key, chain."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from tallystick.daemon.batch import Author
from tallystick.daemon.key_source import FileKeySource, KeySource
from tallystick.daemon.ledger import Ledger
from tallystick.daemon.publishing import publish
from tallystick.daemon.server import Daemon, set_umask
from tallystick.daemon.settings import Settings
from tallystick.daemon.statements import Statements
from tallystick.durable.file import make_directory
from tallystick.store.ledger import LedgerStore

_FOLDER_MODE = 0o750


class OpenLedger:
    """A ledger with its key and its store, which close together."""

    def __init__(self, settings: Settings, statements: Statements) -> None:
        """Open, or raise and leave everything as it was."""
        folder = os.path.dirname(os.path.abspath(settings.db))
        make_directory(folder, _FOLDER_MODE)
        self._store = LedgerStore(settings.db, clock_ms=lambda: time.time_ns() // 1_000_000)
        try:
            self._key: KeySource = FileKeySource(settings.key, settings.verification_method)
            self._key.init()
            publish(settings.public_key, self._key.get_public_key())
            self.ledger = Ledger(
                store=self._store,
                author=Author(
                    issuer_id=settings.issuer_id,
                    verification_method=settings.verification_method,
                    signer=self._key,
                ),
                draft=statements.drafter.receipt,
                clock=time.time_ns,
                chain_id=settings.chain_id or None,
            )
        except BaseException:
            self._store.close()
            raise

    def rotate(self) -> dict[str, Any]:
        """Hand the chain over to a new key."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of store and key."""
        self._store.close()
        self._key.teardown()


def run_daemon(
    settings: Settings,
    *,
    reload: Callable[[], Settings],
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT, and return when all that was taken is safe."""
    set_umask()
    statements = Statements(settings)
    opened = OpenLedger(settings, statements)
    try:
        daemon = Daemon(settings, opened, statements, reload=reload, clock_ns=time.time_ns)
    except BaseException:
        opened.close()
        raise
    daemon.run(on_ready=on_ready)
