# SPDX-License-Identifier: Apache-2.0
"""Writes the Homebrew formula for a source archive: `tools/formula.py tallystick-1.0.tar.gz`."""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parent.parent / "deploy" / "homebrew" / "tallystick.rb.in"


def formula(name: str, archive: bytes) -> str:
    """Return the formula for an archive of this name."""
    found = re.fullmatch(r"tallystick-([0-9][0-9A-Za-z.]*)\.tar\.gz", name)
    if found is None:
        raise SystemExit(f"{name}: wanted is tallystick-VERSION.tar.gz")
    text = TEMPLATE.read_text(encoding="utf-8")
    text = text.replace("@VERSION@", found[1])
    return text.replace("@SHA256@", hashlib.sha256(archive).hexdigest())


if __name__ == "__main__":
    path = Path(sys.argv[1])
    print(formula(path.name, path.read_bytes()), end="")
