# SPDX-License-Identifier: Apache-2.0
"""The table of problems and their bodies."""

from __future__ import annotations

import json
from http import HTTPStatus

import pytest

from tallystick.serve.problem import (
    MEDIA_TYPE,
    PROBLEMS,
    TYPE_PREFIX,
    Refusal,
    problem_body,
    problem_headers,
    problem_response,
)


@pytest.mark.parametrize("name", PROBLEMS)
def test_each_problem_is_whole(name: str) -> None:
    """A known status, a title without a full stop, and something to do about it."""
    problem = PROBLEMS[name]
    assert problem.name == name
    assert HTTPStatus(problem.status) >= 400
    assert not problem.title.endswith(".")
    assert problem.remedy.endswith(".")


def test_the_body_is_of_rfc_9457() -> None:
    """Type, title, status and detail, then what is said besides."""
    told = json.loads(problem_body("too-large", "over it", {"limit": 5}))
    assert told == {
        "type": TYPE_PREFIX + "too-large",
        "title": PROBLEMS["too-large"].title,
        "status": 413,
        "detail": "over it",
        "limit": 5,
    }


def test_headers_say_when_to_come_back_and_how() -> None:
    """Retry-After where trying again may help, WWW-Authenticate with a 401, never cacheable."""
    for name, problem in PROBLEMS.items():
        headers = dict(problem_headers(name, 3))
        assert headers[b"content-type"] == MEDIA_TYPE
        assert headers[b"cache-control"] == b"no-store"
        assert (b"retry-after" in headers) is (problem.status in (429, 503))
        assert (b"www-authenticate" in headers) is (problem.status == 401)
    assert (b"retry-after", b"7") in problem_headers("busy", 3, 7)


def test_a_refusal_is_its_answer() -> None:
    """Status, headers and body come out of one value."""
    refusal = Refusal("wrong-method", "not PUT", headers=[(b"allow", b"GET")])
    status, headers, body = refusal.answer()
    assert status == refusal.status == 405
    assert (b"allow", b"GET") in headers
    assert (b"content-length", b"%d" % len(body)) in headers


def test_a_response_has_one_length() -> None:
    """Starlette counts the body itself; the rest is ours."""
    response = problem_response("busy", "later", more=1)
    assert response.status_code == 503
    assert response.headers.getlist("content-length") == [str(len(response.body))]
    assert response.headers["retry-after"] == "1"
    assert json.loads(response.body)["more"] == 1
