# SPDX-License-Identifier: Apache-2.0
"""Secrets that span lines or brackets are masked as a whole, and nothing beside them."""

from __future__ import annotations

import time

import pytest

from tallystick.limits import REDACTED_CHARS_MAX
from tallystick.model.redact import Redactor
from tallystick.model.secret_blocks import without_blocks

MASK = "[redacted:key-value]"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("password: |\n  a1\n  b2\nnext: ok", f"password: {MASK}\nnext: ok"),
        ("password: |\n  a1\n  b2", f"password: {MASK}"),
        (
            "db:\n  secret_key: >-  # folded\n    a1\n\n    b2\n  port: 5",
            f"db:\n  secret_key: {MASK}\n  port: 5",
        ),
        ("- token: |2-\n    a1\n  x: 1", f"- token: {MASK}\n  x: 1"),
        ('"api_key": |\r\n\ta1\r\nx: 1', f'"api_key": {MASK}\nx: 1'),
    ],
)
def test_blocks_of_yaml(text: str, clean: str) -> None:
    """All lines that are indented below the key go, and the next member stays."""
    assert without_blocks(text) == clean


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (
            'ran {"credentials": {"user": "u", "pin": "p"}} ok',
            f'ran {{"credentials": "{MASK}"}} ok',
        ),
        ('x "token": ["a", "b"], "n": 1', f'x "token": "{MASK}", "n": 1'),
        ("{'secret': {'a': \"}'b\"}, 'c': 1}", f"{{'secret': \"{MASK}\", 'c': 1}}"),
        ('"secrets":[{"v":"a\\"]"}]!', f'"secrets":"{MASK}"!'),
        ('secret = {"a": ["x"', f'secret = "{MASK}"'),
        ("password => [a, b] c", f'password => "{MASK}" c'),
    ],
)
def test_objects_and_lists(text: str, clean: str) -> None:
    """They go up to the bracket that closes them, whatever stands in quotes, or to the end."""
    assert without_blocks(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "password: |\nnot below it",
        "max_tokens: [1, 2]",
        '{"token": {}, "secret": []}',
        f"password: {MASK}",
        f'"secret": "{MASK}"',
        "title: |\n  a text",
        '{"list": [1], "o": {"a": 1}}',
        "",
    ],
)
def test_other_texts_are_left(text: str) -> None:
    """Also what is empty, and what was masked before."""
    assert without_blocks(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "password: |\n  hunter2\nnext: ok",
        'say {\\"secret\\":{\\"a\\":\\"hunter2\\"}} ok',
        'body {"token": ["a", "hunter2"]} end',
        "creds={'credentials': [('u', 'hunter2')]}",
    ],
)
def test_the_redactor_looks_for_them(text: str) -> None:
    """They go from each text that a receipt shows, also with escaped quotes; once is enough."""
    clean = Redactor().text(text)
    assert "hunter2" not in clean
    assert Redactor().text(clean) == clean


@pytest.mark.parametrize(
    "unit",
    ["token: {", "token: [", "token: |\n ", "- ", "token:|", '"', "secret: [redacted:", "key={\\"],
)
def test_linear_time(unit: str) -> None:
    """The longest text takes no time that anybody would notice."""
    began = time.process_time()
    without_blocks((unit * REDACTED_CHARS_MAX)[:REDACTED_CHARS_MAX] + "\n")
    assert time.process_time() - began < 1
