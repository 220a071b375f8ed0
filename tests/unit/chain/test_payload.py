# SPDX-License-Identifier: Apache-2.0
"""Payloads are hashed in full and never carried; previews are capped and flagged."""

from __future__ import annotations

import pytest

from tallystick import Action, Intent, Outcome, canonicalize
from tallystick.chain import payload
from tallystick.crypto.digest import sha256_tagged
from tallystick.errors import LimitError, ReceiptError
from tallystick.limits import ERROR_CHARS_MAX, PREVIEW_CHARS_MAX

KIND = "filesystem.file.read"


@pytest.mark.parametrize("value", [{"b": 1, "a": [True, None]}, "text", None, 1.5, []])
def test_the_hash_is_over_the_canonical_form(value: object) -> None:
    """Any JSON value can be a payload."""
    assert payload.payload_hash(value) == sha256_tagged(canonicalize(value))


def test_a_payload_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit it passes, one byte over it does not."""
    monkeypatch.setattr(payload, "PAYLOAD_BYTES_MAX", 10)
    payload.payload_hash("x" * 8)
    with pytest.raises(LimitError):
        payload.payload_hash("x" * 9)


def test_parameters_become_a_hash() -> None:
    """Typed and plain actions alike; the parameters themselves are nowhere."""
    digest = payload.payload_hash({"path": "/etc"})
    typed = payload.with_parameters(Action(type=KIND), {"path": "/etc"})
    plain = payload.with_parameters({"type": KIND}, {"path": "/etc"})
    assert isinstance(typed, Action)
    assert typed.parameters_hash == digest
    assert plain == {"type": KIND, "parameters_hash": digest}


def test_a_hash_that_disagrees_is_refused() -> None:
    """A hash beside the parameters must be theirs."""
    with pytest.raises(ReceiptError):
        payload.with_parameters({"type": KIND, "parameters_hash": "sha256:" + "0" * 64}, {})


def test_long_errors_are_cut() -> None:
    """Exactly at the limit nothing happens; beyond it the text ends in an ellipsis."""
    assert payload.capped_error(None) is None
    kept = payload.capped_outcome({"status": "failure", "error": "e" * ERROR_CHARS_MAX})
    assert kept == {"status": "failure", "error": "e" * ERROR_CHARS_MAX}
    cut = payload.capped_outcome(Outcome(status="failure", error="e" * (ERROR_CHARS_MAX + 1)))
    assert isinstance(cut, Outcome)
    assert cut.error is not None
    assert len(cut.error) == ERROR_CHARS_MAX
    assert cut.error.endswith("…")


def test_long_previews_are_cut_and_flagged() -> None:
    """A preview that was cut says so; one that was not does not."""
    assert payload.capped_intent(None) is None
    short = Intent(prompt_preview="p" * PREVIEW_CHARS_MAX)
    assert payload.capped_intent(short) is short
    cut = payload.capped_intent({"prompt_preview": "p" * (PREVIEW_CHARS_MAX + 1)})
    assert cut == {"prompt_preview": "p" * PREVIEW_CHARS_MAX, "prompt_preview_truncated": True}
    typed = payload.capped_intent(Intent(prompt_preview="p" * (PREVIEW_CHARS_MAX + 1)))
    assert isinstance(typed, Intent)
    assert typed.prompt_preview_truncated is True
