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


# Becomes one that hands a capability on to what it starts, as a service manager's units can be.
AMBIENT = """
import ctypes
from tallystick.daemon.hardening import harden_process

def has(name):
    lines = open("/proc/self/status").read().splitlines()
    (found,) = [one.split()[1] for one in lines if one.startswith(name)]
    return int(found, 16) >> 10 & 1

libc = ctypes.CDLL(None)
header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert libc.capget(header, sets) == 0
sets[2] |= sets[1] & 1 << 10  # inheritable, of what is permitted: CAP_NET_BIND_SERVICE
assert libc.capset(header, sets) == 0
libc.prctl(47, 2, 10, 0, 0)
print(has("CapAmb"), has("CapPrm"))
harden_process()
print(has("CapAmb"), has("CapPrm"))
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0,
    reason="only Linux has ambient capabilities, and only root has one to hand on",
)
def test_a_hardened_process_hands_no_capability_on() -> None:
    """What it may do itself stays; nothing that it starts inherits it."""
    done = subprocess.run(
        [sys.executable, "-c", AMBIENT],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    before, after = done.stdout.splitlines()
    if before == "0 0":
        pytest.skip("root has no such capability here")
    assert (before, after) == ("1 1", "0 1")
