# SPDX-License-Identifier: Apache-2.0
"""The program that calls a function: the result as sorted JSON, written once."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tallystick.solver.callee import call, main


def test_results_are_sorted_json() -> None:
    """A function of any module is found by its name, and its result spelled one way."""
    assert call("json:loads", '{"b": 1, "a": "ü"}') == '{"a": "ü", "b": 1}\n'.encode()
    with pytest.raises(ValueError, match="JSON"):
        call("builtins:float", "nan")


def test_the_result_is_never_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is there already is not touched."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for number in range(2):
        stdin = SimpleNamespace(buffer=io.BytesIO(b'"[1]"'))
        monkeypatch.setattr(sys, "stdin", stdin)
        if number == 0:
            main(["json:loads", str(tmp_path)])
            assert sys.path[0] == str(tmp_path)
        else:
            with pytest.raises(FileExistsError):
                main(["json:loads"])
    assert (tmp_path / "result.json").read_bytes() == b"[1]\n"
