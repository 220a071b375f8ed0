# SPDX-License-Identifier: Apache-2.0
"""The options of verbs that read stores are the fields of a filter, one each."""

from __future__ import annotations

import click
from tests.command import tally

from tallystick.cli.store_options import filter_options, store_option
from tallystick.store.ledger_reads import Filter


def test_a_word_that_no_receipt_has() -> None:
    """A slip in a risk or a status is a fault of usage, and is told with what there is."""
    for option in ("--risk", "--status"):
        for verb in ("list", "tail"):
            answer = tally(verb, option, "denied")
            assert answer.code == 2
            assert "'critical'" in answer.err or "'pending'" in answer.err


def test_each_filter_is_an_option() -> None:
    """No field of the filter is out of reach, and no option is without one."""

    @click.command()
    @store_option
    @filter_options
    def verb() -> None:
        """Stand for any verb."""

    names = {one.name for one in verb.params}
    assert names == {"store", *Filter.__struct_fields__}
