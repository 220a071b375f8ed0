# SPDX-License-Identifier: Apache-2.0
"""What goes into a receipt of a payload: its hash in full, a capped preview, never itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tallystick.chain.issue import ABSENT
from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.digest import sha256_tagged
from tallystick.errors import LimitError, ReceiptError
from tallystick.limits import ERROR_CHARS_MAX, PAYLOAD_BYTES_MAX, PREVIEW_CHARS_MAX
from tallystick.model.action import Action, Intent, Outcome


def payload_hash(payload: object) -> str:
    """Return the hash over the RFC 8785 form of a payload of any JSON value."""
    canonical = canonicalize(payload)
    if len(canonical) > PAYLOAD_BYTES_MAX:
        raise LimitError(f"a payload of {len(canonical)} bytes, over {PAYLOAD_BYTES_MAX}")
    return sha256_tagged(canonical)


def with_parameters(
    action: Action | Mapping[str, Any], parameters: object
) -> Action | Mapping[str, Any]:
    """Return the action with the hash of its parameters."""
    if parameters is ABSENT:
        return action
    digest = payload_hash(parameters)
    if isinstance(action, Action):
        _agree(action.parameters_hash, digest)
        return msgspec.structs.replace(action, parameters_hash=digest)
    _agree(action.get("parameters_hash"), digest)
    return {**action, "parameters_hash": digest}


def capped_error(error: str | None) -> str | None:
    """Return an error text of bounded length."""
    if error is None or len(error) <= ERROR_CHARS_MAX:
        return error
    return error[: ERROR_CHARS_MAX - 1] + "…"


def capped_outcome(outcome: Outcome | Mapping[str, Any]) -> Outcome | Mapping[str, Any]:
    """Return the outcome with an error text of bounded length."""
    error = outcome.error if isinstance(outcome, Outcome) else outcome.get("error")
    short = capped_error(error) if isinstance(error, str) else error
    if short is error:
        return outcome
    if isinstance(outcome, Outcome):
        return msgspec.structs.replace(outcome, error=short)
    return {**outcome, "error": short}


def capped_intent(
    intent: Intent | Mapping[str, Any] | None,
) -> Intent | Mapping[str, Any] | None:
    """Return the intent with a preview of bounded length, flagged where it was cut."""
    if intent is None:
        return None
    preview = intent.prompt_preview if isinstance(intent, Intent) else intent.get("prompt_preview")
    if not isinstance(preview, str) or len(preview) <= PREVIEW_CHARS_MAX:
        return intent
    short = preview[:PREVIEW_CHARS_MAX]
    if isinstance(intent, Intent):
        return msgspec.structs.replace(intent, prompt_preview=short, prompt_preview_truncated=True)
    return {**intent, "prompt_preview": short, "prompt_preview_truncated": True}


def _agree(given: object, digest: str) -> None:
    if given not in (None, digest):
        place = "/credentialSubject/action/parameters_hash"
        raise ReceiptError("is not the hash of the parameters", place)
