# SPDX-License-Identifier: Apache-2.0
"""Paths as streams that can be read twice."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import threading
import time
from pathlib import Path

import pytest
from tests.command import environment, process

from tallystick.cli.inputs import Damage, InputFile, examined_receipts, opened_sources
from tallystick.cli.output import Exit, Stop
from tallystick.verify.source import Input

KEY = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"


def descriptors() -> set[str]:
    """Return where the open descriptors of this process lead."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:  # the one that listed them
            continue
    return found


def fill(pipe: Path, data: bytes) -> None:
    """Write into a pipe while somebody reads it."""

    def write() -> None:
        with open(pipe, "wb") as stream:
            stream.write(data)

    threading.Thread(target=write, daemon=True).start()


def test_files_are_read_again_from_their_beginning() -> None:
    """A second pass gives the same bytes, and the count of bytes goes on."""
    stream = InputFile("run.jsonl")
    first = stream.readline(10_000)
    stream.seek(0)
    assert stream.readline(10_000) == first
    assert stream.bytes_read == 2 * len(first)
    stream.close()
    assert stream.read(1) == b""
    assert stream.size() == os.stat("run.jsonl").st_size
    assert (stream.seekable(), stream.tell()) == (True, 0)


def test_pipes_are_read_again_too(place: Path) -> None:
    """What comes only once is copied into a file that has no name."""
    os.mkfifo(place / "pipe")
    fill(place / "pipe", b"one\ntwo\n")
    before = sorted(os.listdir(place))
    stream = InputFile("pipe")
    assert stream.size() == 0
    assert stream.readline(100) == b"one\n"
    stream.seek(0)
    assert [stream.read(100), stream.read(100), stream.readline(1)] == [b"one\ntwo\n", b"", b""]
    stream.close()
    assert sorted(os.listdir(place)) == before


