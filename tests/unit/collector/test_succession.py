# SPDX-License-Identifier: Apache-2.0
"""A log that follows another: its entry 0 commits to the last checkpoint of that one."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from tests.collectors import ORIGIN, opened, submissions
from tests.served_log import ServedLog

from tallystick.collector.log_keys import create_log_keys, load_log_keys
from tallystick.collector.service import LogService
from tallystick.collector.succession import succession, succession_body
from tallystick.errors import KeyFileError, LogFormatError
from tallystick.model.log_entry import parse_entry, receipt_digest
from tallystick.store.fsck import check_engine

NOTE = ServedLog().fill(3).release()
NEXT = "collector.example/log2"


def test_anybody_who_kept_the_note_can_make_the_entry() -> None:
    """The bytes follow from the note and the new origin alone, and hold the note whole."""
    body = succession_body(NEXT, NOTE)
    assert json.loads(body)["checkpoint"] == NOTE.decode()
    assert succession(NEXT, NOTE).digest == receipt_digest(json.loads(body))
    assert body == succession_body(NEXT, NOTE)
    assert body != succession_body(ORIGIN, NOTE)


def test_it_is_of_no_tenant() -> None:
    """No token can name the tenant of this entry: nobody reads or squats it."""
    found = succession(NEXT, NOTE)
    assert found.tenant == ""
    assert found.receipt_id == f"urn:tally:log:{ORIGIN}"
    assert found.id_hash == sha256(found.receipt_id.encode()).digest()


@pytest.mark.parametrize("note", [b"", b"nothing", NOTE[:-1], b"a\nb\n\n\xe2\x80\x94 a AAAAAAA=\n"])
def test_what_is_no_checkpoint_begins_no_log(tmp_path: Path, note: bytes) -> None:
    """Keys are not made over something that nobody could check."""
    with pytest.raises(LogFormatError):
        create_log_keys(tmp_path / "log", NEXT, predecessor=note)
    assert not (tmp_path / "log").exists()


def test_the_log_begins_with_it(tmp_path: Path) -> None:
    """The first start places it, later ones don't, and the store is sound."""
    keys = create_log_keys(tmp_path / "log", NEXT, predecessor=NOTE)
    assert load_log_keys(tmp_path / "log") == keys
    for _ in range(2):
        with opened(tmp_path) as store:
            service = LogService(store, keys, tmp_path / "released")
            service.start()
            service.drain()
            assert service.log.size == 1
            entry = parse_entry(store.entries(0, 1)[0])
            assert entry.digest == succession(NEXT, NOTE).digest
            assert not check_engine(store.engine).faults
    with opened(tmp_path) as store, closing(LogService(store, keys, tmp_path / "released")) as one:
        one.start()
        placed = asyncio.run(one.sequencer.place_all(submissions(1)))
        assert placed[0].index == 1


def test_a_changed_predecessor_is_noticed(tmp_path: Path) -> None:
    """A file that is no checkpoint stops the start."""
    create_log_keys(tmp_path / "log", NEXT, predecessor=NOTE)
    (tmp_path / "log" / "predecessor").write_text("nothing")
    with pytest.raises(KeyFileError, match="predecessor"):
        load_log_keys(tmp_path / "log")
