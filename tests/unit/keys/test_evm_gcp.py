# SPDX-License-Identifier: Apache-2.0
"""CloudKMSEvmSigner without a wire; tests/systems/test_evm_google.py does the rest."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tallystick.errors import MissingExtraError
from tallystick.keys.evm_gcp import CloudKMSEvmSigner

KEY = "projects/p/locations/global/keyRings/r/cryptoKeys/k"


@pytest.mark.parametrize("name", ["", KEY, f"{KEY}/cryptoKeyVersions/0", f" {KEY}/x/1"])
def test_a_version_is_needed(name: str) -> None:
    """The name of a key without its version is refused at once."""
    client: Any = object()
    with pytest.raises(ValueError, match="cryptoKeyVersions/1"):
        CloudKMSEvmSigner(name, client=client)


def test_without_googles_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not installed it reads which extra brings it."""
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    with pytest.raises(MissingExtraError, match=r"tallystick\[gcp\]"):
        CloudKMSEvmSigner(f"{KEY}/cryptoKeyVersions/1")
