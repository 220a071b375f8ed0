# SPDX-License-Identifier: Apache-2.0
"""Deep input ends no process, whatever limit on recursion a package has set."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.material import full_statement, signed, with_member

from tallystick.crypto.nesting import is_shallow
from tallystick.limits import JSON_DEPTH_MAX
from tallystick.model.receipt import _may_hold_open_members


def test_brackets_are_counted() -> None:
    """As many as may be nested are shallow, one more may not be."""
    assert is_shallow(b"[" * JSON_DEPTH_MAX)
    assert not is_shallow(b"[" * JSON_DEPTH_MAX + b"{")


def paths_in(value: Any, path: str = "") -> Iterator[str]:
    """Yield where each member and element of a JSON value is."""
    yield path
    if isinstance(value, dict | list):
        for name, member in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths_in(member, f"{path}/{name}")


def test_only_open_members_are_followed_down(tmp_path: Path) -> None:
    """Brackets that never end stand in each place of a receipt, and for members unknown to it."""
    receipt = signed({**full_statement(), "issuer": {"id": "did:agent:a", "operator": {}}})
    del receipt["credentialSubject"]["action"]["parameters_disclosure"]
    lines = []
    for path in [*paths_in(receipt), "/unknown", "/issuer/unknown", "/credentialSubject/unknown"]:
        text = json.dumps(with_member(receipt, path, "@") if path else "@")
        lines += [text.partition('"@"')[0] + bracket * 30_000 for bracket in ("[", '{"id":')]
    (tmp_path / "lines").write_text("\n".join(lines))
    program = (
        "import sys; sys.setrecursionlimit(100_000)\n"
        "from tallystick.model import receipt\n"
        "for line in open(sys.argv[1], 'rb').read().split(b'\\n'):\n"
        "    assert not receipt._may_hold_open_members(line)\n"
        "    assert receipt.split_canonical_lines([line]) is None\n"
        "print('alive')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "lines"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "alive\n", done.stderr


@pytest.mark.parametrize("name", ["runtime", "parameters_disclosure", r"\u0072untime"])
def test_open_members_are_seen_however_they_are_spelled(name: str) -> None:
    """Where a backslash stands, brackets are counted."""
    assert _may_hold_open_members(b'{"%b":1}' % name.encode())


@pytest.mark.parametrize(
    "program",
    [
        "from tallystick import verify_receipt as f; print(f(data, bytes(32)).codes())",
        "from tallystick.model.receipt import split_canonical_lines as f; print(f([data]))",
        "from tallystick.deliver.promises import _has_promise as f; print(f(data) or None)",
        "from tallystick.model.quick_json import make_decode as m\n"
        "try: m()(data.decode())\nexcept ValueError as fault: print(fault)",
        "from tallystick.model.quick_json import make_encode as m\n"
        "deep = []\nfor _ in range(100_000): deep = [deep]\n"
        "try: m()(deep)\nexcept RecursionError as fault: print(fault)",
    ],
    ids=["verifier", "lines", "promise", "read", "written"],
)
def test_deep_input_ends_no_process(program: str) -> None:
    """An EVM in the same process raises the interpreter's limit a hundredfold."""
    begun = (
        "import sys; sys.setrecursionlimit(100_000)\n"
        'data = b\'{"issuer":{"id":"x","runtime":{"a":\' + b\'[\' * 900_000\n'
    )
    done = subprocess.run(
        [sys.executable, "-c", begun + program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert any(word in done.stdout for word in ("MALFORMED_DEPTH", "None", "nested"))
