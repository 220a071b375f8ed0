# SPDX-License-Identifier: Apache-2.0
"""A terminal for tests: what a command shows to somebody who watches its standard error."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.command import environment

# The command as it is, but for how long work may take before it shows a bar.
_AT_ONCE = """
import sys
from tallystick.cli import evidence_files
from tallystick.cli.main import main
evidence_files._BAR_AFTER_SECONDS = evidence_files._BAR_EVERY_SECONDS = 0.0
sys.exit(main(sys.argv[1:], standalone_mode=False))
"""


@contextmanager
def on_a_terminal(command: list[str], seen: list[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program whose standard error is a terminal; `seen` is what was shown, at the end."""
    parent, child = pty.openpty()
    with subprocess.Popen(
        command,
        env=environment(TERM="xterm-256color", COLUMNS="80"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=child,
    ) as running:
        os.close(child)

        def watch() -> None:
            while True:
                try:
                    seen.append(os.read(parent, 65536))
                except OSError:  # the other side has closed
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        yield running
        watcher.join()
    os.close(parent)


def watched(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
    """Run a command that shows its bars at once; return exit code, output, and what was shown."""
    seen: list[bytes] = []
    with on_a_terminal([sys.executable, "-c", _AT_ONCE, *arguments], seen) as running:
        out, _ = running.communicate(stdin, timeout=60)
    return running.returncode, out.decode(), b"".join(seen).decode()


def is_gone(shown: str) -> bool:
    """Whether a bar was taken away again: the last line is erased, and the cursor is back."""
    return shown.rstrip().endswith(("\x1b[?25h", "\x1b[2K")) and "\x1b[?25h" in shown
