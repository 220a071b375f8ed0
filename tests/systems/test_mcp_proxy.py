# SPDX-License-Identifier: Apache-2.0
"""The proxy as a process, before a server of a few lines: outcomes, approvals, receipts, ends."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tests.command import tally
from tests.daemons import DaemonHome, wait_until
from tests.proxies import Proxy, call, echo, of_calls, told

from tallystick.channels.approval_places import Place, ask, places
from tallystick.channels.approval_service import PATH

PAUSE = """
version: 1
default: pass
rules:
  - {name: ask-first, action: pause, tool: "deploy*", reason: "somebody has to look"}
"""


@pytest.fixture
def home(tmp_path: Path) -> DaemonHome:
    return DaemonHome(tmp_path / "home")


def rules(home: DaemonHome, text: str = PAUSE) -> tuple[str, str]:
    path = home.folder / "rules.yaml"
    path.write_text(text)
    return "--rules", str(path)


def waiting(proxy: Proxy) -> tuple[Place, dict[str, Any]]:
    """Return what waits for an approver, once there is something."""
    found: list[tuple[Place, dict[str, Any]]] = []

    def look() -> bool:
        for place in places(str(proxy.approvals)) if proxy.approvals.exists() else ():
            found.extend((place, one) for one in ask(place, "GET", PATH)["pending"])
        return bool(found)

    wait_until(look)
    return found[0]


def test_each_outcome_has_its_receipt(home: DaemonHome) -> None:
    """Success, isError, an error, a large result, a cancelled call and an end without an answer."""
    with home.daemon() as daemon, Proxy(home) as proxy:
        proxy.ask(call(1, "read_file", {"path": "/srv/a"}))
        proxy.ask(call(2, "isError"))
        proxy.ask(call(3, "error"))
        big = proxy.ask(call(4, "big", {"size": 600_000}))
        assert len(big["result"]["content"][0]["text"]) == 600_000
        proxy.send(call(5, "hang"))
        cancel = {"method": "notifications/cancelled", "params": {"requestId": 5}}
        proxy.ask({"jsonrpc": "2.0", **cancel}, call(6, "read_file"))
        proxy.send(call(7, "hang"))
        assert proxy.end() == 0
        daemon.stop()
    found = of_calls(home)
    by_call: dict[str, list[dict[str, Any]]] = {}
    for one in found:
        by_call.setdefault(one["credentialSubject"]["correlation_id"], []).append(one)
    ends = [(told(pair[0])[2], told(pair[1])[2]) for pair in by_call.values()]
    unknown = ("pending", "pending")
    assert ends == [
        ("pending", "success"),
        ("pending", "failure"),
        ("pending", "failure"),
        ("pending", "success"),
        unknown,
        ("pending", "success"),
        unknown,
    ]
    errors = [pair[1]["credentialSubject"]["outcome"].get("error") for pair in by_call.values()]
    assert errors[2] == "-1: no"
    assert errors[4].startswith("outcome unknown: cancelled by the client")
    assert errors[6] == "outcome unknown: the server ended with exit code 0 before it answered"
    first = found[0]["credentialSubject"]["action"]
    assert (first["type"], first["risk_level"]) == ("data.api.read", "low")
    assert first["target"] == {"system": "echo", "resource": "/srv/a"}
    keys = [one["credentialSubject"]["action"]["idempotency_key"] for one in found]
    assert len(set(keys)) == len(keys)


def test_what_the_server_says_passes(home: DaemonHome) -> None:
    """Unreadable lines, requests of the server and notifications reach the client as sent."""
    lines = [
        "this is no JSON",
        '{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":2}}',
        '{"jsonrpc":"2.0","id":99,"method":"sampling/createMessage","params":{"messages":[]}}',
        '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1}}',
    ]
    with home.daemon() as daemon, Proxy(home) as proxy:
        for number, line in enumerate(lines):
            proxy.send(call(number, "raw", {"line": line}))
            assert proxy.line() == line.encode() + b"\n"
        proxy.send({"jsonrpc": "2.0", "id": 99, "result": {"role": "assistant"}})
        proxy.ask(call("last", "read"))
        proxy.end()
        daemon.stop()
    found = [told(one) for one in of_calls(home)]
    assert ("message.unparsed", "allowed", "failure") in found
    assert found.count(("sampling/createMessage", "pending", "pending")) == 1
    assert found.count(("sampling/createMessage", "allowed", "success")) == 1
    # The answer with a key twice is recorded by its digest, as the end of its call.
    assert found.count(("raw", "allowed", "success")) == 1


def test_a_line_over_the_limit(home: DaemonHome) -> None:
    """From the client it is refused by its size; from the server it goes by in parts."""
    script = (
        "import sys\n"
        "sys.stdin.readline()\n"
        "for _ in range(1100): sys.stdout.write('x' * 16384)\n"
        "sys.stdout.write('\\n'); sys.stdout.flush()\n"
        "for line in sys.stdin: pass\n"
    )
    with home.daemon() as daemon, Proxy(home, server=["python3", "-c", script]) as proxy:
        proxy.send(b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":"' + b"y" * (17 << 20))
        proxy.send(b'"}}\n')
        assert "over the limit" in proxy.answer()["error"]["message"]
        proxy.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        assert proxy.line() == b"x" * (1100 * 16384) + b"\n"
        proxy.end()
        daemon.stop()
    kinds = [told(one)[0] for one in of_calls(home)]
    assert sorted(kinds) == ["message.refused", "message.unparsed"]


def test_an_approved_call_goes_on(home: DaemonHome) -> None:
    """A paused call blocks nothing else; who approved it, and why, stands in its receipts."""
    with home.daemon() as daemon, Proxy(home, *rules(home)) as proxy:
        proxy.send(call(1, "deploy", {"to": "prod", "token": "ghp_" + "a1" * 18}))
        place, held = waiting(proxy)
        shown = held["calls"][0]
        assert (shown["tool"], shown["rule"]) == ("deploy", "ask-first")
        assert "ghp_" not in shown["arguments"]
        assert proxy.ask({"jsonrpc": "2.0", "id": 2, "method": "ping"})["id"] == 2
        assert proxy.ask(call(3, "read"))["id"] == 3
        done = tally(
            *("mcp", "approvals", "--approvals", str(proxy.approvals), "--approve", held["id"]),
            *("--as", "ada@example.org", "--reason", "checked with ops"),
        )
        assert done.code == 0, done.err
        assert proxy.answer()["id"] == 1
        proxy.end()
        daemon.stop()
        assert not list(places(str(proxy.approvals)))
    found = [one for one in of_calls(home) if told(one)[0] == "deploy"]
    assert [told(one)[1] for one in found] == ["pending", "pending", "allowed"]
    facts = [one["issuer"]["runtime"]["tallystick"]["rule"] for one in found]
    assert facts[0] == {"name": "ask-first", "action": "pause", "reason": "somebody has to look"}
    assert (
        facts[1:]
        == [
            {
                "name": "ask-first",
                "action": "pause",
                "approver": "ada@example.org",
                "reason": "checked with ops",
            }
        ]
        * 2
    )
    assert place.pid == proxy.process.pid


def test_a_denied_call_and_one_that_nobody_looked_at(home: DaemonHome) -> None:
    """Both are answered with an error, never reach the server, and have a receipt that says why."""
    log = home.folder / "log"
    options = (*rules(home), "--approval-wait", "1.5")
    with home.daemon() as daemon, Proxy(home, *options, log=log) as proxy:
        proxy.send(call(1, "deploy"))
        place, held = waiting(proxy)
        body = {"decision": "deny", "by": "ada", "reason": "not today"}
        ask(place, "POST", f"{PATH}/{held['id']}", body)
        answer = proxy.answer()
        assert (answer["error"]["code"], answer["error"]["message"]) == (
            -32011,
            "denied by ada: not today",
        )
        assert proxy.ask(call(2, "deploy"))["error"]["code"] == -32012
        # Cancelled while it waits: nobody is answered, and the server hears of neither.
        proxy.send(call(3, "deploy"))
        waiting(proxy)
        proxy.send(
            {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 3}}
        )
        assert proxy.ask(call(4, "read"))["id"] == 4
        assert not ask(place, "GET", PATH)["pending"]
        proxy.end()
        daemon.stop()
    assert b"deploy" not in log.read_bytes()
    assert b"cancelled" not in log.read_bytes()
    denied = [
        one["credentialSubject"]["outcome"]["error"]
        for one in of_calls(home)
        if told(one)[1] == "denied"
    ]
    assert denied[0] == "denied by ada: not today"
    assert denied[1].startswith("timed out")
    assert "cancelled" in denied[2]


def test_no_durable_receipt_no_call(home: DaemonHome) -> None:
    """Without the daemon's word, calls are refused; with it, their receipts are there first."""
    log = home.folder / "log"
    with Proxy(home, "--require-receipt", log=log) as proxy:
        assert proxy.ask(call(1, "read"))["error"]["code"] == -32013
        assert not log.exists() or b"tools/call" not in log.read_bytes()
        with home.daemon() as daemon:
            assert "result" in proxy.ask(call(2, "read"))
            # Its attempt is stored already, whatever happens next.
            assert any(told(one)[1:] == ("pending", "pending") for one in home.receipts())
            proxy.send(*(call(number, "read") for number in range(100, 200)))
            answers = [proxy.answer() for _ in range(100)]
            assert [one["id"] for one in answers] == list(range(100, 200))
            proxy.end()
            daemon.stop()
    # What the daemon missed waited in the spool.
    assert ("read", "denied", "failure") in [told(one) for one in of_calls(home)]


