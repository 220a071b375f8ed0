# SPDX-License-Identifier: Apache-2.0
"""Bundles and keys as the command line names them."""

from __future__ import annotations

import errno
import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.command import tally
from tests.terminals import is_gone, watched

from tallystick.cli.evidence_files import bar, head_of, opened_bundle, signers_from, size_of
from tallystick.cli.main import main
from tallystick.cli.output import Exit, Stop
from tallystick.crypto.multibase import did_key_encode


def test_keys_are_told_apart_by_their_form() -> None:
    """Files and did:keys are Ed25519, `0x…` is an address; capitals are checked."""
    address = Path("solver.address").read_text()
    signers = signers_from(["solver.pub", address], None)
    assert len(signers.trust.anyone) == 1
    assert signers.addresses == (bytes.fromhex(address[2:]),)
    for wrong in (address[:-1], address.swapcase().replace("0X", "0x")):
        with pytest.raises(Stop) as stopped:
            signers_from([wrong], None)
        assert stopped.value.code is Exit.USAGE
    assert signers_from([did_key_encode(bytes(31) + b"\x05")], None).addresses == ()


def test_a_bundle_that_cannot_be_opened_stops() -> None:
    """What can't be read is unchecked, and one line says why."""
    with pytest.raises(Stop) as stopped, opened_bundle("nowhere"):
        pass
    assert stopped.value.code is Exit.UNCHECKED
    with opened_bundle("solved.tally") as stream:
        assert head_of(stream, "solved.tally").manifest.origin == "run"


class _Failing(io.BytesIO):
    """What is there at first, and can't be read to its end."""

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if not data:
            raise OSError(errno.EIO, "Input/output error")
        return data


@pytest.mark.parametrize("verb", ["verify", "show", "extract", "prove"])
@pytest.mark.parametrize("has_begun", [True, False])
def test_a_bundle_that_fails_to_be_read_is_named(
    verb: str,
    has_begun: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """At whichever byte it fails: unchecked, and the bundle is to blame, not what is written."""
    stream = _Failing(Path("solved.tally").read_bytes()[:2000] if has_begun else b"")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stream))
    more = {"verify": ("--key", "solver.pub"), "extract": ("--out", "out"), "prove": ("a",)}
    code = main(["evidence", verb, "-", *more.get(verb, ())], standalone_mode=False)
    told = capsys.readouterr().err
    assert code == Exit.UNCHECKED
    assert "standard input could not be read: Input/output error" in told
    assert not Path("out").exists()


def test_sizes_and_bars() -> None:
    """A folder or a pipe has no size beforehand; nobody watching means no bar."""
    assert size_of("solved.tally") > 10_000
    assert size_of("results") == size_of("-") == size_of("nowhere") == 0
    with bar(10) as progress:
        assert progress is None


@pytest.mark.parametrize(
    ("arguments", "end"),
    [
        (("make", "results", "--out", "r.tally", "--key", "agent.key"), "2 files"),
        (("verify", "solved.tally", "--key", "solver.pub"), "{done:.1f}/{size:.1f} kB"),
        (("verify", "-", "--key", "solver.pub"), "6 files"),
        (("extract", "solved.tally", "--out", "out"), "{done:.1f}/{size:.1f} kB"),
    ],
)
def test_long_work_shows_a_bar(arguments: tuple[str, ...], end: str) -> None:
    """On a terminal, on standard error alone, up to the end; and it goes away again."""
    data = Path("solved.tally").read_bytes()
    code, out, shown = watched("evidence", *arguments, stdin=data)
    assert code == 0, shown
    assert "\x1b" not in out
    assert " files" in shown
    size = len(data) / 1000
    assert end.format(done=size - 1.024, size=size) in shown  # all but the two blocks at the end
    assert is_gone(shown)


def test_a_folder_that_is_compared_shows_a_bar() -> None:
    """Where the bundle has no artefacts of its own, too."""
    assert tally("evidence", "extract", "solved.tally", "--out", "out").code == 0
    folder = ("--artifacts", "out/artifacts")
    code, _, shown = watched("evidence", "verify", "detached.tally", "--key", "solver.pub", *folder)
    assert (code, "6 files" in shown) == (0, True)
