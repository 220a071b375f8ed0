# SPDX-License-Identifier: Apache-2.0
"""Keys for the sessions on a chain: keystores whose password costs milliseconds to try."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.curve import CurveKey
from tests.evidence_making import SOLVER, evidence_of, make_run

from tallystick.keys.evm_keystore import write_keystore
from tallystick.keys.local import LocalSigner
from tallystick.solver.bundling import sign_manifest, write_bundle

_PASSWORD = b"correct horse battery"
# The cheapest that is read, with r = 8: 1 MiB.
_SCRYPT_N = 1 << 10
KEYS = {
    "solver": 0x501,
    "next": 0x502,
    "challenger": 0xC4A1,
    "first": 0xA1,
    "second": 0xA2,
    "third": 0xA3,
}

_CHAIN = {"chainId": "c", "length": 3, "headHash": "sha256:" + "ab" * 32}
_OUTCOMES = {
    "kept": {"report.json": b"{}\n", "settlement.json": b'{"paid":true}\n'},
    "other": {"report.json": b'{"other":1}\n'},
}


def chain_files() -> Mapping[str, bytes]:
    """Return the name and content of every file."""
    stores = {
        f"evm/{name}.json": write_keystore(
            CurveKey(number).secret, _PASSWORD, n=_SCRYPT_N, entropy=lambda size: b"\6" * size
        ).encode()
        for name, number in KEYS.items()
    }
    return {**stores, "evm/password": _PASSWORD + b"\n"}


def stage_chain(folder: Path) -> None:
    """Write the keys, which nobody else may read, and two outcomes of one intent."""
    for name, files in _OUTCOMES.items():
        run = make_run(folder / "outcomes" / name, files)
        evidence_of(run, chain=_CHAIN)
        sign_manifest(run, LocalSigner(SOLVER))
        write_bundle(run, folder / f"{name}.tally")
    (folder / "evm").mkdir(mode=0o700)
    for name, data in chain_files().items():
        (folder / name).write_bytes(data)
        (folder / name).chmod(0o600)
