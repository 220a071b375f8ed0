# SPDX-License-Identifier: Apache-2.0
"""Writes docs/reference from the code: `make docs`. With `--check`, says what is out of date.

Each page has one source in the code, and nothing is told twice: what a page says is what the
table, the docstring or the comment says at the place that it describes.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "reference"
WRITTEN = {"README", "soak"}  # by people
WIDTH = 92

EXIT_CODES = """\
| exit code | means |
| --- | --- |
| 0 | verified, or done |
| 1 | refused: what was read is not a valid receipt, chain or disclosure |
| 2 | wrong usage, also a malformed key or trust file |
| 3 | could not be checked: unreadable, nothing to verify, no key for that issuer |
| 130, 141 | no answer: interrupted, or nobody reads the output any more |

With 1, 2 and 3 goes one line on standard error: what, where, and what to do.
"""

FINDINGS_INTRODUCTION = """\
A finding has a code, a severity, a place (`where`), what was `expected` and `found` there, and a
message. Decide by codes, never by messages. `UPPER_CASE` codes decide the verdict, `lower_case`
codes are advisories and leave it alone. `refused` beats `unchecked` beats `verified`.
`tally explain CODE` prints a row of this page.
"""

API_INTRODUCTION = """\
All names come from `tallystick` itself: `from tallystick import verify_chain`. What is not on this
page is private and may change.
"""


# Its neighbour, by its own name: this file is run as a program.
PAGES_OF_TABLES: Any = importlib.import_module("pages")
table: Callable[..., str] = PAGES_OF_TABLES.table
options_table: Callable[..., str] = PAGES_OF_TABLES.options_table


def main(arguments: Sequence[str] | None = None) -> int:
    """Write all pages, or compare them; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    check = parser.parse_args(arguments).check
    stale, broken = [], 0
    for name, (source, build) in BUILDERS.items():
        path = PAGES / f"{name}.md"
        notice = f"<!-- Generated from {source} by `make docs`: do not edit. -->\n\n"
        try:
            text = notice + build().rstrip() + "\n"
        except (AttributeError, ImportError) as fault:
            print(f"{path.relative_to(ROOT)}: no page without its source: {fault}")
            broken += 1
            continue
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path.relative_to(ROOT))
        if not check:
            path.write_text(text, encoding="utf-8")
    unknown = [
        page.relative_to(ROOT)
        for page in sorted(PAGES.glob("*.md"))
        if page.stem not in BUILDERS and page.stem not in WRITTEN
    ]
    for path in stale:
        print(f"{path}: {'out of date; run `make docs`' if check else 'written'}")
    for path in unknown:
        print(f"{path}: nothing generates this page")
    if not stale and not unknown and not broken:
        print(f"{len(BUILDERS)} reference pages are up to date")
    return 1 if broken or unknown or (check and stale) else 0


def cli_page() -> str:
    """Return the help text of every command, as the terminal shows it."""
    import click

    group = importlib.import_module("tallystick.cli.main").main
    parts = [
        "# Command line\n",
        EXIT_CODES,
    ]
    top = click.Context(group, info_name="tally", terminal_width=WIDTH, **group.context_settings)
    parts.append(f"## tally\n\n{_fence(group.get_help(top))}")

    def walk(group: Any, above: Any) -> None:
        for name in group.list_commands(above):
            command = group.get_command(above, name)
            context = click.Context(command, info_name=name, parent=above, terminal_width=WIDTH)
            parts.append(f"## {context.command_path}\n\n{_fence(command.get_help(context))}")
            if isinstance(command, click.Group):
                walk(command, context)

    walk(group, top)
    return "\n".join(parts)


def findings_page() -> str:
    """Return the table of finding codes by severity."""
    codes = importlib.import_module("tallystick.verify.findings").CODES
    parts = [
        "# Finding codes\n",
        FINDINGS_INTRODUCTION,
    ]
    for severity, meaning in (
        ("refused", "Something is wrong: the verdict is `refused`."),
        ("unchecked", "It could not be told: the verdict is `unchecked`, unless it is `refused`."),
        ("advisory", "Worth a look. The verdict stands."),
    ):
        rows = [
            (f"`{code.name}`", code.summary, code.remedy)
            for code in codes.values()
            if code.severity == severity
        ]
        parts.append(f"## {severity.capitalize()}\n\n{meaning}\n")
        parts.append(table(("code", "means", "what to do"), rows))
    return "\n".join(parts)


def limits_page() -> str:
    """Return every bound with its value and the comment above it."""
    path = ROOT / "src" / "tallystick" / "limits.py"
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    values = vars(importlib.import_module("tallystick.limits"))
    rows = []
    for node in ast.parse(text).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if not isinstance(node, ast.Assign) or not isinstance(target, ast.Name):
            continue
        name = target.id
        rows.append((f"`{name}`", _quantity(name, values[name]), _comment_above(lines, node)))
    return (
        "# Limits\n\nEvery input is bounded at the door. The unit stands in the name.\n\n"
        + table(("limit", "value", "why"), rows)
    )


