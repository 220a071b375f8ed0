# SPDX-License-Identifier: Apache-2.0
"""AWS Fargate: a worker whose receipts survive its own end and the collector's.

    python main.py        takes files from $INBOX and archives them in $ARCHIVE, until SIGTERM

Environment: AGENTRECEIPTS_COLLECTOR_URL, AGENTRECEIPTS_COLLECTOR_TOKEN, TALLY_WAL (a file on the
task's disk), and where the signing key is: KMS_KEY_ID, or AGENTRECEIPTS_KEY while developing.

What is particular to Fargate, and why this looks as it does: docs/howto/deploy-on-fargate.md.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from hashlib import sha256
from pathlib import Path
from typing import Final

from tallystick import (
    BearerAuth,
    ChainClosedError,
    EnvVarKeyProvider,
    FileWal,
    HttpEmitter,
    HttpEmitterConfig,
    KeyPair,
    RetryConfig,
    SessionSigner,
    WalEmitter,
    connect,
    install_sigterm_flush,
)

ISSUER: Final = "did:web:agents.example:archive"
PRINCIPAL: Final = "did:web:records.example"

INBOX: Final = Path(os.environ.get("INBOX", "inbox"))
ARCHIVE: Final = Path(os.environ.get("ARCHIVE", "archive"))

_LOG = logging.getLogger("archive")


def signer() -> KeyPair | SessionSigner:
    """Return a key that KMS lends to this task, or the one of the environment."""
    key_id = os.environ.get("KMS_KEY_ID")
    if key_id is None:
        return EnvVarKeyProvider().get_key_pair()
    from tallystick.keys.aws import KMSSigner

    lease = SessionSigner(KMSSigner(key_id))
    lease.warm_up()
    return lease


# Module scope: one log and one pool of connections for the life of the task.
emitter = WalEmitter(
    inner=HttpEmitter(
        HttpEmitterConfig(
            endpoint=os.environ["AGENTRECEIPTS_COLLECTOR_URL"],
            auth=BearerAuth(token=os.environ["AGENTRECEIPTS_COLLECTOR_TOKEN"]),
            retry=RetryConfig(max_attempts=2),  # the log waits; the work need not
        )
    ),
    wal=FileWal(os.environ.get("TALLY_WAL", "/var/lib/tally/wal")),
)
# When a lease has ended, this closes its chain and begins the next one with another lease.
recorder = connect(
    issuer=ISSUER,
    principal=PRINCIPAL,
    signer=signer(),
    emitter=emitter,
    # What is in the log is safe: the work goes on while the collector is away.
    hold_undelivered=True,
)


def archive(path: Path) -> None:
    """Put one file away under its hash."""
    with recorder.action(
        "filesystem.file.move",
        target={"system": "archive", "resource": path.name},
        parameters={"from": path.name},
    ) as call:
        digest = sha256(path.read_bytes()).hexdigest()
        path.rename(ARCHIVE / digest)
        call.result = {"to": digest}


def main() -> None:
    """Deliver what an earlier task left, then work until SIGTERM."""
    logging.basicConfig(level=logging.INFO)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stopping.set())
    # This flushes first and then lets the line above run. `stopTimeout` bounds both.
    install_sigterm_flush(recorder, recorder, deadline_ms=5_000)

    backlog = emitter.replay()
    _LOG.info("delivered %d from before, %d wait", backlog.delivered, backlog.remaining)
    try:
        while not stopping.wait(0.05):
            for path in sorted(INBOX.iterdir()):
                if not stopping.is_set():
                    archive(path)
    except ChainClosedError:
        _LOG.info("closed as interrupted, in the middle of a file")
    finally:
        recorder.close()


if __name__ == "__main__":
    main()
