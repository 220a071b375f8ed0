# SPDX-License-Identifier: Apache-2.0
"""Forks and ends of programs reach the objects that asked, and only those that still live."""

from __future__ import annotations

import gc
import subprocess
import sys

from tallystick.deliver import lifetime


class Thing:
    def told(self) -> None:
        """Be told."""


def test_what_is_collected_leaves() -> None:
    """The table keeps nothing alive, and does not grow."""
    gc.collect()
    before = len(lifetime._in_child), len(lifetime._at_exit)
    things = [Thing() for _ in range(10)]
    for thing in things:
        lifetime.after_fork_in_child(thing.told)
        lifetime.at_exit(thing.told)
    assert len(lifetime._in_child) == before[0] + 10
    del things, thing
    gc.collect()
    assert (len(lifetime._in_child), len(lifetime._at_exit)) == before


def test_a_fork_waits_for_what_must_not_be_divided() -> None:
    """While another thread imports, nobody forks; afterwards both sides can go on importing."""
    program = """
import os, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from tallystick.deliver.lifetime import undivided
begun, done = threading.Event(), []
def work():
    with undivided:
        begun.set(); time.sleep(0.1); done.append(True)
threading.Thread(target=work).start()
begun.wait()
child = os.fork()
with undivided: os.write(1, b"%r\\n" % done)
if child: os.waitpid(child, 0)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    assert ran.stdout.splitlines() == ["[True]", "[True]"]


def test_a_program_forks_and_ends() -> None:
    """The child is told of the fork before it goes on, the parent is not; both end as one ends."""
    program = """
import os
from tallystick.deliver import lifetime
class Thing:
    forked = 0
    def in_child(self): self.forked += 1
    def at_end(self): os.write(1, b"%s ended after %d\\n" % (who, self.forked))
who, thing, gone = b"parent", Thing(), Thing()
lifetime.after_fork_in_child(thing.in_child); lifetime.at_exit(thing.at_end)
lifetime.after_fork_in_child(gone.in_child); lifetime.at_exit(gone.at_end)
del gone
if child := os.fork(): os.waitpid(child, 0)
else: who = b"child"
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["child ended after 1", "parent ended after 0"]
    assert done.stderr == ""
