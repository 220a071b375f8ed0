# SPDX-License-Identifier: Apache-2.0
"""Texts as whoever unescapes them reads them, so that no secret hides behind an escape."""

from __future__ import annotations

import time

import pytest

from tallystick.limits import REDACTED_CHARS_MAX
from tallystick.model.redact import Redactor
from tallystick.model.unveil import is_veiled, unveiled

SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    "text",
    [
        r"{\"dsn\":\"postgres:\/\/bob:hunter2hunter2@db\/x\"}",
        r"{\"p\\u0061\\x73\\u0073word\":\"hunter2hunter2\"}",
        r"""err {"a":"{\"b\":\"{\\\"password\\\":\\\"hunter2hunter2\\\"}\"}"}""",
        "https://x/?back=https%3A%2F%2Fy%3Ftoken%3Dhunter2hunter2",
        "https%253A%252F%252Fbob%253Ahunter2hunter2%2540db",
        "pass\u200bword=hunter2hunter2",
        "password\uff1d\uff48unter2hunter2",
        "p\x1b[1massword\x00=hunter2hunter2",
        "contrasenya: x pass\u00adwd: hunter2hunter2",
    ],
)
def test_no_secret_hides_behind_an_escape(text: str) -> None:
    """Escapes of JSON, URLs and terminals, wide letters, and letters that nobody sees."""
    assert SECRET not in Redactor().text(text)
    assert SECRET not in str(Redactor().value({"error": [text]}))


@pytest.mark.parametrize(
    "text", [r"C:\\Users\\new\\x.txt", "100 % of %d", "Grüße, 日本語", "a\tb\n", "\\u00e9"]
)
def test_what_holds_no_secret_stays_as_it_is(text: str) -> None:
    """Only where a secret comes to light is another text shown than was sent."""
    assert Redactor().text(text) == text


def test_usual_texts_are_not_looked_at_twice() -> None:
    """Plain text with line feeds needs no second look; what is unveiled is stable."""
    assert not is_veiled("a usual\n\terror text")
    assert is_veiled("\x00")
    assert unveiled(r"\\\u0041%2541\/") == "AA/"


@pytest.mark.parametrize("part", ["\\", "%25", "\x1b[", "\u0301", "\ufdfa", "eyJ", r"\u00"])
def test_it_is_fast_on_every_text(part: str) -> None:
    """The worst that is known, at the longest, takes no longer than a moment."""
    began = time.process_time()
    Redactor().text((part * REDACTED_CHARS_MAX)[:REDACTED_CHARS_MAX])
    assert time.process_time() - began < 4
