# SPDX-License-Identifier: Apache-2.0
"""`tally evidence show`."""

from __future__ import annotations

import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from tests.command import tally


def test_it_shows_and_says_that_it_verifies_nothing() -> None:
    """Facts, artefacts and a stranger's commands; a forged bundle looks as good as any."""
    for name in ("solved", "listed", "stranger", "refusal"):
        shown = tally("evidence", "show", f"{name}.tally")
        assert shown.code == 0
        assert "shown, not verified" in shown.out
    assert "sha256sum -c evidence/SHA256SUMS" in tally("evidence", "show", "solved.tally").out
    assert "SHA256SUMS" not in tally("evidence", "show", "refusal.tally").out
    assert "because" in tally("evidence", "show", "refusal.tally").out


def test_the_manifest_comes_as_it_is() -> None:
    """Its bytes hash to what the first line shows."""
    data = tally("evidence", "show", "solved.tally", "--manifest").out.encode()
    digest = sha256(data.rstrip(b"\n")).hexdigest()
    assert f"sha256:{digest}" in tally("evidence", "show", "solved.tally").out


@pytest.mark.parametrize("name", ["solved.tally", "listed.tally", "detached.tally", "a b;$x.tally"])
def test_what_a_stranger_types_is_right(name: str, tmp_path: Path) -> None:
    """The lines as they are printed, in a plain shell: hash and files are the manifest's."""
    if not Path(name).exists():
        Path("solved.tally").rename(name)
    lines = tally("evidence", "show", name).out.partition("Without this tool:\n")[2].splitlines()
    script = [line for line in lines if line.startswith("  ")]
    assert len(script) == 3
    if name == "detached.tally":  # the artefacts came on another way
        script.insert(1, f"tar xf {tmp_path}/solved.tally artifacts")
    done = subprocess.run(
        ["sh", "-e"], input="\n".join(script), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    digest, *files = done.stdout.splitlines()
    assert digest.split()[0] == Path("plain/evidence/manifest.sha256").read_text().strip()
    assert len(files) == len(Path("plain/evidence/SHA256SUMS").read_text().splitlines())
    assert all(line.endswith(": OK") for line in files)


def test_what_is_no_bundle_is_named() -> None:
    """Which file, and that it is none; standard input by its name."""
    for verb in (("show",), ("prove",), ("extract",)):
        more = {"show": [], "prove": ["x"], "extract": ["--out", "out"]}[verb[0]]
        assert (
            tally("evidence", *verb, "agent.pub", *more).err == "tally: agent.pub: is no bundle\n"
        )
        empty = tally("evidence", *verb, "-", *more)
        assert (empty.code, empty.err) == (1, "tally: standard input: is no bundle\n")
    Path("cut.tally").write_bytes(Path("solved.tally").read_bytes()[:700])
    assert tally("evidence", "show", "cut.tally").err.endswith("is cut off\n")
