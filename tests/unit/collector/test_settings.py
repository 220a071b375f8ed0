# SPDX-License-Identifier: Apache-2.0
"""Settings: which source beats which, what each takes, and what does not go together."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tallystick.collector.settings import (
    Settings,
    default_beside,
    hidden_password,
    load_settings,
    print_config,
)
from tallystick.config import COLLECTOR
from tallystick.errors import SettingError, UnreadableError
from tallystick.limits import BODY_BYTES_MAX, DRAIN_MS_MAX, SETTINGS_FILE_BYTES_MAX


def load(environ: dict[str, str] | None = None, file: Path | None = None, **flags: Any) -> Settings:
    return load_settings(flags, file=file, environ=environ or {})[0]


def refused(**given: Any) -> str:
    with pytest.raises(SettingError) as caught:
        load(**given)
    return str(caught.value)


def test_defaults() -> None:
    """What the protocol's own collector has, and files beside the store."""
    settings = load()
    assert (settings.host, settings.port, settings.db) == ("127.0.0.1", 8787, "collector.db")
    assert (settings.max_body_bytes, settings.drain_ms) == (1 << 20, 10_000)
    assert (settings.keys, settings.tokens) == ("collector.keys", "collector.tokens")
    assert settings.is_loopback
    assert not settings.allow_anonymous


def test_a_flag_beats_the_environment_and_that_the_file(tmp_path: Path) -> None:
    """Each setting by itself; an empty variable sets nothing."""
    file = tmp_path / "c.toml"
    file.write_text('db = "f.db"\nrate = 1\nburst = 3\nlog_format = "text"\n')
    environ = {
        "AGENTRECEIPTS_COLLECTOR_DB": "e.db",
        "TALLY_COLLECTOR_RATE": "2",
        "TALLY_COLLECTOR_BURST": "",
    }
    settings, origins = load_settings({"db": "x.db"}, file=file, environ=environ)
    assert (settings.db, settings.rate, settings.burst) == ("x.db", 2, 3)
    assert settings.log_format == "text"
    assert settings.keys == "x.keys"
    assert (origins["db"], origins["rate"], origins["burst"], origins["addr"]) == (
        "--db", "TALLY_COLLECTOR_RATE", str(file), "default",
    )  # fmt: skip


