# SPDX-License-Identifier: Apache-2.0
"""Cloud Run: a service that leaves a receipt of each thing it does.

    python main.py        serves on $PORT, which Cloud Run sets

Environment: AGENTRECEIPTS_COLLECTOR_URL, AGENTRECEIPTS_COLLECTOR_TOKEN, and where the signing key
is: GCP_KMS_KEY (the name of a key version), or AGENTRECEIPTS_KEY while developing.

What is particular to Cloud Run, and why this looks as it does: docs/howto/deploy-on-cloud-run.md.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from tallystick import (
    BearerAuth,
    ChainClosedError,
    EmitError,
    EnvVarKeyProvider,
    HttpEmitter,
    HttpEmitterConfig,
    KeyPair,
    MemoryWal,
    SessionSigner,
    WalEmitter,
    connect,
    install_sigterm_flush,
)

ISSUER: Final = "did:web:agents.example:prices"
PRINCIPAL: Final = "did:web:shop.example"

PRICES: Final = {"apple": 30, "pear": 40}


def signer() -> KeyPair | SessionSigner:
    """Return a key that Cloud KMS lends to this instance, or the one of the environment."""
    name = os.environ.get("GCP_KMS_KEY")
    if name is None:
        return EnvVarKeyProvider().get_key_pair()
    from tallystick.keys.gcp import CloudKMSSigner

    lease = SessionSigner(CloudKMSSigner(name))
    lease.warm_up()  # asks Cloud KMS for its public key now, and not on a request's clock
    return lease


# Module scope: one chain and one pool of connections for all requests of an instance.
emitter = WalEmitter(
    inner=HttpEmitter(
        HttpEmitterConfig(
            endpoint=os.environ["AGENTRECEIPTS_COLLECTOR_URL"],
            auth=BearerAuth(token=os.environ["AGENTRECEIPTS_COLLECTOR_TOKEN"]),
            # Between requests there may be no CPU: a receipt is delivered before the answer is.
            strategy="sync",
        )
    ),
    wal=MemoryWal(),  # the disk of an instance is its memory
)
# When a lease has ended, this closes its chain and begins the next one with another lease.
recorder = connect(issuer=ISSUER, principal=PRINCIPAL, signer=signer(), emitter=emitter)


class Prices(BaseHTTPRequestHandler):
    """Says what something costs."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer when the receipts of what was done are at the collector."""
        item = self.path.strip("/")
        try:
            with recorder.action(
                "data.database.query",
                target={"system": "prices", "resource": item},
                parameters={"item": item},
            ) as call:
                call.result = {"item": item, "cents": PRICES[item]}
        except KeyError:
            self.answer(404, {"error": "there is no such item"})
        except (EmitError, ChainClosedError):
            self.answer(503, {"error": "nothing is done without a receipt"})
        else:
            self.answer(200, call.result)

    def answer(self, status: int, body: object) -> None:
        """Send a JSON body."""
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Server(ThreadingHTTPServer):
    """One thread for each connection; closing waits for the requests that are being answered."""

    daemon_threads = False
    request_queue_size = 128


def main() -> None:
    """Serve until SIGTERM; then deliver what is left and close the chain."""
    server = Server(("", int(os.environ.get("PORT", "8080"))), Prices)
    signal.signal(
        signal.SIGTERM, lambda _number, _frame: threading.Thread(target=server.shutdown).start()
    )
    # From SIGTERM on there are 10 seconds. This flushes first and then lets the line above run.
    install_sigterm_flush(recorder, recorder)
    server.serve_forever()
    server.server_close()
    recorder.close()


if __name__ == "__main__":
    main()
