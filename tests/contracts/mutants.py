# SPDX-License-Identifier: Apache-2.0
"""Contracts with a switch in each guard, comparison and effect: compiled once, many mutants.

The switch is a number in storage slot 0 that no source knows of. Zero is the contract as it is; any
other number breaks one place: a guard lets everything pass, a comparison moves its boundary by one,
an effect does not happen.
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.contracts.revm import Interface, interface
from tests.contracts.world import World, deployed
from tools.contracts import build

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "contracts"

_GUARD = re.compile(r'raw_revert\(method_id\("(\w+)\(\)"\)\)')
_COMPARED = re.compile(r" (<=|>=|<|>) ")
_BOUNDARY = {"<=": "<", "<": "<=", ">=": ">", ">": ">="}
_EFFECT = re.compile(r"^(self\.|extcall )")


@dataclass(frozen=True)
class Mutant:
    """One broken place."""

    contract: str
    number: int
    kind: str  # guard, boundary, effect
    line: int
    text: str
    error: str = ""

    def __str__(self) -> str:
        return f"{self.contract}.vy:{self.line} {self.kind}: {self.text}"


class _Switches:
    """Rewrites a source, line by line, and remembers what each switch breaks."""

    def __init__(self, contract: str, source: str) -> None:
        self.contract = contract
        self.lines = source.splitlines()
        self.found: list[Mutant] = []

    def note(self, kind: str, line: int, text: str, error: str = "") -> int:
        """Number a new mutant."""
        number = len(self.found) + 1
        shown = " ".join(text.split())
        self.found.append(Mutant(self.contract, number, kind, line + 1, shown, error))
        return number

    def guard(self, at: int, error: str) -> None:
        """Put switches into the condition before a refusal."""
        begin = at - 1
        indent = len(self.lines[at]) - len(self.lines[at].lstrip()) - 4
        while not self.lines[begin].startswith((" " * indent + "if ", " " * indent + "elif ")):
            begin -= 1
        text = "\n".join(self.lines[begin:at])
        word, condition = text.strip()[:-1].split(maxsplit=1)
        parts = _COMPARED.split(condition)
        made = parts[0]
        switched = condition
        if len(parts) == 3:  # one comparison: its boundary can move
            other = f"{parts[0]} {_BOUNDARY[parts[1]]} {parts[2]}"
            number = self.note("boundary", begin, condition, error)
            switched = f"({condition} if self.mutant != {number} else {other})"
        elif len(parts) > 3:
            for index in range(1, len(parts), 2):
                changed = list(parts)
                changed[index] = _BOUNDARY[parts[index]]
                other = "".join(
                    f" {part} " if place % 2 else part for place, part in enumerate(changed)
                )
                number = self.note("boundary", begin, f"{parts[index]} in {condition}", error)
                switched = f"({switched} if self.mutant != {number} else {other})"
        assert made is not None
        number = self.note("guard", begin, condition, error)
        body = f"{' ' * indent}{word} self.mutant != {number} and ({switched}):"
        self.lines[begin] = body.replace("\n", " ")
        for line in range(begin + 1, at):
            self.lines[line] = ""

    def effect(self, at: int) -> None:
        """Put a switch before a statement."""
        line = self.lines[at]
        indent = len(line) - len(line.lstrip())
        end = at
        while self._open(at, end):
            end += 1
        number = self.note("effect", at, line)
        statement = " ".join(part.strip() for part in self.lines[at : end + 1])
        self.lines[at] = f"{' ' * indent}if self.mutant != {number}: {statement}"
        for after in range(at + 1, end + 1):
            self.lines[after] = ""

    def _open(self, begin: int, end: int) -> bool:
        return _opened("".join(self.lines[begin : end + 1])) > 0

    def rewrite(self) -> str:
        """Return the source with its switches."""
        constructor = False
        depth = 0  # of brackets, where a line begins
        for at, line in enumerate(list(self.lines)):
            inside, depth = depth > 0, depth + _opened(line)
            if line.startswith("def "):
                constructor = "__init__" in line
            refusal = _GUARD.search(line)
            if constructor:
                continue
            if refusal:
                self.guard(at, refusal[1])
            elif not inside and line.startswith("    ") and _EFFECT.match(line.strip()):
                self.effect(at)
        # Nothing that reads the switch is pure, and nothing shares a line with another statement.
        text = re.sub(r"(?m)^( *if self\.mutant != \d+): (self|extcall)", _own_line, self.text())
        text = text.replace("@pure\ndef _committed", "@view\ndef _committed")
        first = re.search(r"(?m)^\w+: public\((?!immutable|constant)", text)
        assert first is not None
        return text[: first.start()] + "mutant: uint256\n" + text[first.start() :]

    def text(self) -> str:
        """Return the lines that are left."""
        return "\n".join(line for line in self.lines if line) + "\n"


def _opened(text: str) -> int:
    return sum(map(text.count, "([{")) - sum(map(text.count, ")]}"))


def _own_line(found: re.Match[str]) -> str:
    indent = len(found[1]) - len(found[1].lstrip())
    return f"{found[1]}:\n{' ' * (indent + 4)}{found[2]}"


def switched(contract: str) -> tuple[str, list[Mutant]]:
    """Return a contract's source with switches, and what they break."""
    source = (SOURCES / f"{contract}.vy").read_text(encoding="utf-8")
    source = re.sub(r'(?s)\n *""".*?"""', "", source)  # documentation needs no switches
    source = re.sub(r"(?m)  #.*$", "", source)
    made = _Switches(contract, source)
    return made.rewrite(), made.found


