# SPDX-License-Identifier: Apache-2.0
"""What a receipt states of a frame: the emitter's word, the kernel's word, and our own, apart.

Pure: the same frame, peer and settings give the same statement. Ids, times, the place in the chain
and the signature come from who issues it. The frame is redacted first; its payloads are hashed and
sealed as they were sent.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Final

import msgspec

from tallystick.chain.payload import capped_error, capped_intent, payload_hash
from tallystick.chain.straight import Checked
from tallystick.crypto.canonical import is_plain
from tallystick.daemon.attestation import Attestation
from tallystick.daemon.disclosing import NOTHING, Disclosed, Disclosure
from tallystick.limits import FRAME_USAGE_DEPTH_MAX
from tallystick.model.action import Action, EmitterMetadata, Intent, Outcome, Target
from tallystick.model.classify import claimed_risk, classify, settled_risk
from tallystick.model.extension import Extension, Risk, Rule, runtime_with, with_extension
from tallystick.model.frame import Frame
from tallystick.model.receipt import Issuer, Operator, Principal
from tallystick.model.redact import Redactor
from tallystick.model.taxonomy import DAEMON_ISSUER, EVENTS_DROPPED, UNKNOWN, check_emitted_type

# Channels whose results say themselves that they are errors.
_MCP: Final = frozenset(("mcp", "mcp_proxy"))
# Members of a frame that stand in the issuer's runtime.
_RUNTIME: Final = ("agent_id", "agent_type", "capture_method", "model", "usage")
_RUNTIME_OF: Final = attrgetter(*_RUNTIME)
_NOTHING_TOLD: Final = (None,) * len(_RUNTIME)


class DraftSettings(msgspec.Struct, frozen=True, kw_only=True):
    """In whose name, and what is kept from the eyes of readers."""

    issuer_id: str
    redactor: Redactor
    disclosure: Disclosure | None = None


def draft_receipt(
    frame: Frame,
    peer: Attestation,
    principal_id: str,
    settings: DraftSettings,
    *,
    late: bool = False,
    is_parsed: bool = False,
) -> dict[str, Any]:
    """Return the arguments of `create_receipt` for a frame, but for chain, delegation and clock.

    They are `Checked` where the parser has seen every value of them: `is_parsed` says that the
    frame comes from it.
    """
    shown = settings.redactor.frame(frame)
    kind = shown.type
    own = classify(frame.tool.name, frame.input, frame.tool.server)
    claimed = claimed_risk(kind)
    risk = settled_risk(claimed, own)
    sealed = NOTHING
    if settings.disclosure is not None:
        sealed = settings.disclosure.seal(kind, risk, frame.input, frame.output)
    facts = Extension(
        decision=shown.decision,
        emitted_at=shown.ts_emit,
        late=True if late or frame.late else None,
        peer=peer.peer,
        risk=None
        if claimed is None and own is None
        else Risk(claimed=claimed, own=None if own is None else own.risk),
        rule=_rule(shown),
    )
    is_checked = (
        is_parsed
        and shown is frame
        and sealed == NOTHING
        and (frame.usage is None or is_plain(frame.usage, FRAME_USAGE_DEPTH_MAX + 1))
    )
    arguments: dict[str, Any] = (Checked if is_checked else dict)(
        issuer=_issuer(shown, settings, facts),
        principal=Principal(id=principal_id),
        action=Action(
            idempotency_key=shown.idempotency_key,
            parameters_disclosure=sealed.parameters,
            parameters_hash=None if frame.input is None else payload_hash(frame.input),
            peer_credential=peer.credential,
            risk_level=risk,
            target=_target(shown, kind),
            tool_name=shown.tool.name,
            type=kind,
        ),
        outcome=_outcome(frame, shown, sealed),
        check_type=check_emitted_type,
    )
    if shown.prompt_preview is not None:
        arguments["intent"] = capped_intent(Intent(prompt_preview=shown.prompt_preview))
    if shown.correlation_id is not None:
        arguments["correlation_id"] = shown.correlation_id
    return arguments


def draft_drops(
    frame: Frame, peer: Attestation, principal_id: str, settings: DraftSettings, count: int
) -> dict[str, Any]:
    """Return the same for what an emitter says it lost before this frame."""
    shown = settings.redactor.frame(frame)
    issuer = Issuer(id=settings.issuer_id, session_id=shown.session_id, type=DAEMON_ISSUER)
    return {
        "issuer": with_extension(issuer, Extension(emitted_at=shown.ts_emit, peer=peer.peer)),
        "principal": Principal(id=principal_id),
        "action": Action(
            emitter_metadata=EmitterMetadata(drop_count=count),
            peer_credential=peer.credential,
            risk_level="low",
            tool_name="events_dropped",
            type=EVENTS_DROPPED,
        ),
        "outcome": Outcome(status="success"),
    }


def _issuer(shown: Frame, settings: DraftSettings, facts: Extension) -> Issuer:
    told = _RUNTIME_OF(shown)
    runtime = None
    if told != _NOTHING_TOLD:
        named = zip(_RUNTIME, told, strict=True)
        runtime = {name: value for name, value in named if value is not None}
    operator = None
    if shown.operator_id is not None:
        operator = Operator(id=shown.operator_id, name=shown.operator_name or "")
    return Issuer(
        id=settings.issuer_id,
        model=shown.issuer_model,
        name=shown.issuer_name,
        operator=operator,
        runtime=runtime_with(facts, runtime),
        session_id=shown.session_id,
        type=DAEMON_ISSUER,
    )


def _target(shown: Frame, kind: str) -> Target | None:
    if shown.target_system is not None:
        return Target(resource=shown.target_resource, system=shown.target_system)
    if kind == UNKNOWN:
        # The protocol wants to know of what system a thing that nobody can name is.
        return Target(system=shown.tool.server or shown.channel)
    return None


def _outcome(frame: Frame, shown: Frame, sealed: Disclosed) -> Outcome:
    failed = frame.error is not None or (
        frame.channel in _MCP
        and isinstance(frame.output, dict)
        and frame.output.get("isError") is True
    )
    if frame.decision == "pending":
        status = "pending"
    elif frame.decision == "denied" or failed:
        # What tells the two apart is the decision, among the facts of ours.
        status = "failure"
    else:
        status = "success"
    return Outcome(
        error=capped_error(shown.error),
        response_disclosure=sealed.response,
        response_hash=None if frame.output is None else payload_hash(frame.output),
        status=status,  # type: ignore[arg-type]  # mypy widens the three literals
    )


def _rule(shown: Frame) -> Rule | None:
    rule = shown.rule
    if rule is None:
        return None
    told = Rule(action=rule.action, approver=rule.approver, name=rule.name, reason=rule.reason)
    return told if told.to_dict() else None
