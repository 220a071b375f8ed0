# SPDX-License-Identifier: Apache-2.0
"""What is asked and answered, as values."""

from __future__ import annotations

import pytest

from tallystick.deliver.answer import Answer, Request, WireFault

REQUEST = Request("POST /receipts", "c.example", b"Authorization: Bearer s3cr3t\r\n")


def test_requests() -> None:
    """With a body and its length, or without either."""
    head = b"POST /receipts HTTP/1.1\r\nHost: c.example\r\nAuthorization: Bearer s3cr3t\r\n"
    assert REQUEST.alone() == head + b"\r\n"
    assert REQUEST.around(b"{}") == head + b"Content-Length: 2\r\n\r\n{}"


def test_nothing_is_shown() -> None:
    """Requests hold the credential, and answers may hold what we sent."""
    answer = Answer(status=400, headers={"x": "s3cr3t"}, body=b"s3cr3t")
    assert repr(answer) == "Answer(status=400, 6 bytes)"
    assert "s3cr3t" not in repr(REQUEST)
    with pytest.raises(AttributeError):
        answer.status = 201  # type: ignore[misc]  # what the test is about


def test_faults() -> None:
    """A fault is tried again unless it says otherwise."""
    assert WireFault("x").fate == "again"
    assert str(WireFault("x", "setup")) == "x"
