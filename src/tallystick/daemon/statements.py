# SPDX-License-Identifier: Apache-2.0
"""What the daemon states of frames, as its settings say: redaction, disclosure, and whose name.

The settings can be changed between two frames; each frame is drafted by one state of them.
"""

from __future__ import annotations

import socket

from tallystick.daemon.attestation import Attestation
from tallystick.daemon.disclosing import parse_policy
from tallystick.daemon.drafter import Drafter
from tallystick.daemon.drafting_ahead import DraftingAhead
from tallystick.daemon.peer import attest
from tallystick.daemon.principal_names import PrincipalNames
from tallystick.daemon.settings import Settings
from tallystick.daemon.terms import Terms, draft_settings_of
from tallystick.durable.file import read_bounded, shown
from tallystick.errors import KeyFormatError, LimitError, PatternError, SettingError
from tallystick.keys.forensic import forensic_public_key_from
from tallystick.limits import KEY_FILE_BYTES_MAX, PATTERN_FILE_BYTES_MAX
from tallystick.model.redact import read_patterns
from tallystick.model.secret_patterns import Pattern


class Statements:
    """Owns the drafter and the names of users."""

    def __init__(self, settings: Settings) -> None:
        """Read what the settings name, or raise `SettingError` or `PatternError`."""
        self._names = PrincipalNames()
        terms = terms_from(settings)
        self.drafter = Drafter(draft_settings_of(terms), self._names)
        self.ahead = DraftingAhead(terms, self._names)

    def attest(self, connection: socket.socket) -> Attestation:
        """Return who connected, and begin to ask for the user's name: a frame comes soon."""
        attestation = attest(connection)
        self._names.known(attestation.credential.uid)
        return attestation

    def knows(self, uid: int | None) -> bool:
        """Whether the user's name has been found: nobody waits for it."""
        return self._names.is_found(uid)

    def take(self, settings: Settings) -> None:
        """Draft by other settings from now on; where they can't be used, raise and go on as is."""
        terms = terms_from(settings)
        self.drafter.settings = draft_settings_of(terms)
        self._names.forget()
        self.ahead.take(terms)

    @property
    def is_key_idle(self) -> bool:
        """Whether there is a forensic key that no policy uses."""
        disclosure = self.drafter.settings.disclosure
        return disclosure is not None and disclosure.is_idle

    @property
    def undisclosed(self) -> dict[str, int]:
        """What a policy elected and could not be sealed, by reason."""
        disclosure = self.drafter.settings.disclosure
        return {} if disclosure is None else dict(disclosure.missed)


def terms_from(settings: Settings) -> Terms:
    """Return what settings say of drafting, or raise `SettingError`."""
    return Terms(
        issuer_id=settings.issuer_id,
        patterns=_patterns(settings.redact_patterns),
        parameters=parse_policy(settings.parameter_disclosure),
        responses=parse_policy(settings.response_disclosure),
        forensic_key=_forensic_key(settings.forensic_public_key),
    )


def _patterns(path: str) -> tuple[Pattern, ...]:
    if not path:
        return ()
    try:
        return read_patterns(read_bounded(path, PATTERN_FILE_BYTES_MAX))
    except (LimitError, PatternError) as fault:
        raise SettingError(f"redact_patterns: {shown(path)}: {fault}") from None


def _forensic_key(path: str) -> bytes | None:
    if not path:
        return None
    try:
        return forensic_public_key_from(read_bounded(path, KEY_FILE_BYTES_MAX))
    except (KeyFormatError, LimitError) as fault:
        raise SettingError(f"forensic_public_key: {shown(path)}: {fault}") from None
