# SPDX-License-Identifier: Apache-2.0
"""Reading from a collector's address: what comes, and what fails how."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.material import chain_of, lines, wire
from tests.misbehaving import Behaviour, Collector, Exchange, answer
from tests.served import NDJSON, Served

from tallystick.errors import RefusedInput
from tallystick.limits import URL_CHARS_MAX
from tallystick.serve.tokens import add_token
from tallystick.store import remote
from tallystick.store.remote import open_remote

WHEN = "2026-01-01T00:00:00+00:00"


def read(url: str, token: str | None = None) -> bytes:
    with open_remote(url, token) as stream:
        return stream.read()


def test_all_chains_come_as_one_stream(tmp_path: Path) -> None:
    """Chain by chain; or one chain, or one receipt, by its own address."""
    chains = [chain_of(3, chain_id=f"chain:{n}/ä", first_number=10 * n) for n in range(1, 4)]
    with Served(tmp_path) as served:
        for chain in chains:
            assert served.ask("POST", "/receipts/batch", lines(chain), NDJSON).status == 200
        assert read(served.url) == b"".join(map(lines, chains))
        assert read(served.url + "/") == b"".join(map(lines, chains))
        assert read(f"{served.url}/chains/chain%3A2%2F%C3%A4") == lines(chains[1])
        assert read(f"{served.url}/receipts/{chains[0][0]['id']}") == wire(chains[0][0]) + b"\n"
        with open_remote(served.url) as stream:
            assert not stream.seekable()
            assert stream.readline() == wire(chains[0][0]) + b"\n"
        with pytest.raises(OSError, match="404"):
            read(f"{served.url}/chains/none")


def test_a_token_is_sent_and_never_told(tmp_path: Path) -> None:
    """Without it the collector's own words come back."""
    text, _ = add_token(tmp_path / "collector.tokens", "a", made_at=WHEN)
    with Served(tmp_path) as served:
        served.post(wire(chain_of(1)[0]), text)
        assert read(served.url, text) == lines(chain_of(1))
        for wrong in (None, "tally_secret"):
            with pytest.raises(OSError, match="401: No valid credential") as caught:
                read(served.url, wrong)
            assert "tally_secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://collector.example/",
        "https://user:secret@collector.example/",
        "https:///chains",
        "https://h:99999/",
        "https://h:0/",
        "https://h/ x",
        "https://h/\u00e4",
        "https://h/" + "x" * URL_CHARS_MAX,
    ],
)
def test_addresses_that_can_not_be_meant_are_refused(url: str) -> None:
    """Before anything is sent, and without repeating a password."""
    with pytest.raises(RefusedInput) as caught:
        open_remote(url)
    assert "secret" not in str(caught.value)


def test_a_token_that_no_header_may_hold_is_refused() -> None:
    """A line feed in it would be a header of its own."""
    with pytest.raises(RefusedInput):
        open_remote("https://h/", "a\r\nb")


def page(*chains: dict[str, object], more: bool = False) -> bytes:
    return json.dumps({"chains": chains} | ({"next": "/chains?after=0"} if more else {})).encode()


def by_target(**answers: bytes) -> Behaviour:
    def behaviour(exchange: Exchange) -> bool:
        target = exchange.request.line.split()[1]
        name = "chains" if target.startswith("/chains?") else "chain"
        return answer(200, body=answers[name])(exchange)

    return behaviour


ONE = {"chain_id": "a", "first_index": 0}


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        (answer(500, body=b"<html>"), "500"),
        (answer(302, "Location: https://elsewhere/"), "302"),
        (by_target(chains=b"[]", chain=b""), "no such list"),
        (by_target(chains=page({"chain_id": 1, "first_index": 0}), chain=b""), "no such list"),
        (by_target(chains=page(ONE, more=True), chain=b"{}\n"), "in circles"),
    ],
)
def test_a_collector_that_misbehaves_is_told(behaviour: Behaviour, told: str) -> None:
    """As an OSError, which becomes a finding: it could not be checked."""
    with Collector(behaviour) as collector, pytest.raises(OSError, match=told):
        read(collector.url)


def test_an_answer_that_breaks_off_is_no_end(tmp_path: Path) -> None:
    """What is missing at the end of a stream is noticed."""

    def cut(exchange: Exchange) -> bool:
        body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"
        exchange.send(body)
        return False

    with Collector(cut) as collector, pytest.raises(OSError, match=r"broke off|ended|reset"):
        read(f"{collector.url}/chains/a")


def test_a_list_without_end_is_not_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is bounded before it is parsed."""
    monkeypatch.setattr(remote, "REMOTE_PAGE_BYTES_MAX", 100)
    with (
        Collector(answer(200, body=page(*[ONE] * 10))) as collector,
        pytest.raises(OSError, match="over 100 bytes"),
    ):
        read(collector.url)
