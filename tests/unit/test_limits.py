# SPDX-License-Identifier: Apache-2.0
"""Bounds: positive numbers, unit last, and in the right relation to each other."""

from __future__ import annotations

import ast
from pathlib import Path

from tallystick import limits

UNITS = ("_BYTES", "_DESCRIPTORS", "_ENTRIES", "_MS", "_RESERVED")
NAMES = [name for name in vars(limits) if name.isupper()]


def test_bounds_are_positive_integers() -> None:
    """Each bound is a whole number above zero."""
    assert len(NAMES) >= 15
    assert not [name for name in NAMES if type(getattr(limits, name)) is not int]
    assert not [name for name in NAMES if getattr(limits, name) <= 0]


def test_names_say_that_they_are_bounds() -> None:
    """Each name ends in MAX or MIN, in EACH for what one thing costs, or in a fixed size's unit."""
    fixed = [name for name in NAMES if not name.endswith(("_MAX", "_MIN", "_EACH"))]
    assert not [name for name in fixed if not name.endswith(UNITS)]


def test_every_bound_has_its_reason() -> None:
    """A comment stands right above each bound: the reference page shows it."""
    text = Path(limits.__file__).read_text(encoding="utf-8")
    lines = text.splitlines()
    silent = [
        name.id
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign)
        for name in node.targets
        if isinstance(name, ast.Name) and not lines[node.lineno - 2].startswith("# ")
    ]
    assert not silent
    assert text.count("\n# ") >= len(NAMES)


def test_a_disclosure_fits_into_a_receipt() -> None:
    """The largest plaintext, in base64, leaves room for the rest of the receipt."""
    encoded = limits.DISCLOSURE_BYTES_MAX * 4 // 3
    assert encoded + 100_000 < limits.RECEIPT_BYTES_MAX


def test_integers_are_those_that_every_double_holds() -> None:
    """The largest integer is the last one whose neighbours are doubles as well."""
    assert limits.JSON_INTEGER_MAX == 2**53 - 1
    assert float(limits.JSON_INTEGER_MAX + 1) == float(limits.JSON_INTEGER_MAX + 2)
