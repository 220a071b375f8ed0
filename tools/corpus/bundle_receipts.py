# SPDX-License-Identifier: Apache-2.0
"""Makes the receipts of a run: a chain whose first one says on what was decided, and how."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785
from tools.corpus.making import Json, digest, draft, put, sign


def decide(one: Json, manifest: Json, **changes: Any) -> Json:
    """Return a receipt as that of a run's decision; `changes` are on what it was made."""
    subject, told = one["credentialSubject"], manifest["policyDecision"]
    on = {"intentHash": manifest["intentHash"], "runId": manifest["runId"]} | changes
    what = {name: told[name] for name in ("allowed", "codes", "reasons")}
    action = {
        "type": "dev.tallystick.intent.decide",
        "parameters_hash": _hash(on),
        "target": {"system": "solver", "resource": f"intent:{manifest['intentId']}"},
    }
    outcome = {
        "status": "success" if told["allowed"] else "failure",
        "response_hash": _hash(what),
    }
    return one | {"credentialSubject": subject | {"action": subject["action"] | action,
                                                  "outcome": outcome}}  # fmt: skip


def chain(case: str, manifest: Json | None, count: int = 3, **changes: Any) -> tuple[Json, ...]:
    """Return the receipts of a run; the first is of its decision where a manifest tells of one."""
    made: list[Json] = []
    for number in range(1, count + 1):
        one = draft(case, number)
        if number == 1 and manifest is not None:
            one = decide(one, manifest, **changes)
        one["credentialSubject"]["chain"] |= {
            "sequence": number,
            "previous_receipt_hash": digest(made[-1]) if made else None,
        }
        if number == count:
            one = put(one, "/credentialSubject/chain/terminal", True)
            one = put(one, "/credentialSubject/chain/status", "complete")
        made.append(sign(one))
    return tuple(made)


def _hash(payload: Json) -> str:
    return "sha256:" + hashlib.sha256(rfc8785.dumps(payload)).hexdigest()
