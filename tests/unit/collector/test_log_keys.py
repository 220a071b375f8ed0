# SPDX-License-Identifier: Apache-2.0
"""The keys of a log: three of them, bound by one sheet, in files that only their owner reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import logs
from tests.collectors import ORIGIN, keys_in
from tests.served_log import KEYS

from tallystick.collector.log_keys import create_log_keys, load_log_keys
from tallystick.crypto.note import VerifierKey
from tallystick.errors import KeyFileError, PathTakenError, RefusedInput
from tallystick.model.checkpoint import open_checkpoint
from tallystick.model.promise import encode_promise_file, open_promise
from tallystick.model.sheet import parse_sheet
from tallystick.model.submission import Batch, Intent


def test_keys_are_read_back(tmp_path: Path) -> None:
    """What was made is what is loaded: the same keys, and the same sheet byte for byte."""
    made = keys_in(tmp_path)
    found = load_log_keys(tmp_path / "log")
    assert found == made
    assert found.sheet == (tmp_path / "log" / "sheet").read_bytes()
    assert found.vkey == (tmp_path / "log" / "log.vkey").read_text().strip()


def test_only_the_owner_reads_keys(tmp_path: Path) -> None:
    """Private keys have mode 600, and the directory 700."""
    keys_in(tmp_path)
    folder = tmp_path / "log"
    modes = {one.name: one.stat().st_mode & 0o777 for one in folder.iterdir()}
    assert modes == {
        "log.key": 0o600,
        "time.key": 0o600,
        "promise.key": 0o600,
        "log.vkey": 0o644,
        "sheet": 0o644,
    }
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_sheet_binds_the_other_keys(tmp_path: Path) -> None:
    """The log key signs which keys promise and give the time, and how late an entry may be."""
    keys = keys_in(tmp_path)
    sheet = parse_sheet(keys.sheet, VerifierKey.parse(keys.vkey))
    assert sheet.promise_key == keys.promise.verifier
    assert sheet.time_key == keys.time.verifier
    assert sheet.max_delay_ms == keys.max_delay_ms == 5000
    assert len({keys.log.verifier, keys.time.verifier, keys.promise.verifier}) == 3


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    """One origin has one set of keys for ever: making them again is refused."""
    before = keys_in(tmp_path)
    with pytest.raises(PathTakenError):
        create_log_keys(tmp_path / "log", ORIGIN)
    assert load_log_keys(tmp_path / "log") == before


@pytest.mark.parametrize(
    ("origin", "delay"), [("", 5000), ("two words", 5000), ("a+b", 5000), ("a", 0), ("a", 10**12)]
)
def test_what_no_sheet_could_say_is_refused(tmp_path: Path, origin: str, delay: int) -> None:
    """An origin or delay that nobody could verify makes no keys."""
    with pytest.raises(RefusedInput):
        create_log_keys(tmp_path / "log", origin, max_delay_ms=delay)
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("name", ["log.key", "time.key", "promise.key"])
def test_keys_of_another_log_are_refused(tmp_path: Path, name: str) -> None:
    """A key that is not the one of the sheet stops the start, and is not shown."""
    keys_in(tmp_path)
    create_log_keys(tmp_path / "other", ORIGIN)
    secret = (tmp_path / "other" / name).read_text()
    (tmp_path / "log" / name).write_text(secret)
    with pytest.raises(KeyFileError) as caught:
        load_log_keys(tmp_path / "log")
    assert secret.strip().split("+", 4)[4] not in str(caught.value)


@pytest.mark.parametrize("text", ["", "PRIVATE+KEY+a+00000000+AAAA", "nothing"])
def test_damaged_keys_are_refused(tmp_path: Path, text: str) -> None:
    """What is no key is told with its path."""
    keys_in(tmp_path)
    (tmp_path / "log" / "time.key").write_text(text)
    with pytest.raises(KeyFileError, match=r"time\.key"):
        load_log_keys(tmp_path / "log")


def test_keys_that_others_can_read_are_refused(tmp_path: Path) -> None:
    """A key file open to others is no secret."""
    keys_in(tmp_path)
    (tmp_path / "log" / "log.key").chmod(0o644)
    with pytest.raises(KeyFileError, match="open to group or others"):
        load_log_keys(tmp_path / "log")


def test_a_missing_directory_says_what_to_do(tmp_path: Path) -> None:
    """Without keys there is no log, and the message says which command makes them."""
    with pytest.raises(KeyFileError, match="tally collector keys new"):
        load_log_keys(tmp_path / "log")


def test_nothing_secret_is_shown(tmp_path: Path) -> None:
    """No text form of the keys holds a seed."""
    keys = keys_in(tmp_path)
    secret = (tmp_path / "log" / "log.key").read_text().strip().split("+", 4)[4]
    assert secret not in repr(keys)


def test_notes_are_the_same_whenever_they_are_made() -> None:
    """An intent and a batch have one note each: signing again after a crash says nothing new."""
    intent = Intent(number=7, time_s=1_700_000_000, size=3, root=bytes(32))
    batch = Batch(3, 5, 1_700_000_000_000, bytes(32))
    assert KEYS.checkpoint_note(intent) == KEYS.checkpoint_note(intent)
    assert KEYS.promise_note(batch) == KEYS.promise_note(batch)
    signed = open_checkpoint(
        KEYS.checkpoint_note(intent), logs.LOG_KEY.verifier, logs.TIME_KEY.verifier
    )
    assert (signed.size, signed.root, signed.time_s) == (3, bytes(32), 1_700_000_000)
    file = encode_promise_file(3, [bytes(32)], KEYS.promise_note(batch))
    promise = open_promise(file, parse_sheet(KEYS.sheet, logs.LOG_KEY.verifier)).promise
    assert (promise.start, promise.stop, promise.by_ms) == (3, 5, 1_700_000_005_000)


@logs.needs_vectors
def test_published_vectors_are_signed_byte_for_byte() -> None:
    """Sheet, checkpoint and promise are those of the shared vectors, under the same keys."""
    found = logs.vectors()
    assert found["sheet"]["note"].encode() == KEYS.sheet
    note = found["promise"]["file"].partition("\n\n")[2].encode()
    promise = open_promise(
        found["promise"]["file"].encode(), parse_sheet(KEYS.sheet, logs.LOG_KEY.verifier)
    ).promise
    batch = Batch(promise.start, promise.stop, promise.time_ms, promise.root)
    assert KEYS.promise_note(batch) == note
