# SPDX-License-Identifier: Apache-2.0
"""Two machines with the same files and the same clock give the same manifest and the same bundle.

They differ in locale, umask, hash seed, the order in which files were made, time zone and folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command import SOURCE
from tests.evidence_making import INTENT, POLICY, SIGNERS, SOUND, bundle_of_folder, make_tree

from tallystick.solver.extracting import extract_bundle
from tallystick.solver.hashing import scan_artifacts
from tallystick.verify.evidence import verify_evidence

ROOT = Path(__file__).resolve().parents[2]
PATH = os.pathsep.join((str(SOURCE), str(ROOT)))
SCRIPT = """
import os, sys
from pathlib import Path
umask, backward, folder = int(sys.argv[1], 8), sys.argv[2] == "backward", Path(sys.argv[3])
os.umask(umask)
from tests.evidence_making import SOUND, SOLVER, evidence_of, make_tree
from tallystick.keys.local import LocalSigner
from tallystick.solver.bundling import sign_manifest, write_bundle
names = ("Z", "a.B", "é", "z", "ä/ö", "_", "10", "9")
files = list(SOUND.items()) + [(name, name.encode()) for name in names]
for name, data in reversed(files) if backward else files:
    make_tree(folder / "run/artifacts", {name: data})
(folder / "run/intent.json").write_bytes(bytes.fromhex(sys.argv[4]))
(folder / "run/policy.json").write_bytes(bytes.fromhex(sys.argv[5]))
made = evidence_of(folder / "run")
sign_manifest(folder / "run", LocalSigner(SOLVER))
print(made.manifest_sha256, write_bundle(folder / "run", folder / "out.tally").sha256)
"""
MACHINES = [
    ("022", "forward", {"LC_ALL": "C", "PYTHONHASHSEED": "1", "TZ": "UTC"}),
    ("077", "backward", {"LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo"}),
    ("000", "backward", {"LC_ALL": "sv_SE.UTF-8", "PYTHONHASHSEED": "3", "PYTHONUTF8": "1"}),
]


def test_two_machines_give_the_same_bytes(tmp_path: Path) -> None:
    """Manifest hash and bundle hash are the same everywhere."""
    told = set()
    for number, (umask, order, more) in enumerate(MACHINES):
        folder = tmp_path / f"machine-{number}"
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, umask, order, str(folder), INTENT.hex(),
             POLICY.to_json().hex()],
            env={**os.environ, **more, "PYTHONPATH": PATH},
            capture_output=True,
            text=True,
            check=True,
        )  # fmt: skip
        told.add(done.stdout)
    assert len(told) == 1
    assert len(SOUND) > 3


@pytest.mark.parametrize("stop_at", range(1, 12))
def test_a_crash_while_evidence_is_made(tmp_path: Path, stop_at: int) -> None:
    """Killed at any fsync: there is no manifest, or the whole one with all that it needs."""
    script = """
import os, sys
from pathlib import Path
from tests.evidence_making import SOUND, SOLVER, evidence_of, make_run
left = int(sys.argv[1])
real = os.fsync
def fsync(descriptor):
    global left
    left -= 1
    if left == 0:
        os._exit(9)
    real(descriptor)
import tallystick.durable.file as file, tallystick.durable.whole as whole
for name in ("write_replace", "make_directory"):
    getattr(file, name).__kwdefaults__["fsync"] = fsync
whole.write_whole.__kwdefaults__["fsync"] = fsync
folder = Path(sys.argv[2])
evidence_of(folder if folder.exists() else make_run(folder))
"""
    run = tmp_path / "run"
    first = subprocess.run(
        [sys.executable, "-c", script, str(stop_at), str(run)],
        env={**os.environ, "PYTHONPATH": PATH}, capture_output=True, check=False,
    )  # fmt: skip
    assert first.returncode in (0, 9), first.stderr
    manifest = run / "evidence" / "manifest.json"
    was_there, digest = manifest.exists(), ""
    if was_there:
        digest = (run / "evidence" / "manifest.sha256").read_text()
        assert (run / "evidence" / "SHA256SUMS").exists()
    second = subprocess.run(
        [sys.executable, "-c", script, "0", str(run)],
        env={**os.environ, "PYTHONPATH": PATH}, capture_output=True, check=False,
    )  # fmt: skip
    if was_there:
        assert b"hashed once" in second.stderr
        assert (run / "evidence" / "manifest.sha256").read_text() == digest
    else:
        assert second.returncode == 0, second.stderr
    assert manifest.exists()


def peak_of(work: Callable[[], object]) -> int:
    """Return the most bytes that Python held during some work."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_files(tmp_path: Path) -> None:
    """A file of 200 MB costs no more than an empty one: scanned, packed, verified, unpacked."""
    folder, out = make_tree(tmp_path / "tree", {"small": b"x"}), tmp_path / "out.tally"
    with (folder / "large").open("wb") as file:
        file.truncate(200_000_000)

    def verify() -> None:
        with out.open("rb") as stream:
            verify_evidence(stream, SIGNERS).ensure()

    def unpack() -> None:
        with out.open("rb") as stream:
            extract_bundle(stream, tmp_path / "unpacked")

    assert peak_of(lambda: list(scan_artifacts(folder))) < 4_000_000
    assert peak_of(lambda: bundle_of_folder(folder, out)) < 4_000_000
    assert peak_of(verify) < 8_000_000
    assert peak_of(unpack) < 8_000_000


def test_a_scan_holds_a_folder_at_a_time(tmp_path: Path) -> None:
    """Two thousand files in twenty folders: what a scan holds is one folder's names."""
    folder = make_tree(tmp_path, {f"{one % 20}/{one}": b"" for one in range(2000)})
    assert peak_of(lambda: sum(1 for _ in scan_artifacts(folder))) < 1_000_000
