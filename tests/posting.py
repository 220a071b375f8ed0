# SPDX-License-Identifier: Apache-2.0
"""Receipts to post, as many as a test likes: canonical, of the usual size (1 kB), each different.

Their signatures are none, which is nothing that a collector looks at.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import rfc8785
from tests import material

_PADDING: Final = 320


class Bodies:
    """Receipts of one chain, each made from one template."""

    def __init__(self, chain_id: str, *, version: str = "0.6.0") -> None:
        receipt = material.statement(7777777, "sha256:" + "b" * 64, chain_id=chain_id)
        receipt["id"] = "urn:receipt:@ID@"
        receipt["credentialSubject"]["action"]["target"] = {
            "system": "filesystem",
            "resource": "/srv/" + "x" * _PADDING,
        }
        receipt["proof"] = {
            "type": "Ed25519Signature2020",
            "created": material.DAY,
            "verificationMethod": material.METHOD,
            "proofPurpose": "assertionMethod",
            "proofValue": "u" + "A" * 86,
        }
        text = rfc8785.dumps(receipt)
        head, _, rest = text.partition(b"@ID@")
        if b"7777777" in head:
            self._parts = (*head.split(b"7777777"), rest)
            self._order = "sequence"
        else:
            self._parts = (head, *rest.split(b"7777777"))
            self._order = "id"
        assert len(self._parts) == 3
        self._tail = sha256(chain_id.encode()).hexdigest()[:12]

    def body(self, number: int) -> bytes:
        """Return one receipt's bytes; `number` is its sequence, and part of its id."""
        receipt_id = self.receipt_id(number).removeprefix("urn:receipt:").encode()
        values = (receipt_id, b"%d" % number)
        first, second = values if self._order == "id" else values[::-1]
        one, two, three = self._parts
        return one + first + two + second + three

    def receipt_id(self, number: int) -> str:
        """Return the id of one receipt."""
        return f"urn:receipt:{number:08x}-0000-4000-8000-{self._tail}"


def request_of(body: bytes, path: bytes = b"/receipts") -> bytes:
    """Return the bytes of one POST."""
    kind = b"application/x-ndjson" if path.endswith(b"batch") else b"application/ld+json"
    return (
        b"POST %b HTTP/1.1\r\nHost: c\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
        % (path, kind, len(body))
    ) + body
