# SPDX-License-Identifier: Apache-2.0
"""What the daemon states of frames, as its settings say: redaction, disclosure, and whose name.

The settings can be changed between two frames; each frame is drafted by one state of them.
"""

from __future__ import annotations

import socket

from tallystick.daemon.attestation import Attestation
from tallystick.daemon.disclosing import Disclosure, parse_policy
from tallystick.daemon.drafter import Drafter
from tallystick.daemon.drafting import DraftSettings
from tallystick.daemon.peer import attest
from tallystick.daemon.principal_names import PrincipalNames
from tallystick.daemon.settings import Settings
from tallystick.durable.file import read_bounded, shown
from tallystick.errors import KeyFormatError, LimitError, PatternError, SettingError
from tallystick.keys.forensic import forensic_public_key_from
from tallystick.limits import KEY_FILE_BYTES_MAX, PATTERN_FILE_BYTES_MAX
from tallystick.model.redact import Redactor, read_patterns


class Statements:
    """Owns the drafter and the names of users."""

    def __init__(self, settings: Settings) -> None:
        """Read what the settings name, or raise `SettingError` or `PatternError`."""
        self._names = PrincipalNames()
        self.drafter = Drafter(draft_settings(settings), self._names)

    def attest(self, connection: socket.socket) -> Attestation:
        """Return who connected, and begin to ask for the user's name: a frame comes soon."""
        attestation = attest(connection)
        self._names.known(attestation.credential.uid)
        return attestation

    def take(self, settings: Settings) -> None:
        """Draft by other settings from now on; where they can't be used, raise and go on as is."""
        self.drafter.settings = draft_settings(settings)
        self._names.forget()

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


def draft_settings(settings: Settings) -> DraftSettings:
    """Return what drafting needs, or raise `SettingError`."""
    return DraftSettings(
        issuer_id=settings.issuer_id,
        redactor=_redactor(settings.redact_patterns),
        disclosure=Disclosure(
            parse_policy(settings.parameter_disclosure),
            parse_policy(settings.response_disclosure),
            _forensic_key(settings.forensic_public_key),
        ),
    )


def _redactor(path: str) -> Redactor:
    if not path:
        return Redactor()
    try:
        return Redactor(read_patterns(read_bounded(path, PATTERN_FILE_BYTES_MAX)))
    except (LimitError, PatternError) as fault:
        raise SettingError(f"redact_patterns: {shown(path)}: {fault}") from None


def _forensic_key(path: str) -> bytes | None:
    if not path:
        return None
    try:
        return forensic_public_key_from(read_bounded(path, KEY_FILE_BYTES_MAX))
    except (KeyFormatError, LimitError) as fault:
        raise SettingError(f"forensic_public_key: {shown(path)}: {fault}") from None
