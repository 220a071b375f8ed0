# SPDX-License-Identifier: Apache-2.0
"""Pkcs11Signer on a real token: SoftHSM2, as Debian ships it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from threading import Thread
from typing import Any

import pkcs11
import pytest
from pkcs11.util.ec import encode_named_curve_parameters
from tests.command import process, tally
from tests.daemons import DaemonHome
from tests.leaks import everything_shown_by
from tests.ledgers import METHOD, Home
from tests.systems.forked import sign_in_child
from tests.systems.kept import written_by

from tallystick import verify_chain
from tallystick.crypto.multibase import did_key_encode
from tallystick.daemon.key_source import SignerKeySource
from tallystick.daemon.key_succession import KeySuccession
from tallystick.daemon.status import ask_daemon
from tallystick.errors import SigningError
from tallystick.keys.pkcs11 import Pkcs11Signer
from tallystick.keys.remote import Retry

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
TOKEN, KEY, PIN = "tally", "agent", "8352-4-pin"
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


def make_key(library: Any, label: str, *, leaves: bool = False) -> None:
    """Make an Ed25519 key pair on the token, and log out."""
    with library.get_token(token_label=TOKEN).open(rw=True, user_pin=PIN) as session:
        parameters = session.create_domain_parameters(
            pkcs11.KeyType.EC_EDWARDS,
            {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("1.3.101.112")},
            local=True,
        )
        attributes = {pkcs11.Attribute.EXTRACTABLE: leaves, pkcs11.Attribute.SENSITIVE: not leaves}
        parameters.generate_keypair(
            mechanism=pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
            store=True,
            label=label,
            private_template=attributes,
        )


@pytest.fixture
def signer(library: Any) -> Iterator[Pkcs11Signer]:
    made = Pkcs11Signer(MODULE, TOKEN, KEY, retry=EAGER)
    yield made
    made.close()


def test_a_chain_verifies_with_the_public_key_alone(signer: Pkcs11Signer) -> None:
    """Receipts signed on the token verify with the public key that it shows."""
    signer.warm_up()
    report = verify_chain(written_by(signer, 3), signer.get_public_key(), require_terminal=True)
    assert report.verdict.name == "VERIFIED", report.codes()
    assert signer.pinned_name == KEY


def test_a_bundle_of_a_folder(signer: Pkcs11Signer, tmp_path: Path) -> None:
    """`evidence make` takes the URI of a key that never leaves its token."""
    signer.warm_up()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "a.txt").write_text("a")
    out, uri = (
        str(tmp_path / "out.tally"),
        f"pkcs11:token={TOKEN};object={KEY}?module-path={MODULE}",
    )
    made = tally("evidence", "make", str(tmp_path / "results"), "--out", out, "--key", uri)
    assert made.code == 0, made.err
    key = did_key_encode(signer.get_public_key())
    answer = tally("evidence", "verify", out, "--key", key)
    assert (answer.code, f"signed by {key}" in answer.out) == (0, True), answer.out


def test_large_receipts(signer: Pkcs11Signer) -> None:
    """A receipt of a megabyte is signed, too."""
    assert len(signer.sign(b"x" * (1 << 20))) == 64


def test_the_key_never_leaves(library: Any, signer: Pkcs11Signer) -> None:
    """The token refuses to show the private key that signs."""
    signer.warm_up()
    with library.get_token(token_label=TOKEN).open() as session:
        key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=KEY)
        assert key[pkcs11.Attribute.SENSITIVE] is True
        assert key[pkcs11.Attribute.EXTRACTABLE] is False
        with pytest.raises(pkcs11.exceptions.AttributeSensitive):
            key[pkcs11.Attribute.VALUE]


def test_a_key_that_can_leave_is_refused(library: Any) -> None:
    """An extractable key gives no public key and no signature."""
    make_key(library, "loose", leaves=True)
    signer = Pkcs11Signer(MODULE, TOKEN, "loose")
    with pytest.raises(SigningError, match="can leave the token"):
        signer.warm_up()
    signer.close()


@pytest.mark.parametrize(
    ("token", "key", "words"),
    [("other", KEY, "no token of this label"), (TOKEN, "other", "no Ed25519 key pair")],
)
def test_labels_that_name_nothing(library: Any, token: str, key: str, words: str) -> None:
    """A wrong label is permanent and says which."""
    signer = Pkcs11Signer(MODULE, token, key)
    with pytest.raises(SigningError, match=words):
        signer.sign(b"x")
    signer.close()


def test_a_label_that_names_two(library: Any) -> None:
    """Two key pairs of one label are refused: which one signs must not be chance."""
    make_key(library, "twice")
    make_key(library, "twice")
    signer = Pkcs11Signer(MODULE, TOKEN, "twice")
    with pytest.raises(SigningError, match="several keys"):
        signer.warm_up()
    signer.close()


def test_a_module_that_is_none() -> None:
    """A wrong path is refused when the signer is made."""
    with pytest.raises(SigningError, match="can't be loaded"):
        Pkcs11Signer("/nonexistent.so", TOKEN, KEY)


def test_a_wrong_pin_is_given_once(library: Any) -> None:
    """However often a signature is asked for: tokens lock after a few wrong PINs."""
    asked: list[int] = []

    def pin() -> str:
        asked.append(1)
        return "wrong-7781"

    signer = Pkcs11Signer(MODULE, TOKEN, KEY, pin=pin)
    for _ in range(5):
        with pytest.raises(SigningError, match="the PIN is wrong") as caught:
            signer.sign(b"x")
        assert "wrong-7781" not in everything_shown_by(caught.value)
    assert len(asked) == 1


def test_the_pin_is_not_shown(library: Any, signer: Pkcs11Signer) -> None:
    """Neither repr nor errors hold it, and it can't be given as a plain text by mistake."""
    signer.warm_up()
    assert PIN not in repr(signer)
    with pytest.raises(TypeError, match="pin is a function") as caught:
        Pkcs11Signer(MODULE, TOKEN, KEY, pin=PIN)  # type: ignore[arg-type]  # the test's point
    assert PIN not in everything_shown_by(caught.value)


