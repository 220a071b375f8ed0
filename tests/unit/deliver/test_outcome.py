# SPDX-License-Identifier: Apache-2.0
"""What an answer means, and how it is told."""

from __future__ import annotations

import pytest

from tallystick.deliver.answer import Answer
from tallystick.deliver.auth import BearerAuth, NoAuth
from tallystick.deliver.endpoint import parse_endpoint
from tallystick.deliver.outcome import CASES, MEANINGS, explain, judge
from tallystick.limits import QUOTE_CHARS_MAX

TOKEN = "tok-123456"


def answer(status: int, body: bytes = b"", **headers: str) -> Answer:
    spelled = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, headers=spelled, body=body)


def test_every_status_has_a_meaning() -> None:
    """Only 201 and 409 are acceptance; only verdicts on the receipt itself are refusals."""
    by_meaning: dict[str, list[int]] = {}
    for status in range(200, 600):
        by_meaning.setdefault(judge(status), []).append(status)
    assert by_meaning["delivered"] == [201, 409]
    assert by_meaning["refused"] == [400, 413, 422]
    assert by_meaning["retried"] == [408, 425, 429, *range(500, 600)]
    assert len(by_meaning["stopped"]) == 400 - 2 - 3 - 103


def test_the_table_agrees_with_the_code() -> None:
    """Rows that are a status are judged as they say, and names are not repeated."""
    for case in CASES:
        if case.name.isdigit():
            assert judge(int(case.name)) == case.judgement
    assert {case.judgement for case in CASES} == MEANINGS.keys()
    assert len({case.name for case in CASES}) == len(CASES)
    assert len({case.does for case in CASES}) == len(CASES)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://other.example/x?token=1", "'other.example'"),
        ("//other.example:99/x", "'other.example:99'"),
        ("https://u:p@other.example/", "'other.example'"),
        ("/login", "another path of its own"),
        ("", "another path of its own"),
        ("https://", "another host"),
        (f"https://{TOKEN}.example/", "not shown"),
        ("https://a\x1b[31m/", "'a\\x1b[31m'"),
    ],
)
def test_redirects_are_told_by_host(location: str, shown: str) -> None:
    """Host and port, and nothing else of what may hold our secret."""
    text = explain(answer(302, location=location), BearerAuth(TOKEN))
    assert shown in text
    assert text.startswith("answered 302 and points to ")
    assert TOKEN not in text


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        ("application/json", b'{"error":"why"}', "answered 400: 'why'"),
        ("application/problem+json", b'{"title":"t","detail":"d"}', "answered 400: 'd'"),
        ("Application/JSON; charset=utf-8", b'{"title":"t","detail":7}', "answered 400: 't'"),
        ("text/plain", b" why\n", "answered 400: 'why'"),
        ("text/plain", b"\xff\xfe", "answered 400: '��'"),
        ("text/plain", b"", "answered 400"),
        ("text/html", b"<html>why</html>", "answered 400"),
        ("", b"why", "answered 400"),
        ("application/json", b'["why"]', "answered 400"),
        ("application/json", b'{"error":{"a":1}}', "answered 400"),
        ("application/json", b'{"error":" "}', "answered 400"),
        ("application/json", b"{", "answered 400"),
        ("application/json", b'{"a":' * 5000, "answered 400"),
        ("application/json", b'{"error":"\\ud800"}', "answered 400"),
    ],
)
def test_words_are_quoted_where_there_are_any(kind: str, body: bytes, told: str) -> None:
    """The problem's own text, from the forms in use, and nothing from the others."""
    assert explain(answer(400, body, content_type=kind), NoAuth()) == told


def test_compressed_words_are_not_read() -> None:
    """We asked for none; what comes compressed all the same is not unpacked."""
    squeezed = answer(400, b"text", content_type="text/plain", content_encoding="gzip")
    assert explain(squeezed, NoAuth()) == "answered 400"


def test_words_are_cut() -> None:
    """However much a collector says, a line stays a line."""
    text = explain(answer(400, b"x" * 10_000, content_type="text/plain"), NoAuth())
    assert text == f"answered 400: '{'x' * (QUOTE_CHARS_MAX - 1)}…'"


def test_a_success_that_is_none() -> None:
    """200 asks whether this is a collector at all."""
    text = explain(answer(200, b"<html>"), NoAuth())
    assert text == "answered 200, which accepts nothing (wanted: 201 or 409); is this a collector?"


def test_words_that_hold_any_secret_are_not_shown() -> None:
    """The credential, the proxy's credential and the query of the URL: none is told back."""
    said = answer(400, b"no such key: POST /r?code=k3y-of-ours", content_type="text/plain")
    secrets = (
        NoAuth(),
        BearerAuth(TOKEN),
        parse_endpoint("https://c.example/r?v=1&code=k3y-of-ours"),
    )
    assert explain(said, *secrets[:2]).endswith("code=k3y-of-ours'")
    assert "k3y" not in explain(said, *secrets)
    assert TOKEN not in explain(answer(407, TOKEN.encode(), content_type="text/plain"), *secrets)


@pytest.mark.parametrize(
    ("status", "remedy"),
    [(401, "is the credential there"), (403, "may this credential"), (404, "URL of a collector")],
)
def test_where_a_person_is_needed_it_says_what_to_look_at(status: int, remedy: str) -> None:
    """The remedy stands behind the collector's own words."""
    text = explain(answer(status, b"no", content_type="text/plain"), NoAuth())
    assert text.startswith(f"answered {status}: 'no'; ")
    assert remedy in text