@pytest.mark.parametrize("setting", COLLECTOR, ids=lambda one: one.name)
def test_every_setting_comes_from_each_source(setting: Any, tmp_path: Path) -> None:
    """A flag, a variable and a TOML key set the same."""
    value = {"number": "7", "duration": "7s", "flag": "true"}.get(setting.kind, "x")
    value = {"addr": "127.0.0.2:1", "log_format": "text", "log_level": "error"}.get(
        setting.name, value
    )
    partners = {
        "tls_key": 'tls_cert = "c"\n',
        "client_ca": 'tls_cert = "c"\n[certificates]\n"cn:a" = "a"\n',
        "require_client_cert": 'tls_cert = "c"\nclient_ca = "c"\n[certificates]\n"cn:a" = "a"\n',
    }
    rest = partners.get(setting.name, "")
    file = tmp_path / "c.toml"
    file.write_text(rest)
    flag: Any = True if setting.kind == "flag" else value
    by_flag = load(file=file, **{setting.name: flag})
    by_variable = load({setting.environment: value}, file=file)
    typed = value if setting.kind in ("flag", "number") else f'"{value}"'
    file.write_text(f"{setting.name} = {typed}\n{rest}")
    by_file = load(file=file)
    file.write_text(rest)
    assert by_flag == by_variable == by_file
    if not rest:
        assert by_flag != load()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"addr": "8787"}, "HOST:PORT"),
        ({"addr": ":8787"}, "HOST:PORT"),
        ({"addr": "x:70000"}, "does not exist"),
        ({"addr": "x:80a"}, "HOST:PORT"),
        ({"db": ":memory:"}, "outlive"),
        ({"db": "a\0b"}, "must be text"),
        ({"db": "/"}, 'db must name a file, and "/" is a folder'),
        ({"db": "/var/lib/tally/"}, "is a folder"),
        ({"max_body_bytes": "-1"}, "whole number"),
        ({"max_body_bytes": str(BODY_BYTES_MAX + 1)}, "max_body_bytes must be from"),
        ({"max_connections": "0"}, "max_connections must be from"),
        ({"drain_timeout": "10"}, "duration"),
        ({"drain_timeout": f"{DRAIN_MS_MAX + 1}ms"}, "at most"),
        ({"log_format": "xml"}, "json or text"),
        ({"log_level": "loud"}, "debug, info"),
        ({"tls_key": "k"}, "tls_key needs tls_cert"),
        ({"client_ca": "k"}, "client_ca needs tls_cert"),
        ({"client_ca": "k", "tls_cert": "c"}, "[certificates]"),
        ({"require_client_cert": True}, "needs client_ca"),
        ({"environ": {"TALLY_COLLECTOR_ALLOW_ANONYMOUS": "yes"}}, "true or false"),
        ({"environ": {"AGENTRECEIPTS_COLLECTOR_MAX_BODY_BYTES": "x"}}, "AGENTRECEIPTS_"),
    ],
)
def test_what_can_not_be_is_refused(given: dict[str, Any], told: str) -> None:
    """By name and source, before anything is opened."""
    assert told in refused(**given)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("port = 1", "'port', which is no setting"),
        ("db = 5", "must be text"),
        ("rate = 1.5", "whole number"),
        ("rate = -1", "whole number"),
        ("db = ", "no TOML"),
        ("certificates = 1", "must be a table"),
        ('[certificates]\n"agent" = "a"', "must begin with"),
        ('[certificates]\n"cn:agent" = "a b"', "tenant"),
        ('[certificates]\n"cn:agent" = "a"', "needs client_ca"),
        ("#" * (SETTINGS_FILE_BYTES_MAX + 1), "larger"),
    ],
)
def test_a_file_that_is_wrong_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """A misspelled name never passes for a setting."""
    file = tmp_path / "c.toml"
    file.write_text(text)
    assert told in refused(file=file)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Whoever names a file wants it read."""
    with pytest.raises(UnreadableError):
        load(file=tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "ms"), [("10s", 10_000), ("500ms", 500), ("1m30s", 90_000), ("1.5s", 1500), ("0s", 0)]
)
def test_durations_are_spelled_as_in_go(text: str, ms: int) -> None:
    """As the protocol's collector takes them."""
    assert load(drain_timeout=text).drain_ms == ms


def test_zero_bytes_are_the_default() -> None:
    """As in the protocol's collector."""
    assert load(max_body_bytes="0").max_body_bytes == 1 << 20


def test_what_is_printed_sets_the_same(tmp_path: Path) -> None:
    """--print-config is a TOML file; where each value comes from stands beside it."""
    file = tmp_path / "c.toml"
    file.write_text('client_ca = "ca"\ntls_cert = "c"\n[certificates]\n"cn:a" = "a"\n')
    settings, origins = load_settings({"addr": "[::1]:0", "rate": "5"}, file=file, environ={})
    text = print_config(settings, origins)
    assert 'addr = "[::1]:0"  # --addr' in text
    again = tmp_path / "again.toml"
    again.write_text(text)
    assert load(file=again) == settings
    assert tomllib.loads(text)["certificates"] == {"cn:a": "a"}


def test_a_password_is_not_shown() -> None:
    """Neither printed nor logged; and files of a database lie in the working directory."""
    db = "postgresql://user:secret@host/name"
    settings, origins = load_settings({"db": db}, environ={})
    assert settings.db == db
    assert "secret" not in print_config(settings, origins)
    assert hidden_password(db) == "postgresql://user:***@host/name"
    assert hidden_password("a:b@c.db") == "a:b@c.db"
    for odd in ("postgresql://u:secret/x@h/n", "postgresql://u@h/n?password=secret&a=b"):
        assert "secret" not in hidden_password(odd)
    assert default_beside(db, "keys") == "collector.keys"


@pytest.mark.parametrize(
    "db", ["host=h password=secret", " dbname = tally", "mysql://u:secret@h/n"]
)
def test_another_form_of_a_database_is_no_file(db: str) -> None:
    """It would be made as one, and its name be shown."""
    with pytest.raises(SettingError, match="postgresql://…") as caught:
        load_settings({"db": db}, environ={})
    assert "secret" not in str(caught.value)