def test_one_fsync_for_each_call(home: DaemonHome) -> None:
    """Call upon call, each with its durable receipt: the outcome before comes with the attempt."""
    with home.daemon() as daemon, Proxy(home, "--require-receipt") as proxy:
        counts = []
        for _ in range(10):
            before = daemon.status()["commit"]["count"]
            for number in range(10):
                assert "result" in proxy.ask(call(number, "read"))
            counts.append(daemon.status()["commit"]["count"] - before)
        proxy.end()
        daemon.stop()
    # One more for what the round before left. A busy machine may need two for a call, now and then.
    assert min(counts) <= 11
    assert len(of_calls(home)) == 200


def test_two_proxies_one_chain(home: DaemonHome) -> None:
    """Two at once write into one chain that verifies, and announce two approval addresses."""
    options = rules(home)
    with home.daemon() as daemon:
        with Proxy(home, *options) as one, Proxy(home, *options) as other:
            for proxy in (one, other):
                proxy.send(*(call(number, "read") for number in range(50)))
            for proxy in (one, other):
                assert [proxy.answer()["id"] for _ in range(50)] == list(range(50))
                proxy.send(call("d", "deploy"))
            wait_until(lambda: len(list(places(str(one.approvals)))) == 2)
            found = list(places(str(one.approvals)))
            assert len({place.port for place in found}) == 2
            assert len({place.token for place in found}) == 2
            one.end()
            other.end()
        daemon.stop()
    found_receipts = of_calls(home)
    chains = {row["credentialSubject"]["chain"]["chain_id"] for row in found_receipts}
    assert len(chains) == 1
    assert len(found_receipts) == 2 * (100 + 2)


