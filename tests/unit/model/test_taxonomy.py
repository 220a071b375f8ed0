# SPDX-License-Identifier: Apache-2.0
"""Action types: the published table, the reserved ones, and the form of custom ones."""

from __future__ import annotations

import json
import os
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.errors import ReceiptError
from tallystick.limits import IDENTIFIER_CHARS_MAX
from tallystick.model.taxonomy import (
    BUILT_IN,
    RISK_LEVELS,
    TAXONOMY,
    RiskLevel,
    check_action_type,
    check_emitted_type,
    default_risk,
    is_for_issuers_only,
    is_reserved,
    risk_at_least,
    settle_risk,
    taxonomy_rows,
)

ROOT = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("TALLY_SHARED") or ROOT.parent / "shared")
PUBLISHED = SHARED / "schema" / "action-types.json"


def test_table_is_the_published_one() -> None:
    """All 46 published types are here, with their default risk, and no others."""
    if not PUBLISHED.exists():
        pytest.skip(f"published taxonomy not found at {PUBLISHED}; set TALLY_SHARED")
    domains = json.loads(PUBLISHED.read_text())["domains"]
    published = {
        action["type"]: action["risk_level"]
        for domain in domains.values()
        for action in domain["actions"]
    }
    assert len(published) == 46
    assert published == TAXONOMY


def test_built_in_types() -> None:
    """The types of our own are reserved, `unknown` apart, and have the risk that peers write."""
    assert dict(BUILT_IN) == {
        "unknown": "medium",
        "agent.key.rotate": "high",
        "agent_receipts.agent_start": "low",
        "agent_receipts.agent_end": "low",
        "agent_receipts.chain_interrupted": "low",
        "agent_receipts.events_dropped": "low",
    }
    assert [name for name in BUILT_IN if not is_reserved(name)] == ["unknown"]
    assert not TAXONOMY.keys() & BUILT_IN.keys()


def test_tables_cannot_be_changed() -> None:
    """No caller can lower a default for everybody else."""
    with pytest.raises(TypeError):
        TAXONOMY["system.pty.open"] = "low"  # type: ignore[index]  # what is tried here
    with pytest.raises(TypeError):
        BUILT_IN["unknown"] = "low"  # type: ignore[index]  # what is tried here


def test_risk_levels_are_ordered() -> None:
    """`risk_at_least` is the order low, medium, high, critical."""
    assert RISK_LEVELS == ("low", "medium", "high", "critical")
    for level in RISK_LEVELS:
        reached = [floor for floor in RISK_LEVELS if risk_at_least(level, floor)]
        assert reached == list(RISK_LEVELS[: len(reached)])
        assert reached[-1] == level


def test_default_risk() -> None:
    """Known types have a default; custom and misspelt ones have none."""
    assert default_risk("financial.payment.initiate") == "critical"
    assert default_risk("unknown") == "medium"
    assert default_risk("com.example.widget.frob") is None
    assert default_risk("filesystem.file") is None


@pytest.mark.parametrize(
    ("action_type", "claimed"), list(product([*TAXONOMY, *BUILT_IN], [None, *RISK_LEVELS]))
)
def test_risk_is_raised_but_never_lowered(action_type: str, claimed: RiskLevel | None) -> None:
    """The claim holds from the default upwards; below, it is refused; without one, the default."""
    floor = default_risk(action_type)
    assert floor is not None
    if claimed is None:
        assert settle_risk(action_type, claimed) == floor
    elif risk_at_least(claimed, floor):
        assert settle_risk(action_type, claimed) == claimed
    else:
        with pytest.raises(ReceiptError, match="not lowered") as caught:
            settle_risk(action_type, claimed)
        assert caught.value.where == "/credentialSubject/action/risk_level"


def test_custom_types_are_medium_without_a_claim() -> None:
    """No default binds a custom type: any claim holds."""
    assert settle_risk("com.example.widget.frob", None) == "medium"
    for claimed in RISK_LEVELS:
        assert settle_risk("com.example.widget.frob", claimed) == claimed


@pytest.mark.parametrize("claimed", ["", "LOW", "severe", "low "])
def test_risk_outside_of_the_levels_is_refused(claimed: str) -> None:
    """Only the four levels are levels."""
    with pytest.raises(ReceiptError, match="risk is one of"):
        settle_risk("filesystem.file.read", claimed)


@pytest.mark.parametrize("action_type", sorted({*TAXONOMY, *BUILT_IN} - {"unknown"}))
def test_known_types_pass(action_type: str) -> None:
    """Each type of the taxonomy and each built-in one needs nothing else."""
    check_action_type(action_type, None)


