# SPDX-License-Identifier: Apache-2.0
"""Nothing is documented that is not executed.

The code blocks of one page run in order, in one empty directory, with this environment's commands
on the PATH. HOME is another directory, which is empty before and after: pages can be read in any
order, and what a reader has at home stays as it is. Languages of blocks:

    console       `$ command`, continued by lines `> …`; the lines below are what it prints. Each
                  command must succeed: a page that shows a failure writes `; echo "exit $?"`.
    python        a program; it must end without an error
    text output   what the block above printed
    text          not run

In shown output `…` stands for anything within a line, and a line `…` for any number of lines.
Output that a page does not show is not compared.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.sessions.warm import warm_tally

from tallystick.config import COLLECTOR
from tallystick.solver.variables import SOLVER

ROOT = Path(__file__).resolve().parent.parent
GENERATED = ROOT / "docs" / "reference"
PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if page.parent != GENERATED or page.name == "README.md"
)
MUST_RUN = {"README.md", "docs/start.md"} | {
    str(page.relative_to(ROOT)) for page in (ROOT / "docs" / "howto").glob("*.md")
}
LANGUAGES = {"console", "python", "text", "text output"}
COMMAND_SECONDS_MAX = 60

FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, and the line on which it begins."""

    language: str
    text: str
    line: int


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(found[1].strip(), found[2], text.count("\n", 0, found.start()) + 1)
        for found in FENCE.finditer(text)
    ]


def commands_of(block: Block) -> list[tuple[str, str]]:
    """Return (command, shown output) for each `$` line."""
    commands: list[tuple[list[str], list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            commands.append(([line[2:]], []))
        elif line.startswith("> ") and commands and not commands[-1][1]:
            commands[-1][0].append(line[2:])
        else:
            assert commands, f"line {block.line}: output before the first `$`"
            commands[-1][1].append(line)
    return [("\n".join(command), "\n".join(output)) for command, output in commands]


def matches(shown: str, printed: str) -> bool:
    """Whether what was printed is what the page shows, `…` standing for anything."""
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "…" else _line_pattern(line) + r"[ \t]*\n"
        for line in shown.rstrip().splitlines()
    )
    return re.fullmatch(pattern, printed.rstrip() + "\n") is not None


def _line_pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.rstrip().split("…"))


def home_of(place: Path) -> Path:
    """Return what is HOME for a page that runs in this place: not the place itself."""
    return place.with_name(f"{place.name}-home")


def environment(place: Path, programs: Path | None) -> dict[str, str]:
    """Return a small, fixed environment: what a page shows must not depend on this machine."""
    folders = [str(one) for one in (programs, Path(sys.executable).parent) if one is not None]
    return {
        "PYTHONPATH": str(ROOT / "src"),
        "PATH": ":".join([*folders, os.environ.get("PATH", os.defpath)]),
        "HOME": str(home_of(place)),
        "LC_ALL": "C.UTF-8",
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "TERM": "dumb",
    }


def run(
    arguments: list[str], place: Path, program: str = "", *, programs: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        cwd=place,
        env=environment(place, programs),
        input=program,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )


def run_page(page: Path, place: Path, programs: Path | None = None) -> int:
    """Run all blocks of a page; return how many commands and programs ran."""
    ran, printed = 0, ""
    for block in blocks_of(page):
        at = f"{page.relative_to(ROOT)}:{block.line}"
        if block.language == "console":
            for command, shown in commands_of(block):
                done = run(["bash", "-c", command], place, programs=programs)
                printed = done.stdout
                ran += 1
                assert done.returncode == 0, f"{at}: $ {command}\n{printed}"
                assert not shown or matches(shown, printed), (
                    f"{at}: $ {command}\nshown:\n{shown}\nprinted:\n{printed}"
                )
        elif block.language == "python":
            done = run([sys.executable, "-W", "error", "-"], place, block.text)
            printed = done.stdout
            ran += 1
            assert done.returncode == 0, f"{at}:\n{printed}"
        elif block.language == "text output":
            assert matches(block.text, printed), f"{at}: shown:\n{block.text}\nprinted:\n{printed}"
    return ran


