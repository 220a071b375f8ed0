# SPDX-License-Identifier: Apache-2.0
"""`tally hub relay`: usage; tests/sessions/hub.txt has a post that another sends."""

from __future__ import annotations

from pathlib import Path

from tests.command import tally

NODE = ("--rpc", "http://127.0.0.1:1", "--signer", "absent.json")


def test_what_is_no_signed_post() -> None:
    """A file that holds none: 2; one that is not there: 3; both before a chain is asked."""
    Path("post.json").write_text("{}")
    answer = tally("hub", "relay", "post.json", *NODE)
    assert answer.code == 2
    assert "holds no signed post" in answer.err
    assert tally("hub", "relay", "absent.json", *NODE).code == 3
