# SPDX-License-Identifier: Apache-2.0
"""Verifies a generated stream of receipts in a process of its own and tells what it cost.

    python tests/systems/verify_stream.py KIND COUNT [WORKERS]

KIND says what the stream is like; see `KINDS`. Receipts are made as canonical bytes from a
template, one at a time, and made again for a second pass. Only those of the kinds `signed_…` carry
a true signature. For the others no key is given, so the verdict of a sound stream is `unchecked`,
and all but the signature is judged: a million signatures take two minutes.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from tallystick.crypto.ed25519 import SigningKey
from tallystick.crypto.multibase import b64u_encode
from tallystick.model.rotation import rotation_between
from tallystick.verify.source import Source
from tallystick.verify.verification import verify_input

DIGITS = "00000000-0000-4000-8000-"
HEAD = (
    '{{"@context":["https://www.w3.org/ns/credentials/v2","https://agentreceipts.ai/context/v3"],'
    '"credentialSubject":{{"action":{{"id":"act_{digits}{number:012x}"{key},"risk_level":"low",'
    '"timestamp":"2026-01-01T00:00:00Z","type":"filesystem.file.read"}},"chain":{{'
    '"chain_id":"{chain}","previous_receipt_hash":{previous},"sequence":{sequence}}}'
    '{correlation}{delegation}{rotation},"outcome":{{"status":"{status}"}},"principal":{{"id":"{principal}"}}'
    '}},"id":"urn:receipt:{digits}{id:012x}","issuanceDate":"{date}",'
    '"issuer":{{"id":"{issuer}"{session}}}'
)
PROOF = (
    ',"proof":{{"created":"2026-01-01T00:00:00Z","proofPurpose":"assertionMethod",'
    '"proofValue":"{value}","type":"Ed25519Signature2020",'
    '"verificationMethod":"{method}"}}'
)
TAIL = ',"type":["VerifiableCredential","AgentReceipt"],"version":"0.6.0"}}'
LONG = "\U0001f600" * 1000
KEYS = [SigningKey.from_seed(bytes([number]) * 32) for number in (1, 2)]

Fields = dict[str, object]


def one_chain(number: int, count: int) -> Fields:
    """A long chain without anything special."""
    return {}


def with_keys(number: int, count: int) -> Fields:
    """Every action has an idempotency key of its own."""
    return {"key": f',"idempotency_key":"key-{number}"'}


def same_id(number: int, count: int) -> Fields:
    """One id for all receipts."""
    return {"id": 1}


def pairs(number: int, count: int) -> Fields:
    """Each id comes twice, far apart, and each key too."""
    half = number % max(1, count // 2)
    return {"id": half, "key": f',"idempotency_key":"{LONG}{half}"'}


def pending(number: int, count: int) -> Fields:
    """All receipts wait for results that never come."""
    return {"status": "pending", "correlation": f',"correlation_id":"call-{number}"'}


def chains(number: int, count: int) -> Fields:
    """Each receipt begins a chain of its own."""
    return {"chain": f"chain-{number}", "sequence": 1, "previous": "null"}


def signed_chains(number: int, count: int) -> Fields:
    """Each receipt begins a chain of its own, and is signed."""
    return chains(number, count)


def signed_rotations(number: int, count: int) -> Fields:
    """One chain goes back and forth between two keys."""
    old, new = KEYS[(number - 1) % 2], KEYS[number % 2]
    hand_over = rotation_between(old.public_key, new.public_key).to_dict()
    return {"rotation": f',"keyRotation":{json.dumps(hand_over, separators=(",", ":"))}'}


def long_chains(number: int, count: int) -> Fields:
    """Each receipt begins a chain, and every text that is kept of it is as long as allowed."""
    return {
        "chain": f"{LONG}{number}",
        "sequence": 1,
        "previous": "null",
        "issuer": f"{LONG}i{number}",
        "principal": f"{LONG}p{number}",
        "session": f',"session_id":"{LONG}s{number}"',
        "method": f"{LONG}m{number}",
        "delegation": (
            f',"delegation":{{"delegator":{{"id":"{LONG}d{number}"}},"parent_chain_id":'
            f'"{LONG}{number - 1}","parent_receipt_id":"urn:receipt:{DIGITS}{number:012x}"}}'
        ),
    }


def growing_chains(number: int, count: int) -> Fields:
    """Many chains begin with short names, and each of their second receipts has long ones."""
    half = count // 2
    later = number > half
    return {
        "chain": f"chain-{number % half}",
        "sequence": 2 if later else 1,
        "previous": '"sha256:' + "0" * 64 + '"' if later else "null",
        "principal": f"{LONG}p{number}" if later else "p",
        "session": f',"session_id":"{LONG}s{number}"' if later else "",
        "method": f"{LONG}m{number}" if later else "m",
    }


def findings(number: int, count: int) -> Fields:
    """Every receipt is wrong in several long ways."""
    return {
        "sequence": count - number + 1,
        "issuer": f"{LONG}{number}",
        "principal": f"{LONG}{number}",
        "method": f"{LONG}{number}",
        "status": LONG,
    }


def big(number: int, count: int) -> Fields:
    """Every receipt is nearly as large as one may be."""
    return {"session": f',"name":"{number}{"n" * 1_040_000}"'}


def long_dates(number: int, count: int) -> Fields:
    """A megabyte stands where a timestamp belongs."""
    return {"date": f"{number}{'2' * 1_000_000}"}


def many_values(number: int, count: int) -> Fields:
    """Every receipt holds nearly as many values as one may, of the kind that costs most."""
    return {"session": f',"runtime":{{"n":[{number}{",[0.5]" * 32_000}]}}'}


def many_faults(number: int, count: int) -> Fields:
    """Nearly every value of each receipt is a fault."""
    unknown = [f',"x{number}":0' for number in range(50_000)]
    return {"rotation": "".join(unknown), "session": "".join(unknown[:1000])}


def all_at_once(number: int, count: int) -> Fields:
    """Everything that fills memory, in one stream."""
    names = long_chains(number, count) if number <= count // 10 else chains(number, count)
    return {
        **names,
        "id": number % (count // 2),
        "key": f',"idempotency_key":"key-{number % (count // 2)}"',
        "status": "pending",
        "correlation": f',"correlation_id":"call-{number}"',
    }


KINDS: dict[str, Callable[[int, int], Fields]] = {
    kind.__name__: kind
    for kind in (
        one_chain, with_keys, same_id, pairs, pending, chains, signed_chains, signed_rotations,
        long_chains, growing_chains, findings, big, long_dates,
        many_values, many_faults, all_at_once,
    )
}  # fmt: skip


class Stream:
    """So many receipts of a kind, made anew in each pass."""

    def __init__(self, kind: str, count: int) -> None:
        self.kind = KINDS[kind]
        self.count = count
        self.is_signed = kind.startswith("signed_")

    def __iter__(self) -> Iterator[bytes]:
        head, proof, tail = HEAD.format, PROOF.format, TAIL.format()
        previous = "null"
        for number in range(1, self.count + 1):
            fields: Fields = {
                "digits": DIGITS, "number": number, "id": number, "sequence": number,
                "chain": "chain", "issuer": "did:agent:a", "principal": "did:user:u", "key": "",
                "correlation": "", "delegation": "", "session": "", "status": "success",
                "previous": previous, "method": "did:agent:a#key-1", "rotation": "",
                "date": "2026-01-01T00:00:00Z",
                "value": "u" + "A" * 86,
            }  # fmt: skip
            fields |= self.kind(number, self.count)
            start = head(**fields)
            body = (start + tail).encode()
            previous = f'"sha256:{sha256(body).hexdigest()}"'
            if self.is_signed:
                key = KEYS[(number - 1) % 2] if fields["rotation"] else KEYS[0]
                fields["value"] = "u" + b64u_encode(key.sign(body))
            yield (start + proof(**fields) + tail).encode()


def peak_bytes() -> int:
    """Return the largest resident size that this process had.

    Not `ru_maxrss`: that begins at the size of the process which started this one.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    """Verify the stream that the arguments name and print one line of JSON."""
    kind, count = sys.argv[1], int(sys.argv[2])
    workers = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    began = time.monotonic()
    stream = Stream(kind, count)
    key = KEYS[0].public_key if stream.is_signed else None
    report = verify_input([Source(stream)], key, workers=workers)
    told = {
        "peak_bytes": peak_bytes(),
        "receipts": report.receipts,
        "verdict": str(report.verdict),
        "chains": len(report.chains),
        "codes": Counter(report.codes()),
        "unlisted": report.unlisted,
        "seconds": round(time.monotonic() - began, 1),
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
