# SPDX-License-Identifier: Apache-2.0
"""Pkcs11EvmSigner on a real token: SoftHSM2 with a key pair on secp256k1."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pkcs11
import pytest
from eth_account import Account
from pkcs11.util.ec import encode_named_curve_parameters
from tests.command import tally
from tests.curve import CurveKey
from tests.leaks import everything_shown_by
from tests.systems.evm_material import MESSAGE, TRANSFER, signs_everything

from tallystick.crypto.secp256k1 import address_of
from tallystick.errors import KeyMismatchError, SigningError
from tallystick.keys.evm_pkcs11 import Pkcs11EvmSigner
from tallystick.keys.remote import Retry
from tallystick.keys.signer_uri import open_evm_signer

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
TOKEN, KEY, PIN = "tally evm", "solver", "8352-4-pin"
EAGER = Retry(sleep=lambda _seconds: None)

pytestmark = pytest.mark.skipif(
    not MODULE.exists() or shutil.which("softhsm2-util") is None,
    reason="SoftHSM2 is not here (Debian: apt-get install softhsm2)",
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The module with one fresh token. It reads its configuration once per process."""
    home = tmp_path_factory.mktemp("softhsm")
    (home / "tokens").mkdir()
    conf = home / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {home}/tokens\nobjectstore.backend = file\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(conf))
        patch.setenv("TALLY_PKCS11_PIN", PIN)
        labels = ["--label", TOKEN, "--pin", PIN, "--so-pin", "so-pin"]
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", *labels], check=True, capture_output=True
        )
        library = pkcs11.lib(str(MODULE))
        library.reinitialize()
        make_key(library, KEY)
        yield library
        library.finalize()


def make_key(library: Any, label: str, curve: str = "secp256k1", *, leaves: bool = False) -> None:
    """Make a key pair on a curve of the token, and log out."""
    with library.get_token(token_label=TOKEN).open(rw=True, user_pin=PIN) as session:
        parameters = session.create_domain_parameters(
            pkcs11.KeyType.EC,
            {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(curve)},
            local=True,
        )
        parameters.generate_keypair(
            store=True,
            label=label,
            private_template={
                pkcs11.Attribute.EXTRACTABLE: leaves,
                pkcs11.Attribute.SENSITIVE: not leaves,
            },
        )


@pytest.fixture
def signer(library: Any) -> Iterator[Pkcs11EvmSigner]:
    made = Pkcs11EvmSigner(MODULE, TOKEN, KEY, retry=EAGER)
    yield made
    made.close()


def test_every_statement(library: Any, signer: Pkcs11EvmSigner) -> None:
    """All four kinds are signed on the token, whose public point has the address that we say."""
    with library.get_token(token_label=TOKEN).open() as session:
        key = session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, label=KEY)
        address = address_of(bytes(key[pkcs11.Attribute.EC_POINT])[-64:])
    signs_everything(signer, address)
    assert signer.pinned_name == KEY


def test_by_its_uri(library: Any, signer: Pkcs11EvmSigner) -> None:
    """A URI names module, token, key and address; another address is refused."""
    uri = f"pkcs11:token=tally%20evm;object={KEY}?module-path={MODULE}&address="
    named = open_evm_signer(uri + signer.get_address())
    raw = TRANSFER.signed(named.sign(TRANSFER))
    assert Account.recover_transaction(raw) == signer.get_address()
    stranger = open_evm_signer(uri + CurveKey(7).address)
    with pytest.raises(KeyMismatchError, match="is expected"):
        stranger.sign(MESSAGE)
    assert isinstance(stranger, Pkcs11EvmSigner)
    stranger.close()
    assert isinstance(named, Pkcs11EvmSigner)
    named.close()


def test_a_bundle_of_a_folder(library: Any, signer: Pkcs11EvmSigner, tmp_path: Path) -> None:
    """`evidence make` takes the URI; whoever has the address verifies, without any token."""
    address = signer.get_address()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "a.txt").write_text("a")
    out = str(tmp_path / "out.tally")
    uri = f"pkcs11:token=tally%20evm;object={KEY}?module-path={MODULE}&address={address}"
    made = tally("evidence", "make", str(tmp_path / "results"), "--out", out, "--evm-key", uri)
    assert made.code == 0, made.err
    answer = tally("evidence", "verify", out, "--key", address)
    assert (answer.code, f"signed by {address}" in answer.out) == (0, True), answer.out
    assert tally("evidence", "verify", out, "--key", CurveKey(7).address).code == 1


def test_keys_that_are_refused(library: Any) -> None:
    """A key that can leave the token, one on another curve, and none at all."""
    make_key(library, "loose", leaves=True)
    make_key(library, "p256", "secp256r1")
    for label, words in (
        ("loose", "can leave the token"),
        ("p256", "another curve"),
        ("other", "no elliptic curve key pair"),
    ):
        refused = Pkcs11EvmSigner(MODULE, TOKEN, label, retry=EAGER)
        with pytest.raises(SigningError, match=words):
            refused.sign(MESSAGE)
        refused.close()


def test_a_label_that_moved(library: Any) -> None:
    """When a label stands for another key, nothing is signed under the old address."""
    make_key(library, "moving")
    signer = Pkcs11EvmSigner(MODULE, TOKEN, "moving", retry=EAGER)
    before = signer.get_address()
    signer.close()
    with library.get_token(token_label=TOKEN).open(rw=True, user_pin=PIN) as session:
        for key in session.get_objects({pkcs11.Attribute.LABEL: "moving"}):
            key.destroy()
    make_key(library, "moving")
    with pytest.raises(SigningError, match="another key stands behind that name"):
        signer.sign(MESSAGE)
    following = signer.anew()
    assert following.get_address() != before
    following.close()


def test_a_wrong_pin_is_given_once(library: Any) -> None:
    """However often a signature is asked for, and no error shows it."""
    asked: list[int] = []

    def pin() -> str:
        asked.append(1)
        return "wrong-7781"

    signer = Pkcs11EvmSigner(MODULE, TOKEN, KEY, pin=pin)
    for _ in range(3):
        with pytest.raises(SigningError, match="the PIN is wrong") as caught:
            signer.sign(MESSAGE)
        assert "wrong-7781" not in everything_shown_by(caught.value)
    assert len(asked) == 1
    with pytest.raises(TypeError, match="pin is a function"):
        Pkcs11EvmSigner(MODULE, TOKEN, KEY, pin=PIN)  # type: ignore[arg-type]  # the test's point


def test_many_threads(signer: Pkcs11EvmSigner) -> None:
    """A session is used by one thread at a time: every signature is right."""
    made: list[str] = []
    address = signer.get_address()

    def sign() -> None:
        raw = TRANSFER.signed(signer.sign(TRANSFER))
        made.append(Account.recover_transaction(raw))

    threads = [Thread(target=sign) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [address] * 8
