# SPDX-License-Identifier: Apache-2.0
"""A `tally` that starts at once: a process that has imported what is slow, and forks a command.

Commands on the embedded chain import web3 and py-evm, two seconds of work each, and then a tenth
of a second of our own modules. Here they are imported once. Each command is a process of its own
still, with the arguments, the environment, the folder, the umask and the files of the shell that
called it. `bad-input.txt` has one that starts cold.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Final

from tallystick.cli.main import main

_SLOW: Final = ("web3", "web3.providers.eth_tester", "eth_tester.backends.pyevm.main", "eth_abi")
_ROOMS: Final = ("tallystick.cli", "tallystick.onchain", "tallystick.solver", "tallystick.watch")
_ASKED_BYTES: Final = 1 << 20

# What stands in the place of `tally`: it hands over what it was called with, and ends as told.
_CLIENT: Final = """#!{python} -IS
import json, os, socket, sys
mask = os.umask(0)
asked = [sys.argv[1:], dict(os.environ), os.getcwd(), mask]
with socket.socket(socket.AF_UNIX) as there:
    there.connect({address!r})
    socket.send_fds(there, [b"!"], [0, 1, 2])
    there.sendall(json.dumps(asked).encode())
    there.shutdown(socket.SHUT_WR)
    code = there.recv(1)
sys.exit(code[0] if code else 70)
"""


@contextmanager
def warm_tally(folder: Path, source: Path) -> Iterator[Path]:
    """Yield a folder with a `tally` that runs a source and whose slow imports are done."""
    address = str(folder / "asked")
    with subprocess.Popen(
        [sys.executable, "-m", "tests.sessions.warm", address],
        cwd=source.parent,
        env={**os.environ, "PYTHONPATH": str(source), "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        (folder / "tally").write_text(_CLIENT.format(python=sys.executable, address=address))
        (folder / "tally").chmod(0o755)
        yield folder
        server.terminate()


def serve(address: str) -> None:
    """Answer at a socket for ever: a process for each command."""
    for name in _SLOW:
        import_module(name)
    for room in _ROOMS:
        for module in iter_modules(import_module(room).__path__, f"{room}."):
            import_module(module.name)
    gc.freeze()  # what is imported is no garbage: who looks at it copies its pages
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        os.write(1, b"ready\n")
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _answer(connection)
            connection.close()


def _answer(connection: socket.socket) -> None:
    """Run one command with the files, words and place of who asked; never return."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb") as stream:
        words, environment, folder, mask = json.loads(stream.read(_ASKED_BYTES))
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.umask(mask)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115  # for the process
        for number, mode in ((0, "r"), (1, "w"), (2, "w"))
    )
    sys.argv = ["tally", *words]
    code = 70
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        connection.sendall(bytes([code]))
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