def test_the_server_dies(home: DaemonHome) -> None:
    """Killed in the middle of a call, the server takes the proxy with it, and the chain says so."""
    with home.daemon() as daemon, Proxy(home) as proxy:
        proxy.ask(call(1, "read"))
        proxy.send(call(2, "die"))
        assert proxy.process.wait(30) == 128 + signal.SIGKILL
        daemon.stop()
    last = of_calls(home)[-1]
    assert told(last) == ("die", "pending", "pending")
    error = last["credentialSubject"]["outcome"]["error"]
    assert error == "outcome unknown: the server was killed by signal 9 before it answered"


def test_the_server_ends_by_itself(home: DaemonHome) -> None:
    """Its exit code is ours; signals that we get are given to it."""
    with home.daemon(), Proxy(home) as proxy:
        proxy.send(call(1, "exit"))
        assert proxy.process.wait(30) == 3
    with home.daemon(), Proxy(home) as proxy:
        proxy.ask(call(1, "read"))
        proxy.process.send_signal(signal.SIGTERM)
        assert proxy.process.wait(30) == 128 + signal.SIGTERM


@pytest.mark.parametrize("step", ["before", "attempted", "answered"])
def test_the_proxy_is_killed(home: DaemonHome, step: str) -> None:
    """Killed at any step, it leaves a chain that verifies, and calls without an end show."""
    with home.daemon() as daemon, Proxy(home) as proxy:
        proxy.ask({"jsonrpc": "2.0", "id": 0, "method": "ping"})
        children = proxy.children()
        if step == "attempted":
            proxy.send(call(1, "hang"))
            wait_until(lambda: len(home.rows()) > 0)
        elif step == "answered":
            proxy.ask(call(1, "read"))
        proxy.kill()
        wait_until(lambda: not any(os.path.exists(f"/proc/{one}/exe") for one in children))
        daemon.stop()
    found = [told(one)[1] for one in of_calls(home)]
    assert (
        found == {"before": [], "attempted": ["pending"], "answered": ["pending", "allowed"]}[step]
    )
    open_calls = [one for one in home.report().findings if "is pending" in one.message]
    assert bool(open_calls) is (step == "attempted")


