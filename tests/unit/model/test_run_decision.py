# SPDX-License-Identifier: Apache-2.0
"""What the receipt of a run's decision states."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import rfc8785

from tallystick.limits import REASON_BYTES_MAX
from tallystick.model.decision import ALLOWED
from tallystick.model.run_decision import decided_on, decided_what, fitted_reasons, hash_of


def test_intent_and_run_are_both_bound() -> None:
    """The hash is over both, in the form of RFC 8785: another of either gives another."""
    one, other = "sha256:" + "a" * 64, "sha256:" + "b" * 64
    made = hash_of(decided_on(one, "1" * 64))
    plain = rfc8785.dumps({"intentHash": one, "runId": "1" * 64})
    assert made == "sha256:" + sha256(plain).hexdigest()
    assert made != hash_of(decided_on(other, "1" * 64))
    assert made != hash_of(decided_on(one, "2" * 64))


def test_a_manifest_gives_what_the_gate_gave() -> None:
    """Reasons that a manifest had to cut have the hash of the whole ones."""
    told: dict[str, Any] = {
        "allowed": False,
        "reasons": ["x" * 9 * REASON_BYTES_MAX, "a\nb"],
        "codes": ["A", "B"],
    }
    cut = {**told, "reasons": fitted_reasons(told["reasons"]), "decided_at": "not of the hash"}
    assert cut["reasons"] != tuple(told["reasons"])
    assert fitted_reasons(cut["reasons"]) == cut["reasons"]
    assert hash_of(decided_what(cut)) == hash_of(decided_what(told))
    assert hash_of(decided_what(told)) != hash_of(decided_what(ALLOWED.to_dict()))
