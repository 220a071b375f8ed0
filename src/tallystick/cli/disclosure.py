# SPDX-License-Identifier: Apache-2.0
"""What `tally disclose` does: finds envelopes, opens them, and compares hashes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from tallystick.cli.inputs import Damage, examined_receipts
from tallystick.cli.output import Exit, Stop, say
from tallystick.crypto.hpke import forensic_public_key
from tallystick.durable.file import shown
from tallystick.errors import (
    DecryptionError,
    EnvelopeError,
    KeyFileError,
    KeyFormatError,
    LimitError,
)
from tallystick.keys.file import read_key_file
from tallystick.keys.forensic import forensic_key_from
from tallystick.model.disclosure import (
    DisclosureEnvelope,
    decrypt_disclosure,
    disclosure_matches,
    forensic_kid,
    parse_envelope,
)
from tallystick.model.receipt import Receipt

_FINGERPRINT: Final = re.compile("sha256:[0-9a-f]{64}")


def open_envelopes(paths: Sequence[str], key_path: str) -> None:
    """Write the plaintext of every envelope as one line of JSON; stop when any was not opened."""
    private_key = _read_key(key_path)
    kid = forensic_kid(forensic_public_key(private_key))
    damage, is_empty = Damage(), True
    for where, examined in examined_receipts(paths):
        if damage.found_in(examined, where) or examined.receipt is None:
            is_empty = False
            continue
        for member, envelope, digest in _envelopes(examined.receipt):
            is_empty = False
            place = f"{where} {member}"
            value = _opened(envelope, private_key, kid, place, damage)
            if value is None:
                continue
            answer = _compared(value, digest)
            if answer == "differs":
                line = "is not what the signed hash beside it names; ask the issuer which is true"
                damage.note(Exit.REFUSED, f"{place}: {line}")
            told = {"receipt": examined.receipt.id, "member": member, "value": value}
            say(json.dumps({**told, "hash": answer}, separators=(",", ":")))
    damage.stop()
    if is_empty:
        raise Stop(Exit.UNCHECKED, "there is no disclosure in the input")


def _read_key(path: str) -> bytes:
    try:
        return forensic_key_from(read_key_file(path))
    except KeyFileError as fault:
        raise Stop(Exit.USAGE, f"--key: {fault}") from None
    except KeyFormatError as fault:
        raise Stop(Exit.USAGE, f"--key: {shown(path)}: {fault}") from None


def _envelopes(receipt: Receipt) -> Iterator[tuple[str, object, str | None]]:
    action, outcome = receipt.action, receipt.outcome
    if action.parameters_disclosure is not None:
        yield "parameters_disclosure", action.parameters_disclosure, action.parameters_hash
    if outcome.response_disclosure is not None:
        yield "response_disclosure", outcome.response_disclosure, outcome.response_hash


def _opened(
    envelope: object, private_key: bytes, kid: str, place: str, damage: Damage
) -> dict[str, Any] | None:
    try:
        parsed = parse_envelope(envelope)
        try:
            return decrypt_disclosure(parsed, private_key)
        except DecryptionError as fault:
            damage.note(*_why_closed(parsed, kid, place, fault))
    except (EnvelopeError, LimitError) as fault:
        damage.note(Exit.REFUSED, f"{place}: {fault}")
    return None


def _why_closed(
    envelope: DisclosureEnvelope, kid: str, place: str, fault: DecryptionError
) -> tuple[Exit, str]:
    # The label is not protected, so it only decides what we say, never whether we try.
    label = envelope.recipient.kid
    if label != kid and _FINGERPRINT.fullmatch(label):
        line = f"{place}: is sealed to the key {label}, and the one given is {kid}"
        return Exit.UNCHECKED, line
    if label == kid:
        line = f"{place}: names this key, which does not open it: label or content was altered"
        return Exit.REFUSED, line
    return Exit.REFUSED, f"{place}: {fault}; try the key that is known as {label}"


def _compared(value: dict[str, Any], digest: str | None) -> str:
    if digest is None:
        return "absent"
    return "matches" if disclosure_matches(value, digest) else "differs"