def test_the_daemon_is_killed(home: DaemonHome) -> None:
    """Calls go on while it is dead; when it is back, their receipts follow, marked as late."""
    with Proxy(home) as proxy:
        with home.daemon() as daemon:
            proxy.ask(call(1, "read"))
            daemon.kill()
        for number in (2, 3):
            assert "result" in proxy.ask(call(number, "read"))
        with home.daemon() as daemon:
            assert "result" in proxy.ask(call(4, "read"))
            time.sleep(0.6)
            assert "result" in proxy.ask(call(5, "read"))
            proxy.end()
            daemon.stop()
    found = of_calls(home)
    late = [one for one in found if one["issuer"]["runtime"]["tallystick"].get("late")]
    assert [told(one)[1] for one in late] == ["pending", "allowed"] * 2
    pairs = [one["credentialSubject"]["correlation_id"] for one in found if told(one)[1] != "-"]
    assert len(set(pairs)) >= 4


def test_the_end_of_input_without_a_line_feed(home: DaemonHome) -> None:
    """A last line without its line feed is a message, as it is for servers."""
    with home.daemon(), Proxy(home) as proxy:
        proxy.send(json.dumps(call(1, "read")).encode())
        assert proxy.process.stdin is not None
        proxy.process.stdin.close()
        assert proxy.answer()["id"] == 1
        assert proxy.process.wait(30) == 0


def test_a_late_answer(home: DaemonHome) -> None:
    """A call without an answer for too long is told of as timed out, once."""
    with home.daemon() as daemon, Proxy(home, "--late-after", "0.3") as proxy:
        proxy.send(call(1, "hang"))
        wait_until(lambda: len(home.rows()) >= 2)
        proxy.end()
        daemon.stop()
    errors = [one["credentialSubject"]["outcome"].get("error", "") for one in of_calls(home)]
    assert sum("timed out" in error for error in errors) == 1


def test_a_server_that_is_not_there(home: DaemonHome) -> None:
    """What can't be started is said in one line, with its exit code."""
    with Proxy(home, server=["/nowhere/server"]) as proxy:
        assert proxy.process.wait(30) == 3
        wait_until(lambda: b"can't be started" in proxy.said)
    assert echo() != echo(Path("log"))
