# SPDX-License-Identifier: Apache-2.0
"""Every way to get a call past the proxy that worked elsewhere, and some more: tried."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.daemons import DaemonHome, wait_until
from tests.proxies import Proxy, call, of_calls, told

RULES = """
version: 1
default: pass
rules:
  - name: nothing-is-deleted
    action: block
    tool: ["delete_*", "*_delete"]
  - name: no-secrets
    action: block
    arguments:
      - {path: $.path, within: /etc}
  - name: no-rm
    action: block
    arguments:
      - {path: $..command, regex: "\\\\brm\\\\b"}
"""
DELETE = call(7, "delete_all")


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


def swapped(old: bytes, new: bytes, value: Any = None) -> bytes:
    data = text(DELETE if value is None else value)
    assert old in data
    return data.replace(old, new) + b"\n"


# What is sent, and the code by which it is refused.
ATTEMPTS = {
    "as it is": (text(DELETE) + b"\n", -32010),
    "in a batch": (b"[" + text(DELETE) + b"]\n", -32010),
    "behind others in a batch": (
        b"[" + text({"jsonrpc": "2.0", "method": "ping", "id": 1}) + b"," + text(DELETE) + b"]\n",
        -32010,
    ),
    "an empty batch": (b"[]\n", -32600),
    "arguments as an array": (text(call(7, "read", ["/etc/passwd"])) + b"\n", -32602),
    "params as an array": (swapped(text(DELETE["params"]), b'["delete_all"]'), -32602),
    "without jsonrpc": (swapped(b'"jsonrpc": "2.0", ', b""), -32600),
    "another jsonrpc": (swapped(b'"2.0"', b'"1.0"'), -32600),
    "METHOD beside method": (
        swapped(b'"method"', b'"method": "ping", "METHOD"'),
        -32600,
    ),
    "method twice": (swapped(b'"method"', b'"method": "ping", "method"'), -32700),
    "name twice": (swapped(b'"name"', b'"name": "read", "name"'), -32700),
    "NAME beside name": (swapped(b'"name"', b'"name": "read", "NAME"'), -32602),
    "a letter that folds to s": (
        swapped(b'"params"', b'"params": {"name": "read"}, "param\xc5\xbf"'),
        -32600,
    ),
    "arguments twice": (
        swapped(b'"arguments"', b'"arguments": {}, "arguments"', call(7, "delete_x")),
        -32700,
    ),
    "deep within, a key twice": (
        b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"read","arguments":'
        b'{"a":{"path":"/srv","path":"/etc/passwd"}}}}\n',
        -32700,
    ),
    "without an id": (swapped(b'"id": 7, ', b""), -32600),
    "with the id null": (swapped(b'"id": 7', b'"id": null'), -32600),
    "with half an id": (swapped(b'"id": 7', b'"id": 7.5'), -32600),
    "with true as id": (swapped(b'"id": 7', b'"id": true'), -32600),
    "with an object as id": (swapped(b'"id": 7', b'"id": {}'), -32600),
    "in capitals": (swapped(b"tools/call", b"Tools/Call"), -32601),
    "with a blank behind the method": (swapped(b"tools/call", b"tools/call "), -32601),
    "behind a carriage return": (
        b'{"jsonrpc":"2.0","method":"notifications/x","params":{"y":\r' + text(DELETE) + b"\r}}\n",
        -32700,
    ),
    "two in one line": (text(call(1, "read")) + text(DELETE) + b"\n", -32700),
    "behind a byte order mark": (b"\xef\xbb\xbf" + text(DELETE) + b"\n", -32700),
    "in UTF-16": (text(DELETE).decode().encode("utf-16-le") + b"\n", -32700),
    "with broken UTF-8": (swapped(b"delete_all", b"delete_\xff"), -32700),
    "with half a surrogate": (swapped(b"delete_all", b"read\\ud800"), -32700),
    "with NaN": (swapped(b"{}", b'{"n": NaN}'), -32700),
    "over 64 levels deep": (swapped(b"{}", b'{"a":' + b"[" * 99 + b"]" * 99 + b"}"), -32700),
    "a name that is no text": (text(call(7, ["delete_all"])) + b"\n", -32602),
    "an empty name": (text(call(7, "")) + b"\n", -32602),
    "as an answer, too": (swapped(b'"id": 7', b'"id": 7, "result": {}'), -32600),
    "in another case": (text(call(7, "DELETE_ALL")) + b"\n", -32010),
    "a path with dots": (text(call(7, "read", {"path": "/srv/../etc/passwd"})) + b"\n", -32010),
    "a path over a link": (text(call(7, "read", {"path": "/var/run/../etc/x"})) + b"\n", -32010),
    "with a NUL behind the method": (swapped(b"tools/call", b"tools/call\\u0000x"), -32601),
    "with a NUL behind the name": (swapped(b"delete_all", b"a_delete\\u0000x"), -32602),
    "a second params with a NUL": (
        swapped(b'"params"', b'"params": {"name": "read"}, "params\\u0000x"'),
        -32600,
    ),
    "a path with a NUL in its name": (
        text(call(7, "read", {"path\0x": "/etc/passwd"})) + b"\n",
        -32010,
    ),
    "a path in capitals": (text(call(7, "read", {"Path": "/etc/passwd"})) + b"\n", -32010),
    "a path in a list": (text(call(7, "read", {"path": ["/srv", "/etc/x"]})) + b"\n", -32010),
    "a path as a URL": (text(call(7, "read", {"path": "file:///%65tc/x"})) + b"\n", -32010),
    "a command in words": (text(call(7, "sh", {"command": ["rm", "-rf", "/"]})) + b"\n", -32010),
    "a command deep within": (
        text(call(7, "sh", {"steps": [{"command": "true; rm x"}]})) + b"\n",
        -32010,
    ),
    "no JSON at all": (b"delete everything\n", -32700),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonHome]:
    home = DaemonHome(tmp_path_factory.mktemp("bypass") / "home")
    with home.daemon():
        yield home


@pytest.fixture(scope="module")
def proxy(home: DaemonHome) -> Iterator[tuple[Proxy, Path]]:
    rules, log = home.folder / "rules.yaml", home.folder / "server.log"
    rules.write_text(RULES.replace("\\\\", "\\").replace('"\\brm\\b"', "'\\brm\\b'"))
    with Proxy(home, "--rules", str(rules), log=log) as one:
        yield one, log


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_no_way_around(attempt: str, proxy: tuple[Proxy, Path], home: DaemonHome) -> None:
    """What is refused is told to the client, never reaches the server, and has its receipt."""
    one, log = proxy
    data, code = ATTEMPTS[attempt]
    before = len(home.rows())
    one.send(data)
    answer = one.answer()
    answers = answer if isinstance(answer, list) else [answer]
    assert {each["error"]["code"] for each in answers} == {code}, answer
    # What is sent behind it comes through, and nothing before it.
    assert one.ask(call("after", "read"))["id"] == "after"
    seen = log.read_bytes()
    assert data.strip() not in seen
    assert b"delete" not in seen.lower()
    assert b"/etc" not in seen
    wait_until(
        lambda: any(
            told(json.loads(row))[1] == "denied" for (row,) in home.rows("receipt_json")[before:]
        )
    )


def test_what_passes_passes_byte_for_byte(proxy: tuple[Proxy, Path]) -> None:
    """Numbers, spacing, order, escapes and unknown members reach the server as they were sent."""
    one, log = proxy
    for line in (
        b'{"id":9007199254740993,"params":{"arguments":{"b":1.0,"a":1e2,"c":0.10},"name":"x"},'
        b'"jsonrpc":"2.0","method":"tools/call","extra":true}\n',
        b'  {"jsonrpc" : "2.0","id":"\\u00e9","method":"tools/call",'
        b'"params":{"name":"\xc3\xa9"}} \r\n',
        b'{"jsonrpc":"2.0","id":123456789012345678901,"method":"some/thing","params":{}}\n',
        b'[{"jsonrpc":"2.0","id":"b1","method":"ping"}]\n',
        b'{"jsonrpc":"2.0","method":"notifications/x","params":{"n":12345678901234567890123}}\n'
        b'{"jsonrpc":"2.0","id":"last","method":"ping"}\n',
    ):
        one.send(line)
        assert "result" in one.answer()
        assert log.read_bytes().endswith(line)


def test_the_chain_verifies(home: DaemonHome, proxy: tuple[Proxy, Path]) -> None:
    """All that was tried stands in one chain, with rule and reason where a rule decided."""
    blocked = [
        one["issuer"]["runtime"]["tallystick"]["rule"]
        for one in of_calls(home)
        if "rule" in one["issuer"]["runtime"]["tallystick"]
    ]
    assert {"name": "nothing-is-deleted", "action": "block"} in blocked
    assert {"name": "no-secrets", "action": "block"} in blocked
