# SPDX-License-Identifier: Apache-2.0
"""The compiled contracts that come with this package: interface and code."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, Final

import msgspec

from tallystick.crypto.keccak import keccak256

REGISTRY: Final = "SolverRegistry"
RECEIPTS: Final = "IntentReceiptHub"
DISPUTES: Final = "DisputeModule"
CONTRACTS: Final = (REGISTRY, RECEIPTS, DISPUTES)


class Artifact(msgspec.Struct, frozen=True, rename="camel"):
    """One contract as the compiler left it."""

    contract: str
    compiler: str
    abi: list[dict[str, Any]]
    bytecode: str
    runtime_bytes: int


@cache
def artifact(name: str) -> Artifact:
    """Return a contract's interface and code."""
    data = (files("tallystick.onchain") / "artifacts" / f"{name}.json").read_bytes()
    return msgspec.json.decode(data, type=Artifact)


@cache
def error_names() -> dict[bytes, str]:
    """Return the names of all errors that the contracts raise, by selector."""
    return {
        keccak256(f"{member['name']}()".encode())[:4]: member["name"]
        for name in CONTRACTS
        for member in artifact(name).abi
        if member["type"] == "error"
    }
