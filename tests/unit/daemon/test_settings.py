# SPDX-License-Identifier: Apache-2.0
"""How a daemon is set up, and what does not start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tallystick.daemon.settings import changed, load_settings, print_config
from tallystick.daemon.variables import DAEMON
from tallystick.errors import SettingError, SocketPathError, UnreadableError

RUN = "/run/user/7"


def settings_of(home: Path, *, file: Path | None = None, **environ: Any) -> Any:
    given = {"XDG_DATA_HOME": str(home), "XDG_RUNTIME_DIR": RUN, **environ}
    return load_settings({}, file=file, environ=given, platform="linux")[0]


def test_defaults(tmp_path: Path) -> None:
    """Everything lies where the protocol's other tools look for it."""
    found = settings_of(tmp_path)
    assert found.socket == f"{RUN}/agentreceipts/events.sock"
    assert found.status_socket == f"{RUN}/agentreceipts/status.sock"
    assert found.db == f"{tmp_path}/agent-receipts/receipts.db"
    assert found.key == f"{tmp_path}/agent-receipts/signing.key"
    assert found.public_key == f"{found.key}.pub"
    assert found.issuer_id == "did:agent-receipts-daemon:local"
    assert found.verification_method == "did:agent-receipts-daemon:local#k1"
    assert (found.parameter_disclosure, found.response_disclosure) == ("off", "off")
    assert found.shutdown_deadline == 10_000


def test_what_hangs_on_another_follows_it(tmp_path: Path) -> None:
    """The public key follows the key, the method the issuer, the status the socket."""
    found = settings_of(
        tmp_path,
        AGENTRECEIPTS_KEY="/etc/k",
        AGENTRECEIPTS_ISSUER_ID="did:x:y",
        AGENTRECEIPTS_SOCKET="/run/x/e.sock",
    )
    assert found.public_key == "/etc/k.pub"
    assert found.verification_method == "did:x:y#k1"
    assert found.status_socket == "/run/x/status.sock"


def test_a_named_file_must_be_there_and_the_default_need_not(tmp_path: Path) -> None:
    """A typo in --config is no silence; a fresh install has no file."""
    with pytest.raises(UnreadableError):
        settings_of(tmp_path, AGENTRECEIPTS_CONFIG=str(tmp_path / "none"))
    folder = tmp_path / "agent-receipts"
    folder.mkdir()
    (folder / "daemon.toml").write_text('issuer_id = "did:from:file"\nparameter_disclosure = false')
    assert settings_of(tmp_path).issuer_id == "did:from:file"
    (folder / "daemon.toml").write_text("shutdown_dedline = '1s'")
    with pytest.raises(SettingError, match="shutdown_dedline"):
        settings_of(tmp_path)


@pytest.mark.parametrize(
    ("spelled", "expected"),
    [
        ("false", "off"),
        ('""', "off"),
        ("true", "all"),
        ('"high"', "high"),
        ('["b.c", "a.b"]', "a.b,b.c"),
        ('"b.c,a.b"', "a.b,b.c"),
    ],
)
def test_a_policy_has_one_spelling(tmp_path: Path, spelled: str, expected: str) -> None:
    """TOML may say it as a flag, a text or a list."""
    file = tmp_path / "d.toml"
    file.write_text(f'parameter_disclosure = {spelled}\nforensic_public_key = "/f.pub"\n')
    assert settings_of(tmp_path, file=file).parameter_disclosure == expected


@pytest.mark.parametrize(
    "environ",
    [
        {"AGENTRECEIPTS_SOCKET": "127.0.0.1:9"},
        {"AGENTRECEIPTS_SOCKET": "tcp://localhost:9", "AGENTRECEIPTS_UNSAFE_SOCKET_PATH": "1"},
        {"AGENTRECEIPTS_SOCKET": "/home/x/e.sock"},
        {"AGENTRECEIPTS_UNSAFE_SOCKET_PATH": "yes"},
        {"AGENTRECEIPTS_DB": ":memory:"},
        {"AGENTRECEIPTS_DB": "/x", "AGENTRECEIPTS_KEY": "/x"},
        {"AGENTRECEIPTS_KEY": "/x", "AGENTRECEIPTS_PUBLIC_KEY": "/x"},
        {"AGENTRECEIPTS_CHAIN_ID": "a/b"},
        {"AGENTRECEIPTS_CHAIN_ID": "a\nb"},
        {"AGENTRECEIPTS_ISSUER_ID": "x" * 300},
        {"AGENTRECEIPTS_PARAMETER_DISCLOSURE": "all"},
        {"AGENTRECEIPTS_PARAMETER_DISCLOSURE": "off,a.b"},
        {"AGENTRECEIPTS_SHUTDOWN_DEADLINE": "99h"},
        {"TALLY_MAX_CONNECTIONS": "1"},
        {"TALLY_STATUS_SOCKET": f"{RUN}/agentreceipts/events.sock"},
        {"TALLY_LOG_FORMAT": "xml"},
        {"TALLY_LOG_LEVEL": "loud"},
    ],
)
def test_what_contradicts_itself_does_not_start(tmp_path: Path, environ: dict[str, Any]) -> None:
    """Each of these is refused, with what it must be."""
    with pytest.raises(SettingError):
        settings_of(tmp_path, **environ)


