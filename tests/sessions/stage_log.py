# SPDX-License-Identifier: Apache-2.0
"""What a log gave out about `receipt.json`, and evidence against one that broke its word."""

from __future__ import annotations

import json

from tests.honest_log import SHEET_NOTE, HonestLog
from tests.logs import LOG_KEY, lookup

from tallystick.crypto.merkle import consistency
from tallystick.crypto.multibase import b64_encode
from tallystick.model.fraud import Evidence
from tallystick.model.log_entry import receipt_digest, receipt_id_hash

_START_MS = 1_767_323_050_000


def log_files(receipt: bytes) -> dict[str, bytes]:
    """Return the files of a log that took the receipt as entry 3."""
    value = json.loads(receipt)
    log = HonestLog()
    log.place(_START_MS, 3)
    index = log.place_receipt(_START_MS, receipt_digest(value), receipt_id_hash(value["id"]))
    old = log.sign(_START_MS + 1000)
    log.place(_START_MS + 2000, 4)
    new = log.sign(_START_MS + 3000)
    path = [b64_encode(one) for one in consistency(lookup(log.leaves), 4, 8)]
    evidence = Evidence(
        kind="rollback",
        sheet=SHEET_NOTE,
        checkpoints=(new, log.sign_size(4, _START_MS // 1000 + 5)),
    )
    return {
        "log.vkey": LOG_KEY.verifier.encode().encode() + b"\n",
        "log.sheet": SHEET_NOTE,
        "old.checkpoint": old,
        "new.checkpoint": new,
        "late.checkpoint": log.sign_size(3, _START_MS // 1000 + 60),
        "small.checkpoint": log.sign_size(3, _START_MS // 1000 + 1),
        "consistency.json": json.dumps({"from": 4, "to": 8, "path": path}).encode(),
        "receipt.promise": log.promise(index),
        "receipt.tlog-proof": log.proof(index, new, 8),
        "other.tlog-proof": log.proof(index + 1, new, 8),
        "evidence.json": evidence.encode(),
        "honest.json": Evidence(kind="rollback", sheet=SHEET_NOTE, checkpoints=(old, new)).encode(),
    }
