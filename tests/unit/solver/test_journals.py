# SPDX-License-Identifier: Apache-2.0
"""Which journal a run has: the solver's own chain, or a daemon's."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.solving import intent, solver

from tallystick.errors import RunError
from tallystick.solver.daemon_journal import ACKNOWLEDGED, DaemonJournal, Heard
from tallystick.solver.journal import RunJournal
from tallystick.solver.journals import open_journal
from tallystick.solver.records import append_fact

_RUN = "ab" * 32


def test_a_run_is_told_to_the_daemon_that_is_set(tmp_path: Path) -> None:
    """With a daemon the frames go there, without one the solver signs."""
    own = solver(tmp_path)
    told = msgspec.structs.replace(own, daemon=str(tmp_path / "events.sock"))
    assert isinstance(open_journal(told, intent(), _RUN, str(tmp_path)), DaemonJournal)
    assert isinstance(open_journal(own, intent(), _RUN, str(tmp_path)), RunJournal)


def test_a_run_goes_on_where_it_was_begun(tmp_path: Path) -> None:
    """Settings that change between a crash and its resumption don't split a run's receipts."""
    own = solver(tmp_path)
    told = msgspec.structs.replace(own, daemon=str(tmp_path / "events.sock"))
    open_journal(own, intent(), _RUN, str(tmp_path)).close("complete")
    assert isinstance(open_journal(told, intent(), _RUN, str(tmp_path)), RunJournal)
    heard = Heard(at="x", chain_id=f"root/agent/{_RUN}", sequence=1, hash="sha256:" + "0" * 64)
    append_fact(tmp_path / ACKNOWLEDGED, heard)
    assert isinstance(open_journal(told, intent(), _RUN, str(tmp_path)), DaemonJournal)
    with pytest.raises(RunError, match="begun with a daemon"):
        open_journal(own, intent(), _RUN, str(tmp_path))
