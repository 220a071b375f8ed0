# SPDX-License-Identifier: Apache-2.0
"""Bundles as bytes: one form, read in one pass, and nothing else is a bundle."""

from __future__ import annotations

import io
import tarfile
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.errors import BundleError
from tallystick.limits import ARTIFACT_CHUNK_BYTES
from tallystick.model.artifact import path_fault
from tallystick.model.bundle import (
    BLOCK,
    END,
    MANIFEST,
    NAMED,
    BundleReader,
    exactly,
    member_header,
    padding,
)

NAMES = st.text(min_size=1, max_size=150).map(lambda name: f"artifacts/{name}")
SOUND_NAMES = NAMES.filter(lambda name: path_fault(name) is None)


def packed(members: dict[str, bytes]) -> bytes:
    """Return a bundle of these members, as they stand."""
    return (
        b"".join(
            member_header(name, len(data)) + data + padding(len(data))
            for name, data in members.items()
        )
        + END
    )


def reader(data: bytes) -> BundleReader:
    """Return a reader of bytes."""
    return BundleReader(exactly(io.BytesIO(data).read))


def read(data: bytes) -> dict[str, bytes]:
    """Return all members."""
    found, source = {}, reader(data)
    while (member := source.next()) is not None:
        found[member.name] = source.content()
    return found


@given(st.dictionaries(SOUND_NAMES, st.binary(max_size=1500), max_size=5))
def test_what_is_packed_is_read(files: dict[str, bytes]) -> None:
    """Any files in order come out again, and Python's tarfile reads the same."""
    members = {MANIFEST: b"{}"} | {name: files[name] for name in sorted(files, key=str.encode)}
    data = packed(members)
    assert read(data) == members
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8") as archive:
        for one in archive:
            taken = archive.extractfile(one)
            assert taken is not None
            assert members[one.name] == taken.read()


@given(st.data())
def test_any_changed_byte_outside_of_contents_is_refused(data: st.DataObject) -> None:
    """Headers and padding have one form: a changed byte is refused or changes name or size."""
    members = {MANIFEST: b"{}", f"artifacts/{'x' * 120}": b"1", "artifacts/y": b"2"}
    right = packed(members)
    at = data.draw(st.integers(0, len(right) - 1))
    wrong = bytearray(right)
    wrong[at] ^= data.draw(st.integers(1, 255))
    try:
        found = read(bytes(wrong))
    except BundleError:
        return
    assert packed(found) == bytes(wrong)


def test_cut_anywhere_is_refused() -> None:
    """No beginning of a bundle is a bundle, and nothing follows one."""
    right = packed({MANIFEST: b"{}", "artifacts/a": b"x" * 600})
    for size in range(0, len(right), 37):
        with pytest.raises(BundleError):
            read(right[:size])
    with pytest.raises(BundleError):
        read(right + b"\0")


def test_order_and_names_are_held() -> None:
    """Named members in their order, once each; then artefacts by the bytes of their paths."""
    names = list(NAMED)
    read(packed(dict.fromkeys(names, b"")))
    for wrong in (
        {names[1]: b"", names[0]: b""},
        {"artifacts/a": b"", names[0]: b""},
        {"artifacts/b": b"", "artifacts/a": b""},
        {"artifacts/a/b": b"", "artifacts/a-b": b""},
        {"evidence/other": b""},
        {"artifacts/../x": b""},
        {"/artifacts/x": b""},
        {"artifacts": b""},
        {"": b""},
    ):
        with pytest.raises(BundleError):
            read(packed(wrong))
    with pytest.raises(BundleError, match="twice"):
        read(packed({"artifacts/a": b""})[:-1024] + packed({"artifacts/a": b""}))


def test_named_members_are_bounded() -> None:
    """The header alone is enough to refuse one that is too large."""
    for name, most in NAMED.items():
        with pytest.raises(BundleError, match="is over"):
            reader(member_header(name, most + 1)).next()


def test_a_large_member_is_read_in_chunks() -> None:
    """A reader holds a chunk, not the file."""
    size = 40 * ARTIFACT_CHUNK_BYTES
    data = member_header("artifacts/big", size) + bytes(size) + END
    source = reader(data)
    source.next()
    tracemalloc.start()
    assert sum(map(len, source.chunks())) == size
    assert tracemalloc.get_traced_memory()[1] < 4 * ARTIFACT_CHUNK_BYTES
    tracemalloc.stop()
    assert source.next() is None


def test_what_is_not_read_is_skipped() -> None:
    """Who asks for the next member need not have read this one."""
    source = reader(packed({MANIFEST: b"x" * 1000, "artifacts/a": b"y"}))
    assert source.next() is not None
    second = source.next()
    assert second is not None
    assert (second.name, second.is_artifact) == ("artifacts/a", True)


@given(st.binary(max_size=3000), st.integers(1, 700))
def test_a_stream_may_give_less_than_asked(data: bytes, most: int) -> None:
    """`exactly` gives as much as there is, however little a stream gives at a time."""
    stream = io.BytesIO(data)
    full = exactly(lambda size: stream.read(min(size, most)))
    assert full(BLOCK) == data[:BLOCK]
    assert full(10_000) == data[BLOCK:]
    assert full(1) == b""


@given(st.binary(max_size=2048))
def test_any_bytes_are_refused_or_a_bundle(data: bytes) -> None:
    """Junk is refused by name, never with a traceback."""
    try:
        found = read(data)
    except BundleError:
        return
    assert packed(found) == data