def test_a_pin_from_a_function(library: Any) -> None:
    """A function is asked at login; without it or the variable there is no PIN."""
    signer = Pkcs11Signer(MODULE, TOKEN, KEY, pin=lambda: PIN)
    assert len(signer.sign(b"x")) == 64
    signer.close()
    bare = Pkcs11Signer(MODULE, TOKEN, KEY, pin_variable="TALLY_PKCS11_OTHER")
    with pytest.raises(SigningError, match="TALLY_PKCS11_OTHER is not set"):
        bare.sign(b"x")


def test_a_session_that_was_lost(library: Any, signer: Pkcs11Signer) -> None:
    """When the module was restarted, a new session is opened and the key is the same."""
    before = signer.get_public_key()
    assert len(signer.sign(b"x")) == 64
    library.reinitialize()
    assert len(signer.sign(b"y")) == 64
    assert signer.get_public_key() == before


def test_two_signers_of_one_process(library: Any, signer: Pkcs11Signer) -> None:
    """A login is for the whole process: signers stand beside each other, and survive a close."""
    other = signer.anew()
    third = Pkcs11Signer(MODULE, TOKEN, KEY, retry=EAGER)
    assert signer.sign(b"x") == other.sign(b"x") == third.sign(b"x")
    third.close()
    assert signer.sign(b"x") == other.sign(b"x")
    third.close()


def test_a_label_that_moved(library: Any) -> None:
    """When a label stands for another key, the signer stops, and `anew` follows."""
    make_key(library, "moving")
    signer = Pkcs11Signer(MODULE, TOKEN, "moving", retry=EAGER)
    before = signer.get_public_key()
    signer.close()
    with library.get_token(token_label=TOKEN).open(rw=True, user_pin=PIN) as session:
        for key in session.get_objects({pkcs11.Attribute.LABEL: "moving"}):
            key.destroy()
    make_key(library, "moving")
    with pytest.raises(SigningError, match="another key stands behind that name"):
        signer.sign(b"x")
    following = signer.anew()
    assert following.get_public_key() != before
    assert len(following.sign(b"x")) == 64
    signer.close()


