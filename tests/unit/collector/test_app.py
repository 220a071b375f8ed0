# SPDX-License-Identifier: Apache-2.0
"""The collector over HTTP, on a real socket and a real store."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from base64 import b64decode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.material import chain_of, hash_of, signed, statement, wire
from tests.served import LD_JSON, NDJSON, Served

from tallystick.collector.addresses import ROUTES
from tallystick.collector.app import CollectorApp
from tallystick.collector.meters import METERS
from tallystick.errors import StoreBusyError, StoreError, StoreStoppedError
from tallystick.serve.access import Gate
from tallystick.serve.metrics import Meters


@pytest.fixture(scope="module", params=[False, True], ids=["posts", "logged"])
def served(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Served]:
    """Return a collector that asks for no credential, shared by the tests of this module.

    Where each request is logged, posts take the application's way: answers are the same.
    """
    with Served(tmp_path_factory.mktemp("served"), log_requests=request.param) as running:
        yield running


def body(number: int, **change: object) -> bytes:
    return wire(signed({**statement(1, number=number, chain_id=f"chain:{number}"), **change}))


def test_a_receipt_is_stored_and_promised(served: Served) -> None:
    """201 names id, the hash that the chain uses, the entry and a promise over it."""
    receipt = signed(statement(1, number=100, chain_id="chain:100"))
    answer = served.post(wire(receipt))
    assert answer.status == 201
    told = answer.json
    assert told["id"] == receipt["id"]
    assert told["receipt_hash"] == hash_of(receipt)
    entry = b64decode(told["entry"], validate=True)
    assert sha256(wire(receipt)).digest() in entry
    assert told["promise"].startswith("tally-promise-proof/v1\n")
    assert set(told) == {"id", "receipt_hash", "entry", "promise"}
    assert served.get(answer.headers["location"]).body == wire(receipt)


def test_the_very_same_receipt_gets_its_promise_again(served: Served) -> None:
    """409 has the stored promise byte for byte, however the same content is spelled."""
    receipt = signed(statement(1, number=101, chain_id="chain:101"))
    first = served.post(wire(receipt)).json
    for spelled in (wire(receipt), json.dumps(receipt, indent=2).encode()):
        again = served.post(spelled)
        assert (again.status, again.problem) == (409, "already-stored")
        assert {name: again.json[name] for name in first} == first


def test_another_receipt_under_a_known_id_is_stored_and_flagged(served: Served) -> None:
    """Squatting an id makes no honest receipt lost: both get a 201 and both can be read."""
    squatter = signed(statement(1, number=102, chain_id="chain:squat"))
    honest = signed(statement(1, number=102, chain_id="chain:honest"))
    assert served.post(wire(squatter)).status == 201
    told = served.post(wire(honest))
    assert told.status == 201
    assert told.json["shares_id"] is True
    assert "shares_position" not in told.json
    choice = served.get(f"/receipts/{honest['id']}")
    assert choice.status == 300
    bodies = [served.get(f"/receipts/leaf/{leaf}").body for leaf in choice.json["leaves"]]
    assert bodies == [wire(squatter), wire(honest)]


def test_a_fork_is_stored_and_flagged(served: Served) -> None:
    """A second receipt at a known place in a chain is evidence, and no error."""
    one = signed(statement(1, number=103, chain_id="chain:fork"))
    other = signed(statement(1, number=104, chain_id="chain:fork"))
    assert served.post(wire(one)).status == 201
    told = served.post(wire(other))
    assert told.status == 201
    assert told.json["shares_position"] is True
    assert served.get("/chains/chain:fork").body == wire(one) + b"\n" + wire(other) + b"\n"


def test_bytes_are_kept_as_they_came(served: Served) -> None:
    """A pretty spelling comes back byte for byte; in a chain's lines its line feeds are blanks."""
    receipt = signed(statement(1, number=105, chain_id="chain:pretty"))
    spelled = json.dumps(receipt, indent=1).encode() + b"\r\n"
    assert served.post(spelled).status == 201
    assert served.get(f"/receipts/{receipt['id']}").body == spelled
    lines = served.get("/chains/chain:pretty").body
    assert lines.count(b"\n") == 1
    assert json.loads(lines) == receipt


def test_a_bad_signature_and_unknown_members_are_no_reason_to_refuse(served: Served) -> None:
    """A collector judges nothing: verifiers do."""
    receipt = signed(statement(1, number=106, chain_id="chain:106"))
    receipt["proof"]["proofValue"] = "uAAAA"
    receipt["newcomer"] = {"deep": [1, 2.5]}
    assert served.post(wire(receipt)).status == 201


