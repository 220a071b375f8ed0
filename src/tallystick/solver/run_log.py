# SPDX-License-Identifier: Apache-2.0
"""Has the receipts of runs taken into a collector's log before their bundles are written.

A run that is signed waits for the proof; where the collector does not give it, the run stays signed
and is taken up later like any other. All may be asked again: a collector keeps each receipt once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from tallystick.crypto.note import VerifierKey
from tallystick.deliver.logged import collector_at, log_receipts
from tallystick.durable.file import read_bounded
from tallystick.errors import EmitError
from tallystick.limits import RUN_RECEIPTS_BYTES_MAX
from tallystick.model.manifest import Manifest
from tallystick.solver.log_members import LogMembers, bound_receipts, members_of
from tallystick.solver.workspace import RECEIPTS

# Each promise until a proof replaces it; one that was not kept stays: evidence against the log.
PROMISES: Final = "promises"
_WAITS: Final = (
    "the run is signed and waits for its log: `tally solver resume` asks again, and without a "
    "collector it writes the bundle as it is"
)


class RunLog:
    """One collector, and the key of its log."""

    def __init__(self, url: str, log_key: VerifierKey, token: str | None) -> None:
        """Check the address; nothing is opened yet."""
        self._url = url
        self._log_key = log_key
        self._token = token
        collector_at(url, token).close()

    def members(
        self, manifest: Manifest, run_dir: str, *, is_cancelled: Callable[[], bool]
    ) -> LogMembers:
        """Return what the log says of a run's receipts, or raise `EmitError`.

        A run whose receipts are not at hand has nothing to be logged: its bundle has none either.
        """
        path = os.path.join(run_dir, RECEIPTS)
        if not os.path.lexists(path):
            return {}
        receipts = bound_receipts(manifest, read_bounded(path, RUN_RECEIPTS_BYTES_MAX))
        try:
            with collector_at(self._url, self._token) as emitter:
                logged = log_receipts(
                    emitter,
                    self._log_key,
                    receipts,
                    keep=os.path.join(run_dir, PROMISES),
                    is_cancelled=is_cancelled,
                )
        except EmitError as fault:
            told = f"{fault}; {_WAITS}"
            raise EmitError(told, status=fault.status, is_transient=fault.is_transient) from fault
        return members_of(logged)

    def __repr__(self) -> str:
        return f"RunLog(of {self._log_key.name!r})"
