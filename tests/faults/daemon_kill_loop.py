# SPDX-License-Identifier: Apache-2.0
"""Kills a daemon, over and over, and then looks whether anything that it acknowledged is missing.

    python -m tests.faults.daemon_kill_loop FOLDER KILLS SEED     prints what it saw, as JSON

This process has everything imported, forks daemons and is the emitter of all of them. Each daemon
opens the one store, goes on with its chain, and gets SIGKILL at a random moment: while it starts,
or between frames that are on their way and answers that are. One of twenty lives longer, under so
many frames that its drafting process does a part of the work.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import random
import signal
import socket
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, NamedTuple

from tests.companions import companions_of, has_begun
from tests.daemons import DaemonHome
from tests.frames import Line, frame

from tallystick.daemon.assembly import run_daemon
from tallystick.daemon.settings import Settings, load_settings

STARTING_MS_MAX, COMMITTING_MS_MAX = 25.0, 15.0
AGENTS = ("", "", "a", "b")
CROWD, CROWD_MAX, CROWDS, LOOKED_AFTER = 1000, 100_000, 0.05, 50


class Life(NamedTuple):
    """What a daemon acknowledged, how much was under way at its end, and who drafted then."""

    answers: list[dict[str, Any]]
    under_way: int = 0
    is_drafted: bool = False


def live(settings: Settings) -> None:
    """Be a daemon until killed."""
    logging.getLogger("tallystick").setLevel(logging.CRITICAL)
    run_daemon(settings, reload=lambda: settings)


def connected(home: DaemonHome, pid: int) -> Line:
    """Return a connection to the daemon, once it listens."""
    while True:
        try:
            line = Line(home.socket)
            raw = line.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            # One that was killed while it began another process may listen for a moment longer.
            if int.from_bytes(raw[:4], sys.byteorder) == pid:
                return line
            line.close()
        except (ConnectionRefusedError, FileNotFoundError):
            if os.waitpid(pid, os.WNOHANG)[0]:
                raise SystemExit("a daemon ended by itself") from None
        time.sleep(0.0005)


def crowd(home: DaemonHome, pid: int, dice: random.Random, number: int) -> Life:
    """Send frames until another process drafts, and some more, and kill the daemon among them."""
    answers: list[dict[str, Any]] = []
    sent = 0
    left = dice.randint(1, CROWD)
    is_drafted = False

    def send(line: Line) -> None:
        nonlocal sent
        try:
            while sent < CROWD_MAX:
                many = range(sent, sent + CROWD)
                line.send(b"".join(frame(ack=True, session_id=f"{number}.{at}") for at in many))
                sent += CROWD
        except (BrokenPipeError, ConnectionResetError):
            pass  # killed meanwhile

    with connected(home, pid) as line:
        sending = threading.Thread(target=send, args=(line,))
        sending.start()
        try:
            while True:
                answers.append(line.answer())
                if not is_drafted and len(answers) % LOOKED_AFTER == 0:
                    is_drafted = any(has_begun(one) for one in companions_of(pid))
                left -= is_drafted
                if not left:
                    os.kill(pid, signal.SIGKILL)
        except (EOFError, ConnectionResetError):
            pass
        sending.join()
    return Life(answers, max(0, sent - len(answers)), is_drafted)


def one_life(home: DaemonHome, settings: Settings, dice: random.Random, number: int) -> Life:
    """Fork a daemon, use it, kill it."""
    pid = os.fork()
    if pid == 0:
        try:
            live(settings)
        except BaseException:  # noqa: BLE001  # this process ends here, whatever it was
            traceback.print_exc()
        os._exit(1)
    answers: list[dict[str, Any]] = []
    sent = 0
    try:
        if dice.random() < 0.15:
            time.sleep(dice.uniform(0, STARTING_MS_MAX) / 1000)
            return Life(answers)
        if dice.random() < CROWDS:
            return crowd(home, pid, dice, number)
        with connected(home, pid) as line:
            for last in (*[False] * dice.randint(0, 2), True):
                for _ in range(dice.randint(1, 20)):
                    agent = dice.choice(AGENTS)
                    more = {"agent_id": agent} if agent else {}
                    line.send(frame(ack=True, session_id=f"{number}.{sent}", **more))
                    sent += 1
                while not last and len(answers) < sent:
                    answers.append(line.answer())
            time.sleep(dice.uniform(0, 1) ** 2 * COMMITTING_MS_MAX / 1000)
            os.kill(pid, signal.SIGKILL)
            # What it has said before it died counts, too.
            try:
                while True:
                    answers.append(line.answer())
            except (EOFError, ConnectionResetError):
                pass
        return Life(answers, sent - len(answers))
    finally:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            raise SystemExit(f"daemon {number} ended by itself")


def check(home: DaemonHome, answers: list[dict[str, Any]]) -> list[str]:
    """Compare what was acknowledged with what is in the store, and verify that."""
    wrong = [f"refused: {one}" for one in answers if not one["ok"]]
    stored = {
        name: (chain, sequence, digest)
        for name, chain, sequence, digest in home.rows("id, chain_id, sequence, receipt_hash")
    }
    wrong += [
        f"not as acknowledged: {one}"
        for one in answers
        if one["ok"] and stored.get(one["id"]) != (one["chain_id"], one["sequence"], one["hash"])
    ]
    chains: dict[str, list[int]] = {}
    for chain, sequence in home.rows():
        chains.setdefault(chain, []).append(sequence)
    wrong += [
        f"{chain} is not contiguous"
        for chain, found in chains.items()
        if found != list(range(1, len(found) + 1))
    ]
    report = home.report()
    if report.verdict.value != "verified":
        wrong.append(str(report.codes()))
    return wrong


def main(folder: str, kills: str, seed: str) -> None:
    """Live and die so often, end in order once, and print what was seen."""
    dice, home = random.Random(int(seed)), DaemonHome(Path(folder))
    settings, _ = load_settings({}, environ=home.variables())
    gc.freeze()
    began = time.monotonic()
    answers: list[dict[str, Any]] = []
    under_way = busy = drafted = 0
    for number in range(int(kills)):
        life = one_life(home, settings, dice, number)
        answers += life.answers
        under_way += life.under_way
        busy += life.under_way > 0
        drafted += life.is_drafted
    with home.daemon() as daemon:
        with daemon.line() as line:
            answers.append(line.ask())
        code = daemon.stop()
    wrong = check(home, answers)
    if code:
        wrong.append(f"the orderly end has exit code {code}")
    seen = {
        "kills": int(kills),
        "busy": busy,
        "drafted": drafted,
        "under_way": under_way,
        "acknowledged": len(answers),
        "stored": len(home.rows()),
        "wrong": wrong[:5],
        "seconds": time.monotonic() - began,
    }
    sys.stdout.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
