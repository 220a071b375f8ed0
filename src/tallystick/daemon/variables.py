# SPDX-License-Identifier: Apache-2.0
"""What `tally daemon` can be told: as options, in `daemon.toml`, and from the environment.

The names that the protocol's other daemon has keep their meaning; ours (`TALLY_…`) stand beside
them. `docs/reference/configuration.md` is generated from this table, too.
"""

from __future__ import annotations

from typing import Final, Literal

from tallystick.config import Variable
from tallystick.limits import EMITTERS_MAX

_Kind = Literal["text", "path", "number", "duration", "flag"]


def _row(name: str, environment: str, kind: _Kind, default: str, purpose: str) -> Variable:
    return Variable(name=name, environment=environment, kind=kind, default=default, purpose=purpose)


DAEMON: Final = (
    _row(
        "socket",
        "AGENTRECEIPTS_SOCKET",
        "path",
        "",
        "Unix socket to listen on. Default: $XDG_RUNTIME_DIR/agentreceipts/events.sock or "
        "/run/agentreceipts/events.sock; on macOS ~/.local/share/agent-receipts/events.sock.",
    ),
    _row(
        "db",
        "AGENTRECEIPTS_DB",
        "path",
        "<data>/receipts.db",
        "The store. <data> is $XDG_DATA_HOME/agent-receipts or ~/.local/share/agent-receipts.",
    ),
    _row(
        "key",
        "AGENTRECEIPTS_KEY",
        "path",
        "<data>/signing.key",
        "File of the signing key; `tally daemon init` makes it. Always a path, never a key.",
    ),
    _row(
        "signer",
        "TALLY_SIGNER",
        "text",
        "",
        "URI of a signer instead of a key file: pkcs11:, awskms:, gcpkms: or vault:. Not together "
        "with key.",
    ),
    _row(
        "next_signer",
        "TALLY_NEXT_SIGNER",
        "text",
        "",
        "URI of the signer that `tally daemon rotate` hands over to. Needed where signer is set.",
    ),
    _row(
        "public_key",
        "AGENTRECEIPTS_PUBLIC_KEY",
        "path",
        "<key>.pub",
        "Where the public key is published at each start, for all to read.",
    ),
    _row(
        "forensic_public_key",
        "AGENTRECEIPTS_FORENSIC_PUBLIC_KEY",
        "path",
        "",
        "Public X25519 key of who may read disclosed parameters and responses.",
    ),
    _row(
        "chain_id",
        "AGENTRECEIPTS_CHAIN_ID",
        "text",
        "",
        "Id of the one root chain. Default: a new one each day, named after its date in UTC.",
    ),
    _row(
        "issuer_id",
        "AGENTRECEIPTS_ISSUER_ID",
        "text",
        "did:agent-receipts-daemon:local",
        "The issuer of all receipts. Two hosts with the same one can't be told apart.",
    ),
    _row(
        "verification_method",
        "AGENTRECEIPTS_VERIFICATION_METHOD",
        "text",
        "<issuer_id>#k1",
        "What stands in proof.verificationMethod.",
    ),
    _row(
        "parameter_disclosure",
        "AGENTRECEIPTS_PARAMETER_DISCLOSURE",
        "text",
        "off",
        "Whose parameters are enclosed, encrypted: off, high, all, or a list of action types.",
    ),
    _row(
        "response_disclosure",
        "AGENTRECEIPTS_RESPONSE_DISCLOSURE",
        "text",
        "off",
        "The same for what the action returned.",
    ),
    _row(
        "redact_patterns",
        "AGENTRECEIPTS_REDACT_PATTERNS",
        "path",
        "",
        "File of more patterns for secrets, besides those that are built in.",
    ),
    _row(
        "unsafe_socket_path",
        "AGENTRECEIPTS_UNSAFE_SOCKET_PATH",
        "flag",
        "false",
        "Listen also where others may be able to put a socket; warned of every minute.",
    ),
    _row(
        "shutdown_deadline",
        "AGENTRECEIPTS_SHUTDOWN_DEADLINE",
        "duration",
        "10s",
        "How long emitters may take to fetch their answers after SIGTERM. Nothing that was sent "
        "is given up for it.",
    ),
    _row(
        "status_socket",
        "TALLY_STATUS_SOCKET",
        "path",
        "<socket's folder>/status.sock",
        "Unix socket on which the daemon says how it is.",
    ),
    _row(
        "emit_group",
        "TALLY_EMIT_GROUP",
        "text",
        "",
        "Group that may send frames. Default: the daemon's own.",
    ),
    _row(
        "read_group",
        "TALLY_READ_GROUP",
        "text",
        "",
        "Group that may read the store. Default: the daemon's own.",
    ),
    _row(
        "max_connections",
        "TALLY_MAX_CONNECTIONS",
        "number",
        str(EMITTERS_MAX),
        "Connections that are open at a time; one user may have three quarters of them.",
    ),
    _row(
        "frame_timeout",
        "TALLY_FRAME_TIMEOUT",
        "duration",
        "10s",
        "From the first byte of a frame to its last.",
    ),
    _row(
        "idle_timeout",
        "TALLY_IDLE_TIMEOUT",
        "duration",
        "24h",
        "How long a connection may stay without a frame.",
    ),
    _row(
        "log_format",
        "TALLY_LOG_FORMAT",
        "text",
        "json",
        "How events are written to standard error: json or text.",
    ),
    _row(
        "log_level",
        "TALLY_LOG_LEVEL",
        "text",
        "info",
        "From which level on: debug, info, warning or error.",
    ),
)
