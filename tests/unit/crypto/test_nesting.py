# SPDX-License-Identifier: Apache-2.0
"""Deep input ends no process, whatever limit on recursion a package has set."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tallystick.crypto.nesting import is_shallow
from tallystick.limits import JSON_DEPTH_MAX


def test_brackets_are_counted() -> None:
    """As many as may be nested are shallow, one more may not be."""
    assert is_shallow(b"[" * JSON_DEPTH_MAX)
    assert not is_shallow(b"[" * JSON_DEPTH_MAX + b"{")


@pytest.mark.parametrize(
    "program",
    [
        "from tallystick import verify_receipt as f; print(f(data, bytes(32)).codes())",
        "from tallystick.model.receipt import split_canonical_lines as f; print(f([data]))",
        "from tallystick.model.quick_json import make_decode as m\n"
        "try: m()(data.decode())\nexcept ValueError as fault: print(fault)",
        "from tallystick.model.quick_json import make_encode as m\n"
        "deep = []\nfor _ in range(100_000): deep = [deep]\n"
        "try: m()(deep)\nexcept RecursionError as fault: print(fault)",
    ],
    ids=["verifier", "lines", "read", "written"],
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