@pytest.mark.parametrize("system", [None, ""])
def test_unknown_needs_a_target_system(system: str | None) -> None:
    """`unknown` says at least where the action took place."""
    check_action_type("unknown", "crm.example.com")
    with pytest.raises(ReceiptError, match="target system") as caught:
        check_action_type("unknown", system)
    assert caught.value.where == "/credentialSubject/action/target/system"


@pytest.mark.parametrize(
    "action_type",
    [
        "com.example.widget.frob",
        "com.example.frob",
        "io.github.acme.tool.run_now",
        "mcp.github.createIssue",
        "mcp.my-server.read_file",
        "doctor.agent-receipts-doctor.roundtrip",
        "xn--p1ai.example.frob",
        "io.3m.frob",
    ],
)
def test_custom_types_with_a_reversed_domain_pass(action_type: str) -> None:
    """Three labels or more, the first like a top-level domain."""
    check_action_type(action_type, None)
    assert not is_reserved(action_type)


@pytest.mark.parametrize(
    ("action_type", "reason"),
    [
        ("", "reversed domain"),
        ("frob", "reversed domain"),
        ("widget.frob", "reversed domain"),
        ("claude-code.Bash", "reversed domain"),
        ("c.example.frob", "reversed domain"),
        ("1com.example.frob", "reversed domain"),
        ("Com.example.frob", "reversed domain"),
        ("Filesystem.file.delete", "reversed domain"),
        ("co-m.example.frob", "reversed domain"),
        ("com_.example.frob", "reversed domain"),
        (".com.example.frob", "reversed domain"),
        ("com.example.frob\n", "labels"),
        ("com\n.example.frob", "reversed domain"),
        ("com.example.", "labels"),
        ("com..example.frob", "labels"),
        ("com.-example.frob", "labels"),
        ("com.example-.frob", "labels"),
        ("com.exa mple.frob", "labels"),
        ("com.exämple.frob", "labels"),
        ("com.example.fr/ob", "labels"),
        ("com.example.\u202efrob", "labels"),
        ("filesystem.foo.bar", "its domain filesystem"),
        ("filesystem.file.delete.now", "its domain filesystem"),
        ("filesystem", "its domain filesystem"),
        ("system.command.executed", "its domain system"),
        ("agent_receipts.foo", "reserved"),
        ("agent_receipts.foo.bar", "reserved"),
        ("agent.key.rotated", "reserved"),
        ("agent.other.thing", "reserved"),
        ("unknown.example.frob", "reserved"),
        ("com.example." + "a" * IDENTIFIER_CHARS_MAX, "longer"),
    ],
)
def test_other_types_are_refused(action_type: str, reason: str) -> None:
    """Whatever is not known and not a custom type in form is refused, at the type."""
    with pytest.raises(ReceiptError, match=reason) as caught:
        check_action_type(action_type, "somewhere")
    assert caught.value.where == "/credentialSubject/action/type"


@given(st.text(max_size=40))
def test_any_text_is_answered(action_type: str) -> None:
    """No text brings out anything but an answer or a `ReceiptError`."""
    try:
        check_action_type(action_type, None)
    except ReceiptError as fault:
        message = str(fault)
    else:
        message = ""
    assert message.isascii()


def test_reference_rows() -> None:
    """The reference page has one row for each type; those of our own say what they mean."""
    rows = taxonomy_rows()
    assert {row.action_type: row.risk for row in rows} == {**TAXONOMY, **BUILT_IN}
    assert len(rows) == 52
    assert all(row.meaning for row in rows if row.origin == "built in")


@pytest.mark.parametrize(
    "name",
    [
        "agent_receipts.chain_interrupted",
        "agent_receipts.anything",
        "agent_receipts",
        "agent.key.rotate",
        "agent.key",
        "AGENT.Key.Rotate",
        "agent_receipt\u017f.x",  # a long s, which folds to s
        " agent_receipts.events_dropped",
        "agent_receipts\u200b.events_dropped",  # a space of no width
        "agent\u00ad.key.rotate",
        "\uff41gent.key.rotate",  # a wide letter
    ],
)
def test_emitters_may_not_use_the_issuers_types(name: str) -> None:
    """However it is spelled, no emitter's type passes for one of ours."""
    assert is_for_issuers_only(name)
    with pytest.raises(ReceiptError):
        check_emitted_type(name, None)


@pytest.mark.parametrize("name", ["claude-code.Bash", "mcp.github.x", "agent.start", "agents", "x"])
def test_emitters_name_types_as_they_like(name: str) -> None:
    """What emitters in the field write is taken, also where our own rule is stricter."""
    assert not is_for_issuers_only(name)
    check_emitted_type(name, None)


def test_an_emitted_type_keeps_two_rules() -> None:
    """It is bounded, and `unknown` names its target."""
    for name, system in (("", None), ("x" * 2000, None), ("unknown", None)):
        with pytest.raises(ReceiptError):
            check_emitted_type(name, system)
    check_emitted_type("unknown", "github")
