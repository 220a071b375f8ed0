# SPDX-License-Identifier: Apache-2.0
"""Commands open signers by name; a password is asked for on a terminal only."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from tests.curve import CurveKey

from tallystick.cli.output import Exit, Stop
from tallystick.cli.signers import named_evm_signer, named_signer, new_password
from tallystick.errors import KeyMismatchError
from tallystick.keys.evm_keystore import write_keystore
from tallystick.keys.local import generate_key_pair

KEY = CurveKey(0x5EED)


class Terminal(io.StringIO):
    """Standard input with somebody in front of it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "evm.json"
    path.write_text(write_keystore(KEY.secret, b"pass", n=1 << 12))
    path.chmod(0o600)
    return path


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, answer: str) -> list[dict[str, Any]]:
    """Sit somebody down who types this; return how each question was asked."""
    asked: list[dict[str, Any]] = []

    def prompt(_text: str, **options: Any) -> str:
        asked.append(options)
        return answer

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr(click, "prompt", prompt)
    return asked


def test_a_password_is_asked_for(monkeypatch: pytest.MonkeyPatch, store: Path) -> None:
    """On a terminal, hidden, and on standard error; a wrong one is a usage error."""
    asked = at_a_terminal(monkeypatch, "pass")
    assert named_evm_signer(str(store)).get_address() == KEY.address
    assert asked == [{"hide_input": True, "err": True}]
    at_a_terminal(monkeypatch, "wrong")
    with pytest.raises(Stop, match="password is wrong") as caught:
        named_evm_signer(str(store))
    assert caught.value.code is Exit.USAGE


def test_nobody_to_ask(monkeypatch: pytest.MonkeyPatch, store: Path) -> None:
    """Without a terminal the command says where a password can come from."""
    monkeypatch.setattr("sys.stdin", io.StringIO("pass\n"))
    with pytest.raises(Stop, match="password-file"):
        named_evm_signer(str(store))
    with pytest.raises(Stop, match="wants a password"):
        new_password(None)


def test_new_passwords(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From a file, or typed twice."""
    asked = at_a_terminal(monkeypatch, "pàss")
    assert new_password(None) == "pàss".encode()
    assert asked == [{"hide_input": True, "confirmation_prompt": True, "err": True}]
    path = tmp_path / "password"
    path.write_text("other\n")
    path.chmod(0o600)
    assert new_password(str(path)) == b"other"
    with pytest.raises(Stop, match="does not exist"):
        new_password(str(tmp_path / "none"))


def test_receipt_signers(tmp_path: Path) -> None:
    """A PEM file signs receipts; what is none ends the command."""
    path = tmp_path / "signing.key"
    pair = generate_key_pair()
    path.write_text(pair.private_key)
    path.chmod(0o600)
    assert named_signer(str(path)).get_public_key() == pair.signing_key().public_key
    with pytest.raises(Stop) as caught:
        named_signer(str(tmp_path / "none"))
    assert caught.value.code is Exit.USAGE
    with pytest.raises(Stop) as caught:
        named_signer("pkcs11:token=t;object=o?module-path=/nonexistent.so")
    assert caught.value.code is Exit.UNCHECKED


def test_another_address(store: Path, tmp_path: Path) -> None:
    """A key that is not the expected one is refused, not merely badly used."""
    password = tmp_path / "password"
    password.write_text("pass")
    password.chmod(0o600)
    with pytest.raises(KeyMismatchError):
        named_evm_signer(f"keystore:{store}?password-file={password}&address={CurveKey(7).address}")


def test_a_missing_extra_is_no_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signer was named as it should be, and could not be asked."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(Stop, match=r"tallystick\[aws\]") as caught:
        named_signer("awskms:alias/x?region=eu-west-1")
    assert caught.value.code is Exit.UNCHECKED
