# SPDX-License-Identifier: Apache-2.0
"""What a process does against others that want to look into it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HARDENED = """
import resource
from tallystick.daemon.hardening import harden_process

print(harden_process(), resource.getrlimit(resource.RLIMIT_CORE))
print(open("/proc/self/status").read().count("CoreDumping"))
import ctypes
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl is Linux's")
def test_a_hardened_process_dumps_no_core() -> None:
    """No core file, and nobody but root may look into the process."""
    done = subprocess.run(
        [sys.executable, "-c", HARDENED],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["[] (0, 0)", "1", "0"]
