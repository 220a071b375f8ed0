# SPDX-License-Identifier: Apache-2.0
"""Speed, side by side in one run: Tallystick, the other implementation, and the floor.

Every pair is measured in turn, round by round, and the ratio is taken within a round, so that a
machine that changes its speed changes both sides. What is printed is the median of the ratios.

    make bench                          all rows, and those of store.py and postgres.py
    make bench ARGS="--receipts 2000"   a shorter look
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
from typing import Any

import collecting
import hooking
import in_process
import mcp_proxy
import peer
import signing_daemon
import stored_chain
from measure import Row, paired, ratio, show, show_times
from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair

from tallystick import (
    Action,
    Head,
    Issuer,
    Link,
    Outcome,
    Principal,
    Target,
    UnsignedReceipt,
    create_receipt,
    generate_key_pair,
    hash_receipt,
    issue,
    sign_receipt,
    verify_chain,
)

ISSUER = {"id": "did:agent:bench", "name": "bench"}
PRINCIPAL = {"id": "did:user:alice", "type": "HumanPrincipal"}
ACTION = {
    "type": "filesystem.file.read",
    "target": {"system": "fs", "resource": "/srv/report.txt"},
    "parameters_hash": "sha256:" + "a" * 64,
}
OUTCOME = {"status": "success"}
METHOD = "did:agent:bench#key-1"
KEYS = generate_key_pair()


def link_by_hand(count: int, issuer: Any, principal: Any, action: Any, outcome: Any) -> None:
    """Create, sign and link receipts with the three public functions."""
    previous: str | None = None
    for sequence in range(1, count + 1):
        receipt = create_receipt(
            issuer=issuer,
            principal=principal,
            action=action,
            outcome=outcome,
            chain={"chain_id": "bench", "sequence": sequence, "previous_receipt_hash": previous},
        )
        previous = hash_receipt(sign_receipt(receipt, KEYS, METHOD))


def issue_rows(count: int, rounds: int) -> list[Row]:
    """Create + sign + link: dict and typed inputs, the peer, and one raw signature."""
    typed = (
        Issuer(id=ISSUER["id"], name=ISSUER["name"]),
        Principal(id=PRINCIPAL["id"], type="HumanPrincipal"),
        Action(
            type="filesystem.file.read",
            target=Target(system="fs", resource="/srv/report.txt"),
            parameters_hash="sha256:" + "a" * 64,
        ),
        Outcome(status="success"),
    )
    body = one_receipt().to_json()
    _, secret = crypto_sign_seed_keypair(b"1" * 32)

    def raw() -> None:
        for _ in range(count):
            crypto_sign(body, secret)

    ours_dict, ours_typed, theirs, floor = paired(
        rounds,
        lambda: link_by_hand(count, ISSUER, PRINCIPAL, ACTION, OUTCOME),
        lambda: link_by_hand(count, *typed),
        lambda: peer.link(count, ISSUER, PRINCIPAL, ACTION, OUTCOME),
        raw,
    )
    show_times(
        "create + sign + link", count, dict=ours_dict, typed=ours_typed, peer=theirs, raw_sign=floor
    )
    return [
        Row(
            "create + sign + link, dict inputs, times the peer",
            ratio(theirs, ours_dict),
            at_least=6,
        ),
        Row(
            "create + sign + link, typed inputs, times the peer",
            ratio(theirs, ours_typed),
            at_least=6,
        ),
        Row("the same over one raw signature, dict inputs", ratio(ours_dict, floor), at_most=2),
        Row("the same over one raw signature, typed inputs", ratio(ours_typed, floor), at_most=2),
    ]


def one_receipt() -> UnsignedReceipt:
    """Return a receipt of the size that is measured."""
    link = Link(chain_id="bench", sequence=2, previous_receipt_hash="sha256:" + "b" * 64)
    return create_receipt(
        issuer=ISSUER, principal=PRINCIPAL, action=ACTION, outcome=OUTCOME, chain=link
    )


def chain_bytes(count: int) -> bytes:
    """Return a chain of that many receipts as JSON Lines."""
    head, lines = Head(chain_id="bench"), io.BytesIO()

    def draft(link: Link) -> UnsignedReceipt:
        return create_receipt(
            issuer=ISSUER, principal=PRINCIPAL, action=ACTION, outcome=OUTCOME, chain=link
        )

    for _ in range(count):
        receipt, head = issue(head, draft, KEYS, METHOD)
        lines.write(receipt.to_json() + b"\n")
    return lines.getvalue()


def verify_rows(count: int, rounds: int) -> list[Row]:
    """Verify a chain from its bytes: one worker, two, the peer, and the raw signature checks."""
    data = chain_bytes(count)
    public, secret = crypto_sign_seed_keypair(b"1" * 32)
    statement = one_receipt().to_json()
    signed = [crypto_sign(statement + str(number).encode(), secret) for number in range(count)]

    def ours(workers: int) -> None:
        verify_chain(data, KEYS.public_key, expected_length=count, workers=workers).ensure()

    def raw() -> None:
        for message in signed:
            crypto_sign_open(message, public)

    one, two, floor = paired(rounds, lambda: ours(1), lambda: ours(2), raw)
    once, theirs = paired(
        max(2, rounds // 3), lambda: ours(1), lambda: peer.verify(data, KEYS.public_key)
    )
    show_times("verify a chain", count, one=one, two_workers=two, peer=theirs, raw_check=floor)
    return [
        Row(f"verify {count} receipts, times the peer", ratio(theirs, once), at_least=3),
        Row("the same over the raw signature checks", ratio(one, floor), at_most=1.4),
        Row("two workers, times one", ratio(one, two), at_least=1.5),
    ]


def cold_rows(rounds: int) -> list[Row]:
    """A fresh process: import, make a key, sign one receipt."""
    programs = {
        "tallystick": "from tallystick import create_receipt,generate_key_pair,sign_receipt;"
        "k=generate_key_pair();"
        "sign_receipt(create_receipt(issuer={'id':'a'},principal={'id':'b'},"
        "action={'type':'filesystem.file.read'},outcome={'status':'success'},"
        "chain={'chain_id':'c','sequence':1,'previous_receipt_hash':None}),k,'a#key-1')",
        "peer": peer.COLD_PROGRAM,
        "python": "pass",
    }

    def run(name: str) -> None:
        subprocess.run([sys.executable, "-c", programs[name]], check=True)  # ours

    ours, theirs, bare = paired(
        rounds, lambda: run("tallystick"), lambda: run("peer"), lambda: run("python")
    )
    show_times("cold process to first signature", 1, tallystick=ours, peer=theirs, python=bare)
    return [Row("cold process, over the peer", ratio(ours, theirs), at_most=1 / 3)]


def main() -> int:
    """Run what was asked for, print the table, and tell by the exit code whether all is met."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--receipts", type=int, default=10_000, help="receipts in a chain")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each comparison")
    options = parser.parse_args()
    rows = (
        issue_rows(300, options.rounds * 5)  # long beside the cold caches that `gc` leaves
        + verify_rows(options.receipts, options.rounds)
        + cold_rows(options.rounds)
        + in_process.memory_rows(500, options.rounds * 3)
        + in_process.delivery_rows(200, options.rounds)
        + in_process.cold_rows(options.rounds)
        + collecting.rows(options.receipts, max(3, options.rounds // 3))
        + signing_daemon.rows(options.receipts, max(3, options.rounds // 3))
        + stored_chain.rows(options.receipts)
        + mcp_proxy.rows(3000, max(3, options.rounds // 3))
        + hooking.rows(options.rounds * 5)
    )
    print()
    return show(rows)


if __name__ == "__main__":
    sys.exit(main())
