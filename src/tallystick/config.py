# SPDX-License-Identifier: Apache-2.0
"""One table of everything that can be set from outside, and how it is read.

`docs/reference/configuration.md` is generated from `VARIABLES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from tallystick import environment as outside
from tallystick.errors import SettingError
from tallystick.limits import RECEIPT_BYTES_MAX, SERVED_CONNECTIONS_MAX


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """One setting: what it is called, what it takes, and what it is for."""

    name: str
    environment: str
    kind: Literal["text", "path", "number", "duration", "flag"]
    default: str
    purpose: str
    secret: bool = False

    @property
    def flag(self) -> str:
        """The option of a command that sets the same."""
        return "--" + self.name.replace("_", "-")


# What `tally collector run` takes: as options (`--tls-cert`), in its TOML file (`tls_cert = …`) and
# from these variables.
COLLECTOR: Final = (
    Variable(
        name="addr",
        environment="AGENTRECEIPTS_COLLECTOR_ADDR",
        kind="text",
        default="127.0.0.1:8787",
        purpose=(
            "Host and port to listen on. Any other machine may connect unless it is a loopback "
            "address, so then a credential must be asked for."
        ),
    ),
    Variable(
        name="db",
        environment="AGENTRECEIPTS_COLLECTOR_DB",
        kind="text",
        default="collector.db",
        purpose=("Where receipts are kept: the path of an SQLite file, or postgresql://…."),
    ),
    Variable(
        name="max_body_bytes",
        environment="AGENTRECEIPTS_COLLECTOR_MAX_BODY_BYTES",
        kind="number",
        default=str(RECEIPT_BYTES_MAX),
        purpose=("The largest receipt that is taken."),
    ),
    Variable(
        name="drain_timeout",
        environment="AGENTRECEIPTS_COLLECTOR_DRAIN_TIMEOUT",
        kind="duration",
        default="10s",
        purpose=("How long requests that have begun may take after SIGTERM."),
    ),
    Variable(
        name="keys",
        environment="TALLY_COLLECTOR_KEYS",
        kind="path",
        default="<db>.keys",
        purpose=(
            "Directory of the log's keys; `tally collector keys` makes it. For PostgreSQL: "
            "collector.keys."
        ),
    ),
    Variable(
        name="tokens",
        environment="TALLY_COLLECTOR_TOKENS",
        kind="path",
        default="<db>.tokens",
        purpose=(
            "File of tokens; `tally collector token` writes it. For PostgreSQL: collector.tokens."
        ),
    ),
    Variable(
        name="allow_anonymous",
        environment="TALLY_COLLECTOR_ALLOW_ANONYMOUS",
        kind="flag",
        default="false",
        purpose=(
            "Take requests without a credential, for the tenant `anonymous`, also from other "
            "machines."
        ),
    ),
    Variable(
        name="tls_cert",
        environment="TALLY_COLLECTOR_TLS_CERT",
        kind="path",
        default="",
        purpose=("PEM file of the service's certificate, with its chain: HTTPS instead of HTTP."),
    ),
    Variable(
        name="tls_key",
        environment="TALLY_COLLECTOR_TLS_KEY",
        kind="path",
        default="",
        purpose=("PEM file of its private key, where it is not in the same file."),
    ),
    Variable(
        name="client_ca",
        environment="TALLY_COLLECTOR_CLIENT_CA",
        kind="path",
        default="",
        purpose=(
            "PEM file of the authorities whose client certificates count. Which tenant a "
            "certificate stands for is said under [certificates] in the TOML file."
        ),
    ),
    Variable(
        name="require_client_cert",
        environment="TALLY_COLLECTOR_REQUIRE_CLIENT_CERT",
        kind="flag",
        default="false",
        purpose=("Refuse connections without a client certificate, also where a token would do."),
    ),
    Variable(
        name="rate",
        environment="TALLY_COLLECTOR_RATE",
        kind="number",
        default="0",
        purpose=("Receipts per second that each tenant may send in the long run; 0 sets no limit."),
    ),
    Variable(
        name="burst",
        environment="TALLY_COLLECTOR_BURST",
        kind="number",
        default="0",
        purpose=("Receipts that a tenant may send at once; 0 is ten times the rate."),
    ),
    Variable(
        name="max_connections",
        environment="TALLY_COLLECTOR_MAX_CONNECTIONS",
        kind="number",
        default=str(SERVED_CONNECTIONS_MAX),
        purpose=("Connections that are open at a time; further ones get 503."),
    ),
    Variable(
        name="log_format",
        environment="TALLY_COLLECTOR_LOG_FORMAT",
        kind="text",
        default="json",
        purpose=("How events are written to standard error: json or text."),
    ),
    Variable(
        name="log_level",
        environment="TALLY_COLLECTOR_LOG_LEVEL",
        kind="text",
        default="info",
        purpose=("From which level on: debug, info, warning or error."),
    ),
    Variable(
        name="log_requests",
        environment="TALLY_COLLECTOR_LOG_REQUESTS",
        kind="flag",
        default="false",
        purpose=("Write an event for each request, too."),
    ),
)

VARIABLES: Final = (
    Variable(
        name="key",
        environment="AGENTRECEIPTS_KEY",
        kind="text",
        default="",
        purpose=(
            "Signing key for EnvVarKeyProvider: `u` and the 43 base64url characters of a 32-byte "
            "seed, or a PKCS#8 PEM (line breaks may be written as `\\n`). The daemon reads the "
            "same variable as the path of a key file."
        ),
        secret=True,
    ),
    Variable(
        name="production",
        environment="AGENTRECEIPTS_PRODUCTION",
        kind="flag",
        default="false",
        purpose="Exactly `true` forbids generated keys: GeneratingKeyProvider raises.",
    ),
    Variable(
        name="pkcs11_pin",
        environment="TALLY_PKCS11_PIN",
        kind="text",
        default="",
        purpose="User PIN of the token that Pkcs11Signer opens, read whenever it logs in.",
        secret=True,
    ),
    Variable(
        name="collector_url",
        environment="AGENTRECEIPTS_COLLECTOR_URL",
        kind="text",
        default="",
        purpose="Where `connect` delivers receipts: the base URL of a collector.",
    ),
    Variable(
        name="collector_token",
        environment="AGENTRECEIPTS_COLLECTOR_TOKEN",
        kind="text",
        default="",
        purpose="Bearer token for that collector.",
        secret=True,
    ),
    Variable(
        name="log_trust",
        environment="TALLY_LOG_TRUST",
        kind="path",
        default="",
        purpose=(
            "Folder with `log.vkey` and `sheet` of that collector's log: `connect` checks each "
            "promise that it is given."
        ),
    ),
    Variable(
        name="promises",
        environment="TALLY_PROMISES",
        kind="path",
        default="",
        purpose="Folder where `connect` keeps those promises, for a monitor or for their proofs.",
    ),
    Variable(
        name="require_promise",
        environment="TALLY_REQUIRE_PROMISE",
        kind="flag",
        default="false",
        purpose=(
            "Whether an answer without a promise counts as not delivered. Exactly true or false."
        ),
    ),
    Variable(
        name="deadline",
        environment="TALLY_DEADLINE_MS",
        kind="number",
        default="30000",
        purpose=(
            "Milliseconds that `connect` lets the delivery of one receipt take, with all attempts. "
            "Give it less than your function's own timeout."
        ),
    ),
    Variable(
        name="verification_method",
        environment="AGENTRECEIPTS_VERIFICATION_METHOD",
        kind="text",
        default="<issuer>#key-1",
        purpose="What `connect` writes into proof.verificationMethod.",
    ),
    Variable(
        name="chain_id",
        environment="AGENTRECEIPTS_CHAIN_ID",
        kind="text",
        default="a fresh one",
        purpose="Id of the first chain that `connect` begins. Two processes must not share one.",
    ),
    Variable(
        name="socket",
        environment="AGENTRECEIPTS_SOCKET",
        kind="text",
        default="",
        purpose=(
            "Socket of a signing daemon: `connect` tells it of each action, and signs nothing. "
            "For the daemon itself: where it listens."
        ),
    ),
    Variable(
        name="spool",
        environment="TALLY_SPOOL",
        kind="path",
        default="",
        purpose=(
            "Directory where `connect`, the MCP proxy and the hook keep what a daemon that is down "
            "could not be told; it is sent later. Without it, the hook has one among your data."
        ),
    ),
    Variable(
        name="approvals",
        environment="TALLY_APPROVALS",
        kind="path",
        default="<runtime directory>/tallystick/approvals",
        purpose=(
            "Directory where MCP proxies announce their approval API, for `tally mcp approvals`."
        ),
    ),
    Variable(
        name="claude_session",
        environment="CLAUDE_CODE_SESSION_ID",
        kind="text",
        default="",
        purpose="Set by Claude Code. An MCP proxy that it starts records under this session.",
    ),
    Variable(
        name="claude_settings",
        environment="CLAUDE_CONFIG_DIR",
        kind="path",
        default="",
        purpose="Moves Claude Code's settings, and so what `tally hook|mcp install` edits.",
    ),
    Variable(
        name="codex_settings",
        environment="CODEX_HOME",
        kind="path",
        default="",
        purpose="Moves Codex's settings, and so what `tally hook|mcp install` edits.",
    ),
    Variable(
        name="file",
        environment="TALLY_FILE",
        kind="text",
        default="receipts.jsonl",
        purpose="File that `connect` appends receipts to where no collector is named.",
    ),
    Variable(
        name="wal",
        environment="TALLY_WAL",
        kind="text",
        default="",
        purpose="Write-ahead log of `connect`, as a file. Without it the log is in memory.",
    ),
    Variable(
        name="rpc",
        environment="TALLY_RPC",
        kind="text",
        default="",
        purpose="Where `tally hub` finds a chain: a node's http(s) address, or `embedded`.",
        secret=True,
    ),
    Variable(
        name="evm_chain_id",
        environment="TALLY_EVM_CHAIN_ID",
        kind="number",
        default="",
        purpose="The number that the chain of `tally hub` must have; else a node names it.",
    ),
    Variable(
        name="onchain_home",
        environment="TALLY_ONCHAIN_HOME",
        kind="path",
        default="onchain",
        purpose=(
            "Directory of `tally hub`: contracts' addresses, the journal of sent transactions, the "
            "watcher's cursor, and the embedded chain."
        ),
    ),
    Variable(
        name="evm_signer",
        environment="TALLY_EVM_SIGNER",
        kind="text",
        default="",
        purpose="The key with which `tally hub` sends transactions: a keystore file or a URI.",
    ),
    Variable(
        name="lambda_function",
        environment="AWS_LAMBDA_FUNCTION_NAME",
        kind="text",
        default="",
        purpose="Set by AWS Lambda. We look whether it is there: its disk goes with the instance.",
    ),
    Variable(
        name="cloud_run_service",
        environment="K_SERVICE",
        kind="text",
        default="",
        purpose=(
            "Set by Cloud Run. We look whether it is there: its disk is memory, and its CPU sleeps "
            "between requests."
        ),
    ),
    Variable(
        name="cloud_run_job",
        environment="CLOUD_RUN_JOB",
        kind="text",
        default="",
        purpose="Set by a Cloud Run job. We look whether it is there: its disk is memory.",
    ),
    Variable(
        name="functions_runtime",
        environment="FUNCTIONS_WORKER_RUNTIME",
        kind="text",
        default="",
        purpose="Set by Azure Functions. We look whether it is there: its disk may be emptied.",
    ),
    *COLLECTOR,
)

read: Final = outside.read
process_environment: Final = outside.process_environment

# No setting needs more digits.
_NUMBER_CHARS_MAX: Final = 18

# Platforms whose instances come and go, by the variable that each sets.
_EPHEMERAL_RUNTIMES: Final = {
    "AWS_LAMBDA_FUNCTION_NAME": "AWS Lambda",
    "K_SERVICE": "Cloud Run",
    "CLOUD_RUN_JOB": "Cloud Run",
    "FUNCTIONS_WORKER_RUNTIME": "Azure Functions",
}


def ephemeral_runtime(environ: Mapping[str, str] | None = None) -> str | None:
    """Return the name of the platform that we run on, where its instances come and go."""
    for environment, runtime in _EPHEMERAL_RUNTIMES.items():
        if read(environment, environ):
            return runtime
    return None


def read_number(environment: str, environ: Mapping[str, str] | None = None) -> int | None:
    """Return the whole number of one variable, or None where it is not set or empty."""
    text = read(environment, environ)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _NUMBER_CHARS_MAX):
        raise SettingError(f"{environment} must be a whole number, without sign or unit")
    return int(text)


def read_flag(environment: str, environ: Mapping[str, str] | None = None) -> bool:
    """Tell whether a flag is set: only the exact text `true` sets it."""
    return read(environment, environ) == "true"
