# SPDX-License-Identifier: Apache-2.0
"""What `tally solver` can be told: as options, in `solver.toml`, and from the environment.

The gate's first three have the names of the source. `docs/reference/configuration.md` is generated
from this table, too.
"""

from __future__ import annotations

from typing import Final, Literal

from tallystick.config import Variable

_Kind = Literal["text", "path", "number", "duration", "flag"]


def _row(
    name: str, environment: str, kind: _Kind, default: str, purpose: str, *, secret: bool = False
) -> Variable:
    return Variable(
        name=name,
        environment=environment,
        kind=kind,
        default=default,
        purpose=purpose,
        secret=secret,
    )


SOLVER: Final = (
    _row(
        "home",
        "TALLY_SOLVER_HOME",
        "path",
        "tally-solver",
        "Directory of the solver's runs, and of solver.toml and signing.key by default.",
    ),
    _row(
        "key",
        "TALLY_SOLVER_KEY",
        "text",
        "<home>/signing.key",
        "Ed25519 signer of receipts and manifests: a PEM file, or a signer's URI.",
    ),
    _row(
        "evm_key",
        "TALLY_SOLVER_EVM_KEY",
        "text",
        "",
        "secp256k1 signer of manifests, beside the other, and of posts: a signer's URI.",
    ),
    _row(
        "rpc",
        "TALLY_SOLVER_RPC",
        "text",
        "",
        (
            "Node of the chain on which runs that succeed are posted, or `embedded`; evm_key is "
            "the operator. Without it nothing is posted."
        ),
        secret=True,  # an address may hold a key
    ),
    _row(
        "contracts",
        "TALLY_SOLVER_CONTRACTS",
        "path",
        "",
        "Where the contracts are, as `tally hub deploy` wrote it; else the one in onchain_home.",
    ),
    _row(
        "onchain_home",
        "TALLY_ONCHAIN_HOME",
        "path",
        "onchain",
        "Directory of the account's journal of transactions, which `tally hub` shares.",
    ),
    _row(
        "issuer",
        "TALLY_SOLVER_ISSUER",
        "text",
        "the did:key of the key",
        "Who issues the receipts of runs.",
    ),
    _row(
        "daemon",
        "AGENTRECEIPTS_SOCKET",
        "path",
        "",
        (
            "Socket of a signing daemon that records what runs do, each in a chain of its own; "
            "without it the solver signs their receipts itself."
        ),
    ),
    _row(
        "store",
        "TALLY_SOLVER_STORE",
        "path",
        "",
        (
            "The daemon's receipts.db, which is only read: receipts of a run are put into its "
            "bundle from there. Without it a bundle binds the acknowledged head alone."
        ),
    ),
    _row(
        "collector",
        "TALLY_SOLVER_COLLECTOR",
        "text",
        "",
        (
            "Collector that takes the receipts of runs; the proof that they are in its log is put "
            "into the bundle. The token is that of AGENTRECEIPTS_COLLECTOR_TOKEN."
        ),
    ),
    _row(
        "vkey",
        "TALLY_SOLVER_VKEY",
        "text",
        "",
        "Public key of that collector's log: name+id+base64, or a file of it.",
    ),
    _row(
        "policy_jobtype_allowlist",
        "POLICY_JOBTYPE_ALLOWLIST",
        "text",
        "SAFE_REPORT",
        "Job types that may run: separated by commas, without spaces; a list in TOML.",
    ),
    _row(
        "policy_requester_allowlist",
        "POLICY_REQUESTER_ALLOWLIST",
        "text",
        "",
        (
            "Requesters that may ask, as the job types are given. Without it anybody may; an empty "
            "list in TOML lets nobody."
        ),
    ),
    _row(
        "policy_max_artifact_mb",
        "POLICY_MAX_ARTIFACT_MB",
        "number",
        "5",
        "The largest canonical inputs, and all artefacts of a run, in units of 2^20 bytes.",
    ),
    _row(
        "policy_max_horizon",
        "TALLY_POLICY_MAX_HORIZON",
        "duration",
        "",
        "How far ahead an intent may expire, like 24h; then each has to say when it does.",
    ),
    _row(
        "policy_require_signature",
        "TALLY_POLICY_REQUIRE_SIGNATURE",
        "flag",
        "false",
        "Refuse intents that their requester has not signed.",
    ),
    _row(
        "addr",
        "TALLY_SOLVER_ADDR",
        "text",
        "127.0.0.1:8788",
        (
            "Host and port to listen on. Any other machine may connect unless it is a loopback "
            "address, so then a credential must be asked for."
        ),
    ),
    _row(
        "tokens",
        "TALLY_SOLVER_TOKENS",
        "path",
        "<home>/tokens",
        "File of tokens; `tally collector token add --tokens FILE` writes it.",
    ),
    _row(
        "allow_anonymous",
        "TALLY_SOLVER_ALLOW_ANONYMOUS",
        "flag",
        "false",
        "Take requests without a credential, also from other machines.",
    ),
    _row(
        "tls_cert",
        "TALLY_SOLVER_TLS_CERT",
        "path",
        "",
        "PEM file of the service's certificate, with its chain: HTTPS instead of HTTP.",
    ),
    _row(
        "tls_key",
        "TALLY_SOLVER_TLS_KEY",
        "path",
        "",
        "PEM file of its private key, where it is not in the same file.",
    ),
    _row("concurrency", "TALLY_SOLVER_CONCURRENCY", "number", "2", "Runs at a time."),
    _row(
        "queue",
        "TALLY_SOLVER_QUEUE",
        "number",
        "100",
        "Intents that wait for their run; further ones get 503.",
    ),
    _row(
        "drain_timeout",
        "TALLY_SOLVER_DRAIN_TIMEOUT",
        "duration",
        "30s",
        "How long runs that have begun may take after SIGTERM; then they end as failures.",
    ),
    _row(
        "log_format",
        "TALLY_SOLVER_LOG_FORMAT",
        "text",
        "json",
        "How events are written to standard error: json or text.",
    ),
    _row(
        "log_level",
        "TALLY_SOLVER_LOG_LEVEL",
        "text",
        "info",
        "From which level on: debug, info, warning or error.",
    ),
)
# What a run needs; the rest is for the service.
_FOR_RUNS: Final = frozenset(
    (
        *("home", "key", "evm_key", "rpc", "contracts", "onchain_home", "issuer"),
        *("daemon", "store", "collector", "vkey"),
    )
)
RUN: Final = tuple(one for one in SOLVER if one.name in _FOR_RUNS)
GATE: Final = tuple(one for one in SOLVER if one.name.startswith("policy_"))
