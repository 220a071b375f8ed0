# SPDX-License-Identifier: Apache-2.0
"""What is stated of frames follows the settings, also while the daemon runs."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from tests import ledgers

from tallystick.daemon.attested import AttestedFrame
from tallystick.daemon.settings import Settings, load_settings
from tallystick.daemon.statements import Statements, terms_from
from tallystick.errors import SettingError
from tallystick.keys.forensic import forensic_public_key_pem, generate_forensic_key_pair


def settings_of(home: Path, **flags: str) -> Settings:
    given: Any = flags
    environ = {"XDG_DATA_HOME": str(home), "XDG_RUNTIME_DIR": "/run/user/7"}
    return load_settings(given, environ=environ, platform="linux")[0]


def drafted(statements: Statements, **members: Any) -> dict[str, Any]:
    one = AttestedFrame(frame=ledgers.frame(**members), peer=ledgers.PEER, received_ns=1)
    return statements.drafter.receipt(one)


def test_patterns_can_be_taken_over(tmp_path: Path) -> None:
    """The next frame is redacted by the new ones."""
    statements = Statements(settings_of(tmp_path))
    assert drafted(statements, error="tango 12")["outcome"].error == "tango 12"
    patterns = tmp_path / "p.toml"
    patterns.write_text("[[pattern]]\nname = 'tango'\nregex = 'tango [0-9]+'\n")
    statements.take(settings_of(tmp_path, redact_patterns=str(patterns)))
    assert "12" not in drafted(statements, error="tango 12")["outcome"].error


def test_what_can_not_be_used_changes_nothing(tmp_path: Path) -> None:
    """A file that is none: refused with its name, and the old settings hold."""
    statements = Statements(settings_of(tmp_path))
    before = statements.drafter.settings
    bad = tmp_path / "bad"
    bad.write_text("nothing of use")
    for flags in (
        {"redact_patterns": str(bad)},
        {"forensic_public_key": str(bad), "parameter_disclosure": "all"},
    ):
        with pytest.raises(SettingError, match="bad"):
            statements.take(settings_of(tmp_path, **flags))
    assert statements.drafter.settings is before


def test_disclosure_follows_its_policy(tmp_path: Path) -> None:
    """With a key and a policy parameters are sealed; a key without one is worth a line."""
    key = tmp_path / "f.pub"
    key.write_text(forensic_public_key_pem(generate_forensic_key_pair().public_key))
    statements = Statements(settings_of(tmp_path, forensic_public_key=str(key)))
    assert statements.is_key_idle
    assert drafted(statements, input={"a": 1})["action"].parameters_disclosure is None
    statements.take(settings_of(tmp_path, forensic_public_key=str(key), parameter_disclosure="all"))
    assert drafted(statements, input={"a": 1})["action"].parameters_disclosure is not None
    drafted(statements, input=[1])
    assert statements.undisclosed == {"no object": 1}


def test_who_connects_is_attested(tmp_path: Path) -> None:
    """The kernel's word, and the user's name is asked for at once."""
    here, there = socket.socketpair()
    with here, there:
        statements = Statements(settings_of(tmp_path))
        found = statements.attest(here)
        assert statements.attest(here).credential.uid == os.getuid()
    assert found.credential.pid is not None
    drafted(statements)
    assert statements.knows(None)
    assert not statements.knows(0xFFFF_FFFE)


def test_another_process_is_told_the_same(tmp_path: Path) -> None:
    """Terms are what the settings say, and go on with them."""
    statements = Statements(settings_of(tmp_path))
    assert statements.ahead._terms == terms_from(settings_of(tmp_path))
    key = tmp_path / "f.pub"
    key.write_text(forensic_public_key_pem(generate_forensic_key_pair().public_key))
    patterns = tmp_path / "p.toml"
    patterns.write_text("[[pattern]]\nname = 'tango'\nregex = 'tango [0-9]+'\n")
    settings = settings_of(
        tmp_path,
        redact_patterns=str(patterns),
        forensic_public_key=str(key),
        parameter_disclosure="high",
        response_disclosure="a.b",
    )
    statements.take(settings)
    terms = statements.ahead._terms
    assert terms == terms_from(settings)
    assert [one.name for one in terms.patterns] == ["tango"]
    assert terms.parameters.mode == "high"
    assert terms.responses.types == {"a.b"}
    assert terms.forensic_key is not None
    statements.ahead.close()


def test_terms_that_can_not_be_used_reach_nobody(tmp_path: Path) -> None:
    """Where settings are refused, the other process goes on by those that hold."""
    statements = Statements(settings_of(tmp_path))
    before = statements.ahead._terms
    bad = tmp_path / "bad"
    bad.write_text("nothing of use")
    with pytest.raises(SettingError, match="bad"):
        statements.take(settings_of(tmp_path, redact_patterns=str(bad)))
    assert statements.ahead._terms is before
