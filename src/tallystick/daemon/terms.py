# SPDX-License-Identifier: Apache-2.0
"""The settings of drafting as plain values, so that another process can be told of them."""

from __future__ import annotations

from typing import Final

import msgspec

from tallystick.daemon.disclosing import Disclosure, DisclosurePolicy
from tallystick.daemon.drafting import DraftSettings
from tallystick.model.redact import Redactor
from tallystick.model.secret_patterns import Pattern


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """In whose name, which secrets are looked for beside the usual ones, and what is sealed."""

    issuer_id: str
    patterns: tuple[Pattern, ...] = ()
    parameters: DisclosurePolicy = DisclosurePolicy()
    responses: DisclosurePolicy = DisclosurePolicy()
    forensic_key: bytes | None = None


_ENCODE: Final = msgspec.msgpack.Encoder(order="deterministic").encode
_DECODE: Final = msgspec.msgpack.Decoder(Terms).decode


def encoded_terms(terms: Terms) -> bytes:
    """Return terms as a piece."""
    return _ENCODE(terms)


def terms_of(piece: bytes) -> Terms:
    """Return the terms that a piece holds."""
    return _DECODE(piece)


def draft_settings_of(terms: Terms) -> DraftSettings:
    """Return what drafting needs, or raise `SettingError`."""
    return DraftSettings(
        issuer_id=terms.issuer_id,
        redactor=Redactor(terms.patterns),
        disclosure=Disclosure(terms.parameters, terms.responses, terms.forensic_key),
    )
