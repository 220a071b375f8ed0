# SPDX-License-Identifier: Apache-2.0
"""Entries of artefacts: one form each, no ambiguous paths, and what commits to them."""

from __future__ import annotations

from hashlib import sha256

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from tallystick import limits
from tallystick.crypto.merkle import EMPTY_ROOT, leaf_hash, tree_root
from tallystick.errors import ManifestError
from tallystick.model.artifact import (
    ArtifactEntry,
    artifacts_root,
    encode_entry,
    entry_fault,
    entry_leaf,
    file_and_folder,
    media_type,
    out_of_order,
    outcome_hash,
    parse_entries,
    parse_entry,
    path_fault,
    path_key,
    sums_line,
)

HASH = "0" * 64


def entry(path: str = "artifacts/a", **changes: object) -> ArtifactEntry:
    """Return an entry."""
    told = {"size": 1, "content_type": "text/plain", "path": path, "sha256": HASH} | changes
    return ArtifactEntry(**told)  # type: ignore[arg-type]  # a test's own values


@given(
    name=st.text(min_size=1, max_size=80),
    size=st.integers(0, limits.ARTIFACT_BYTES_MAX),
)
def test_entries_are_canonical(name: str, size: int) -> None:
    """What we write is RFC 8785, is read back as it was, and stays within a kilobyte."""
    one = entry(f"artifacts/{name}", size=size)
    if entry_fault(one) is not None:
        return
    data = encode_entry(one)
    assert data == rfc8785.dumps(
        {"bytes": size, "contentType": "text/plain", "path": one.path, "sha256": HASH}
    )
    assert parse_entry(data) == one
    assert len(data) <= limits.ARTIFACT_ENTRY_BYTES_MAX
    assert entry_leaf(one) == leaf_hash(data)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("artifacts/../x", "relative"),
        ("artifacts//x", "relative"),
        ("artifacts/./x", "relative"),
        ("artifacts/x/", "relative"),
        ("artifacts/", "relative"),
        ("artifacts/a\\b", "backslash"),
        ("artifacts/a\0b", "control"),
        ("artifacts/a\nb", "control"),
        ("artifacts/a\u2028b", "control"),
        ("artifacts/u\u0308", "normal form"),
        ("artifacts/\udcff", "UTF-8"),
        ("artifacts/" + "x" * 256, "a name over"),
        ("artifacts/" + "ü" * 128, "a name over"),
        ("artifacts/" + "/".join("x" * 200 for _ in range(4)), "over"),
        ("artifacts/" + "/".join("x" * limits.ARTIFACT_DEPTH_MAX), "deeper"),
        ("other/a", "not below"),
        ("/artifacts/a", "not below"),
    ],
)
def test_ambiguous_paths_are_refused(path: str, why: str) -> None:
    """Each path that two systems could read differently, or that leads elsewhere."""
    found = entry_fault(entry(path))
    assert found is not None
    assert why in found


def test_ordinary_paths_are_taken() -> None:
    """Hidden names, blanks, quotes, other scripts and `..name` are names like all others."""
    for path in (".tmp-x", "a b", '"', "..name", "名前.txt", "ü", "a/b/c", "x" * 255, "-"):
        assert path_fault(f"artifacts/{path}") is None, path


def test_entries_of_another_form_are_refused() -> None:
    """Blanks, other order, keys twice, unknown members, wrong types: named, never a traceback."""
    good = encode_entry(entry())
    for bad in (
        good.replace(b":1,", b": 1,"),
        good.replace(b'{"bytes":1,', b'{"bytes":1,"bytes":1,'),
        good.replace(b":1,", b":1.0,"),
        good.replace(b":1,", b":-1,"),
        good.replace(b":1,", b":true,"),
        good.replace(b":1,", b":99999999999,"),
        good.replace(b"text/plain", b"TEXT"),
        good.replace(b"0" * 64, b"A" * 64),
        good.replace(b"artifacts/a", b"artifacts/\\u0061"),
        good[:-1] + b',"more":1}',
        good + b" ",
        b"[]",
        b"",
        b"\xff",
        b"[" * 100_000,
    ):
        with pytest.raises(ManifestError):
            parse_entry(bad)


def test_lists_end_with_a_newline() -> None:
    """One entry on each line; an empty list is empty."""
    lines = encode_entry(entry()) + b"\n" + encode_entry(entry("artifacts/b")) + b"\n"
    assert [one.path for one in parse_entries(lines)] == ["artifacts/a", "artifacts/b"]
    assert list(parse_entries(b"")) == []
    with pytest.raises(ManifestError):
        list(parse_entries(lines[:-1]))
    with pytest.raises(ManifestError, match="lists over"):
        next(parse_entries(b"\n" * (limits.ARTIFACTS_MAX + 1)))
    with pytest.raises(ManifestError, match="list:2"):
        list(parse_entries(lines.replace(b"artifacts/b", b"b"), "list"))


def test_media_types_come_from_the_last_ending() -> None:
    """The source's eight endings and ours, in any case; hidden names have none."""
    assert media_type("artifacts/a.JSON") == "application/json"
    assert media_type("artifacts/a.b/c.md") == "text/markdown"
    for path in ("artifacts/.json", "artifacts/json", "artifacts/a.json/b", "artifacts/a.exe"):
        assert media_type(path) == "application/octet-stream"


def test_the_root_is_the_trees() -> None:
    """RFC 6962 over the canonical entries; without entries the empty tree's."""
    entries = [entry(f"artifacts/{name}") for name in "abcde"]
    assert artifacts_root(entries) == tree_root(leaf_hash(encode_entry(one)) for one in entries)
    assert artifacts_root([]) == EMPTY_ROOT


def test_the_outcome_commits_to_count_and_root() -> None:
    """0x02, the count in eight bytes, the root: one preimage for one outcome."""
    expected = sha256(b"\2" + (5).to_bytes(8, "big") + b"r" * 32).digest()
    assert outcome_hash(5, b"r" * 32) == expected
    assert outcome_hash(6, b"r" * 32) != expected


def test_sums_and_order() -> None:
    """A line of `sha256sum`, and the key by which entries are sorted."""
    assert sums_line(entry()) == f"{HASH}  artifacts/a\n".encode()
    paths = ["artifacts/a/b", "artifacts/a-b", "artifacts/ü", "artifacts/B"]
    ordered = [one.path for one in sorted(map(entry, paths), key=path_key)]
    assert ordered == ["artifacts/B", "artifacts/a-b", "artifacts/a/b", "artifacts/ü"]


def test_what_no_list_may_hold() -> None:
    """A path twice or out of order, and one that is a file and a folder: each is named."""
    for paths, late, twofold in (
        (["A", "a", "b/c"], None, None),
        (["a", "a"], "artifacts/a", None),
        (["b", "a"], "artifacts/a", None),
        (["a", "a-", "a/b/c"], None, "artifacts/a"),
        (["a", "b/c", "b/c/d"], None, "artifacts/b/c"),
    ):
        entries = [entry(f"artifacts/{one}") for one in paths]
        assert (out_of_order(entries), file_and_folder(entries)) == (late, twofold)
