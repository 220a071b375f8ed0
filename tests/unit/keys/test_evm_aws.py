# SPDX-License-Identifier: Apache-2.0
"""KMSEvmSigner without a wire; tests/systems/test_evm_aws.py does the rest."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tallystick.errors import MissingExtraError
from tallystick.keys.evm_aws import KMSEvmSigner


def test_a_name_is_needed() -> None:
    """An empty name is refused, and settings that a given client has already."""
    client: Any = object()
    with pytest.raises(ValueError, match="key_id is empty"):
        KMSEvmSigner("", client=client)
    with pytest.raises(ValueError, match="made here"):
        KMSEvmSigner("alias/a", client=client, region="eu-west-1")


def test_without_amazons_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not installed it reads which extra brings it."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MissingExtraError, match=r"tallystick\[aws\]"):
        KMSEvmSigner("alias/a")
