# SPDX-License-Identifier: Apache-2.0
"""The table of what the daemon can be told."""

from __future__ import annotations

from tallystick.daemon.settings import FIXED
from tallystick.daemon.variables import DAEMON

# The protocol's other daemon has these; its users find them here under the same names.
THEIRS = {
    "socket": "AGENTRECEIPTS_SOCKET",
    "db": "AGENTRECEIPTS_DB",
    "key": "AGENTRECEIPTS_KEY",
    "public_key": "AGENTRECEIPTS_PUBLIC_KEY",
    "forensic_public_key": "AGENTRECEIPTS_FORENSIC_PUBLIC_KEY",
    "chain_id": "AGENTRECEIPTS_CHAIN_ID",
    "issuer_id": "AGENTRECEIPTS_ISSUER_ID",
    "verification_method": "AGENTRECEIPTS_VERIFICATION_METHOD",
    "parameter_disclosure": "AGENTRECEIPTS_PARAMETER_DISCLOSURE",
    "unsafe_socket_path": "AGENTRECEIPTS_UNSAFE_SOCKET_PATH",
    "redact_patterns": "AGENTRECEIPTS_REDACT_PATTERNS",
}


def test_names_of_the_field_are_kept() -> None:
    """What the other daemon calls by a name has it here, too."""
    found = {one.name: one.environment for one in DAEMON}
    assert THEIRS.items() <= found.items()


def test_each_is_listed_once_and_explained() -> None:
    """Names are unique, ours have a prefix of ours, and each has a purpose in a sentence."""
    assert len({one.name for one in DAEMON}) == len({one.environment for one in DAEMON})
    for one in DAEMON:
        assert one.environment.startswith(("AGENTRECEIPTS_", "TALLY_"))
        assert one.purpose.endswith(".")
    assert set(FIXED) <= {one.name for one in DAEMON}
