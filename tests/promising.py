# SPDX-License-Identifier: Apache-2.0
"""A collector on a real socket that gives promises, and proofs once it has signed a checkpoint."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from tests.honest_log import SHEET_NOTE, HonestLog
from tests.logs import LOG_KEY
from tests.misbehaving import Collector, Exchange, answer

from tallystick.crypto.multibase import b64_encode
from tallystick.deliver.promises import LogTrust
from tallystick.model.log_entry import receipt_digest, receipt_id_hash

TRUST = LogTrust(LOG_KEY.verifier.encode(), SHEET_NOTE)


class PromisingCollector(Collector):
    """Answers 201 with a promise, 409 with the stored one, and proofs for what it has signed."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        super().__init__(self.respond)
        self.log = HonestLog()
        self.answers: dict[bytes, tuple[int, bytes]] = {}
        self.signed: tuple[bytes, int] | None = None
        # What a test does to an answer before it leaves.
        self.spoil: Callable[[dict[str, Any]], object] = lambda told: None
        # Whether each receipt is followed by a checkpoint at once.
        self.signs_at_once = False
        self.sheet: bytes | None = SHEET_NOTE
        self._clock_ms = clock_ms

    def sign(self) -> None:
        """Release a checkpoint of all entries."""
        self.signed = (self.log.sign(self._clock_ms()), len(self.log.leaves))

    def respond(self, exchange: Exchange) -> bool:
        """Take a receipt, or give the sheet or a proof."""
        if exchange.request.head.startswith(b"GET /log/sheet "):
            if self.sheet is None:
                return answer(404)(exchange)
            return answer(200, body=self.sheet)(exchange)
        found = re.match(rb"GET /log/proof/(\d+)\.tlog-proof ", exchange.request.head)
        if found is not None:
            return self._prove(exchange, int(found[1]))
        body = exchange.request.body
        status, told = 409, self.answers.get(body)
        if told is None:
            value = json.loads(body)
            hashes = receipt_digest(value), receipt_id_hash(value["id"])
            index = self.log.place_receipt(self._clock_ms(), *hashes)
            status, told = 201, (index, self.log.promise(index))
            self.answers[body] = told
            if self.signs_at_once:
                self.sign()
        whole: dict[str, Any] = {
            "id": "x",
            "receipt_hash": "sha256:…",
            "entry": b64_encode(self.log.entries[told[0]]),
            "promise": told[1].decode(),
        }
        self.spoil(whole)
        return answer(status, body=json.dumps(whole).encode())(exchange)

    def _prove(self, exchange: Exchange, index: int) -> bool:
        if self.signed is None or index >= self.signed[1]:
            return answer(404)(exchange)
        return answer(200, body=self.log.proof(index, *self.signed))(exchange)
