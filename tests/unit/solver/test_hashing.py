# SPDX-License-Identifier: Apache-2.0
"""Trees of files become lists of artefacts, the same on every machine, or are refused by name."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence_making import SOUND, make_tree

from tallystick import limits
from tallystick.errors import ArtifactRefused, LimitError, UnreadableError
from tallystick.limits import ARTIFACT_CHUNK_BYTES
from tallystick.model.artifact import ARTIFACTS
from tallystick.solver.hashing import hash_file, open_artifact, open_folder, scan_artifacts

NAMES = st.text(
    st.characters(categories=("Ll", "Lu", "Nd", "Po", "Pd", "Lo"), exclude_characters="/\\"),
    min_size=1,
    max_size=6,
).filter(lambda name: name not in {".", ".."})


def paths(folder: Path) -> list[str]:
    """Return the paths that a scan finds, from the folder on."""
    return [entry.path.removeprefix(ARTIFACTS) for entry in scan_artifacts(folder)]


def test_every_file_is_listed_in_the_order_of_bytes(tmp_path: Path) -> None:
    """Hidden and empty files count, `a-b` comes before `a/b`, and hashes are those of the files."""
    make_tree(tmp_path, SOUND)
    found = list(scan_artifacts(tmp_path))
    assert [one.path for one in found] == sorted(
        (ARTIFACTS + name for name in SOUND), key=str.encode
    )
    for one in found:
        data = SOUND[one.path.removeprefix(ARTIFACTS)]
        assert (one.size, one.sha256) == (len(data), sha256(data).hexdigest())


@given(
    tree=st.dictionaries(
        st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.binary(), max_size=8
    )
)
def test_any_tree_is_listed_whole(tree: dict[str, bytes]) -> None:
    """Whatever tree a run leaves: each file once, in order, and refused where a name is odd."""
    import unicodedata

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made: dict[str, bytes] = {}
        for path, data in tree.items():
            try:
                make_tree(folder, {path: data})
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                continue  # a file stands where a folder would have to
            made[path] = data
        if all(unicodedata.is_normalized("NFC", path) for path in made):
            entries = list(scan_artifacts(folder))
            assert [one.path for one in entries] == sorted(
                (ARTIFACTS + path for path in made), key=str.encode
            )
            assert [one.size for one in entries] == [
                len(made[one.path.removeprefix(ARTIFACTS)]) for one in entries
            ]
        else:
            with pytest.raises(ArtifactRefused, match="normal form C"):
                list(scan_artifacts(folder))


def test_links_are_refused_by_name(tmp_path: Path) -> None:
    """A link to a file, to a folder, or to nothing: none is followed, none is skipped."""
    for number, target in enumerate(("/etc/passwd", "/etc", "nowhere")):
        folder = make_tree(tmp_path / str(number), {"real": b"x"})
        (folder / "sub").mkdir()
        (folder / "sub" / "link").symlink_to(target)
        with pytest.raises(ArtifactRefused, match="sub/link: is a symbolic link"):
            list(scan_artifacts(folder))


def test_what_is_no_file_is_refused_by_name(tmp_path: Path) -> None:
    """Pipes and sockets are refused, and nobody waits for them."""
    os.mkfifo(make_tree(tmp_path / "one", {}) / "pipe")
    with pytest.raises(ArtifactRefused, match="pipe: is neither"):
        list(scan_artifacts(tmp_path / "one"))
    make_tree(tmp_path / "two", {})
    with socket.socket(socket.AF_UNIX) as server:
        folder = os.open(tmp_path / "two", os.O_RDONLY)
        try:
            server.bind(f"/proc/self/fd/{folder}/socket")
        finally:
            os.close(folder)
        with pytest.raises(ArtifactRefused, match="socket: is neither"):
            list(scan_artifacts(tmp_path / "two"))


def test_devices_are_refused_by_name() -> None:
    """A device has no end: neither listed nor read, wherever it stands."""
    told = r"could not be read|is neither|symbolic link"
    with pytest.raises((ArtifactRefused, UnreadableError), match=told):
        list(scan_artifacts("/dev"))
    root = open_folder("/dev")
    try:
        for name in ("null", "zero", "full"):
            with pytest.raises(ArtifactRefused, match=f"^{name}: is neither a regular file"):
                os.close(open_artifact(root, name))
    finally:
        os.close(root)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (b"u\xcc\x88.txt", "normal form C"),
        (b"\xff", "not UTF-8"),
        (b"a\nb", "control characters"),
        (b"a\\b", "a backslash"),
        (b"\x1b[2J", "control characters"),
    ],
)
def test_ambiguous_names_are_refused(tmp_path: Path, name: bytes, why: str) -> None:
    """A name that two systems could read differently is refused, also that of a folder."""
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))).mkdir()
    with pytest.raises(ArtifactRefused, match=why):
        list(scan_artifacts(tmp_path))


def test_a_file_that_changes_is_refused(tmp_path: Path) -> None:
    """Who writes to a file while it is read spoils it, in whichever way."""
    target = tmp_path / "b"
    make_tree(tmp_path, {"a": b"x", "b": b"before"})
    found = scan_artifacts(tmp_path)
    assert next(found).path == "artifacts/a"
    target.write_bytes(b"before, and more")  # not opened yet: the newer file counts
    assert next(found).size == 16
    from tallystick.solver.hashing import read_unchanged

    descriptor = os.open(target, os.O_RDONLY)

    def change(part: memoryview) -> None:
        with target.open("ab") as file:
            file.write(b"!")

    try:
        with pytest.raises(ArtifactRefused, match="changed while it was read"):
            read_unchanged(descriptor, "b", change, memoryview(bytearray(64)))
    finally:
        os.close(descriptor)


def test_depth_and_number_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a limit the scan stops: by name where one file is at fault."""
    deep = tmp_path
    for _ in range(limits.ARTIFACT_DEPTH_MAX):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "f").write_bytes(b"")
    with pytest.raises(ArtifactRefused, match="deeper than"):
        list(scan_artifacts(tmp_path))
    many = make_tree(tmp_path / "many", {"a": b"12", "b": b"34", "c/d": b"56"})
    monkeypatch.setattr("tallystick.solver.hashing.ARTIFACTS_BYTES_MAX", 5)
    with pytest.raises(LimitError, match="over 5 bytes"):
        list(scan_artifacts(many))
    monkeypatch.undo()
    for most, name in ((2, ""), (1, ""), (2, "c")):
        monkeypatch.setattr("tallystick.solver.hashing.ARTIFACTS_MAX", most)
        if name:
            make_tree(many / "c", {"e": b"", "f/g": b""})
        with pytest.raises(LimitError, match=f"over {most} files"):
            list(scan_artifacts(many / name))
    monkeypatch.undo()
    monkeypatch.setattr("tallystick.solver.hashing.ARTIFACT_BYTES_MAX", 1)
    with pytest.raises(ArtifactRefused, match="is over 1 bytes"):
        list(scan_artifacts(many))


