# SPDX-License-Identifier: Apache-2.0
"""The compiled contracts come with the package, below the size that a chain takes."""

from __future__ import annotations

import pytest

from tallystick.onchain.artifact import CONTRACTS, artifact, error_names

EIP_170_BYTES = 24_576


@pytest.mark.parametrize("name", CONTRACTS)
def test_each_contract_is_there(name: str) -> None:
    """Interface, code and compiler; its runtime fits onto a chain."""
    found = artifact(name)
    assert found.contract == name
    assert found.compiler.startswith("vyper") or found.compiler[:1].isdigit()
    assert len(bytes.fromhex(found.bytecode.removeprefix("0x"))) > 1000
    assert found.runtime_bytes <= EIP_170_BYTES


def test_errors_are_known_by_their_selectors() -> None:
    """The source's errors have the source's selectors."""
    names = error_names()
    assert len(names) > 30
    for name in ("ReceiptAlreadyExists", "ReceiptNotFound", "InvalidReceiptSignature"):
        assert name in names.values()
