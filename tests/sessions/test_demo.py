# SPDX-License-Identifier: Apache-2.0
"""`make demo` tells the truth, and fails where it would not."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
DEMO = ROOT / "examples" / "demo.py"


# What it prints, in this order.
TOLD = [
    "$ tally keygen",
    "filesystem.file.read",
    "pending",
    "failure",
    "verified: 9 receipts, 1 chain",
    "SIGNATURE_INVALID",
    "CHAIN_GAP",
    "verified: 7 receipts, 1 chain",
    "EXPECTED_TERMINAL",
    "EXPECTED_LENGTH",
    "$ tally daemon init",
    "$ tally daemon run",
    "listening on /",
    "stored as 2 of",
    "critical",
    "$ tally mcp run",
    "blocked by rule nothing-is-deleted",
    "wrote claude.json",
    "$ python hook_host.py",
    "Bash",
    "failure, denied",
    "closed (interrupted)",
    "verified: 7 receipts, 1 chain",
    "$ tally collector run",
    "listening on http://127.0.0.1:",
    "$ cat function.py",
    "exit 137",
    "$ tally show collected.jsonl",
    "incomplete_tool_roundtrip",
    "verified: 3 receipts, 1 chain",
    "LOG_HOLDS_MORE",
    "in order: 3 receipts, 3 new, 3 promises kept",
    "already given out",
    "$ tally solver run",
    "verified: run ",
    "artifacts/report.md: OK",
    "EVIDENCE_ARTIFACT_CHANGED",
    "has run already",
    "$ python on_chain.py chain",
    "watcher: ",
    "honest  finalized",
    "cheat   slashed",
    "$ tally explain CHAIN_GAP",
    "All 41 outcomes were as expected.",
]


@pytest.fixture(scope="module")
def demo() -> Iterator[ModuleType]:
    """Return the demo as a module."""
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DEMO.parent)  # as for a program: it imports its neighbour
        spec.loader.exec_module(module)
        yield module


@pytest.fixture(autouse=True)
def source_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the demo's commands find this source."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))


def test_demo_shows_all_that_it_promises(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A table, a verdict, and each forgery refused under its own code; the files stay."""
    folder = tmp_path_factory.mktemp("d")  # a socket within has a path of 107 bytes at most
    place = folder / "demo"
    done = subprocess.run(
        [sys.executable, str(DEMO), str(place)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rest = done.stdout
    for text in TOLD:
        assert text in rest, text
        rest = rest.partition(text)[2]
    assert rest == "\n", "the last line says how it went"
    original, forged = ((place / f"{name}.jsonl").read_bytes() for name in ("chain", "forged"))
    assert sum(a != b for a, b in zip(original, forged, strict=True)) == 1
    again = subprocess.run(
        [sys.executable, str(DEMO), str(place)], capture_output=True, text=True, check=False
    )
    assert (again.returncode, again.stdout) == (2, "")
    assert "there already" in again.stderr


@pytest.mark.parametrize("moment", ["$ tally show chain.jsonl", "listening on /"])
def test_ctrl_c_ends_it_without_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, moment: str
) -> None:
    """In front of a command as beside a daemon: 130, and nothing is left running."""
    place = tmp_path_factory.mktemp("d") / "demo"
    # Of a group of its own, all of which a terminal would interrupt.
    demo = subprocess.Popen(
        [sys.executable, str(DEMO), str(place)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    with demo:
        assert demo.stdout is not None
        assert any(line.startswith(moment) for line in demo.stdout)
        os.killpg(demo.pid, signal.SIGINT)
        _, complaints = demo.communicate(timeout=60)
    assert (demo.returncode, complaints) == (130, "")
    with pytest.raises(ProcessLookupError):
        os.killpg(demo.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("command", "expected", "surprise"),
    [
        ("exit 0", {"code": 1}, "ended with 0, not 1"),
        ("exit 1", {"code": 0}, "ended with 1, not 0"),
        ("echo verified", {"shows": "CHAIN_GAP"}, "does not say CHAIN_GAP"),
    ],
)
def test_demo_can_fail(
    demo: ModuleType, tmp_path: Path, command: str, expected: dict[str, object], surprise: str
) -> None:
    """One outcome that is not as expected makes the demo end with 1, and is named."""
    story = demo.Story(tmp_path)
    story.run("true")
    story.run(command, **expected)
    assert story.end() == 1
    assert surprise in story.surprises[0]
