# SPDX-License-Identifier: Apache-2.0
"""Short posts of one receipt, which a connection hands over whole (`serve/post.py`).

What is stored and answered is what the application would store and answer: both go through
`Receiving`. Here is only what is usual; a post that is not let in goes to the application, which
says why.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any, Final

from tallystick.collector.receiving import Answer, Receiving, Sequencing
from tallystick.errors import StoreBusyError, StoreError
from tallystick.model.submission import Placed, Submission
from tallystick.serve.logs import LOGGER, event
from tallystick.serve.post import Reply
from tallystick.serve.problem import Refusal


class Posting:
    """Takes posts to `/receipts` for an application."""

    path: Final = b"/receipts"

    def __init__(
        self,
        receiving: Receiving,
        sequencer: Sequencing,
        *,
        fault: Callable[[], str | None],
        note: Callable[[int, float], object],
    ) -> None:
        """Take who says why nothing may be taken, and who notes the status and start of each."""
        self._receiving = receiving
        self._sequencer = sequencer
        self._fault = fault
        self._note = note

    def admit(self, head: Mapping[bytes, bytes], state: Mapping[str, Any], /) -> str | None:
        """Return whose receipt this is; None where the application has to say why not."""
        try:
            return self._receiving.admit(head, state)
        except Exception:  # noqa: BLE001  # the application comes to the same, and answers
            return None

    def take(self, tenant: str, body: bytes, reply: Reply, /) -> None:
        """Begin to answer a post; it is answered once it is durable, or refused."""
        started = monotonic()
        try:
            refuse_after(self._fault())
            submission = self._receiving.begin(tenant, body)
            try:
                settle = partial(self._settle, submission, reply, started)
                self._sequencer.ask((submission,), settle)
            except BaseException:
                self._receiving.end(submission)
                raise
        except Exception as fault:  # noqa: BLE001  # whatever it is, it is an answer
            self._answer(reply, started, refusal_of(fault).answer())

    def _settle(
        self,
        submission: Submission,
        reply: Reply,
        started: float,
        places: Sequence[Placed] | None,
        fault: Exception | None,
    ) -> None:
        self._receiving.end(submission)
        if places is None:  # not raised again: all who wait may share one error, which would grow
            answer = refusal_of(fault or StoreError("the commit failed")).answer()
        else:
            try:
                answer = self._receiving.answer_one(submission, places[0])
            except Exception as error:  # noqa: BLE001  # as above
                answer = refusal_of(error).answer()
        self._answer(reply, started, answer)

    def _answer(self, reply: Reply, started: float, answer: Answer) -> None:
        reply(*answer)
        self._note(answer[0], started)


def refuse_after(fault: str | None) -> None:
    """Raise `Refusal` where a fault of the store lets nothing more be taken."""
    if fault is not None:
        raise Refusal("store-unavailable", "nothing more is taken until it is repaired")


def refusal_of(fault: Exception, *, is_read: bool = False) -> Refusal:
    """Return how a request is answered that came to an error, whatever that is."""
    if isinstance(fault, Refusal):
        return fault
    if isinstance(fault, StoreBusyError):
        return Refusal("busy", "too many receipts wait for their commit")
    if isinstance(fault, StoreError):
        event(logging.ERROR, "store_failed", error=str(fault), kind=type(fault).__name__)
        if is_read:
            return Refusal("store-unavailable", "it could not be read just now; ask again")
        return Refusal("store-unavailable", "whether it was stored is not known; send it again")
    LOGGER.error("internal_fault", exc_info=fault)
    return Refusal("internal", "see the service's log")
