# SPDX-License-Identifier: Apache-2.0
"""`tally hub` has every verb that the manual names, each with a dry run where it sends."""

from __future__ import annotations

import click

from tallystick.cli.hub import command

SENDING = {
    "deploy", "register", "bond", "withdraw", "post", "challenge", "respond", "resolve",
    "finalize", "claim", "watch", "rotate", "settle", "relay",
}  # fmt: skip


def test_verbs() -> None:
    """All of them; those that send have --dry-run and both caps."""
    verbs = command.commands
    assert set(verbs) == SENDING | {"show", "advance", "panel", "owner"}
    for name in SENDING:
        options = {
            option
            for one in verbs[name].params
            if isinstance(one, click.Option)
            for option in one.opts
        }
        assert {"--dry-run", "--max-fee", "--max-cost", "--confirmations", "--rpc"} <= options
