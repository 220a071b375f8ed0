# SPDX-License-Identifier: Apache-2.0
"""Facts of ours live in `issuer.runtime.tallystick`, and nowhere else."""

from __future__ import annotations

import pytest

from tallystick import Issuer
from tallystick.errors import ReceiptError
from tallystick.model.extension import Extension, Risk, extension_of, runtime_with, with_extension


def test_what_goes_in_comes_out() -> None:
    """The facts, and the runtime members of others beside them."""
    issuer = Issuer(id="did:agent:x", runtime={"agent_id": "a-1"})
    facts = Extension(decision="allowed", risk=Risk(claimed="low", own="high"), lease_ended=True)
    carrier = with_extension(issuer, facts)
    assert extension_of(carrier) == facts
    assert carrier.runtime is not None
    assert carrier.runtime["agent_id"] == "a-1"
    assert issuer.runtime == {"agent_id": "a-1"}


def test_no_facts_leave_no_trace() -> None:
    """An issuer without facts of ours stays as it was."""
    issuer = Issuer(id="did:agent:x")
    assert with_extension(issuer, Extension()) is issuer
    assert extension_of(issuer) is None


def test_a_runtime_is_made_beside_what_it_holds() -> None:
    """As `with_extension` does it, before there is an issuer; without facts it is the same one."""
    facts = Extension(decision="allowed")
    runtime = {"agent_id": "a-1"}
    assert runtime_with(facts, runtime) == {**runtime, "tallystick": {"decision": "allowed"}}
    assert runtime_with(facts) == {"tallystick": {"decision": "allowed"}}
    assert runtime_with(Extension(), runtime) is runtime
    assert runtime_with(Extension()) is None


def test_strange_members_are_refused() -> None:
    """What is not declared is refused by name, not ignored."""
    issuer = Issuer(id="x", runtime={"tallystick": {"surprise": 1}})
    with pytest.raises(ReceiptError, match="surprise"):
        extension_of(issuer)
