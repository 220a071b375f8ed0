# SPDX-License-Identifier: Apache-2.0
"""Gas is a promise: the table is measured again, and the bounds hold."""

from __future__ import annotations

import pytest
from tests.contracts.gas import measured, written

from tallystick.onchain.artifact import CONTRACTS, artifact

TOLERANCE = 0.02
BOUNDS = {
    "postReceipt, first": 150_000,
    "postReceipt, next": 130_000,
    "postReceiptTyped": 150_000,
    "finalize": 50_000,
}
# What the contracts call of each other; the rows above have it in them.
INSIDE = {"openDispute", "closeDispute", "slash", "settle"}
INSIDE |= {"reserve", "release", "escrow", "credit"}


def test_every_function_has_a_row() -> None:
    """Whatever somebody can send has its price in the table, and nothing else is there."""
    sent = {
        one["name"]
        for name in CONTRACTS
        for one in artifact(name).abi
        if one["type"] == "function" and one["stateMutability"] in ("nonpayable", "payable")
    }
    rows = {name.split(",")[0] for name in written()}
    assert rows == sent - INSIDE


# py-evm warns of what it will change in releases to come.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_the_table_is_true() -> None:
    """Every row within two per cent, on a second EVM; no row without a measurement."""
    found, told = measured(), written()
    assert set(found) == set(told)
    off = {
        name: (gas, told[name])
        for name, gas in found.items()
        if abs(gas - told[name]) > TOLERANCE * told[name]
    }
    assert not off, off
    for name, bound in BOUNDS.items():
        assert found[name] <= bound, name
