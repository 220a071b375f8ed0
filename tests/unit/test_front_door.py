# SPDX-License-Identifier: Apache-2.0
"""`import tallystick`: every public name is there, and none is loaded before it is asked for."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import tallystick


def test_every_public_name_loads() -> None:
    """Each name in `__all__` can be fetched, and is the same object each time."""
    for name in tallystick.__all__:
        assert getattr(tallystick, name) is getattr(tallystick, name)


def test_dir_lists_public_names() -> None:
    """Completion finds names that are not loaded yet."""
    assert set(tallystick.__all__) <= set(dir(tallystick))


def test_unknown_names_are_attribute_errors() -> None:
    """A misspelt name fails as in any other module, and says which."""
    with pytest.raises(AttributeError, match="verify_chian"):
        tallystick.verify_chian  # type: ignore[attr-defined]  # noqa: B018  # the access is the test


def test_import_is_lazy() -> None:
    """A fresh `import tallystick` loads none of its rooms."""
    program = "import sys, tallystick; print([n for n in sys.modules if n.count('tallystick.')])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_version_is_semantic() -> None:
    """The version has three numbers: the build reads it from here."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", tallystick.__version__)
