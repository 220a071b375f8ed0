# SPDX-License-Identifier: Apache-2.0
"""Paths: secrets are grave to read, start-up files and the system grave to change."""

from __future__ import annotations

import time

import pytest

from tallystick.model.path_risk import Access, is_whole, path_grade


@pytest.mark.parametrize(
    "path",
    [
        "~/.ssh/id_rsa",
        "/home/u/.ssh/config",
        ".env",
        "app/.env.production",
        "/home/u/.aws/credentials",
        "server.pem",
        "SERVER.KEY",
        "/etc/shadow",
        "/tmp/../etc/shadow",
        "./a/../.netrc",
        "$HOME/.kube/config",
        "C:\\Users\\u\\.ssh\\id_ed25519",
        "file:///root/.git-credentials",
        "/proc/self/environ",
        "/run/secrets/db",
        "wallet.dat",
        "vault.kdbx",
        "~/.ssh",
        "/home/u/.aws/",
    ],
)
def test_secrets_are_grave_to_read(path: str) -> None:
    """Keys, passwords and tokens, wherever and however they are spelled."""
    grade = path_grade(path, "read")
    assert grade is not None
    assert grade.risk == "high"


@pytest.mark.parametrize(
    "path",
    [
        "src/a.py",
        ".env.example",
        "id_rsa.pub",
        "docs/secrets.md",
        "/etc/hosts",
        "/dev/null",
        "",
        "/",
    ],
)
def test_other_files_are_not(path: str) -> None:
    """Code, templates, public keys and what everybody reads."""
    assert path_grade(path, "read") is None


@pytest.mark.parametrize(
    ("path", "level"),
    [
        ("/etc/passwd", "critical"),
        ("//etc//sudoers", "critical"),
        ("/etc/sudoers.d/me", "critical"),
        ("/root/.ssh/authorized_keys", "critical"),
        ("/dev/sda1", "critical"),
        ("/boot/vmlinuz", "critical"),
        ("/etc/hosts", "high"),
        ("/usr/bin/x", "high"),
        ("C:\\Windows\\System32\\x.dll", "high"),
        ("~/.bashrc", "high"),
        ("repo/.git/hooks/pre-commit", "high"),
        (".github/workflows/ci.yml", "high"),
        ("/home/u/.config/autostart/x.desktop", "high"),
        ("~/.claude/settings.json", "high"),
        (".env", "high"),
    ],
)
@pytest.mark.parametrize("access", ["write", "delete"])
def test_what_runs_or_rules_is_grave_to_change(path: str, level: str, access: Access) -> None:
    """Accounts and devices are critical; what something runs later is high."""
    grade = path_grade(path, access)
    assert grade is not None
    assert grade.risk == level
    assert grade.type == f"filesystem.file.{'delete' if access == 'delete' else 'modify'}"


@pytest.mark.parametrize("path", ["src/a.py", "/tmp/x", "/dev/null", "/dev/shm/x", "out.txt"])
def test_other_files_may_be_changed(path: str) -> None:
    """Work and scratch files say nothing."""
    assert path_grade(path, "write") is None


@pytest.mark.parametrize(
    "path",
    ["/", "/*", "~", "~/", "*", ".", "..", "$HOME", "${HOME}/*", "/home/u", "/etc", "x/.git"],
)
def test_whole_trees(path: str) -> None:
    """The root, homes, the working directory and repositories are everything somebody has."""
    assert is_whole(path)


@pytest.mark.parametrize("path", ["build", "./build/x", "/home/u/x", "a*", "/tmp/x/y"])
def test_parts_of_trees(path: str) -> None:
    """A folder among others is not everything."""
    assert not is_whole(path)


@pytest.mark.parametrize("unit", ["/", "../", "a", ".env.", "/.", "/proc/", ".pem", "~/", "\\"])
def test_grading_takes_little_time(unit: str) -> None:
    """No path is long enough to be slow."""
    start = time.process_time()
    for access in ("read", "write", "delete"):
        path_grade(unit * 100_000, access)
    is_whole(unit * 100_000)
    assert time.process_time() - start < 1
