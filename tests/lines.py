# SPDX-License-Identifier: Apache-2.0
"""Lines of a batch as clients send them, honest and hostile: whoever parses them finds the same."""

from __future__ import annotations

import json
from pathlib import Path

from tests.material import full_statement, signed, statement, wire

_VECTORS = Path(__file__).parents[1] / "vectors" / "receipt"


def honest_lines(count: int, chain_id: str = "c") -> list[bytes]:
    """Return receipts of one chain."""
    return [wire(signed(statement(at, number=at, chain_id=chain_id))) for at in range(1, count + 1)]


def strange_lines() -> list[bytes]:
    """Return one of each kind that is refused, and of each that only the strict parser takes."""
    good = wire(signed(statement()))
    loose = json.dumps(signed(full_statement()), ensure_ascii=True, separators=(", ", ": "))
    return [
        b"x",
        b"{}",
        b"[" * 200,
        b'{"a":1,"a":2}',
        b'{"id":"\\ud800"}',
        b'"\xff\xfe"',
        good + good,
        good[:-1],
        good.replace(b'"sequence":1', b'"sequence":1.0'),
        good.replace(b'"sequence":1', b'"sequence":18446744073709551616'),
        good.replace(b'"sequence":1', b'"sequence":-1'),
        good.replace(b"urn:receipt:", b"urn\\u0000receipt:"),
        good.replace(b"urn:receipt:", b"\\u00e9\\ud83d\\ude00"),
        good.replace(b"urn:receipt:", b"u" * 2000),
        b'{"a":[' + b",".join([b"0.5"] * 500) + b"]}",
        b"\r" + good,
        loose.encode(),
        *(one for path in sorted(_VECTORS.glob("*/input.json")) for one in _line_of(path)),
    ]


def _line_of(path: Path) -> list[bytes]:
    line = path.read_bytes().replace(b"\n", b" ").strip()
    return [line] if line else []
