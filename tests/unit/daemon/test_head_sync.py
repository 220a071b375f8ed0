# SPDX-License-Identifier: Apache-2.0
"""The file of heads is made stable beside commits."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest
from tests.daemons import wait_until
from tests.ledgers import Home

from tallystick.daemon import head_sync
from tallystick.daemon.head_sync import HeadSync
from tallystick.errors import StoreError, StoreStoppedError


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A folder with a key and no store."""
    return Home(tmp_path)


def test_heads_are_stable_within_a_second(home: Home) -> None:
    """Without a tick, and without a commit behind it."""
    assert head_sync.PERIOD_S == 1
    ledger = home.open()
    one = HeadSync(ledger.sync_heads, period_s=0.01)
    journal = ledger._heads._journal
    for _ in range(3):
        ledger.commit([home.frame()])
        wait_until(lambda: journal.synced == journal._written)
    one.close()
    one.close()
    ledger.close()


def test_a_commit_waits_for_no_sync_of_heads(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be the disk as slow as it likes: heads are written meanwhile, and made stable later."""
    ledger = home.open()
    hangs, goes_on = threading.Event(), threading.Event()
    journal = ledger._heads._journal
    durable = journal._durable

    def slowly(file: int) -> None:
        hangs.set()
        assert goes_on.wait(20)
        durable.fdatasync(file)

    ledger.commit([home.frame()])
    monkeypatch.setattr(journal, "_durable", msgspec.structs.replace(durable, fdatasync=slowly))
    one = HeadSync(ledger.sync_heads, period_s=0.01)
    assert hangs.wait(20)
    ledger.write(ledger.draft([home.frame()]))
    assert ledger.commit([home.frame()])[0].ok
    goes_on.set()
    one.close()
    ledger.close()
    assert home.verify().verdict == "verified"


def test_a_sync_that_fails_is_the_last(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing more is taken, and the thread has ended."""
    ledger = home.open()
    ledger.commit([home.frame()])

    def fails() -> None:
        raise StoreError("the disk has failed")

    monkeypatch.setattr(ledger._heads, "sync", fails)
    one = HeadSync(ledger.sync_heads, period_s=0.01)
    wait_until(lambda: not one._thread.is_alive())
    with pytest.raises(StoreStoppedError, match="the disk has failed"):
        ledger.commit([home.frame()])
    one.close()
    monkeypatch.undo()
    ledger.close()


def test_who_closes_waits_for_the_sync_that_runs() -> None:
    """What `sync` works on may be closed right behind it."""
    hangs, goes_on, done = threading.Event(), threading.Event(), threading.Event()

    def slowly() -> None:
        hangs.set()
        assert goes_on.wait(20)
        done.set()

    one = HeadSync(slowly, period_s=0.01)
    assert hangs.wait(20)
    threading.Timer(0.05, goes_on.set).start()
    one.close()
    assert done.is_set()