def errors_page() -> str:
    """Return the tree of exceptions with the first line of each docstring."""
    _import_all()
    root = importlib.import_module("tallystick.errors").Error
    tree: list[str] = []
    rows: list[tuple[str, str, str]] = []

    def walk(kind: type[BaseException], depth: int) -> None:
        tree.append("    " * depth + kind.__name__)
        rows.append((f"`{kind.__name__}`", f"`{kind.__module__}`", _first_line(kind)))
        ours = {
            child for child in kind.__subclasses__() if child.__module__.startswith("tallystick.")
        }
        for child in sorted(ours, key=lambda one: one.__name__):
            walk(child, depth + 1)

    walk(root, 0)
    return (
        "# Errors\n\nAll errors that we raise on purpose; `except tallystick.Error` catches them. "
        "Verification does\nnot raise: it returns a report, and `Report.ensure()` raises for those "
        f"who ask.\n\n{_fence(chr(10).join(tree))}\n"
        + table(("error", "defined in", "means"), rows)
    )


def configuration_page() -> str:
    """Return the table of settings from the environment."""
    variables: Any = importlib.import_module("tallystick.config").VARIABLES
    rows = [
        (
            f"`{one.environment}`",
            one.kind + (", secret" if one.secret else ""),
            f"`{one.default}`" if one.default else "none",
            one.purpose,
        )
        for one in variables
    ]
    return (
        "# Configuration\n\nWhat can be set from outside, besides the options of the "
        "[command line](cli.md).\nA secret is never printed, not even in an error.\n\n"
        + table(("variable", "kind", "default", "for"), rows)
        + "\n## The daemon\n\nWhat `tally daemon` reads: as options, from these variables, and "
        "from its TOML file,\nwhere the name is the option's with underscores.\n\n"
        + options_table(importlib.import_module("tallystick.daemon.variables").DAEMON)
        + "\n## The solver\n\nWhat `tally solver` reads: as options, from these variables, and "
        "from `solver.toml`,\nwhere the name is the option's with underscores. `policy-…` has no "
        "option.\n\n" + options_table(importlib.import_module("tallystick.solver.variables").SOLVER)
    )


def delivery_page() -> str:
    """Return what each answer of a collector means for `emit`."""
    outcome = importlib.import_module("tallystick.deliver.outcome")
    parts = [f"# Delivery\n\n{_prose(outcome)}\n"]
    for judgement, meaning in outcome.MEANINGS.items():
        cases = [case for case in outcome.CASES if case.judgement == judgement]
        rows = [(case.does, str(case.status or "none")) for case in cases]
        parts.append(f"## {judgement.capitalize()}\n\n{meaning}")
        parts.append(table(("the collector, or what stands in its place", "status"), rows))
    return "\n".join(parts)


def api_page() -> str:
    """Return the public names with their signatures and first docstring lines."""
    package = importlib.import_module("tallystick")
    functions, classes, others = [], [], []
    for name in sorted(package.__all__):
        value = getattr(package, name)
        if inspect.isclass(value):
            classes.append(_describe_class(name, value))
        elif callable(value):
            functions.append(f"### {name}\n\n{_fence(_call(name, value))}\n{_prose(value)}\n")
        else:
            others.append((f"`{name}`", f"`{value!r}`"))
    parts = [
        "# Python interface\n",
        API_INTRODUCTION,
        "## Functions\n",
        *functions,
        "## Classes\n",
        *classes,
    ]
    if others:
        parts += ["## Constants\n", table(("name", "value"), others)]
    return "\n".join(parts)


BUILDERS: dict[str, tuple[str, Callable[[], str]]] = {
    "api": ("`tallystick.__all__`", api_page),
    "collector": (
        "the tables of `tallystick.collector` and `tallystick.serve`",
        PAGES_OF_TABLES.collector_page,
    ),
    "cli": ("the commands of `tallystick.cli`", cli_page),
    "configuration": ("`tallystick.config`", configuration_page),
    "daemon": ("`tallystick.daemon.figures`", PAGES_OF_TABLES.daemon_page),
    "delivery": ("`tallystick.deliver.outcome`", delivery_page),
    "errors": ("the subclasses of `tallystick.errors.Error`", errors_page),
    "findings": ("`tallystick.verify.findings`", findings_page),
    "limits": ("`tallystick.limits`", limits_page),
    "solver": (
        "the tables of `tallystick.solver` and `tallystick.model.decision`",
        PAGES_OF_TABLES.solver_page,
    ),
    "taxonomy": ("`tallystick.model.taxonomy`", PAGES_OF_TABLES.taxonomy_page),
}


