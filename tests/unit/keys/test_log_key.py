# SPDX-License-Identifier: Apache-2.0
"""A log's key as settings name it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.logs import LOG_KEY

from tallystick.errors import KeyFormatError, LimitError, UnreadableError
from tallystick.keys.log_key import read_log_key
from tallystick.limits import KEY_FILE_BYTES_MAX

TEXT = LOG_KEY.verifier.encode()


def test_a_key_or_its_file(tmp_path: Path) -> None:
    """Both name the same key; the file may end with a line's end."""
    path = tmp_path / "log.vkey"
    path.write_text(f"{TEXT}\r\n")
    assert read_log_key(TEXT) == read_log_key(str(path)) == LOG_KEY.verifier


def test_what_is_no_key(tmp_path: Path) -> None:
    """Each fault has its error: no file, a large one, one that holds something else."""
    path = tmp_path / "file"
    path.write_text("something")
    with pytest.raises(KeyFormatError):
        read_log_key(str(path))
    with pytest.raises(KeyFormatError):
        read_log_key("a+b+c")
    path.write_bytes(bytes(KEY_FILE_BYTES_MAX + 1))
    with pytest.raises(LimitError):
        read_log_key(str(path))
    with pytest.raises(UnreadableError):
        read_log_key(str(tmp_path / "nowhere"))
