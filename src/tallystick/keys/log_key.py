# SPDX-License-Identifier: Apache-2.0
"""The public key of a log, as options and settings name it."""

from __future__ import annotations

from tallystick.crypto.note import VerifierKey
from tallystick.durable.file import read_bounded
from tallystick.limits import KEY_FILE_BYTES_MAX


def read_log_key(text: str) -> VerifierKey:
    """Return the key itself, `name+id+base64`, or the one in the file of that path."""
    if text.count("+") < 2:
        text = read_bounded(text, KEY_FILE_BYTES_MAX).decode("utf-8", "replace").rstrip("\r\n")
    return VerifierKey.parse(text)
