# SPDX-License-Identifier: Apache-2.0
"""A function in the cloud that delivers as it works, and is killed in the middle of a call."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tallystick import HttpEmitter, HttpEmitterConfig, LogTrust, connect

keys = Path("collector.keys")
log = LogTrust(vkey=(keys / "log.vkey").read_text(), sheet=(keys / "sheet").read_bytes())
url = os.environ["AGENTRECEIPTS_COLLECTOR_URL"]
recorder = connect(
    issuer="did:example:demo-function",
    principal="did:example:alice",
    emitter=HttpEmitter(HttpEmitterConfig(url, log=log, require_promise=True, promises="promises")),
)

with recorder.action("filesystem.file.read", target={"resource": "plan.txt"}) as call:
    call.result = "buy milk"

with recorder.action("system.command.execute", target={"resource": "make report"}) as call:
    os.kill(os.getpid(), signal.SIGKILL)  # as a platform does, when time is up
    call.result = "done"