# As whoever runs it; root becomes a user who owns nothing and may do no more than others.
_SCAN = """
import os, sys
from tallystick.errors import UnreadableError
from tallystick.solver.hashing import scan_artifacts
if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    print(*(entry.path for entry in scan_artifacts(sys.argv[1])))
except UnreadableError as fault:
    print(fault)
"""


@pytest.mark.parametrize(
    ("closed", "mode", "told"),
    [
        ("b", 0o000, "b: could not be read: Permission denied"),
        ("c", 0o000, "c: could not be read: Permission denied"),  # not even listed
        ("c", 0o300, "c: could not be read: Permission denied"),
        ("c", 0o744, "c/d: could not be read: Permission denied"),  # listed, and not entered
        ("b", 0o444, "artifacts/a artifacts/b artifacts/c/d"),
    ],
)
def test_what_may_not_be_read_is_listed_or_refused(closed: str, mode: int, told: str) -> None:
    """Nothing is left out: root reads all of it, everybody else is told the name."""
    with tempfile.TemporaryDirectory() as name:
        folder = make_tree(Path(name), {"a": b"1", "b": b"2", "c/d": b"3"})
        for made in (folder, *folder.rglob("*")):  # whatever the umask is
            made.chmod(0o755 if made.is_dir() else 0o644)
        path = folder / closed
        usual = path.stat().st_mode
        if os.geteuid() == 0:
            path.chmod(mode)
            assert paths(folder) == ["a", "b", "c/d"]
        else:
            path.chmod(mode & 0o077 | (mode & 0o007) << 6)  # the owner counts as the others do
        done = subprocess.run(
            [sys.executable, "-c", _SCAN, name], capture_output=True, text=True, check=True
        )
        path.chmod(usual)
        assert done.stdout.strip() == told


def test_a_folder_that_is_not_there_is_unreadable(tmp_path: Path) -> None:
    """Nothing to scan is no empty list."""
    with pytest.raises(UnreadableError):
        list(scan_artifacts(tmp_path / "nowhere"))


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    """Whoever stops in the middle leaves nothing open."""
    make_tree(tmp_path, SOUND)
    before = len(os.listdir("/proc/self/fd"))
    found = scan_artifacts(tmp_path)
    next(found)
    found.close()  # type: ignore[attr-defined]  # a generator
    assert len(os.listdir("/proc/self/fd")) == before


def test_one_artifact_is_opened_without_links(tmp_path: Path) -> None:
    """No component of a path may be a link."""
    make_tree(tmp_path, {"real/file": b"x"})
    (tmp_path / "link").symlink_to("real")
    root = open_folder(tmp_path)
    try:
        os.close(open_artifact(root, "real/file"))
        with pytest.raises(ArtifactRefused):
            open_artifact(root, "link/file")
    finally:
        os.close(root)


def test_one_file_is_hashed(tmp_path: Path) -> None:
    """One file by itself: its hash and size."""
    make_tree(tmp_path, {"a": b"abc"})
    assert hash_file(tmp_path / "a") == (sha256(b"abc").hexdigest(), 3)
    os.mkfifo(tmp_path / "pipe")
    for name in ("b", "pipe", "."):
        with pytest.raises(UnreadableError):
            hash_file(tmp_path / name)


def test_progress_counts_files_and_bytes(tmp_path: Path) -> None:
    """Who watches sees how many files and bytes are done."""
    make_tree(tmp_path, {"a": b"abc", "b": b"de"})
    seen: list[tuple[int, int]] = []
    list(scan_artifacts(tmp_path, progress=lambda files, size: seen.append((files, size))))
    assert seen == [(1, 3), (2, 5)]


def test_a_large_file_tells_how_far_it_is(tmp_path: Path) -> None:
    """Nobody waits for the end of a file to see that something happens."""
    chunk = ARTIFACT_CHUNK_BYTES
    make_tree(tmp_path, {"a": b"abc", "b": bytes(2 * chunk + 1)})
    seen: list[tuple[int, int]] = []
    list(scan_artifacts(tmp_path, progress=lambda files, size: seen.append((files, size))))
    parts = [(1, 3 + done) for done in (chunk, 2 * chunk, 2 * chunk + 1)]
    assert seen == [(1, 3), *parts, (2, 2 * chunk + 4)]
