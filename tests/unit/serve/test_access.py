# SPDX-License-Identifier: Apache-2.0
"""Who is let in, as whom, and to do what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tallystick.serve.access import Caller, Gate, credential_in
from tallystick.serve.problem import Refusal
from tallystick.serve.tokens import TokenBook, add_token

WHEN = "2026-01-01T00:00:00+00:00"


def scope(*headers: tuple[bytes, bytes], certificate: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"headers": list(headers), "state": {"certificate": certificate}}


def bearer(text: str) -> tuple[bytes, bytes]:
    return b"authorization", b"Bearer " + text.encode()


@pytest.fixture
def book(tmp_path: Path) -> tuple[TokenBook, dict[str, str]]:
    """Return a file of tokens, one for each access, all of tenant a, and one of tenant b."""
    path = tmp_path / "tokens"
    texts = {
        access: add_token(path, "a", access=access, made_at=WHEN)[0]
        for access in ("all", "write", "read", "metrics")
    }
    texts["b"] = add_token(path, "b", made_at=WHEN)[0]
    return TokenBook(path, lambda: 0.0), texts


def refusal(gate: Gate, given: dict[str, Any], need: Any = "read") -> str:
    with pytest.raises(Refusal) as caught:
        gate.admit(given, need)
    return caught.value.name


@pytest.mark.parametrize(
    ("access", "allowed"),
    [
        ("all", {"write", "read", "metrics"}),
        ("write", {"write"}),
        ("read", {"read", "metrics"}),
        ("metrics", {"metrics"}),
    ],
)
def test_a_token_opens_what_its_access_says(
    book: tuple[TokenBook, dict[str, str]], access: str, allowed: set[str]
) -> None:
    """And is 403 for the rest, which is no secret to whoever has a token."""
    gate = Gate(tokens=book[0])
    for need in ("write", "read", "metrics"):
        given = scope(bearer(book[1][access]))
        if need in allowed:
            assert gate.admit(given, need).tenant == "a"
        else:
            assert refusal(gate, given, need) == "not-allowed"


def test_keys_may_come_in_either_header(book: tuple[TokenBook, dict[str, str]]) -> None:
    """X-API-Key is the same as a bearer token; two that differ are none."""
    gate = Gate(tokens=book[0])
    text = book[1]["all"]
    assert gate.admit(scope((b"x-api-key", text.encode())), "write").tenant == "a"
    spaced = scope((b"authorization", b"bearer  " + text.encode()))
    assert gate.admit(spaced, "write").tenant == "a"
    both = scope(bearer(text), (b"x-api-key", text.encode()))
    assert gate.admit(both, "write").tenant == "a"
    right, wrong = bearer(text), (b"x-api-key", b"other")
    assert refusal(gate, scope(right, wrong)) == "not-authorised"
    assert refusal(gate, scope(wrong, right)) == "not-authorised"
    assert credential_in([]) is None
    assert credential_in([(b"host", b"log.example"), right, (b"accept", b"*/*")]) == text


def test_only_bearer_is_a_scheme_of_ours(book: tuple[TokenBook, dict[str, str]]) -> None:
    """A token that is known is refused too where Authorization names another scheme, or none."""
    gate = Gate(tokens=book[0])
    text = book[1]["all"].encode()
    for given in (b"Basic " + text, b"Token " + text, text, b" " + text):
        assert refusal(gate, scope((b"authorization", given))) == "not-authorised"


def test_only_who_says_nothing_is_let_in_unasked(book: tuple[TokenBook, dict[str, str]]) -> None:
    """And only where nobody is asked: a credential or a certificate is always looked at."""
    anyone, known = Gate(tokens=book[0], is_open=True), Gate(tokens=book[0])
    certified = {"certificate": ("cn:agent",)}
    assert anyone.admits_anyone({b"host": b"log.example"}, {})
    assert not known.admits_anyone({}, {})
    assert not anyone.admits_anyone({b"authorization": b"Bearer x"}, {})
    assert not anyone.admits_anyone({b"x-api-key": b"x"}, {})
    assert not anyone.admits_anyone({}, certified)


def test_a_wrong_credential_is_refused_also_where_none_is_needed(
    book: tuple[TokenBook, dict[str, str]],
) -> None:
    """Whoever gives one means it."""
    gate = Gate(tokens=book[0], is_open=True)
    assert gate.admit(scope(), "write") == Caller("anonymous", "all", "anonymous")
    assert refusal(gate, scope(bearer("tally_x"))) == "not-authorised"
    assert refusal(gate, scope((b"authorization", b"Basic YQ=="))) == "not-authorised"
    assert refusal(Gate(is_open=True), scope(bearer("x"))) == "not-authorised"
    assert refusal(Gate(tokens=book[0]), scope()) == "not-authorised"


def test_a_certificate_stands_for_its_tenant(book: tuple[TokenBook, dict[str, str]]) -> None:
    """By any of its names; an unknown one is nobody; a token of another tenant contradicts it."""
    gate = Gate(tokens=book[0], certificates={"uri:spiffe://x/a": "a", "cn:c": "c"})
    known = ("sha256:00", "uri:spiffe://x/a", "cn:agent")
    caller = gate.admit(scope(certificate=known), "write")
    assert (caller.tenant, caller.by) == ("a", "certificate uri:spiffe://x/a")
    assert refusal(gate, scope(certificate=("cn:other",))) == "not-authorised"
    assert gate.admit(scope(bearer(book[1]["read"]), certificate=known), "read").access == "read"
    assert refusal(gate, scope(bearer(book[1]["b"]), certificate=known)) == "not-allowed"


def test_a_broken_file_of_tokens_is_not_a_401(tmp_path: Path) -> None:
    """A 401 would end deliveries for good; 503 lets emitters wait."""
    path = tmp_path / "tokens"
    text, _ = add_token(path, "a", made_at=WHEN)
    now = [0.0]
    gate = Gate(tokens=TokenBook(path, lambda: now[0]))
    path.write_bytes(b"broken")
    now[0] = 2.0
    assert refusal(gate, scope(bearer(text))) == "tokens-unavailable"


def test_what_is_told_never_holds_the_credential(book: tuple[TokenBook, dict[str, str]]) -> None:
    """Neither a refusal nor a caller repeats what came."""
    gate = Gate(tokens=book[0])
    for text in ("tally_secret", book[1]["write"]):
        with pytest.raises(Refusal) as caught:
            gate.admit(scope(bearer(text)), "read")
        assert text not in caught.value.answer()[2].decode() + repr(caught.value)
    assert book[1]["all"] not in repr(gate.admit(scope(bearer(book[1]["all"])), "read"))