def _fence(text: str) -> str:
    return f"```text\n{text}\n```\n"


def _prose(value: object) -> str:
    return inspect.getdoc(value) or ""


def _first_line(value: object) -> str:
    return _prose(value).split("\n\n")[0].replace("\n", " ")


def _comment_above(lines: list[str], node: ast.stmt) -> str:
    comment: list[str] = []
    at = node.lineno - 2
    while at >= 0 and lines[at].startswith("#"):
        comment.insert(0, lines[at].removeprefix("#").strip())
        at -= 1
    return " ".join(comment)


def _quantity(name: str, value: int) -> str:
    for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if "BYTES" in name and value >= size and value % size == 0:
            return f"{value // size} {unit}"
    return f"{value:,}".replace(",", " ")


def _call(name: str, value: Any) -> str:
    """Return `name(…) -> …`, one parameter per line where it is long."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return f"{name}(…)"
    given = [one for one in signature.parameters.values() if one.name not in ("self", "cls")]
    parameters = [_parameter(one) for one in given]
    kinds = [one.kind for one in given]
    if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
        parameters.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    answer = signature.return_annotation
    arrow = "" if answer is inspect.Signature.empty else f" -> {_annotation(answer)}"
    line = f"{name}({', '.join(parameters)}){arrow}"
    if len(line) <= WIDTH:
        return line
    body = "".join(f"    {one},\n" for one in parameters)
    return f"{name}(\n{body}){arrow}"


def _parameter(one: inspect.Parameter) -> str:
    text = one.name
    if one.kind is inspect.Parameter.VAR_POSITIONAL:
        text = "*" + text
    elif one.kind is inspect.Parameter.VAR_KEYWORD:
        text = "**" + text
    if one.annotation is not inspect.Parameter.empty:
        text += f": {_annotation(one.annotation)}"
    if one.default is not inspect.Parameter.empty:
        text += f" = {_default(one.default)}"
    return text


def _default(value: Any) -> str:
    # The text of a function is its address, which differs from run to run.
    if inspect.isroutine(value):
        return str(value.__name__)
    if hasattr(value, "__struct_fields__") and value == type(value)():
        return f"{type(value).__name__}()"
    return repr(value)


def _annotation(hint: object) -> str:
    return hint if isinstance(hint, str) else str(inspect.formatannotation(hint))


def _describe_class(name: str, kind: type[Any]) -> str:
    if issubclass(kind, BaseException):
        return f"### {name}\n\n{_first_line(kind)} See [errors](errors.md).\n"
    parts = [f"### {name}\n", f"{_prose(kind)}\n"]
    if issubclass(kind, Enum):
        rows = [(f"`{one.name}`", f"`{one.value}`") for one in kind]
        return "\n".join([*parts, table(("name", "value"), rows)])
    fields = _fields(kind)
    if not fields and "__init__" in vars(kind) and not getattr(kind, "_is_protocol", False):
        parts.insert(1, _fence(_call(name, kind)))
    if fields:
        parts.append(table(("field", "type"), fields))
    members = _members(kind)
    if members:
        parts.append(table(("member", "does"), members))
    return "\n".join(parts)


def _fields(kind: type[Any]) -> list[tuple[str, str]]:
    names = getattr(kind, "__struct_fields__", ())
    hints = _hints(kind)
    rows = []
    for name, encoded in zip(names, getattr(kind, "__struct_encode_fields__", ()), strict=True):
        spelled = f"`{name}`" if encoded == name else f"`{name}` (`{encoded}` in JSON)"
        rows.append((spelled, f"`{hints.get(name, '')}`"))
    return rows


def _members(kind: type[Any]) -> list[tuple[str, str]]:
    rows = []
    for name, value in sorted(vars(kind).items()):
        if name.startswith("_"):
            continue
        if isinstance(value, property):
            rows.append((f"`.{name}`", _first_line(value)))
        elif isinstance(value, (classmethod, staticmethod)) or inspect.isfunction(value):
            bound = getattr(kind, name)
            call = re.sub(r"\n\s*", " ", _call(name, bound)).replace("( ", "(").replace(", )", ")")
            rows.append((f"`.{call}`", _first_line(bound)))
    return rows


def _hints(kind: type[Any]) -> dict[str, str]:
    hints: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        for field, hint in vars(base).get("__annotations__", {}).items():
            hints[field] = _annotation(hint)
    return hints


def _import_all() -> None:
    package = importlib.import_module("tallystick")
    for module in pkgutil.walk_packages(package.__path__, "tallystick."):
        importlib.import_module(module.name)


if __name__ == "__main__":
    sys.exit(main())
