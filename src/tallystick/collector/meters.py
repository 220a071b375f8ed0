# SPDX-License-Identifier: Apache-2.0
"""What a collector counts. `docs/reference/collector.md` is generated from `METERS`."""

from __future__ import annotations

from typing import Final

from tallystick.serve.metrics import Meter

_COUNTS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0)

METERS: Final = (
    Meter("tally_requests_total", "counter", ("route", "status"), "Requests answered."),
    Meter("tally_request_seconds", "histogram", ("route",), "From head to the end of an answer."),
    Meter(
        "tally_receipts_total",
        "counter",
        ("outcome",),
        "Receipts by what became of them: stored, already_stored, shares_id, shares_position.",
    ),
    Meter("tally_received_bytes_total", "counter", (), "Bytes of the receipts that were stored."),
    Meter("tally_commit_receipts", "histogram", (), "Receipts that share one commit.", _COUNTS),
    Meter("tally_commit_seconds", "histogram", (), "One durable commit, its fsync included."),
    Meter(
        "tally_merge_delay_seconds",
        "histogram",
        (),
        "From the oldest new receipt's time to the checkpoint that covers it.",
    ),
    Meter("tally_sign_seconds", "histogram", (), "Signing one checkpoint."),
    Meter("tally_log_size", "gauge", (), "Entries under the newest released checkpoint."),
    Meter("tally_log_entries", "gauge", (), "Entries that have an index."),
    Meter("tally_store_bytes", "gauge", (), "What the store takes up."),
    Meter("tally_parser_lost_total", "counter", (), "Parser processes that were lost."),
    Meter("tally_connections", "gauge", (), "Connections that are open."),
    Meter("tally_up", "gauge", (), "1 while receipts are taken, 0 after a fault."),
)