@pytest.mark.parametrize("flag", ["1", "t", "T", "TRUE", "true", "True"])
def test_an_unsafe_path_needs_the_flag(tmp_path: Path, flag: str) -> None:
    """The flag is spelled as in the field; the address of a network is refused all the same."""
    with pytest.raises(SocketPathError):
        settings_of(tmp_path, AGENTRECEIPTS_SOCKET="/srv/e.sock")
    found = settings_of(
        tmp_path, AGENTRECEIPTS_SOCKET="/srv/e.sock", AGENTRECEIPTS_UNSAFE_SOCKET_PATH=flag
    )
    assert not found.is_safe_path


@pytest.mark.parametrize("path", ["/", "/var/lib/agentreceipts/", "..", "store/."])
def test_a_folder_is_no_file(tmp_path: Path, path: str) -> None:
    """Who forgets the name of the store hears it; a daemon that ran failed with a bug of ours."""
    with pytest.raises(SettingError, match=r"^db must name a file, and .* is a folder$"):
        settings_of(tmp_path, AGENTRECEIPTS_DB=path)


def test_bounds_of_durations_have_units(tmp_path: Path) -> None:
    """Who reads what a duration must be can write it as it stands there."""
    with pytest.raises(SettingError, match=r"^frame_timeout must be from 100ms to 10m$"):
        settings_of(tmp_path, TALLY_FRAME_TIMEOUT="1ms")


def test_a_key_is_never_echoed(tmp_path: Path) -> None:
    """Key contents in place of a path: refused, and not one part of them in the error."""
    seed = "u" + "Zq7" * 14 + "Z"
    with pytest.raises(SettingError) as caught:
        settings_of(tmp_path, AGENTRECEIPTS_KEY=seed)
    assert "Zq7" not in str(caught.value)
    assert "path" in str(caught.value)


def test_what_is_printed_sets_the_same(tmp_path: Path) -> None:
    """The output of --print-config is a file of settings."""
    given = {"XDG_DATA_HOME": str(tmp_path), "XDG_RUNTIME_DIR": RUN}
    first, origins = load_settings({"issuer_id": "did:x:y"}, environ=given, platform="linux")
    file = tmp_path / "printed.toml"
    file.write_text(print_config(first, origins))
    assert 'shutdown_deadline = "10s"  # default' in file.read_text().splitlines()
    again, _ = load_settings({}, file=file, environ=given, platform="linux")
    assert again == first


def test_changes_are_told_apart(tmp_path: Path) -> None:
    """Some can be taken over while running; where and in whose name needs a new start."""
    before = settings_of(tmp_path)
    after = settings_of(tmp_path, TALLY_LOG_LEVEL="debug", AGENTRECEIPTS_ISSUER_ID="did:x:y")
    assert changed(before, after) == (["log_level"], ["issuer_id", "verification_method"])


STRANGE = (
    "",
    "9" * 400,
    f"{'9' * 400}s",
    "9" * 5000,
    "-1",
    "1e999",
    "a\0b",
    "a\nb",
    "\u2028",
    "<data>",
    "[",
    "pkcs11:token=\udcff;object=k?module-path=/x.so",
    os.fsdecode(b"/a\xff"),
)


@pytest.mark.parametrize("name", [one.environment for one in DAEMON] + ["XDG_DATA_HOME", "HOME"])
def test_whatever_is_set_is_usable_or_refused(tmp_path: Path, name: str) -> None:
    """Each setting, each strange text: settings that can be printed, or a fault of the settings."""
    given = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": RUN}
    for text in STRANGE:
        try:
            found = load_settings({}, environ={**given, name: text}, platform="linux")
        except (SettingError, SocketPathError):
            continue
        print_config(*found).encode()
