# SPDX-License-Identifier: Apache-2.0
"""Opening a solver: keys are read, secrets hidden, and faults told at once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests import material
from tests.logs import LOG_KEY, ORIGIN
from tests.solving import configured

from tallystick.crypto.multibase import did_key_encode
from tallystick.errors import KeyFileError, SettingError
from tallystick.keys.evm_local import LocalEvmSigner, generate_evm_secret
from tallystick.solver import setup
from tallystick.solver.settings import load_settings
from tallystick.solver.setup import open_solver


def test_a_solver_is_its_key_by_default(tmp_path: Path) -> None:
    """The issuer is the did:key of the signing key, and programs see neither home nor key."""
    home = configured(tmp_path)
    found = open_solver(load_settings({"home": str(home)}, environ={}))
    assert found.issuer == did_key_encode(material.PUBLIC)
    assert found.signer.get_public_key() == material.PUBLIC
    assert found.hidden == (str(home), str(home / "signing.key"))
    assert found.evm_signer is None
    assert Path(found.home.runs).is_dir()


def test_a_key_elsewhere_is_hidden_too(tmp_path: Path) -> None:
    """Also through a link, by where it lies."""
    home = configured(tmp_path)
    key = tmp_path / "elsewhere.key"
    (home / "signing.key").rename(key)
    found = open_solver(
        load_settings({"home": str(home), "key": str(key), "issuer": "did:web:s"}, environ={})
    )
    assert found.issuer == "did:web:s"
    assert str(key) in found.hidden


def test_faults_come_before_any_intent(tmp_path: Path) -> None:
    """No key, and a job type without a runner."""
    home = configured(tmp_path)
    (home / "signing.key").unlink()
    with pytest.raises(KeyFileError):
        open_solver(load_settings({"home": str(home)}, environ={}))
    (home / "solver.toml").write_text('policy_jobtype_allowlist = ["X"]')
    with pytest.raises(SettingError):
        open_solver(load_settings({"home": str(home)}, environ={}))


def test_the_commit_is_that_of_the_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the code runs from a clone, its commit is known; elsewhere it is not guessed."""
    setup._git_commit.cache_clear()
    found = setup._git_commit()
    assert found is None or len(found) == 40
    setup._git_commit.cache_clear()

    def fail(*_: object, **__: object) -> None:
        raise subprocess.SubprocessError

    monkeypatch.setattr(subprocess, "run", fail)
    assert setup._git_commit() is None
    setup._git_commit.cache_clear()


def test_no_file_of_a_secret_is_left_to_programs(tmp_path: Path) -> None:
    """Keystore and password, tokens and the key of TLS are hidden, wherever they lie."""
    home = configured(tmp_path)
    names = ("evm.json", "pass word", "tokens", "tls.key", "tls.pem")
    for name in names:
        (tmp_path / name).write_text("secret")
    password = str(tmp_path / "pass word").replace(" ", "%20")
    settings = load_settings(
        {
            "home": str(home),
            "evm_key": f"keystore:{tmp_path}/evm.json?password-file={password}",
            "tokens": str(tmp_path / "tokens"),
            "tls_key": str(tmp_path / "tls.key"),
            "tls_cert": str(tmp_path / "tls.pem"),
        },
        environ={},
    )
    secret = generate_evm_secret()
    found = open_solver(settings, evm_signer_of=lambda _: LocalEvmSigner(secret))
    assert {str(tmp_path / name) for name in names} <= set(found.hidden)


def test_a_collector_is_checked_before_any_intent(tmp_path: Path) -> None:
    """Its address and its log's key are read at once, and the key may stand in a file."""
    home = configured(tmp_path)
    (tmp_path / "log.vkey").write_text(LOG_KEY.verifier.encode() + "\n")
    good = {"home": str(home), "collector": "https://c.example", "vkey": str(tmp_path / "log.vkey")}
    assert repr(open_solver(load_settings(good, environ={})).log) == f"RunLog(of {ORIGIN!r})"
    for wrong, told in (
        ({"vkey": "nowhere"}, "vkey: nowhere could not be read"),
        ({"vkey": "a+b+c"}, "vkey: "),
        ({"collector": "http://c.example"}, "collector: "),
    ):
        with pytest.raises(SettingError, match=f"^{told}"):
            open_solver(load_settings(good | wrong, environ={}))
    assert open_solver(load_settings({"home": str(home)}, environ={})).log is None