def test_a_pipe_that_does_not_wait_is_waited_for(place: Path) -> None:
    """Whoever made standard input non-blocking: it is read to its end, not to its first pause."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    command = process("verify", "-", "--key", "agent.pub", "--json")
    work = subprocess.Popen(command, stdin=reader, stdout=subprocess.PIPE, env=environment())
    os.close(reader)
    for line in (place / "run.jsonl").read_bytes().splitlines(keepends=True):
        time.sleep(0.5)  # the command starts, or waits
        os.write(writer, line)
    os.close(writer)
    out, _ = work.communicate(timeout=60)
    report = json.loads(out)
    assert (work.returncode, report["verdict"], report["receipts"]) == (0, "verified", 3)


def test_files_are_closed_between_passes(place: Path) -> None:
    """More paths than descriptors are no fault, in either pass."""
    paths = []
    for number in range(80):
        path = place / f"{number}.json"
        path.write_bytes((place / "receipt.json").read_bytes())
        paths.append(str(path))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 20, hard))
    try:
        with opened_sources(paths) as (sources, _):
            stream = Input(sources)
            kinds = [[type(raw) for raw in stream] for _ in range(2)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert kinds == [[bytes] * 80] * 2
    assert not [path for path in paths if path in descriptors()]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("nowhere", errno.ENOENT),
        (".", errno.EISDIR),
        ("run.jsonl/x", errno.ENOTDIR),
        ("a\0b", errno.EINVAL),
        ("x" * 5000, errno.ENAMETOOLONG),
    ],
)
def test_what_cannot_be_opened_is_one_kind_of_error(path: str, code: int) -> None:
    """Whatever is wrong with a path, reading it raises OSError and nothing else."""
    stream = InputFile(path)
    with pytest.raises(OSError) as fault:  # noqa: PT011  # its number is looked at
        stream.read(1)
    assert fault.value.errno == code
    assert stream.size() == 0 or path == "."


def test_a_file_that_vanishes_between_the_passes(place: Path) -> None:
    """The second pass says so instead of failing."""
    with opened_sources(["run.jsonl"]) as (sources, _):
        stream = Input(sources)
        assert len(list(stream)) == 3
        (place / "run.jsonl").unlink()
        (only,) = list(stream)
    assert getattr(only, "code", None) == "SOURCE_UNREADABLE"


def test_a_full_disk_is_told_as_such(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the copy of a pipe has no room, the fault names the copy."""
    os.mkfifo(place / "pipe.jsonl")
    fill(place / "pipe.jsonl", b"x" * 1_000_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with opened_sources(["pipe.jsonl"]) as (sources, _):
            (only,) = list(Input(sources))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "could not be copied to a file: File too large" in str(only)


def test_names_are_those_that_were_given() -> None:
    """Places are told by path, standard input by name, and odd bytes as escapes."""
    with opened_sources(["run.jsonl", "-", "a\udcff.json"]) as (sources, _):
        assert [source.name for source in sources] == ["run.jsonl", "stdin", "a\\xff.json"]


def test_each_receipt_has_its_place() -> None:
    """Receipts are counted from 0 within their file."""
    places = [where for where, _ in examined_receipts(["run.json", "receipt.json"])]
    assert places == [*(f"run.json:receipt[{n}]" for n in range(3)), "receipt.json:receipt[0]"]


def test_lines_are_lines(place: Path) -> None:
    """A `.jsonl` file is never an array; what is on one line stays there."""
    (place / "array.jsonl").write_bytes((place / "run.json").read_bytes().replace(b"\n", b""))
    (only,) = examined_receipts(["array.jsonl"])
    assert only[1].faults[0].code == "MALFORMED_NOT_OBJECT"


def test_damage_tells_the_worst_first_and_counts() -> None:
    """Refused beats could-not-check, whatever came first."""
    damage = Damage()
    damage.stop()
    damage.note(Exit.UNCHECKED, "one")
    with pytest.raises(Stop, match=r"^one$") as stop:
        damage.stop()
    assert stop.value.code == Exit.UNCHECKED
    damage.note(Exit.REFUSED, "two")
    damage.note(Exit.REFUSED, "three")
    with pytest.raises(Stop, match=r"^two \(2 more like this\)$") as stop:
        damage.stop()
    assert stop.value.code == Exit.REFUSED


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"{}", "/credentialSubject: is missing"),
        (b'{"credentialSubject":[]}', "/credentialSubject: is not an object"),
        (
            b'{"credentialSubject":{"chain":{},"outcome":{}}}',
            "/credentialSubject/action: is missing",
        ),
        (b"[1", "not JSON|not closed"),
        (b"null", "is not an object"),
    ],
)
def test_damage_names_the_place(place: Path, data: bytes, told: str) -> None:
    """What holds no action, link and outcome is no receipt, and the fault is told where it is."""
    (place / "odd.json").write_bytes(data)
    damage = Damage()
    assert all(
        damage.found_in(examined, where) for where, examined in examined_receipts(["odd.json"])
    )
    with pytest.raises(Stop, match=told):
        damage.stop()


@pytest.mark.parametrize("verb", [f"verify --key {KEY}", f"verify --json --key {KEY}", "show"])
@pytest.mark.parametrize("user", ["me:hunter2", "me:hun%20ter2@x", "hunter2"])
def test_a_password_in_an_address_is_not_shown(verb: str, user: str) -> None:
    """Reports and errors name their input by its address: such a one is refused before that."""
    address = f"https://{user}@127.0.0.1:1/chains/a@b"
    done = subprocess.run(
        process(*verb.split(), address),
        capture_output=True, text=True, check=False, env=environment(),
    )  # fmt: skip
    assert done.returncode == 2
    assert "AGENTRECEIPTS_COLLECTOR_TOKEN" in done.stderr
    assert "ter2" not in done.stdout + done.stderr


def test_an_at_behind_the_host_is_no_password() -> None:
    """Ids of chains may hold one."""
    done = subprocess.run(
        process("show", "https://127.0.0.1:1/chains/a@b"),
        capture_output=True, text=True, check=False, env=environment(),
    )  # fmt: skip
    assert done.returncode == 3
    assert "https://127.0.0.1:1/chains/a@b: Connection refused" in done.stderr