def test_many_threads(library: Any, signer: Pkcs11Signer) -> None:
    """A session is used by one thread at a time: all signatures are right."""
    made: list[bytes] = []
    threads = [Thread(target=lambda: made.append(signer.sign(b"x"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # what the test is about
def test_a_forked_child(library: Any, signer: Pkcs11Signer) -> None:
    """A child opens a session of its own; the parent's goes on."""
    mine = signer.sign(b"x")
    assert sign_in_child(signer) == mine
    assert signer.sign(b"x") == mine


def test_a_daemon_signs_by_the_token_and_hands_over(library: Any, tmp_path: Path) -> None:
    """The ledger's key may live in a token, and so may the one that follows it."""
    make_key(library, "next")
    first, second = (Pkcs11Signer(MODULE, TOKEN, key, retry=EAGER) for key in (KEY, "next"))
    home = Home(tmp_path, with_key=False)
    ledger = home.open(keys=KeySuccession(SignerKeySource(first, METHOD), second))
    ledger.commit([home.frame(), home.frame(agent_id="a")])
    ledger.rotate()
    ledger.commit([home.frame()])
    ledger.close()
    report = home.verify()
    assert report.verdict == "verified"
    assert report.receipts == 8


def uri_of(key: str) -> str:
    """Return the URI by which settings name a key of the token."""
    return f"pkcs11:token={TOKEN};object={key}?module-path={MODULE}"


def daemon_verb(home: DaemonHome, *arguments: str, **variables: str) -> tuple[int, str]:
    """Run a verb of `tally daemon` in the daemon's environment; return exit code and output."""
    umask = os.umask(0o077)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in home.variables(**variables).items():
            patch.setenv(name, value)
        answer = tally("daemon", *arguments)
    os.umask(umask)
    return answer.code, answer.out + answer.err


def in_a_process(home: DaemonHome, *words: str, **variables: str) -> tuple[int, str]:
    """Run `tally` where nobody is logged in: here somebody is, and none would ask for the PIN."""
    umask = os.umask(0o077)
    done = subprocess.run(
        process(*words), env=home.variables(**variables),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    os.umask(umask)
    return done.returncode, done.stdout + done.stderr


def test_a_daemon_that_has_a_wrong_pin(library: Any, tmp_path: Path) -> None:
    """It ends with exit code 2, at which no unit starts it anew: with 3 the token would lock."""
    home = DaemonHome(tmp_path / "d", with_key=False)
    given = {
        "AGENTRECEIPTS_KEY": "",
        "AGENTRECEIPTS_PUBLIC_KEY": str(home.public),
        "TALLY_SIGNER": uri_of(KEY),
    }
    code, told = in_a_process(home, "daemon", "init", **given)
    assert code == 0, told
    for words in (("daemon", "run"), ("signer", uri_of(KEY))):
        code, told = in_a_process(home, *words, TALLY_PKCS11_PIN="wrong-7781", **given)
        assert (code, "the PIN is wrong" in told) == (2, True), told
    for unit in ("system.service", "user.service"):
        text = (files("tallystick.daemon") / "units" / unit).read_text()
        assert "RestartPreventExitStatus=1 2\n" in text


def test_a_daemon_process_whose_key_is_on_the_token(library: Any, tmp_path: Path) -> None:
    """init, run, status, doctor, reload and rotate by URI alone: no key is on this disk."""
    make_key(library, "daemon-1")
    make_key(library, "daemon-2")
    home = DaemonHome(tmp_path / "d", with_key=False)
    settings = tmp_path / "daemon.toml"
    settings.write_text(f'signer = "{uri_of("daemon-1")}"\n')
    given = {
        "AGENTRECEIPTS_KEY": "",
        "AGENTRECEIPTS_PUBLIC_KEY": str(home.public),
        "AGENTRECEIPTS_CONFIG": str(settings),
    }
    code, out = daemon_verb(home, "init", **given)
    assert (code, "its key stays there" in out) == (0, True), out
    with home.daemon(**given) as daemon, daemon.line() as line:
        assert line.ask(agent_id="a")["ok"] is True
        first = daemon.status()["key"]["fingerprint"]
        assert first in out
        code, found = daemon_verb(home, "doctor", **given)
        assert f"holds the key {first}" in found
        # Who can't ask the token, as users without the PIN, sees that the daemon can.
        _, found = daemon_verb(home, "doctor", "--signer", uri_of("none"), "--json", **given)
        assert "pkcs11: out of this user's reach" in found
        code, out = daemon_verb(home, "rotate", **given)
        assert (code, "no next signer is named" in out) == (2, True), out
        settings.write_text(settings.read_text() + f'next_signer = "{uri_of("daemon-2")}"\n')
        assert ask_daemon(home.status, "reload")["taken"] == ["next_signer"]
        assert daemon_verb(home, "rotate", **given)[0] == 0
        assert line.ask()["ok"] is True
        assert daemon.status()["key"]["fingerprint"] != first
        assert daemon.stop() == 0
    # The settings that it was rotated with still do, and so do those that name the next key alone.
    for named in (settings.read_text(), f'signer = "{uri_of("daemon-2")}"\n'):
        settings.write_text(named)
        with home.daemon(**given) as daemon, daemon.line() as line:
            assert line.ask()["ok"] is True
            assert daemon.stop() == 0
    home.check()
    assert not home.key.exists()
    assert home.public.with_suffix(".heads").exists()
    assert PIN not in "".join(one.read_text(errors="replace") for one in home.folder.glob("log*"))
