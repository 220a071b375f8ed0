# SPDX-License-Identifier: Apache-2.0
"""`tally signer` shows the key that signs; tests/sessions/evm_keys.txt has its refusals."""

from __future__ import annotations

from pathlib import Path

from tests.command import tally
from tests.curve import CurveKey

from tallystick.crypto.ed25519 import public_key_from
from tallystick.keys.evm_keystore import write_keystore
from tallystick.keys.local import generate_key_pair
from tallystick.verify.trust import fingerprint_of

KEY = CurveKey(0x5EED)


def private(name: str, text: str) -> None:
    Path(name).write_text(text)
    Path(name).chmod(0o600)


def test_an_evm_key() -> None:
    """Address and public key are those that other tools compute."""
    private("evm.json", write_keystore(KEY.secret, b"pass", n=1 << 12))
    private("password", "pass")
    answer = tally("signer", "keystore:evm.json?password-file=password")
    assert answer.code == 0
    assert answer.out == f"address  {KEY.address}\n{KEY.pem}"


def test_a_receipt_key() -> None:
    """Fingerprint and PEM are those of the file."""
    pair = generate_key_pair()
    private("signing.key", pair.private_key)
    answer = tally("signer", "signing.key")
    assert answer.code == 0
    assert answer.out.endswith(pair.public_key)
    assert fingerprint_of(public_key_from(pair.public_key)) in answer.out
