# SPDX-License-Identifier: Apache-2.0
"""Azure Functions: a function that leaves a receipt of each thing it does.

Settings: AGENTRECEIPTS_COLLECTOR_URL, AGENTRECEIPTS_COLLECTOR_TOKEN, and AGENTRECEIPTS_KEY as a
reference to a secret in Key Vault. Key Vault can keep an Ed25519 key, and not sign with it.

What is particular to Azure, and why this looks as it does: docs/howto/deploy-on-azure-functions.md.
"""

from __future__ import annotations

import json
import threading
from typing import Final

import azure.functions as func

from tallystick import EmitError, connect, install_sigterm_flush

ISSUER: Final = "did:web:agents.example:prices"
PRINCIPAL: Final = "did:web:shop.example"

PRICES: Final = {"apple": 30, "pear": 40}

# Module scope: once for each worker process. Each has a chain of its own.
recorder = connect(issuer=ISSUER, principal=PRINCIPAL)
if threading.current_thread() is threading.main_thread():  # no other one may install a handler
    install_sigterm_flush(recorder, recorder)

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


@app.route(route="prices/{item}", methods=["GET"])
async def price(req: func.HttpRequest) -> func.HttpResponse:
    """Say what something costs, when the receipts of it are at the collector."""
    item = req.route_params["item"]
    try:
        async with recorder.action(
            "data.database.query",
            target={"system": "prices", "resource": item},
            parameters={"item": item},
        ) as call:
            call.result = {"item": item, "cents": PRICES[item]}
    except KeyError:
        return answer(404, {"error": "there is no such item"})
    except EmitError:
        return answer(503, {"error": "nothing is done without a receipt"})
    return answer(200, call.result)


def answer(status: int, body: object) -> func.HttpResponse:
    """Return a JSON answer."""
    return func.HttpResponse(json.dumps(body), status_code=status, mimetype="application/json")
