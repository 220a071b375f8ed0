# SPDX-License-Identifier: Apache-2.0
"""What the receipt of a run's decision states, so that its chain speaks of one run and no other.

`parameters_hash` is over `{"intentHash", "runId"}`, `response_hash` over `{"allowed", "codes",
"reasons"}` as the manifest has them, each in its RFC 8785 form; the outcome is `success` where the
intent was allowed, else `failure`. All three are signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.digest import sha256_tagged
from tallystick.limits import REASON_BYTES_MAX
from tallystick.model.manifest import fit_text

# A type of ours, under a domain of ours: the taxonomy has none for a gate's decision.
DECIDE: Final = "dev.tallystick.intent.decide"


def decided_on(intent_hash: str, run_id: str) -> dict[str, Any]:
    """Return what was decided on: the parameters of the decision."""
    return {"intentHash": intent_hash, "runId": run_id}


def fitted_reasons(reasons: Iterable[str]) -> tuple[str, ...]:
    """Return reasons as a manifest has room for them; those of a manifest stay as they are."""
    return tuple(fit_text(reason, REASON_BYTES_MAX) for reason in reasons)


def decided_what(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was decided: the response of the decision, of `Decision.to_dict()`."""
    return {
        "allowed": members["allowed"],
        "codes": list(members["codes"]),
        "reasons": list(fitted_reasons(members["reasons"])),
    }


def hash_of(payload: Mapping[str, Any]) -> str:
    """Return the hash that the receipt holds of one of these."""
    return sha256_tagged(canonicalize(payload))
