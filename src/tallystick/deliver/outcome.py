# SPDX-License-Identifier: Apache-2.0
"""What `HttpEmitter.emit` does with each answer of a collector.

The endpoint is a collector's base URL, or the URL that is posted to: without a path, or with one
that ends in `/`, `receipts` is added (`https://c.example` → `https://c.example/receipts`); any
other path stays as it is. Receipts travel as `application/ld+json`, in exactly their canonical
bytes, over connections that are kept open.

The tests do to an emitter what each row below says. `status` is that of the `EmitError`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, Protocol

import msgspec

from tallystick.crypto.nesting import is_shallow
from tallystick.deliver.answer import Answer
from tallystick.limits import QUOTE_CHARS_MAX

Judgement = Literal["delivered", "retried", "stopped", "refused"]

_DELIVERED: Final = frozenset({201, 409})
_RETRIED: Final = frozenset({408, 425, 429})
_REFUSED: Final = frozenset({400, 413, 422})

# What to look at, where a person is needed.
_REMEDIES: Final = {
    401: "is the credential there, and is it the right one?",
    403: "may this credential post receipts?",
    404: "is this the URL of a collector?",
    405: "is this the URL of a collector?",
}


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a collector, or what stands in its place, can do."""

    name: str
    does: str
    judgement: Judgement

    @property
    def status(self) -> int | None:
        """What `EmitError.status` is."""
        return int(self.name) if self.name.isdigit() else None


class Secret(Protocol):
    """What a collector knows of us and may send back: a credential, or the query of its URL."""

    def is_in(self, text: str, /) -> bool:
        """Whether a text holds it."""
        ...


def judge(status: int) -> Judgement:
    """Return what a final status means for the receipt that was posted."""
    if status in _DELIVERED:
        return "delivered"
    if status in _RETRIED or status >= 500:
        return "retried"
    return "refused" if status in _REFUSED else "stopped"


def explain(answer: Answer, *secrets: Secret) -> str:
    """Return what a collector answered, in words that follow its address and hold no secret."""
    text = f"answered {answer.status}"
    if 300 <= answer.status < 400:
        return f"{text} and points to {_host(answer, secrets)}; redirects are never followed"
    if answer.status < 300:
        text += ", which accepts nothing (wanted: 201 or 409); is this a collector?"
    said = _said(answer, secrets)
    text = f"{text}: {said}" if said else text
    remedy = _REMEDIES.get(answer.status)
    return f"{text}; {remedy}" if remedy else text


def _host(answer: Answer, secrets: Iterable[Secret]) -> str:
    """Return the host of a redirect, and no more: the rest may hold what we sent."""
    location = answer.headers.get("location", "")
    if "//" not in location:
        return "another path of its own"
    host = location.partition("//")[2].split("/")[0].split("?")[0].rpartition("@")[2]
    return _quoted(host, secrets) or "another host"


def _said(answer: Answer, secrets: Iterable[Secret]) -> str:
    """Return a collector's words for what is wrong, quoted, or nothing where it has none."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if "content-encoding" in answer.headers:
        return ""
    if kind == "text/plain":
        return _quoted(answer.body.decode("utf-8", "replace"), secrets)
    if kind != "application/json" and not kind.endswith("+json"):
        return ""
    if not is_shallow(answer.body):
        return ""
    try:
        problem = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return ""
    if not isinstance(problem, dict):
        return ""
    for name in ("detail", "title", "error", "message"):
        text = problem.get(name)
        if isinstance(text, str) and text.strip():
            return _quoted(text, secrets)
    return ""


def _quoted(text: str, secrets: Iterable[Secret]) -> str:
    """Return foreign words for a message: cut, escaped, and never those that hold a secret."""
    if any(secret.is_in(text) for secret in secrets):
        return "(its words hold our credential and are not shown)"
    cut = text.strip()
    if not cut:
        return ""
    if len(cut) > QUOTE_CHARS_MAX:
        cut = cut[: QUOTE_CHARS_MAX - 1] + "…"
    return repr(cut)  # escapes whatever is not printable


def _cases(judgement: Judgement, **what: str) -> tuple[Case, ...]:
    names = {name: name.removeprefix("_").replace("_", "-") for name in what}
    return tuple(
        Case(name=names[name], does=does, judgement=judgement) for name, does in what.items()
    )


MEANINGS: Final[dict[Judgement, str]] = {
    "delivered": """\
`emit` returns: the collector has it.
""",
    "retried": """\
Tried again: 5 attempts, with pauses of random length up to a bound that doubles from 100 ms to
10 s; one request may take 5 s as a whole, all of them 30 s (`RetryConfig`, `timeout_ms`,
`deadline_ms`). A longer Retry-After is waited for where it fits into the deadline; else the error
comes at once. In the end `EmitError`, `is_transient` true. A kept connection that was closed before
it answered is replaced at once; this is no attempt.
""",
    "stopped": """\
`EmitError` at the first answer, `is_transient` true: settings, credential or collector need a
person, and the receipt is as good as before. `WalEmitter` and `ReceiptChain` keep it. A redirect
takes neither receipt nor credential anywhere; the error names the other host. An answer whose
promise does not hold is of this kind too, where `log` says which log it is of; and one without a
promise, where `require_promise` is set.
""",
    "refused": """\
`EmitError` at the first answer, `is_transient` false: the collector does not want this very
receipt, and will not want it later. `WalEmitter` keeps it as a dead letter.
""",
}

# `docs/reference/delivery.md` is made from these tables, and `tests/systems/test_http_emitter.py`
# does to an emitter what each row says.
CASES: Final = (
    *_cases(
        "delivered",
        _201="201: stored",
        _409="409: has this receipt already",
        idle_closed="closes a kept connection between two requests: the next opens another",
    ),
    *_cases(
        "retried",
        _408="408: the request took too long",
        _425="425: too early",
        _429="429: too many requests; Retry-After is honoured",
        _500="500 or another 5xx",
        _503="503: unavailable; Retry-After is honoured",
        unreachable="nobody listens, or the name does not resolve",
        drop="closes the connection without an answer",
        reset="resets the connection",
        half="closes the connection in the middle of its answer",
        garbage="answers with something that is not HTTP/1.1",
        two_lengths="states two lengths for one body",
        slow="answers one byte at a time, for longer than `timeout_ms`",
        silent="takes the request and says nothing",
        endless="answers with a body without an end",
        endless_headers="answers with headers without an end",
        interim="sends interim answers (1xx) only",
    ),
    *_cases(
        "stopped",
        _200="200 or another 2xx: nothing was accepted",
        _202="202: it may be looked at later",
        _204="204: no word about the receipt",
        _302="302 or another redirect: it is not followed",
        _401="401: the credential is missing, or is not accepted",
        _403="403: not allowed",
        _404="404, 405, 410 or another 4xx",
        self_signed="has a certificate of an authority that we don't know",
        wrong_host="has a certificate for another host",
        expired="has a certificate that has expired",
        no_client_cert="wants a client certificate, and we have none",
        old_tls="speaks no TLS from 1.2 on",
        plain="speaks plain HTTP where https was named",
    ),
    *_cases(
        "refused",
        _400="400: malformed",
        _413="413: too large",
        _422="422: understood, and not accepted",
    ),
)