@pytest.fixture(scope="module")
def warm_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with a `tally` whose slow imports are done; see tests/sessions/warm.py."""
    with warm_tally(tmp_path_factory.mktemp("warm"), ROOT / "src") as folder:
        yield folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_runs(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Every command and program of the page runs, and prints what the page shows."""
    is_on_chain = any("tally hub" in one.text for one in blocks_of(page) if one.language != "text")
    programs = request.getfixturevalue("warm_programs") if is_on_chain else None
    place = tmp_path / "place"
    place.mkdir()
    home_of(place).mkdir()
    ran = run_page(page, place, programs)
    if str(page.relative_to(ROOT)) in MUST_RUN:
        assert ran, "a page that teaches by doing has something to do"
    left = sorted(str(one.relative_to(home_of(place))) for one in home_of(place).rglob("*"))
    assert not left, "a page leaves nothing in the reader's home: give it a HOME of its own"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_are_of_known_languages(page: Path) -> None:
    """Each block is run or is marked `text`: no third kind escapes the tests."""
    unknown = [
        f"line {block.line}: {block.language or 'no language'}"
        for block in blocks_of(page)
        if block.language not in LANGUAGES
    ]
    assert not unknown
    assert page.read_text(encoding="utf-8").count("\n```") % 2 == 0, "a fence is not closed"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links name files that exist."""
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    dead = [
        target
        for target in LINK.findall(prose)
        if "://" not in target
        and not target.startswith("#")
        and not (page.parent / target.partition("#")[0]).exists()
    ]
    assert not dead


def test_pages_were_found() -> None:
    """The tests above had something to look at."""
    assert len(PAGES) >= 20
    assert len(MUST_RUN) >= 6


def test_no_two_pages_listen_on_one_port() -> None:
    """Pages can be tried side by side, and beside services at their own addresses."""
    pages: dict[str, set[str]] = {
        str(one.default).partition(":")[2]: {f"docs/howto/run-a-{service}.md"}
        for service, table in (("collector", COLLECTOR), ("solver", SOLVER))
        for one in table
        if one.name == "addr"
    }
    assert len(pages) == 2
    for page in PAGES:
        shown = "".join(one.text for one in blocks_of(page) if one.language != "text")
        for port in re.findall(r"127\.0\.0\.1:([0-9]{4,5})\b", shown):
            pages.setdefault(port, set()).add(str(page.relative_to(ROOT)))
    assert [found for found in pages.values() if len(found) > 1] == []


def test_contributing_draws_the_floors_that_the_linter_keeps() -> None:
    """Room by room, from top to bottom."""
    (drawn,) = (
        one.text for one in blocks_of(ROOT / "CONTRIBUTING.md") if one.text.startswith("cli ")
    )
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (floors,) = (
        one["layers"]
        for one in settings["tool"]["importlinter"]["contracts"]
        if one["type"] == "layers"
    )
    kept = [re.findall(r"\w+", one) for one in floors if "__main__" not in one]
    assert [sorted(re.split(r"  +", one)[0].split(" | ")) for one in drawn.splitlines()] == [
        sorted(one) for one in kept
    ]


def test_readme_is_one_screen() -> None:
    """The README has at most 60 lines."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 60


def test_needed_tools_are_here() -> None:
    """The pages use bash and sed; without them the tests of the pages would mean nothing."""
    assert shutil.which("bash")
    assert shutil.which("sed")


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a…c", "abbbc\n", True),
        ("a…c", "abbb\n", False),
        ("…", "", True),
        ("a\n…\nz", "a\nb\nc\nz\n", True),
        ("a\n…\nz", "a\nz\n", True),
        ("a\n…\nz", "a\nb\nc\n", False),
        ("a", "a\nb\n", False),
        ("(a)", "(a)  \n", True),
    ],
)
def test_wildcards(shown: str, printed: str, same: bool) -> None:
    """`…` stands for anything within a line, and alone for any number of lines."""
    assert matches(shown, printed) is same
