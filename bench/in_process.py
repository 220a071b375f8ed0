# SPDX-License-Identifier: Apache-2.0
"""The way of a receipt from a call in a function to the collector's answer."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import peer
from measure import Row, paired, ratio, show_times

from tallystick import (
    FileWal,
    HttpEmitter,
    HttpEmitterConfig,
    InMemoryEmitter,
    ReceiptChain,
    WalEmitter,
    generate_key_pair,
)
from tallystick.ports import Emitter

ISSUER = {"id": "did:agent:bench", "name": "bench"}
PRINCIPAL = {"id": "did:user:alice", "type": "HumanPrincipal"}
ACTION = {
    "type": "filesystem.file.read",
    "target": {"system": "fs", "resource": "/srv/report.txt"},
    "parameters_hash": "sha256:" + "a" * 64,
}
OUTCOME = {"status": "success"}
KEYS = generate_key_pair()

# What the source's Lambda program does until it has signed its first receipt.
COLD_PROGRAM = """
import os
from {package} import (
    HttpEmitter, HttpEmitterConfig, BearerAuth, WalEmitter, MemoryWal, create_receipt, sign_receipt,
)
emitter = WalEmitter(inner=HttpEmitter(HttpEmitterConfig(
    endpoint="https://collector.invalid", auth=BearerAuth(token="t"), strategy="sync",
)), wal=MemoryWal())
key = os.environ["AGENTRECEIPTS_KEY"]
"""
COLD_OURS = COLD_PROGRAM.format(package="tallystick") + (
    "sign_receipt(create_receipt(issuer={'id': 'a'}, principal={'id': 'b'},"
    "action={'type': 'filesystem.file.read'}, outcome={'status': 'success'},"
    "chain={'chain_id': 'c', 'sequence': 1, 'previous_receipt_hash': None}), key, 'a#key-1')"
)


def chain_over(emitter: Emitter) -> ReceiptChain:
    """Return a chain of ours."""
    return ReceiptChain(signer=KEYS, issuer=ISSUER, principal=PRINCIPAL, emitter=emitter)


def emit_all(chain: ReceiptChain, count: int) -> None:
    """Emit, one after the other."""
    for _ in range(count):
        chain.emit(ACTION, OUTCOME)


@contextmanager
def collector() -> Iterator[int]:
    """Run a collector in a process of its own; give its port."""
    program = Path(__file__).with_name("collector.py")
    process = subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.communicate()


def memory_rows(count: int, rounds: int) -> list[Row]:
    """Chain and emitter in memory: what the single writer itself costs."""
    ours, theirs = paired(
        rounds,
        lambda: emit_all(chain_over(InMemoryEmitter()), count),
        lambda: peer.emit_to_memory(count, ISSUER, PRINCIPAL, ACTION, OUTCOME),
    )
    show_times("ReceiptChain + InMemoryEmitter", count, ours=ours, peer=theirs)
    what = "ReceiptChain + InMemoryEmitter, times the peer"
    return [Row(what, ratio(theirs, ours), at_least=5)]


def delivery_rows(count: int, rounds: int) -> list[Row]:
    """The whole way: a log on disk, HTTP, an answer; and the least that such a way can cost."""
    with tempfile.TemporaryDirectory(prefix="tally-bench-") as folder, collector() as port:
        url, place = f"http://127.0.0.1:{port}", Path(folder)
        inner = HttpEmitter(HttpEmitterConfig(url))
        emitter = WalEmitter(inner=inner, wal=FileWal(place / "wal"))
        receipt = chain_over(InMemoryEmitter()).emit(ACTION, OUTCOME).to_json()
        ours, theirs, floor = paired(
            rounds,
            lambda: emit_all(chain_over(emitter), count),
            lambda: peer.deliver(count, url, place / "peer", ISSUER, PRINCIPAL, ACTION, OUTCOME),
            lambda: least(count, port, place / "floor", receipt),
        )
        emitter.close()
    show_times("ReceiptChain + FileWal + HttpEmitter", count, ours=ours, peer=theirs, floor=floor)
    what = "ReceiptChain + FileWal + HttpEmitter"
    return [
        Row(f"{what}, times the peer", ratio(theirs, ours), at_least=2),
        Row(
            "the same over one fdatasync + one keep-alive round trip", ratio(ours, floor), at_most=2
        ),
    ]


def least(count: int, port: int, path: Path, body: bytes) -> None:
    """Write and fdatasync, post and read the answer, over a kept connection; nothing else."""
    head = (
        f"POST /receipts HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/ld+json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(count):
            os.pwrite(descriptor, body, number * len(body))
            os.fdatasync(descriptor)
            connection.sendall(head + body)
            assert connection.recv(4096).startswith(b"HTTP/1.1 201")
    os.close(descriptor)


def cold_rows(rounds: int) -> list[Row]:
    """A fresh process: import, load the key, make emitter and log, sign; nothing is connected."""
    environment = os.environ | {"AGENTRECEIPTS_KEY": KEYS.private_key}

    def run(program: str) -> None:
        subprocess.run([sys.executable, "-c", program], env=environment, check=True)

    theirs_program = COLD_PROGRAM.format(package="obsigna") + peer.COLD_SIGN
    ours, theirs, bare = paired(
        rounds, lambda: run(COLD_OURS), lambda: run(theirs_program), lambda: run("pass")
    )
    show_times("cold function to first signature", 1, ours=ours, peer=theirs, python=bare)
    return [Row("cold function, over the peer", ratio(ours, theirs), at_most=1 / 2)]