def compiled(contract: str, folder: Path) -> tuple[Interface, list[Mutant]]:
    """Compile a contract with switches. `folder` gets a copy of what it imports."""
    text, found = switched(contract)
    (folder / "lib").mkdir(exist_ok=True)
    for path in (SOURCES / "lib").glob("*.vy"):
        (folder / "lib" / path.name).write_bytes(path.read_bytes())
    path = folder / f"{contract}.vy"
    path.write_text(text, encoding="utf-8")
    return interface(build(path)), found


def cases(*modules: ModuleType) -> list[tuple[str, str, Callable[[World], None]]]:
    """Return all tests of some modules that take a world: name, source, and how to run each."""
    found = []
    for module in modules:
        for name, test in vars(module).items():
            if not name.startswith("test_"):
                continue
            parameters = inspect.signature(test).parameters
            if "world" not in parameters:
                continue
            source = inspect.getsource(test)
            found += [
                (f"{name}{sorted(given)}", source, _bound(test, given)) for given in _given(test)
            ]
    return found


def _bound(test: Callable[..., None], given: dict[str, Any]) -> Callable[[World], None]:
    return lambda world: test(world=world, **given)


def _given(test: Callable[..., None]) -> Iterator[dict[str, Any]]:
    """Yield the arguments that pytest would give."""
    marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
    choices: list[list[dict[str, Any]]] = []
    for mark in marks:
        names, rows = mark.args[:2]
        names = [names] if isinstance(names, str) else list(names)
        choices.append(
            [dict(zip(names, (row,) if len(names) == 1 else row, strict=True)) for row in rows]
        )
    for chosen in itertools.product(*choices):
        yield {name: value for one in chosen for name, value in one.items()}


def killer(
    kinds: dict[str, Interface],
    mutant: Mutant | None,
    tests: Sequence[tuple[str, str, Callable[[World], None]]],
) -> str | None:
    """Return the first test that a mutant turns red; those that name its error come first."""
    error = mutant.error if mutant else ""
    ordered = sorted(tests, key=lambda one: not (error and f'"{error}"' in one[1]))
    for name, _, run in ordered:
        try:
            run(deployed(kinds, (mutant.contract, mutant.number) if mutant else None))
        except BaseException as fault:
            if isinstance(fault, (KeyboardInterrupt, SystemExit)):
                raise
            return name
    return None


def edited(contract: str, library: str, old: str, new: str, folder: Path) -> Interface:
    """Compile a contract with one place of a library changed."""
    (folder / "lib").mkdir()
    for path in (SOURCES / "lib").glob("*.vy"):
        text = path.read_text(encoding="utf-8")
        if path.stem == library:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (folder / "lib" / path.name).write_text(text, encoding="utf-8")
    path = folder / f"{contract}.vy"
    path.write_bytes((SOURCES / path.name).read_bytes())
    return interface(build(path))
