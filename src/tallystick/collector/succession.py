# SPDX-License-Identifier: Apache-2.0
"""The first entry of a log that follows another: it commits to the last checkpoint of that one.

Whoever kept that checkpoint can make these bytes again, and prove them as entry 0 of the new log:
so an origin that had to end leaves no gap in which its end could be rewritten.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallystick.collector.ingest import parse_submission
from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.note import parse_note
from tallystick.model.checkpoint import parse_checkpoint
from tallystick.model.submission import Submission

# Of no tenant: no token can name it.
_TENANT: Final = ""


def succession_body(origin: str, predecessor: bytes) -> bytes:
    """Return what entry 0 of a log is about: the note of the log before it, as a receipt's shape.

    Raises `LogFormatError` where the bytes are not the note of a checkpoint.
    """
    text, _ = parse_note(predecessor)
    before = parse_checkpoint(text)
    return canonicalize(
        {
            "id": f"urn:tally:log:{before.origin}",
            "issuer": {"id": f"urn:tally:log:{origin}"},
            "credentialSubject": {
                "action": {"type": "system.log.succeed"},
                "chain": {"chain_id": f"urn:tally:log:{origin}"},
            },
            "checkpoint": predecessor.decode(),
            "proof": {"proofValue": "none"},
        }
    )


def succession(origin: str, predecessor: bytes) -> Submission:
    """Return the first entry of a log that follows another, as a store takes it."""
    found = parse_submission(_TENANT, succession_body(origin, predecessor))
    return msgspec.structs.replace(found, sequence=None)
