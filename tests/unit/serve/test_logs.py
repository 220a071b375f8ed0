# SPDX-License-Identifier: Apache-2.0
"""Structured logs: one line each, whatever is in the fields."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from tallystick.serve.logs import LOGGER, configure_logs, event


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave the loggers as they were."""
    loggers = (LOGGER, logging.getLogger("uvicorn.error"))
    before = [(one, one.handlers, one.propagate, one.level) for one in loggers]
    yield
    for one, handlers, propagate, level in before:
        one.handlers, one.propagate = handlers, propagate
        one.setLevel(level)


def logged(form: str, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure_logs(stream, form, level)  # type: ignore[arg-type]  # a literal
    return stream


def test_json_is_one_object_in_one_line() -> None:
    """Time, level, event and fields, with line feeds and half surrogates escaped."""
    stream = logged("json")
    event(logging.WARNING, "odd", text="a\nb\ud800", number=1, share=0.12345678, none=None, on=True)
    (line,) = stream.getvalue().splitlines()
    told = json.loads(line)
    assert told.pop("time").endswith("Z")
    assert told == {
        "level": "warning", "event": "odd", "text": "a\nb\\ud800", "number": 1,
        "share": 0.123457, "none": None, "on": True,
    }  # fmt: skip


def test_text_is_one_line_that_nobody_can_forge() -> None:
    """A field with a line feed or a blank is quoted."""
    stream = logged("text")
    event(logging.INFO, "said", plain="a", odd="x\n2026 info forged", blank="a b", empty="")
    (line,) = stream.getvalue().splitlines()
    assert line.endswith(r'said plain=a odd="x\n2026 info forged" blank="a b" empty=""')


def test_levels_choose() -> None:
    """What is below the level is not written."""
    stream = logged("json", "error")
    event(logging.WARNING, "quiet")
    event(logging.ERROR, "loud")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_what_others_say_with_extra_is_a_field_too() -> None:
    """Also below our own logger, and with a traceback."""
    stream = logged("json")
    logging.getLogger("tallystick.collector").critical("stopped", extra={"reason": "disk"})
    try:
        raise ValueError("inner")
    except ValueError:
        LOGGER.exception("internal_fault")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["reason"] == "disk"
    assert "ValueError: inner" in second["traceback"]
