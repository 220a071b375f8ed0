# SPDX-License-Identifier: Apache-2.0
"""Proxy, server and daemon killed between two steps of a call, and who reads nothing any more."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.command import environment, process
from tests.daemons import DaemonHome, wait_until
from tests.proxies import Proxy, call, of_calls, told

from tallystick.channels.approval_places import places

PAUSE = """
version: 1
default: pass
rules:
  - {name: ask-first, action: pause, tool: deploy}
"""
NOTE = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"x":"%s"}}\n' % (b"y" * 4000)
DEAF = "import time; time.sleep(8)"
LOUD = f"import sys\nwhile sys.stdout.buffer.write({NOTE!r}): sys.stdout.buffer.flush()"


@pytest.fixture
def home(tmp_path: Path) -> DaemonHome:
    home = DaemonHome(tmp_path / "home")
    (home.folder / "rules.yaml").write_text(PAUSE)
    return home


def pausing(home: DaemonHome) -> tuple[str, str]:
    return "--rules", str(home.folder / "rules.yaml")


@pytest.mark.parametrize("step", ["before", "paused", "answered"])
def test_the_server_is_killed(home: DaemonHome, step: str) -> None:
    """The proxy ends as the server did; what was not answered is told, to client and chain."""
    with home.daemon() as daemon, Proxy(home, *pausing(home)) as proxy:
        proxy.ask({"jsonrpc": "2.0", "id": 0, "method": "ping"})
        if step == "answered":
            proxy.ask(call(1, "read"))
        elif step == "paused":
            proxy.send(call(1, "deploy"))
            wait_until(lambda: len(home.rows()) > 0)
        for one in proxy.children():
            os.kill(one, signal.SIGKILL)
        assert proxy.process.wait(30) == 128 + signal.SIGKILL
        if step == "paused":
            assert "was killed by signal 9" in proxy.answer()["error"]["message"]
        daemon.stop()
    wanted = {
        "before": [],
        "paused": [("deploy", "pending", "pending"), ("deploy", "denied", "failure")],
        "answered": [("read", "pending", "pending"), ("read", "allowed", "success")],
    }
    assert [told(one) for one in of_calls(home)] == wanted[step]


@pytest.mark.parametrize("step", ["paused", "attested"])
def test_the_proxy_is_killed_before_it_forwards(home: DaemonHome, step: str) -> None:
    """The attempt stands in the chain, without an end; the server never saw the call."""
    log = home.folder / "log"
    options = pausing(home) if step == "paused" else ("--require-receipt",)
    with home.daemon() as daemon, Proxy(home, *options, log=log) as proxy:
        proxy.ask(call(1, "read"))
        wait_until(lambda: len(home.rows()) == 2)
        if step == "attested":
            daemon.signal(signal.SIGSTOP)
        proxy.send(call(2, "deploy"))
        if step == "paused":
            wait_until(lambda: len(home.rows()) == 3)
        else:
            wait_until(proxy.is_at_rest)  # for the word of a daemon that is stopped
        proxy.kill()
        daemon.signal(signal.SIGCONT)
        wait_until(lambda: len(home.rows()) == 3)
        daemon.stop()
        assert not proxy.approvals.exists() or not list(places(str(proxy.approvals)))
    assert told(of_calls(home)[-1]) == ("deploy", "pending", "pending")
    assert b"deploy" not in log.read_bytes()


def test_the_daemon_is_killed_before_its_word(home: DaemonHome) -> None:
    """What it had not stored is refused, and never reaches the server; the chain tells it later."""
    log = home.folder / "log"
    with Proxy(home, "--require-receipt", log=log) as proxy:
        with home.daemon() as daemon:
            proxy.ask(call(1, "read"))
            daemon.signal(signal.SIGSTOP)
            proxy.send(call(2, "deploy"))
            wait_until(proxy.is_at_rest)  # it is sent, and nobody reads it
            # A dead daemon's connections are closed one by one: what is written into the last of
            # them meanwhile, and not asked about, is lost with it.
            proxy.process.send_signal(signal.SIGSTOP)
            daemon.kill()
            proxy.process.send_signal(signal.SIGCONT)
            assert proxy.answer()["error"]["code"] == -32013
        with home.daemon() as daemon:
            assert "result" in proxy.ask(call(3, "read"))
            proxy.end()
            daemon.stop()
    found = of_calls(home)
    denied = [one for one in found if told(one) == ("deploy", "denied", "failure")]
    assert len(denied) == 1
    assert b"deploy" not in log.read_bytes()


def test_the_daemon_is_killed_while_a_call_runs(home: DaemonHome) -> None:
    """The attempt is there; how the call ended waits in the spool for the next daemon."""
    with home.daemon() as daemon, Proxy(home, "--require-receipt") as proxy:
        proxy.send(call(1, "hang"))
        wait_until(lambda: len(home.rows()) > 0)
        daemon.kill()
        assert proxy.end() == 0
    with home.daemon() as daemon, Proxy(home) as proxy:
        proxy.ask(call(2, "read"))
        proxy.end()
        daemon.stop()
    found = of_calls(home)
    ends = [one for one in found if told(one)[0] == "hang"]
    assert [told(one)[1] for one in ends] == ["pending", "pending"]
    assert [one["issuer"]["runtime"]["tallystick"].get("late") for one in ends] == [None, True]
    assert "outcome unknown" in ends[1]["credentialSubject"]["outcome"]["error"]


def resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


@pytest.mark.parametrize("program", [DEAF, LOUD])
def test_who_reads_nothing_holds_up_who_writes(home: DaemonHome, program: str) -> None:
    """Some pipes' worth is taken, then no more: nothing is heaped up in between."""
    command = process("mcp", "run", "--", sys.executable, "-c", program)
    variables = environment(AGENTRECEIPTS_SOCKET=home.socket, TALLY_SPOOL=f"{home.folder}/spool")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=variables, stdin=pipe, stdout=pipe) as one:
        try:
            assert one.stdin is not None
            assert one.stdout is not None
            source = one.stdin.fileno()
            os.set_blocking(source, False)
            taken = 0
            if program is DEAF:
                # The first pipe is full before there is a proxy to read from it.
                while (
                    taken < 1 << 20
                    and select.select((), (source,), (), 0.5 if taken > 100_000 else 30)[1]
                ):
                    taken += os.write(source, NOTE)
            else:
                assert select.select((one.stdout,), (), (), 30)[0]
                time.sleep(0.5)
            before = resident_kib(one.pid)
            time.sleep(0.5)
            assert taken < 1 << 20
            assert resident_kib(one.pid) - before < 512
        finally:
            one.kill()
