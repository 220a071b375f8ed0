# SPDX-License-Identifier: Apache-2.0
"""Paths within folders, however they are written."""

from __future__ import annotations

import pytest

from tallystick.channels.folder_match import within_test
from tallystick.errors import RulesError


@pytest.mark.parametrize(
    ("text", "generous", "exact"),
    [
        ("/etc/passwd", True, True),
        ("/etc", True, True),
        ("/etcetera", False, False),
        ("//etc//passwd", True, True),
        ("/srv/../etc/x", True, False),
        ("/var/run/../etc/x", True, False),
        ("/proc/self/cwd/../x", True, False),
        ("/dev/fd/%2e%2e/root/etc/x", True, False),
        ("/.././../etc/x", True, False),
        ("/.././../srv/x", False, False),
        ("file:///etc/.\t./.\n./srv/x", True, False),
        ("/etc/.%09./.%0d./srv/x", True, False),
        ("/srv/..x/a", False, False),
        ("file:///etc/x", True, True),
        ("file://localhost/etc/x", True, False),
        ("file:/etc/x", True, False),
        ("FILE:\\\\\\etc\\x", True, False),
        ("fi\tle:///etc/x", True, False),
        ("file:///etc?x", True, False),
        ("file:///etc/%2e%2e/x", True, False),
        ("/%65tc/x", True, False),
        ("/%2565tc/x", True, False),
        ("/etc/%2e%2e/%2e%2e/x", True, False),
        ("/etc/100%", True, True),
        ("../../etc/x", True, False),
        ("~/x", True, False),
        ("$HOME", True, False),
        ("notes.txt", False, False),
        ("/ETC/x", True, False),
        (" /etc/x", True, False),
        ("\\etc\\x", True, False),
        ("/etc\0/x", True, False),
        ("/proc/self/root/etc/x", True, False),
        ("/proc/1/task/1/cwd/x", True, False),
        ("/dev/fd/3", True, False),
        ("/proc/self/status", False, False),
    ],
)
def test_folders(text: str, generous: bool, exact: bool) -> None:
    """What may lead into a folder is held back; only what surely does is let through."""
    assert within_test("/etc/", exact=False)(text) is generous
    assert within_test("/etc/", exact=True)(text) is exact


def test_case_and_composition() -> None:
    """File systems that look past them are met by what holds back alone."""
    assert within_test("/srv/Caf\u00e9", exact=False)("/SRV/cafe\u0301/x")
    assert not within_test("/srv/Caf\u00e9", exact=True)("/srv/Cafe\u0301/x")
    assert not within_test("/srv/Public", exact=True)("/srv/public/x")


def test_the_root() -> None:
    """All whole paths are within it."""
    assert within_test("/", exact=True)("/srv/x")
    assert not within_test("/", exact=True)("x")


def test_a_folder_by_its_whole_path() -> None:
    """A relative one is refused when it is read."""
    with pytest.raises(RulesError):
        within_test("etc", exact=False)
