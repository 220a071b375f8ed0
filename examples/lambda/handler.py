# SPDX-License-Identifier: Apache-2.0
"""AWS Lambda: a function that leaves a receipt of each thing it does.

    handler   handler.handler
    runtime   python3.12 or later: older ones don't let a function answer SIGTERM

Environment: AGENTRECEIPTS_COLLECTOR_URL, AGENTRECEIPTS_COLLECTOR_TOKEN, and where the signing key
is: KMS_KEY_ID with AGENTRECEIPTS_PRODUCTION=true, or AGENTRECEIPTS_KEY while developing. Also
TALLY_DEADLINE_MS, less than the function's timeout.

What is particular to Lambda, and why this looks as it does: docs/howto/deploy-on-lambda.md.
"""

from __future__ import annotations

import os
from typing import Any, Final

from tallystick import Recorder, SessionSigner, connect, install_sigterm_flush

ISSUER: Final = "did:web:agents.example:prices"
PRINCIPAL: Final = "did:web:shop.example"

# Lambda gives the runtime 300 ms beside an external extension. Without one there is no SIGTERM.
# The flush may take this long, and then, where something remains, agent_end too.
GRACE_MS: Final = 140

PRICES: Final = {"apple": 30, "pear": 40}

recorder: Recorder


def begin() -> None:
    """Begin the chain of this execution environment. No collector is asked for anything yet."""
    global recorder  # noqa: PLW0603  # module scope is what outlives an invocation
    recorder = connect(issuer=ISSUER, principal=PRINCIPAL, signer=signer())
    install_sigterm_flush(recorder, recorder, deadline_ms=GRACE_MS)


def signer() -> SessionSigner | None:
    """Return a key that KMS lends to this environment, or None: then AGENTRECEIPTS_KEY is it."""
    key_id = os.environ.get("KMS_KEY_ID")
    if key_id is None:
        return None
    from tallystick.keys.aws import KMSSigner

    lease = SessionSigner(KMSSigner(key_id))
    lease.warm_up()  # asks KMS for its public key now, and not on a request's clock
    return lease


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Say what something costs."""
    item = event["item"]
    with recorder.action(
        "data.database.query",
        target={"system": "prices", "resource": item},
        parameters={"item": item},
    ) as call:
        call.result = {"item": item, "cents": PRICES[item]}
    # Here the collector has acknowledged both receipts: the environment may be frozen.
    return {"item": item, "cents": PRICES[item], "receipt": call.receipt and call.receipt.id}


if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    from snapshot_restore_py import register_after_restore

    # Many environments start from one snapshot: a chain begun before it would have many writers.
    register_after_restore(begin)
else:
    begin()
