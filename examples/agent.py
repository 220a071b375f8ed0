# SPDX-License-Identifier: Apache-2.0
"""The demo's agent: it works on real files, and signs a receipt of each action by itself."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from tallystick import (
    FileKeyProvider,
    Head,
    Link,
    UnsignedReceipt,
    canonicalize,
    create_receipt,
    issue,
)

ISSUER = "did:example:demo-agent"
PRINCIPAL = "did:example:alice"


class Agent:
    """Works on real files, and leaves a receipt of each action in `chain.jsonl`."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._key = FileKeyProvider(place / "signing.key").get_key_pair()
        self._head = Head(chain_id="demo-1")

    def act(self, kind: str, path: str, work: Callable[[Path], Any], **more: Any) -> None:
        """Do one piece of work, and record how it ended: also when it fails."""
        try:
            answer = work(self.place / path)
        except OSError as fault:
            outcome = {"status": "failure", "error": f"{type(fault).__name__}: {fault.strerror}"}
            self.record(kind, path, outcome, **more)
        else:
            self.record(kind, path, {"status": "success"}, response_body=answer, **more)

    def call(self, kind: str, path: str, work: Callable[[Path], Any]) -> None:
        """Record a call before it begins and again when it has ended, tied by a correlation id."""
        self.record(kind, path, {"status": "pending"}, correlation_id="call-1")
        self.act(kind, path, work, correlation_id="call-1")

    def end(self) -> None:
        """Close the chain: from now on a missing end shows."""
        self.record("agent_receipts.agent_end", "", {"status": "success"}, terminal=True)

    def record(
        self,
        kind: str,
        path: str,
        outcome: dict[str, Any],
        *,
        terminal: bool = False,
        **more: Any,
    ) -> None:
        """Sign one receipt, link it to the one before, and append it to the file."""
        action: dict[str, Any] = {"type": kind}
        if path:
            parameters = {"path": path}
            action["target"] = {"system": "local", "resource": path}
            action["parameters_hash"] = "sha256:" + sha256(canonicalize(parameters)).hexdigest()

        def draft(link: Link) -> UnsignedReceipt:
            return create_receipt(
                issuer={"id": ISSUER},
                principal={"id": PRINCIPAL},
                action=action,
                outcome=outcome,
                chain=link,
                **more,
            )

        receipt, self._head = issue(
            self._head, draft, self._key, f"{ISSUER}#key-1", terminal=terminal
        )
        with open(self.place / "chain.jsonl", "ab") as chain:
            chain.write(receipt.to_json() + b"\n")


def work_on_files(agent: Agent) -> None:
    """Create, write, read, process and delete files; look for one that is not there."""
    agent.act("filesystem.directory.create", "desk", lambda path: path.mkdir())
    agent.act("filesystem.file.create", "desk/notes.txt", lambda path: path.write_text("milk\n"))
    agent.act(
        "filesystem.file.modify",
        "desk/notes.txt",
        lambda path: path.write_text(path.read_text() + "bread\napples\n"),
    )
    agent.act("filesystem.file.read", "desk/notes.txt", lambda path: path.read_text())
    agent.call(
        "system.command.execute",
        "desk/notes.txt",
        lambda path: (
            subprocess.run(["sort", str(path)], capture_output=True, text=True, check=True).stdout
        ),
    )
    agent.act("filesystem.file.read", "desk/plan.txt", lambda path: path.read_text())
    agent.act("filesystem.file.delete", "desk/notes.txt", lambda path: path.unlink())
    agent.end()
