# SPDX-License-Identifier: Apache-2.0
"""What a run's directory says of the run, for whoever makes its evidence and tells no more."""

from __future__ import annotations

import os

from tallystick.durable.file import FilePath, read_bounded, shown
from tallystick.errors import ManifestError, ReceiptError
from tallystick.limits import INTENT_BYTES_MAX
from tallystick.model.manifest import ReceiptBinding
from tallystick.model.policy import parse_policy
from tallystick.solver.journal import head_of_file
from tallystick.solver.states import RunStates
from tallystick.solver.workspace import POLICY, RECEIPTS


class LeftByRun:
    """Policy, times and receipts of one run, read when they are asked for."""

    def __init__(self, run_dir: FilePath) -> None:
        """Take the run's directory."""
        self._run_dir = os.fspath(run_dir)

    @property
    def decided_at(self) -> str | None:
        """When the run was decided on, by its states."""
        return self._states().at("decided")

    @property
    def started_at(self) -> str | None:
        """When its execution began."""
        return self._states().at("running")

    def policy_hash(self) -> str:
        """Return the hash of the policy that the run keeps; without one there is no manifest."""
        path = os.path.join(self._run_dir, POLICY)
        if not os.path.lexists(path):
            raise ManifestError(f"{shown(path)} is not there, and no policy_hash was given")
        try:
            return parse_policy(read_bounded(path, INTENT_BYTES_MAX)).policy_hash
        except ReceiptError as fault:
            raise ManifestError(f"{shown(path)}: {fault}") from None

    def binding(self) -> ReceiptBinding | None:
        """Return what the manifest says of the run's receipts; None where there are none."""
        head = head_of_file(os.path.join(self._run_dir, RECEIPTS))
        if head is None or head.hash is None:
            return None
        return ReceiptBinding(chain_id=head.chain_id, length=head.sequence, head=head.hash)

    def _states(self) -> RunStates:
        return RunStates(self._run_dir, lambda: 0)
