# SPDX-License-Identifier: Apache-2.0
"""Action types and their default risk (protocol taxonomy 0.1.0, and the types built in here).

A type is one of the taxonomy, `unknown` with a target system, built in, or custom behind a
reverse domain. The claimed risk of an action may exceed the default of its type, never undercut
it. Custom types have no default that could be undercut: without a claim they are medium.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from tallystick.errors import ReceiptError
from tallystick.limits import IDENTIFIER_CHARS_MAX

RiskLevel = Literal["low", "medium", "high", "critical"]

# From harmless to grave: the order of comparison.
RISK_LEVELS: Final[tuple[RiskLevel, ...]] = ("low", "medium", "high", "critical")

_RANK: Final = {level: rank for rank, level in enumerate(RISK_LEVELS)}

UNKNOWN: Final = "unknown"
KEY_ROTATE: Final = "agent.key.rotate"
# What a daemon calls itself as an issuer, and what a target is in that is a chain of its own.
DAEMON_ISSUER: Final = "AgentReceiptsDaemon"
CHAINS_SYSTEM: Final = "agent_receipts"
AGENT_START: Final = "agent_receipts.agent_start"
AGENT_END: Final = "agent_receipts.agent_end"
CHAIN_INTERRUPTED: Final = "agent_receipts.chain_interrupted"
EVENTS_DROPPED: Final = "agent_receipts.events_dropped"

CUSTOM_RISK: Final[RiskLevel] = "medium"

TAXONOMY: Final[Mapping[str, RiskLevel]] = MappingProxyType(
    {
        "communication.calendar.create": "medium",
        "communication.calendar.delete": "high",
        "communication.calendar.modify": "medium",
        "communication.email.delete": "high",
        "communication.email.draft": "medium",
        "communication.email.read": "low",
        "communication.email.send": "high",
        "communication.message.send": "high",
        "data.api.delete": "high",
        "data.api.read": "low",
        "data.api.write": "medium",
        "data.database.modify": "high",
        "data.database.query": "low",
        "document.file.create": "low",
        "document.file.delete": "high",
        "document.file.modify": "medium",
        "document.file.share": "high",
        "document.presentation.modify_slide": "medium",
        "document.spreadsheet.modify_cell": "medium",
        "document.spreadsheet.modify_formula": "high",
        "document.spreadsheet.modify_structure": "medium",
        "filesystem.directory.create": "low",
        "filesystem.directory.delete": "high",
        "filesystem.directory.list": "low",
        "filesystem.file.create": "low",
        "filesystem.file.delete": "high",
        "filesystem.file.modify": "medium",
        "filesystem.file.move": "medium",
        "filesystem.file.read": "low",
        "financial.booking.cancel": "high",
        "financial.booking.create": "high",
        "financial.payment.authorize": "critical",
        "financial.payment.initiate": "critical",
        "financial.subscription.cancel": "high",
        "financial.subscription.create": "critical",
        "network.egress.observed": "medium",
        "system.application.control": "medium",
        "system.application.launch": "low",
        "system.browser.authenticate": "high",
        "system.browser.form_submit": "medium",
        "system.browser.navigate": "low",
        "system.code.execute": "high",
        "system.command.execute": "high",
        "system.pty.close": "high",
        "system.pty.open": "critical",
        "system.settings.modify": "high",
    }
)

# Low where implementations in the field write low: a higher default would refuse their receipts.
BUILT_IN: Final[Mapping[str, RiskLevel]] = MappingProxyType(
    {
        UNKNOWN: "medium",
        KEY_ROTATE: "high",
        AGENT_START: "low",
        AGENT_END: "low",
        CHAIN_INTERRUPTED: "low",
        EVENTS_DROPPED: "low",
    }
)

# Both in one, for the path that every receipt takes.
_FLOORS: Final[dict[str, RiskLevel]] = {**TAXONOMY, **BUILT_IN}

_DOMAINS: Final = frozenset(action_type.split(".")[0] for action_type in TAXONOMY)
_RESERVED: Final = frozenset(action_type.split(".")[0] for action_type in BUILT_IN)

# Format characters, marks that join the letter before them, and unassigned ones.
_UNSEEN: Final = frozenset(("Cf", "Mn", "Me", "Cc", "Cn"))
_ISSUERS_ONLY: Final = ("agent_receipts.", "agent.key.")

_FIRST_LABEL: Final = r"[a-z][a-z0-9]+|xn--[a-z0-9-]*[a-z0-9]"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?"
_LABELS_MIN: Final = 3

_TYPE_AT: Final = "/credentialSubject/action/type"
_RISK_AT: Final = "/credentialSubject/action/risk_level"
_SYSTEM_AT: Final = "/credentialSubject/action/target/system"

_BUILT_IN_MEANING: Final[Mapping[str, str]] = MappingProxyType(
    {
        UNKNOWN: "an action that fits no type; it must name its target system",
        KEY_ROTATE: "the issuer's key gives way to a new one",
        AGENT_START: "an agent begins a chain",
        AGENT_END: "an agent closes its chain",
        CHAIN_INTERRUPTED: "the issuer stopped before the agent closed its chain",
        EVENTS_DROPPED: "frames of an emitter were lost; the receipt says how many",
    }
)


class TaxonomyRow(NamedTuple):
    """One line of the generated reference page."""

    action_type: str
    risk: RiskLevel
    origin: Literal["taxonomy", "built in"]
    meaning: str


class Grade(NamedTuple):
    """What we make of an action ourselves: its risk, its type where that is plain, and why."""

    risk: RiskLevel
    type: str | None
    reason: str


def gravest(grades: Iterable[Grade | None]) -> Grade | None:
    """Return the first of the gravest grades, or None where there is none."""
    best: Grade | None = None
    for grade in grades:
        if grade is not None and (best is None or _RANK[grade.risk] > _RANK[best.risk]):
            best = grade
    return best


def default_risk(action_type: str) -> RiskLevel | None:
    """Return the risk below which no such action may be claimed; None for custom types."""
    return _FLOORS.get(action_type)


def risk_at_least(level: RiskLevel, floor: RiskLevel) -> bool:
    """Whether `level` is as grave as `floor`, or graver."""
    return RISK_LEVELS.index(level) >= RISK_LEVELS.index(floor)


def settle_risk(action_type: str, claimed: str | None) -> RiskLevel:
    """Return the risk of an action: the claim, or the default of its type without one."""
    floor = _FLOORS.get(action_type)
    if claimed is None:
        return floor or CUSTOM_RISK
    level = _risk_level(claimed)
    if floor is not None and not risk_at_least(level, floor):
        raise ReceiptError(
            f"{action_type} is {floor}: risk may be raised but not lowered to {level}", _RISK_AT
        )
    return level


def check_action_type(action_type: str, target_system: str | None) -> None:
    """Raise `ReceiptError` for a type that no receipt of ours may carry."""
    if action_type not in _FLOORS:
        _check_custom_type(action_type)
    elif action_type == UNKNOWN and not target_system:
        raise ReceiptError("an action of type unknown must name its target system", _SYSTEM_AT)


def is_reserved(action_type: str) -> bool:
    """Whether only the issuer itself may use this type: no emitter or tool may claim it."""
    return action_type != UNKNOWN and action_type.split(".", maxsplit=1)[0] in _RESERVED


@lru_cache(maxsize=1024)
def is_for_issuers_only(action_type: str) -> bool:
    """Whether no emitter may claim this type, however it is spelled: it would pass for ours."""
    if not action_type.isascii():
        # As a reader sees it: without what is invisible, and wide letters as plain ones.
        visible = unicodedata.normalize("NFKC", action_type)
        action_type = "".join(one for one in visible if unicodedata.category(one) not in _UNSEEN)
    folded = action_type.strip().casefold()
    return folded.startswith(_ISSUERS_ONLY) or f"{folded}." in _ISSUERS_ONLY


def check_emitted_type(action_type: str, target_system: str | None) -> None:
    """Raise `ReceiptError` for a type that no receipt may carry on an emitter's word.

    Emitters in the field name types as they like (`claude-code.Bash`); only the issuer's own are
    kept from them, and `unknown` keeps its rule.
    """
    if not action_type or len(action_type) > IDENTIFIER_CHARS_MAX:
        raise ReceiptError(f"is empty or longer than {IDENTIFIER_CHARS_MAX} characters", _TYPE_AT)
    if is_for_issuers_only(action_type):
        raise ReceiptError("is for the issuer itself", _TYPE_AT)
    if action_type == UNKNOWN and not target_system:
        raise ReceiptError("an action of type unknown must name its target system", _SYSTEM_AT)


def taxonomy_rows() -> list[TaxonomyRow]:
    """Return all types with a default risk, as the reference page lists them."""
    rows = [TaxonomyRow(name, risk, "taxonomy", "") for name, risk in sorted(TAXONOMY.items())]
    rows += [
        TaxonomyRow(name, risk, "built in", _BUILT_IN_MEANING[name])
        for name, risk in sorted(BUILT_IN.items())
    ]
    return rows


def _risk_level(claimed: str) -> RiskLevel:
    for level in RISK_LEVELS:
        if claimed == level:
            return level
    raise ReceiptError(f"risk is one of {', '.join(RISK_LEVELS)}", _RISK_AT)


def _check_custom_type(action_type: str) -> None:
    if len(action_type) > IDENTIFIER_CHARS_MAX:
        raise ReceiptError(f"longer than {IDENTIFIER_CHARS_MAX} characters", _TYPE_AT)
    first, *others = action_type.split(".")
    if first in _DOMAINS:
        raise ReceiptError(f"the taxonomy has no such type in its domain {first}", _TYPE_AT)
    if first in _RESERVED:
        raise ReceiptError(f"types that begin with {first} are reserved", _TYPE_AT)
    if len(others) + 1 < _LABELS_MIN or not re.fullmatch(_FIRST_LABEL, first):
        raise ReceiptError(
            "a custom type begins with a reversed domain, as com.example.invoice.send does",
            _TYPE_AT,
        )
    if not all(re.fullmatch(_LABEL, label) for label in others):
        raise ReceiptError(
            "the labels of a custom type are letters and digits, with _ or - between them",
            _TYPE_AT,
        )
