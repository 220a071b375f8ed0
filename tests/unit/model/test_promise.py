# SPDX-License-Identifier: Apache-2.0
"""Promises: the published files, and that only what the sheet allows is opened."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs import (
    LOG_KEY,
    ORIGIN,
    PROMISE_KEY,
    SHEET,
    TIME_KEY,
    needs_vectors,
    numbered,
    vectors,
)

from tallystick.crypto.merkle import leaf_hash, path_in, tree_root, tree_rows
from tallystick.crypto.note import PLAIN, TIMED, NoteKey, sign_note
from tallystick.errors import LogFormatError, NoteSignatureError
from tallystick.limits import LOG_PROOF_BYTES_MAX
from tallystick.model.log_text import hash_texts
from tallystick.model.promise import (
    Promise,
    PromiseFile,
    encode_promise_file,
    open_promise,
    parse_promise,
    parse_promise_file,
    promise_file_text,
)

LEAVES = numbered(4)
PROMISE = Promise(origin=ORIGIN, start=4, stop=8, root=tree_root(LEAVES), time_ms=1000, by_ms=6000)
NOTE = sign_note(PROMISE.encode(), [PROMISE_KEY])
PATH = path_in(tree_rows(LEAVES), 1)
FILE = encode_promise_file(5, PATH, NOTE)


@needs_vectors
def test_the_published_promises() -> None:
    """The published files are what we write, are opened, and hold for their entries alone."""
    published = vectors()["promise"]
    entries = [bytes.fromhex(text) for text in published["entries_hex"]]
    leaves = [leaf_hash(entry) for entry in entries]
    assert tree_root(leaves).hex() == published["tree_root_12"]
    for name, index, start, stop, time_ms in [
        ("file", 5, 4, 8, 1_700_000_001_000),
        ("single", 8, 8, 9, 1_700_000_002_000),
    ]:
        promise = Promise(
            origin=ORIGIN,
            start=start,
            stop=stop,
            root=tree_root(leaves[start:stop]),
            time_ms=time_ms,
            by_ms=time_ms + SHEET.max_delay_ms,
        )
        path = path_in(tree_rows(leaves[start:stop]), index - start)
        data = encode_promise_file(index, path, sign_note(promise.encode(), [PROMISE_KEY]))
        assert data == published[name].encode()
        opened = open_promise(data, SHEET)
        assert (opened.promise, opened.index) == (promise, index)
        assert [leaf for leaf in leaves if opened.holds(leaf)] == [leaves[index]]


def test_a_promise_file_within_a_json_text() -> None:
    """It is spelled as the encoder of JSON would spell it."""
    note_text = msgspec.json.encode(NOTE.decode())[1:-1]
    text = promise_file_text(5, b"".join(hash_texts(PATH)), note_text)
    assert text == msgspec.json.encode(FILE.decode())


def test_a_promise_holds_for_its_own_leaf() -> None:
    """At its own index, with its own path."""
    for index in range(len(LEAVES)):
        path = path_in(tree_rows(LEAVES), index)
        opened = open_promise(encode_promise_file(4 + index, path, NOTE), SHEET)
        assert [opened.holds(leaf) for leaf in LEAVES] == [at == index for at in range(4)]
    moved = open_promise(encode_promise_file(6, PATH, NOTE), SHEET)
    assert not any(moved.holds(leaf) for leaf in LEAVES)


def test_who_signs_a_promise() -> None:
    """The promise key of the sheet, and no other key of the log."""
    for key in (LOG_KEY, TIME_KEY, NoteKey(PROMISE_KEY.name, PLAIN, LOG_KEY.signing_key)):
        note = sign_note(PROMISE.encode(), [key], time_s=1)
        with pytest.raises(NoteSignatureError):
            open_promise(encode_promise_file(5, PATH, note), SHEET)
    timed = NoteKey(PROMISE_KEY.name, TIMED, PROMISE_KEY.signing_key)
    note = NOTE + timed.line(PROMISE.encode(), 1).encode()
    assert open_promise(encode_promise_file(5, PATH, note), SHEET).promise == PROMISE


@pytest.mark.parametrize(
    ("changes", "index"),
    [
        ({"origin": "other.example/log"}, 5),
        ({"by_ms": 999}, 5),
        ({"by_ms": 6001}, 5),
        ({}, 3),
        ({}, 8),
        ({"start": 5}, 4),
        ({"stop": 7}, 6),
        ({"start": 8}, 8),
        ({"start": 9}, 8),
    ],
)
def test_signed_and_still_refused(changes: dict[str, object], index: int) -> None:
    """Another origin, a time that the sheet does not allow, a place that the range has not."""
    promise = msgspec.structs.replace(PROMISE, **changes)
    note = sign_note(promise.encode(), [PROMISE_KEY])
    with pytest.raises(LogFormatError):
        open_promise(encode_promise_file(index, PATH, note), SHEET)


@pytest.mark.parametrize("by_ms", [1000, 6000])
def test_the_ends_of_the_delay(by_ms: int) -> None:
    """Due at once, or after the whole delay: both are allowed."""
    promise = msgspec.structs.replace(PROMISE, by_ms=by_ms)
    note = sign_note(promise.encode(), [PROMISE_KEY])
    assert open_promise(encode_promise_file(5, PATH, note), SHEET).promise.by_ms == by_ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        PROMISE.encode()[:-1],
        PROMISE.encode() + "\n",
        PROMISE.encode().replace("v1", "v2"),
        PROMISE.encode().replace("range 4 8", "range 4"),
        PROMISE.encode().replace("range 4 8", "range 04 8"),
        PROMISE.encode().replace("range 4 8", "range 4 8 9"),
        PROMISE.encode().replace("range 4 8", "range 4  8"),
        PROMISE.encode().replace("time 1000", "time +1000"),
        PROMISE.encode().replace("time 1000", "time 1_000"),
        PROMISE.encode().replace("time 1000", "time ８"),
        PROMISE.encode().replace("by 6000", "by 9223372036854775808"),
        PROMISE.encode().replace("=\n", "\n"),
        PROMISE.encode().replace("root", "Root"),
    ],
)
def test_other_texts_are_no_promise(text: str) -> None:
    """One spelling of each number and hash, in one order."""
    with pytest.raises(LogFormatError):
        parse_promise(text)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        NOTE,
        FILE.replace(b"proof/v1", b"proof/v2"),
        FILE.replace(b"index 5", b"index 05"),
        FILE.replace(b"index 5", b"index -5"),
        FILE.replace(b"index 5\n", b""),
        FILE.replace(b"index 5\n", b"index 5\nx\n"),
        FILE.replace(b"index 5\n", b"index 5\nAAAA\n"),
        FILE.replace(b"index 5\n", b"index 5\n\n"),
        FILE.replace(b"\n\n", b"\r\n\r\n"),
        FILE.replace(b"tally", "täll".encode(), 1),
        encode_promise_file(5, PATH[:1], NOTE),
        encode_promise_file(5, [*PATH, PATH[0]], NOTE),
        encode_promise_file(5, PATH[:1] * 65, NOTE),
        FILE + b"\n" * LOG_PROOF_BYTES_MAX,
    ],
)
def test_other_bytes_are_no_promise_file(data: bytes) -> None:
    """One form of the file, and a path of the exact length."""
    with pytest.raises(LogFormatError):
        open_promise(data, SHEET)


def test_files_both_ways() -> None:
    """What is written is read."""
    assert parse_promise_file(FILE) == PromiseFile(index=5, path=tuple(PATH), note=NOTE)
    assert parse_promise_file(FILE).encode() == FILE


@given(st.integers(0, len(FILE) * 8 - 1))
def test_one_bit(bit: int) -> None:
    """A changed bit refuses the file, or leaves a promise that no longer holds for the leaf."""
    changed = bytearray(FILE)
    changed[bit // 8] ^= 1 << bit % 8
    try:
        opened = open_promise(bytes(changed), SHEET)
    except LogFormatError:
        return
    assert not opened.holds(LEAVES[1])