@pytest.mark.parametrize(
    ("sent", "problem", "code"),
    [
        (b"", "empty-body", None),
        (b" \n", "empty-body", None),
        (b"{", "malformed-json", "MALFORMED_JSON"),
        (b"{}{}", "malformed-json", "MALFORMED_TRAILING_DATA"),
        (b'{"id":1,"id":2}', "malformed-json", "MALFORMED_DUPLICATE_KEY"),
        (b"[]", "malformed-receipt", None),
        (b"{}", "malformed-receipt", None),
    ],
)
def test_malformed_bodies_are_told_apart(
    served: Served, sent: bytes, problem: str, code: str | None
) -> None:
    """400 says by name and code what is wrong."""
    answer = served.post(sent)
    assert (answer.status, answer.problem) == (400, problem)
    assert answer.json.get("code") == code


def test_a_body_over_the_cap_is_413(served: Served) -> None:
    """With a length or in chunks, and the limit is named."""
    large = b'{"id":"' + b"x" * (1 << 20) + b'"}'
    answer = served.post(large)
    assert (answer.status, answer.problem) == (413, "too-large")
    assert answer.json["limit"] == 1 << 20
    connection = served.connect()
    chunks = iter([large[:600_000], large[600_000:]])
    connection.request("POST", "/receipts", body=chunks, headers=LD_JSON, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-ndjson"},
        {"Content-Type": ""},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_other_media_types_are_415(served: Served, headers: dict[str, str]) -> None:
    """Nothing is guessed, and nothing unpacked."""
    answer = served.ask("POST", "/receipts", body(107), headers)
    assert (answer.status, answer.problem) == (415, "wrong-media-type")


@pytest.mark.parametrize(
    "kind", ["application/json", "application/ld+json; charset=utf-8", "Application/JSON"]
)
def test_media_types_may_have_parameters_and_any_case(served: Served, kind: str) -> None:
    """What RFC 9110 calls the same is the same here."""
    answer = served.ask("POST", "/receipts", body(108), {"Content-Type": kind})
    assert answer.status in (201, 409)


def test_a_batch_has_one_status_for_each_line(served: Served) -> None:
    """Good, known and bad lines each get their own; blank ones are skipped."""
    known = body(110)
    served.post(known)
    lines = [body(111), b"", known, b"{", body(112), b'{"id":"x"}', body(112)]
    answer = served.ask("POST", "/receipts/batch", b"\n".join(lines), NDJSON)
    assert answer.status == 200
    told = [json.loads(line) for line in answer.body.splitlines()]
    assert [(one["line"], one["status"]) for one in told] == [
        (1, 201), (3, 409), (4, 400), (5, 201), (6, 400), (7, 409),
    ]  # fmt: skip
    assert told[1]["promise"] and told[0]["promise"]
    assert told[5]["promise"] == told[3]["promise"]
    assert told[2]["code"] == "MALFORMED_JSON"
    assert told[4]["where"] == "/credentialSubject/chain/chain_id"


def test_batches_are_bounded(served: Served) -> None:
    """Empty is 400; too many lines or bytes are 413; another media type is 415."""
    for sent, headers, status in (
        (b"\n\n", NDJSON, 400),
        (b"{}\n" * 10_001, NDJSON, 413),
        (b" " * (16 * 1024 * 1024 + 1), NDJSON, 413),
        (body(113), LD_JSON, 415),
    ):
        assert served.ask("POST", "/receipts/batch", sent, headers).status == status


def test_chains_are_listed_page_by_page(tmp_path: Path) -> None:
    """`next` leads through all of them, `issuer` and `since` choose."""
    with Served(tmp_path) as served:
        for number in range(5):
            served.post(body(number))
        seen, target = [], "/chains?limit=2"
        while target:
            page = served.get(target).json
            assert len(page["chains"]) <= 2
            seen += [one["chain_id"] for one in page["chains"]]
            target = page.get("next", "")
        assert seen == [f"chain:{number}" for number in range(5)]
        assert served.get("/chains?issuer=nobody").json == {"chains": []}
        assert served.get("/chains?since=2999-01-01T00:00:00Z").json == {"chains": []}
        assert len(served.get("/chains?since=2020-01-01T00:00:00%2B01:00").json["chains"]) == 5
        first = served.get("/chains?limit=1").json["chains"][0]
        assert first["length"] == 1
        assert first["termination"] == "unknown"
        assert first["first_time"] == first["last_time"]


def test_a_chain_streams_whole_and_in_pages(tmp_path: Path) -> None:
    """More receipts than one read holds come in order; `Link` leads from page to page."""
    receipts = chain_of(70)
    sent = b"".join(wire(one) + b"\n" for one in receipts)
    with Served(tmp_path) as served:
        assert served.ask("POST", "/receipts/batch", sent, NDJSON).status == 200
        assert served.get("/chains/chain%3Aa").body == sent
        parts, target = [], "/chains/chain%3Aa?limit=30"
        while target:
            page = served.get(target)
            parts.append(page.body)
            link = page.headers["link"]
            target = link.partition("<")[2].partition(">")[0] if link else ""
        assert b"".join(parts) == sent
        assert [part.count(b"\n") for part in parts] == [30, 30, 10]


@pytest.mark.parametrize(
    ("target", "status", "problem"),
    [
        ("/receipts/urn:receipt:none", 404, "not-found"),
        ("/receipts/" + "x" * 2000, 404, "not-found"),
        ("/receipts/%00", 404, "not-found"),
        ("/receipts/leaf/" + "0" * 64, 404, "not-found"),
        ("/receipts/leaf/xyz", 400, "bad-parameter"),
        ("/chains/none", 404, "not-found"),
        ("/chains/", 404, "not-found"),
        ("/chains/none?after=1", 400, "bad-parameter"),
        ("/chains/none?after=1:99999999999999999999", 400, "bad-parameter"),
        ("/chains/none?limit=0", 400, "bad-parameter"),
        ("/chains/none?limit=33", 400, "bad-parameter"),
        ("/chains?limit=1001", 400, "bad-parameter"),
        ("/chains?limit=01", 400, "bad-parameter"),
        ("/chains?after=-1", 400, "bad-parameter"),
        ("/chains?since=yesterday", 400, "bad-parameter"),
        ("/chains?sinse=2020-01-01T00:00:00Z", 400, "bad-parameter"),
        ("/nothing", 404, "not-found"),
        ("/healthz/", 404, "not-found"),
        ("/receipts", 405, "wrong-method"),
        ("/receipts/batch", 405, "wrong-method"),
    ],
)
def test_reads_that_fail_say_why(served: Served, target: str, status: int, problem: str) -> None:
    """Each failure is a problem with its own name, and no cache keeps it."""
    answer = served.get(target)
    assert (answer.status, answer.problem) == (status, problem)
    assert answer.headers["cache-control"] == "no-store"
    if status == 405:
        assert answer.headers["allow"] == "POST"


def test_other_methods_are_405(served: Served) -> None:
    """Also on the addresses that are read."""
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = served.ask(method, "/chains")
        assert (answer.status, answer.problem) == (405, "wrong-method")
        assert answer.headers["allow"] == "GET, HEAD"
    assert served.ask("POST", "/chains", b"").status == 405
    assert served.ask("HEAD", "/healthz").body == b""


def test_health_readiness_metrics_and_the_document(served: Served) -> None:
    """All are there, and metrics count what has happened."""
    assert served.get("/healthz").json == {"status": "ok"}
    assert served.get("/readyz").json == {"status": "ready"}
    assert served.get("/openapi.json").json["openapi"].startswith("3.1")
    served.post(body(120))
    text = served.get("/metrics").body.decode()
    for name in ("tally_requests_total", "tally_commit_seconds_bucket", "tally_store_bytes"):
        assert name in text
    assert 'tally_receipts_total{outcome="stored"}' in text
    assert "_created" not in text


def test_receipts_are_counted_alone_and_in_batches(served: Served) -> None:
    """Each once by its outcome, flags beside that, and the bytes of what was stored now."""

    def counts() -> dict[str, float]:
        text = served.get("/metrics").body.decode()
        form = r'^(?:tally_receipts_total.*="|tally_)(\w+)\S* (\S+)$'
        found = re.findall(form, text, re.MULTILINE)
        return {name: float(value) for name, value in found if name in names}

    names = ("stored", "already_stored", "shares_id", "shares_position", "received_bytes_total")
    new, fork = body(121), body(122, issuanceDate="2026-01-01T00:00:00Z")
    same_id = wire(signed(statement(7, number=121, chain_id="chain:122")))
    same_id_again = wire(signed(statement(8, number=121, chain_id="chain:122")))
    before = counts()
    assert served.post(new).status == 201
    assert served.post(new).status == 409
    lines = b"\n".join([body(122), new, fork, b"no", same_id, body(122)])
    answer = served.ask("POST", "/receipts/batch", lines, NDJSON)
    assert [json.loads(line)["status"] for line in answer.body.splitlines()] == [
        201, 409, 201, 400, 201, 409
    ]  # fmt: skip
    assert served.post(same_id_again).status == 201
    stored = [new, body(122), fork, same_id, same_id_again]
    change = {name: value - before.get(name, 0) for name, value in counts().items()}
    assert [change[name] for name in names] == [
        len(stored),
        3,
        3,  # the fork has the id of what it forks
        1,
        sum(map(len, stored)),
    ]


def test_every_route_of_the_table_is_there(served: Served) -> None:
    """None answers that nothing has its address."""
    for route in ROUTES:
        target = route.path.replace("{id}", "x").replace("{hash}", "0" * 64)
        target = target.replace("{rest}", "0/000").replace("{file}", "0.tlog-proof")
        answer = served.ask(route.method.upper(), target)
        assert answer.status != 405, target
        assert b"nothing has this address" not in answer.body, target


def test_a_failed_store_takes_nothing_and_says_so(tmp_path: Path) -> None:
    """After a fault posts get 503 with Retry-After, and so do both checks; reads go on."""
    with Served(tmp_path) as served:
        receipt = body(1)
        assert served.post(receipt).status == 201
        service = served.service
        service._fail("a test")
        answer = served.post(body(2))
        assert (answer.status, answer.problem) == (503, "store-unavailable")
        assert int(answer.headers["retry-after"]) > 0
        for check in ("/healthz", "/readyz"):
            assert served.get(check).problem == "store-unavailable"
        assert served.get("/chains/chain:1").body == receipt + b"\n"
        assert b"tally_up 0.0" in served.get("/metrics").body


def test_many_at_once_all_get_their_own_answer(served: Served) -> None:
    """Concurrent posts share commits, and each is told of its own receipt."""
    wrong: list[object] = []

    def send(start: int) -> None:
        connection = served.connect()
        for number in range(start, start + 10):
            sent = body(1000 + number)
            connection.request("POST", "/receipts", sent, LD_JSON)
            told = json.loads(connection.getresponse().read())
            if told.get("id") != json.loads(sent)["id"]:
                wrong.append(told)
        connection.close()

    threads = [threading.Thread(target=send, args=(10 * one,)) for one in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


class Failing:
    """A service whose parts fail as they are told: what ours never does on purpose."""

    fault: str | None = None

    def __init__(self, log: Any, failure: Exception) -> None:
        self.log = log
        self.failure = failure
        self.sequencer: Any = self
        self.store: Any = self

    async def place(self, submission: object, /) -> Any:
        raise self.failure

    def by_id(self, *_: object) -> Any:
        raise self.failure

    ping = probe = leaves_under = by_id


def answered(
    app: CollectorApp, method: str, path: str, sent: bytes = b""
) -> tuple[int, Any, bytes]:
    """Return status, headers and body of one request, without a socket."""
    got: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": sent, "more_body": False}

    async def send(message: Any) -> None:
        got.append(message)

    scope: dict[str, Any] = {
        "type": "http", "http_version": "1.1", "method": method, "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http",
        "headers": [(b"content-type", b"application/json")], "state": {}, "client": None,
        "server": None,
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    body = b"".join(one.get("body", b"") for one in got[1:])
    return got[0]["status"], dict(got[0]["headers"]), body


@pytest.mark.parametrize(
    ("failure", "status", "problem"),
    [
        (RuntimeError("secret of ours"), 500, "internal"),
        (StoreBusyError("secret of ours"), 503, "busy"),
        (StoreError("secret of ours"), 503, "store-unavailable"),
        (StoreStoppedError("secret of ours"), 503, "store-unavailable"),
    ],
)
def test_what_fails_inside_is_told_without_its_words(
    served: Served, failure: Exception, status: int, problem: str
) -> None:
    """Posts and reads give the same problem; the reason stands in the log alone."""
    service = Failing(served.service.log, failure)
    app = CollectorApp(service, Gate(is_open=True), Meters(METERS))
    try:
        for method, path in (("POST", "/receipts"), ("GET", "/receipts/x")):
            got, headers, told = answered(app, method, path, body(1))
            assert got == status
            assert json.loads(told)["type"].endswith(f":{problem}")
            assert (b"retry-after" in headers) is (status == 503)
            assert b"secret" not in told
            # Who reads has sent nothing that could be stored.
            assert b"was stored" not in told or method == "POST"
        for path in ("/healthz", "/readyz"):
            got, _, told = answered(app, "GET", path)
            assert got == status
            assert b"secret" not in told
    finally:
        app.close()
