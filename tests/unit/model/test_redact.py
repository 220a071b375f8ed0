# SPDX-License-Identifier: Apache-2.0
"""Redaction: no secret leaves in clear, whatever field it came in; payloads stay as they are."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.errors import PatternError
from tallystick.limits import (
    CLEAN_TEXT_CHARS_MAX,
    CLEAN_TEXTS_MAX,
    JSON_DEPTH_MAX,
    PATTERN_FILE_BYTES_MAX,
    PATTERNS_MAX,
    REDACTED_CHARS_MAX,
)
from tallystick.model.frame import Frame, parse_frame
from tallystick.model.redact import Redactor, read_patterns

REDACTOR = Redactor()
SECRET = "ghp_0123456789abcdefABCD"


def frame(**members: Any) -> Frame:
    """Return a frame with these members."""
    least = {
        "v": "1",
        "ts_emit": "2026-11-21T18:50:13Z",
        "session_id": "s",
        "channel": "mcp",
        "tool": {"name": "t"},
        "decision": "allowed",
    }
    return parse_frame(json.dumps({**least, **members}).encode())


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("password=hunter2", "password=[redacted:key-value]"),
        ('password: "hunter 2" x', 'password: "[redacted:key-value]" x'),
        (
            "a -----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY----- b",
            "a [redacted:private-key] b",
        ),
        ("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,X\nabc", "[redacted:private-key]"),
        ("postgres://u:p@ss@host/db", "postgres://[redacted:url-credentials]@host/db"),
        ("https://x/a?token=abc&b=1", "https://x/a?token=[redacted:url-token]&b=1"),
        ("Authorization: Bearer abcdefgh", "Authorization: [redacted:authorization]"),
        ("Cookie: a=b; c=d\nnext", "Cookie: [redacted:cookie]\nnext"),
        ("mysql --password hunter2 -h x", "mysql --password [redacted:flag-value] -h x"),
        (f"tool {SECRET}.", "tool [redacted:github-token]."),
        ('{"password":5,"a":{"credentials":{"x":"y"}},"tokens":7}', None),
        ("nothing to see", "nothing to see"),
        ("", ""),
    ],
)
def test_texts(text: str, clean: str | None) -> None:
    """Only the secret goes, and its kind stands in its place."""
    done = REDACTOR.text(text)
    if clean is None:
        assert json.loads(done) == {
            "password": "[redacted:key-value]",
            "a": {"credentials": "[redacted:key-value]"},
            "tokens": 7,
        }
        return
    assert done == clean


@given(st.text(st.sampled_from("pasword=:ghk_0123456789\"'{}[]/@?& -\n"), max_size=80))
def test_redacting_twice_changes_nothing(text: str) -> None:
    """What was redacted stays as it is when it comes by again."""
    once = REDACTOR.text(text)
    assert REDACTOR.text(once) == once


CLEAR = [
    "action_type", "agent_id", "agent_type", "capture_method", "channel", "correlation_id", "error",
    "idempotency_key", "issuer_model", "issuer_name", "model", "prompt_preview", "session_id",
]  # fmt: skip


@pytest.mark.parametrize("name", CLEAR)
def test_every_field_is_redacted(name: str) -> None:
    """There is no field of a frame in which a secret gets through."""
    clean = REDACTOR.frame(frame(**{name: f"a {SECRET} b"}))
    assert getattr(clean, name) == "a [redacted:github-token] b"


def test_inner_fields_are_redacted() -> None:
    """Tool, target, operator, rule and usage too."""
    clean = REDACTOR.frame(
        frame(
            tool={"name": SECRET, "server": f"x-{SECRET}"},
            target_system=SECRET,
            target_resource="https://u:p@h/x?token=abc",
            operator_id=SECRET,
            operator_name=SECRET,
            rule={"name": SECRET, "action": SECRET, "approver": SECRET, "reason": "password=x"},
            usage={"note": [f"{SECRET}"], SECRET: 1, "api_key": 7, "input_tokens": 5},
        )
    )
    text = msgspec.json.encode(clean).decode()
    assert SECRET not in text
    assert "u:p" not in text
    assert "token=abc" not in text
    assert "password=x" not in text
    assert clean.usage["api_key"] == "[redacted:key-value]"
    assert clean.usage["input_tokens"] == 5


@pytest.mark.parametrize(
    "key", ["password", "accessToken", "x-api-key", "client_secret", "DB_PASSWORD", "Authorization"]
)
def test_telling_keys_hide_their_values(key: str) -> None:
    """However a member is spelled, what stands under it goes, deep down too."""
    value = {"a": [{key: "abc"}, {key: ["abc", {"x": "abc"}]}]}
    assert "abc" not in json.dumps(REDACTOR.value(value))
    assert "abc" not in REDACTOR.text(json.dumps(value))


@pytest.mark.parametrize("key", ["input_tokens", "token_count", "max_token", "keyboard", "cache"])
def test_counts_stay(key: str) -> None:
    """Numbers of tokens are no secrets."""
    assert REDACTOR.value({key: 5}) == {key: 5}


def test_every_clear_field_is_known() -> None:
    """A new text member of the frame has to be redacted, or be named here as what needs none."""
    inert = {"ack", "late", "v", "ts_emit", "decision", "drop_count", "input", "output"}
    inner = {"tool", "rule", "usage", "target_system", "target_resource"}
    inner |= {"operator_id", "operator_name"}
    assert set(Frame.__struct_fields__) == inert | inner | set(CLEAR)


def test_payloads_stay() -> None:
    """What is hashed or sealed is what was sent."""
    sent = frame(input={"password": "hunter2"}, output=f"token={SECRET}")
    assert REDACTOR.frame(sent) is sent


def test_a_frame_without_secrets_is_the_same() -> None:
    """Nothing is copied where there is nothing to change."""
    sent = frame(error="it failed: key missing", usage={"input_tokens": 5})
    assert REDACTOR.frame(sent) == sent


def test_long_texts_are_cut() -> None:
    """What is not searched is not shown."""
    assert len(REDACTOR.text("password " * REDACTED_CHARS_MAX)) <= 2 * REDACTED_CHARS_MAX
    assert SECRET not in REDACTOR.text("token " + "x" * REDACTED_CHARS_MAX + SECRET)


def test_deep_json_is_no_way_around() -> None:
    """A text that is JSON nested too deep goes as a whole, whatever the stack has room for."""
    for depth in (JSON_DEPTH_MAX + 1, 300, 990, 5000):
        deep = "[" * depth + f'{{"a]": "{SECRET}", "password": "{SECRET}"}}' + "]" * depth
        assert REDACTOR.text(deep) == "[redacted:too-deep]"
    wide = json.dumps([{"password": "brackets [[[[ are no depth"}] * 100)
    assert REDACTOR.text(wide) == json.dumps([{"password": "[redacted:key-value]"}] * 100)
    quoted = json.dumps({"password": "[" * 100 + '\\"' + "{" * 100})
    assert REDACTOR.text(quoted) == '{"password": "[redacted:key-value]"}'


@pytest.mark.parametrize("tail", ["", "\\", '"', '"}'])
def test_quotes_that_do_not_end_take_no_time(tail: str) -> None:
    """How deep JSON is nested is seen in one go, whatever was escaped on the way."""
    text = "[" * JSON_DEPTH_MAX + "{" + '\\"' * 7000 + "password" + tail
    began = time.process_time()
    assert REDACTOR.text(text)
    assert time.process_time() - began < 0.5


def test_own_patterns() -> None:
    """A file adds patterns; groups limit what goes."""
    patterns = read_patterns(
        b"[[pattern]]\nname = 'acme-key'\nregex = 'acme_[a-z0-9]{8,}'\n"
        b"[[pattern]]\nname = 'ticket'\nregex = 'ticket (\\d{4})'\n"
    )
    redactor = Redactor(patterns)
    assert redactor.text("x acme_abcdefgh, ticket 1234") == (
        "x [redacted:acme-key], ticket [redacted:ticket]"
    )
    assert redactor.frame(frame(channel="acme_abcdefgh")).channel == "[redacted:acme-key]"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no [[pattern]]"),
        (b"\xff", "no TOML"),
        (b"x =", "no TOML"),
        (b"x = " + b"9" * 5000, "no TOML"),
        (b"x = " + b"[" * 5000, "no TOML"),
        (b"a." * 100_000 + b"a = 1", "no TOML: a key of more than 32 parts"),
        (b"patterns = 1", "unknown key"),
        (b"pattern = 1", "no [[pattern]]"),
        (b"[[pattern]]\nname = 'a'", "pattern 1"),
        (b"[[pattern]]\nname = 'a'\nregex = 'b'\nmore = 1", "pattern 1"),
        (b"[[pattern]]\nname = 'A b'\nregex = 'b'", "its name"),
        (b"[[pattern]]\nname = 'a'\nregex = 1", "not text"),
        (b"[[pattern]]\nname = 'a'\nregex = '(a+)+b'", "repetition"),
        (b"[[pattern]]\nname = 'a'\nregex = 'x'\n" * (PATTERNS_MAX + 1), "limit"),
        (b"#" * (PATTERN_FILE_BYTES_MAX + 1), "limit"),
    ],
)
def test_bad_files_are_refused(data: bytes, reason: str) -> None:
    """A pattern file that is not understood as a whole is not used at all."""
    with pytest.raises(PatternError, match=reason.replace("[", "\\[")):
        read_patterns(data)


# What patterns take, cut small, with the letters that only look past case finds.
WORDS = """password paſſword PASSWD pİn otp toKen = : => is : " ' { } [ ] , ? & # ; -u --user a:b
    user:pass ghp_0123456789abcdefABCD sk-0123456789abcdef0 eyJabcdef.ghijk :// @ host postgres
    Authorization Cookie Bearer basic abcdefgh -----BEGIN PRIVATE KEY----- AKIA0123456789ABCDEF
    xoxb-12345678 hunter2 secret key x ſecret ıs sıg= hooks.slack.com/a/ \\ é tokens --api-key
    session_id"""
PIECES = st.sampled_from(WORDS.split())
TEXTS = st.lists(PIECES, max_size=8).flatmap(
    lambda found: st.sampled_from(["", " ", "\n"]).map(lambda between: between.join(found))
)


def without_hints() -> Redactor:
    """Return a redactor that looks for every pattern in every text."""
    full = Redactor()
    full._patterns = [(name, pattern, ()) for name, pattern, _ in full._patterns]
    full._hints = None
    return full


FULL = without_hints()


@given(TEXTS)
def test_looking_less_finds_as_much(text: str) -> None:
    """Hints only save work: without them, the same is taken out of every text."""
    assert REDACTOR.text(text) == FULL.text(text)


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS, st.booleans()), min_size=1, max_size=4))
def test_remembering_what_is_clean_changes_nothing(found: list[tuple[str, str, str, bool]]) -> None:
    """Frames one after the other: each comes out as from a redactor that remembers nothing."""
    redactor = Redactor()
    for error, target, name, has_usage in found:
        one = frame(error=f"e{error}", target_system="s", target_resource=f"t{target}")
        tool = msgspec.structs.replace(one.tool, name=name or "t")
        usage = {"a": error, target: 1} if has_usage else None
        one = msgspec.structs.replace(one, tool=tool, usage=usage)
        for _ in range(2):
            assert redactor.frame(one) == FULL.frame(one)
    assert len(redactor._clean) <= CLEAN_TEXTS_MAX + 30


def test_only_what_is_clean_is_remembered() -> None:
    """What holds a hint, or is long, is not kept; and what is kept is bounded."""
    redactor = Redactor()
    redactor.frame(frame(error=f"x {SECRET}", session_id="kept-1"))
    assert redactor._clean == {None}
    redactor.frame(frame(error="y" * (CLEAN_TEXT_CHARS_MAX + 1), session_id="kept-2"))
    assert "kept-2" in redactor._clean
    assert max(len(one or "") for one in redactor._clean) <= CLEAN_TEXT_CHARS_MAX
    for number in range(2 * CLEAN_TEXTS_MAX):
        redactor.frame(frame(session_id=f"s{number}"))
    assert len(redactor._clean) <= CLEAN_TEXTS_MAX + 30


def test_redacting_is_quick() -> None:
    """A usual frame costs microseconds; the worst text does not cost seconds."""
    usual = frame(error="connection refused", target_system="fs", target_resource="/home/u/x.py")
    best = 1.0
    for _ in range(10):
        start = time.process_time()
        for _ in range(20):
            REDACTOR.frame(usual)
        best = min(best, (time.process_time() - start) / 20)
    assert best < 500e-6
    for unit in ("password ", "key= ", "a://b", "?code=", '{"token":', "authorization: a "):
        start = time.process_time()
        REDACTOR.text(unit * REDACTED_CHARS_MAX)
        assert time.process_time() - start < 3
