# SPDX-License-Identifier: Apache-2.0
"""`tally hub rotate`: one thing at a time; tests/sessions/hub_panel.txt has the rest."""

from __future__ import annotations

import pytest
from tests.command import tally

NODE = ("--rpc", "http://127.0.0.1:1", "--signer", "absent.json")


@pytest.mark.parametrize("given", [(), ("--finish", "--cancel"), ("--to", "x", "--finish")])
def test_one_thing(given: tuple[str, ...]) -> None:
    """None and two are usage errors."""
    answer = tally("hub", "rotate", *given, *NODE)
    assert answer.code == 2
    assert "give one of" in answer.err


def test_another_solver_is_only_finished() -> None:
    """`--solver` without `--finish` is a usage error, and so is an id that is none."""
    for given in (("--cancel", "--solver", "0x12"), ("--finish", "--solver", "0x12")):
        assert tally("hub", "rotate", *given, *NODE).code == 2
