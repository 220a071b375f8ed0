# SPDX-License-Identifier: Apache-2.0
"""The approval API: who may ask, what is understood."""

from __future__ import annotations

import hmac
import http.client
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tallystick.channels import approval_service
from tallystick.channels.approval_places import Place, ask
from tallystick.channels.approval_service import PATH, ApprovalService, Desk
from tallystick.channels.approvals import Settled
from tallystick.errors import ApprovalError
from tallystick.limits import (
    APPROVAL_BODY_BYTES_MAX,
    APPROVAL_CONNECTIONS_MAX,
    RULE_REASON_CHARS_MAX,
)

TOKEN = "t" * 43


# What becomes of a decision on each id, and the status of its answer.
BECOMES: dict[str, Settled] = {
    "here": "done",
    "gone": "gone",
    "late": "cancelled",
    "lost": "not_recorded",
}


class Served:
    """A service, and what it was told."""

    def __init__(self) -> None:
        self.settled: list[dict[str, Any]] = []

        def settle(id: str, **given: Any) -> Settled:  # noqa: A002
            self.settled.append({"id": id, **given})
            return BECOMES[id]

        self.service = ApprovalService(
            Desk(server="s", listing=lambda: [{"id": "here"}], settle=settle), TOKEN
        )
        self.service.start()

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=10)
        given = {"Authorization": f"Bearer {TOKEN}", **headers}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection.request(method, path, body=data, headers=given)
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    one = Served()
    yield one
    one.service.close()


def test_listed_and_settled(served: Served) -> None:
    """What waits is listed; a decision goes through with who and why."""
    assert served.request("GET", PATH) == (200, {"server": "s", "pending": [{"id": "here"}]})
    body = {"decision": "approve", "by": "ada", "reason": "so"}
    assert served.request("POST", f"{PATH}/here", body)[0] == 200
    assert served.settled[-1] == {"id": "here", "approve": True, "approver": "ada", "reason": "so"}
    body = {"decision": "deny", "by": "ada"}
    assert served.request("POST", f"{PATH}/gone", body)[0] == 404
    assert served.settled[-1]["approve"] is False


def test_who_approves_in_vain_hears_it(served: Served) -> None:
    """The call was cancelled meanwhile, or the approval could not be recorded: it was not made."""
    body = {"decision": "approve", "by": "ada"}
    status, told = served.request("POST", f"{PATH}/late", body)
    assert (status, "cancelled by its client" in told["error"]) == (409, True)
    status, told = served.request("POST", f"{PATH}/lost", body)
    assert (status, "could not be recorded" in told["error"]) == (503, True)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": ""},
        {"Authorization": TOKEN},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": "Bearer t"},
        {"Host": "evil.example"},
        {"Origin": "http://127.0.0.1"},
    ],
)
def test_who_is_kept_out(served: Served, headers: dict[str, str]) -> None:
    """Without the token, from another name, or from a page of a browser."""
    status, _ = served.request("GET", PATH, **headers)
    assert status in (401, 403)


def test_the_token_is_compared_in_constant_time(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong with it, one comparison of the whole decides, whose time tells nothing."""
    seen: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def note(given: bytes, wanted: bytes) -> bool:
        seen.append((given, wanted))
        return compare(given, wanted)

    monkeypatch.setattr(hmac, "compare_digest", note)
    words = ["Bearer", "Bearer x", f"Bearer {TOKEN[:-1]}x", f"Bearer {TOKEN}"]
    found = [served.request("GET", PATH, Authorization=one)[0] for one in words]
    assert found == [401, 401, 401, 200]
    assert seen == [(one.encode(), f"Bearer {TOKEN}".encode()) for one in words]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/", None, 404),
        ("POST", PATH, {}, 405),
        ("GET", f"{PATH}/here", None, 405),
        ("POST", f"{PATH}/here", b"{", 400),
        ("POST", f"{PATH}/here", b'{"decision":"approve","decision":"deny","by":"a"}', 400),
        ("POST", f"{PATH}/here", [], 400),
        ("POST", f"{PATH}/here", {"decision": "approve"}, 400),
        ("POST", f"{PATH}/here", {"decision": "maybe", "by": "a"}, 400),
        ("POST", f"{PATH}/here", {"decision": "deny", "by": ""}, 400),
        ("POST", f"{PATH}/here", {"decision": "deny", "by": "a" * 65}, 400),
        ("POST", f"{PATH}/here", {"decision": "deny", "by": "a", "reason": 5}, 400),
        ("POST", f"{PATH}/here", {"decision": "deny", "by": "a", "why": ""}, 400),
        (
            "POST",
            f"{PATH}/here",
            {"decision": "deny", "by": "a", "reason": "x" * (RULE_REASON_CHARS_MAX + 1)},
            400,
        ),
        ("POST", f"{PATH}/here", b" " * (APPROVAL_BODY_BYTES_MAX + 1), 413),
    ],
)
def test_what_is_not_understood(
    served: Served, method: str, path: str, body: Any, status: int
) -> None:
    """It is refused by its status, and nothing is settled."""
    before = len(served.settled)
    assert served.request(method, path, body)[0] == status
    assert len(served.settled) == before


def test_connections_are_bounded(served: Served) -> None:
    """Those that say nothing keep nobody out for long, and each further one is closed."""
    idle = [
        socket.create_connection(("127.0.0.1", served.service.port))
        for _ in range(APPROVAL_CONNECTIONS_MAX)
    ]
    with socket.create_connection(("127.0.0.1", served.service.port)) as one:
        one.settimeout(10)
        try:
            assert one.recv(1) == b""
        except ConnectionResetError:
            pass
    for each in idle:
        each.close()


def test_a_client_hears_why() -> None:
    """A refusal is told in the API's own words."""
    served = Served()
    place = Place(pid=1, port=served.service.port, server="s", token="wrong")
    with pytest.raises(ApprovalError, match="token"):
        ask(place, "GET", PATH)
    served.service.close()


def test_a_stranger_is_not_listened_to(served: Served) -> None:
    """Without the token no body is read; a length that looks small is read as what it is."""
    for length in (b"0000000003000000000", b"\xb2", b"-1", b"1e3"):
        with socket.create_connection(("127.0.0.1", served.service.port), timeout=10) as one:
            head = b"POST /v1/approvals/x HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % served.service.port
            one.sendall(head + b"Content-Length: " + length + b"\r\n\r\n")
            assert b" 401 " in one.recv(100)
            one.close()
        status, _ = served.request(
            "POST", f"{PATH}/x", **{"Content-Length": length.decode("latin1")}
        )
        assert status == 413


def test_a_request_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends a little at a time keeps no place from those who decide."""
    monkeypatch.setattr(approval_service._Request, "timeout", 0.4)
    one = Served()
    slow = [
        socket.create_connection(("127.0.0.1", one.service.port), timeout=10)
        for _ in range(APPROVAL_CONNECTIONS_MAX)
    ]
    for connection in slow:
        connection.sendall(b"GET / HTTP/1.1\r\n")
    began = time.monotonic()
    for connection in slow:
        try:
            while time.monotonic() - began < 5:
                connection.sendall(b"X-A: b\r\n")
                time.sleep(0.1)
        except OSError:
            pass
        connection.close()
    assert time.monotonic() - began < 4
    assert one.request("GET", PATH)[0] == 200
    one.service.close()
