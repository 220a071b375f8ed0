# SPDX-License-Identifier: Apache-2.0
"""Every way in which a request can fail, and the body that says so (RFC 9457).

`type` is the stable name, for programs; `title` is the same for each problem of a type, and
`detail` says what was wrong this time. `docs/reference/collector.md` is generated from `PROBLEMS`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

Headers = list[tuple[bytes, bytes]]

MEDIA_TYPE: Final = b"application/problem+json"
TYPE_PREFIX: Final = "urn:tallystick:problem:"


class Problem(msgspec.Struct, frozen=True):
    """One kind of failure."""

    name: str
    status: int
    title: str
    remedy: str


_TABLE: Final = (
    Problem("empty-body", 400, "The body is empty", "Send one receipt."),
    Problem(
        "malformed-json",
        400,
        "The body is not strict JSON",
        "Send one JSON value; `code` names the fault as the verifier does.",
    ),
    Problem(
        "malformed-receipt",
        400,
        "The JSON is no receipt",
        "Send a signed receipt; `where` points to the member.",
    ),
    Problem(
        "malformed-intent",
        400,
        "The JSON is no intent",
        "Send one intent of version 1.0.0; `where` points to the member.",
    ),
    Problem(
        "bad-parameter",
        400,
        "A parameter of the address can't be used",
        "Correct it; `detail` says what it takes.",
    ),
    Problem("bad-request", 400, "The request is not HTTP", "Speak HTTP/1.1."),
    Problem(
        "not-authorised",
        401,
        "No valid credential",
        "Send a token that is known here and not revoked, or a client certificate.",
    ),
    Problem(
        "not-allowed",
        403,
        "The credential does not allow this",
        "Use a token whose access covers it.",
    ),
    Problem("not-found", 404, "Nothing here under this name", "Look at the name and the tenant."),
    Problem("wrong-method", 405, "The address does not take this method", "See `Allow`."),
    Problem(
        "too-slow",
        408,
        "The request did not arrive in time",
        "Send head and body without long pauses.",
    ),
    Problem(
        "already-stored",
        409,
        "This very receipt is stored already",
        "Nothing: it is stored and promised. The body has the promise that was given then.",
    ),
    Problem(
        "already-accepted",
        409,
        "This very intent is known already",
        "Nothing: it runs once. `state` says how far it is, where it is yours.",
    ),
    Problem("too-large", 413, "The body is too large", "Send less; `limit` says how much."),
    Problem(
        "wrong-media-type",
        415,
        "The body is of a media type that is not taken here",
        "Say application/ld+json, application/json or, for a batch, application/x-ndjson; "
        "do not compress.",
    ),
    Problem("head-too-large", 431, "The request's head is too large", "Send fewer headers."),
    Problem(
        "too-many-requests",
        429,
        "This tenant has used up its rate",
        "Wait for as long as `Retry-After` says.",
    ),
    Problem("internal", 500, "A fault of ours", "Try again; the service's log tells more."),
    Problem(
        "busy", 503, "Too much at once", "Try again after `Retry-After`; nothing was promised."
    ),
    Problem(
        "store-unavailable",
        503,
        "The store can't be used",
        "Try again after `Retry-After`; nothing was promised.",
    ),
    Problem(
        "tokens-unavailable",
        503,
        "The file of tokens can't be read, or is no longer there",
        "Whoever runs the service must repair it; until then no token is known.",
    ),
)
PROBLEMS: Final = {problem.name: problem for problem in _TABLE}

_ENCODE: Final = msgspec.json.Encoder().encode
# What a client may do again, and when at the earliest.
_RETRY_AFTER_S: Final = {
    "too-many-requests": 1,
    "busy": 1,
    "store-unavailable": 5,
    "tokens-unavailable": 5,
}


def problem_body(name: str, detail: str, members: dict[str, Any] | None = None) -> bytes:
    """Return the body of one problem; further members follow the standard's own."""
    problem = PROBLEMS[name]
    return _ENCODE(
        {
            "type": TYPE_PREFIX + name,
            "title": problem.title,
            "status": problem.status,
            "detail": detail,
        }
        | (members or {})
    )


def problem_headers(name: str, length: int, retry_after_s: int | None = None) -> Headers:
    """Return the headers that go with the body of a problem."""
    headers: Headers = [
        (b"content-type", MEDIA_TYPE),
        (b"content-length", b"%d" % length),
        # A cache that pins "missing" or "later" would outlive the reason.
        (b"cache-control", b"no-store"),
    ]
    if name == "not-authorised":
        headers.append((b"www-authenticate", b'Bearer realm="tallystick"'))
    wait_s = _RETRY_AFTER_S.get(name) if retry_after_s is None else retry_after_s
    if wait_s is not None:
        headers.append((b"retry-after", b"%d" % wait_s))
    return headers


class Refusal(Exception):
    """Ends the handling of a request with a problem; never leaves the service."""

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        members: dict[str, Any] | None = None,
        retry_after_s: int | None = None,
        headers: Headers | None = None,
    ) -> None:
        super().__init__(detail)
        self.name = name
        self.detail = detail
        self.members = members
        self.retry_after_s = retry_after_s
        self.headers = headers or []

    @property
    def status(self) -> int:
        """The HTTP status."""
        return PROBLEMS[self.name].status

    def answer(self) -> tuple[int, Headers, bytes]:
        """Return status, headers and body."""
        body = problem_body(self.name, self.detail, self.members)
        headers = problem_headers(self.name, len(body), self.retry_after_s)
        return self.status, headers + self.headers, body


def problem_response(name: str, detail: str, **members: Any) -> Any:
    """Return a problem as a Starlette response."""
    from starlette.responses import Response

    status, headers, body = Refusal(name, detail, members=members).answer()
    kept = {key.decode(): value.decode() for key, value in headers if key != b"content-length"}
    return Response(body, status, headers=kept)
