# SPDX-License-Identifier: Apache-2.0
"""The table of docs/concepts/failure-modes.md, row by row: each failure is brought about for real,
and `tally verify` says of what reached the collector what the table says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests import material
from tests.collector import StoringCollector
from tests.examples import ROOT, settings, started
from tests.misbehaving import answer, silent
from tests.systems.http_service import Answer, Request
from tests.systems.kms_service import KmsService, client_for

from tallystick import (
    EmitError,
    FileWal,
    HttpEmitter,
    HttpEmitterConfig,
    KeyPair,
    MemoryWal,
    ReceiptChain,
    RetryConfig,
    Wal,
    WalEmitter,
)
from tallystick.keys.aws import KMSSigner

READ = {"type": "filesystem.file.read"}
SUCCESS = {"status": "success"}
ARGUMENTS = ("receipts.jsonl", "--key", "agent.pub", "--json")
AWS = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "not a secret",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "NO_PROXY": "127.0.0.1",
}
ONE_TRY = RetryConfig(max_attempts=1)


class Verdict(NamedTuple):
    """What `tally verify` said."""

    exit_code: int
    verdict: str
    codes: list[str]
    terminations: list[str]


@pytest.fixture
def collector() -> Iterator[StoringCollector]:
    with StoringCollector() as found:
        yield found


def tally_verify(lines: bytes, place: Path, *options: str, key: KeyPair = material.KEY) -> Verdict:
    """Ask the command, as an auditor does: the collector's receipts and the agent's public key."""
    (place / "receipts.jsonl").write_bytes(lines)
    (place / "agent.pub").write_text(key.public_key)
    done = subprocess.run(
        [sys.executable, "-m", "tallystick", "verify", *ARGUMENTS, *options],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)
    return Verdict(
        done.returncode,
        report["verdict"],
        [finding["code"] for finding in report["findings"]],
        [chain["termination"] for chain in report["chains"]],
    )


def chain_over(collector: StoringCollector, wal: Wal) -> tuple[ReceiptChain, WalEmitter]:
    """Return a chain that is delivered through a log, and the emitter."""
    emitter = WalEmitter(
        inner=HttpEmitter(HttpEmitterConfig(collector.url, retry=ONE_TRY)), wal=wal
    )
    chain = ReceiptChain(
        signer=material.KEY,
        issuer={"id": material.ISSUER},
        principal={"id": "did:user:u"},
        emitter=emitter,
    )
    return chain, emitter


AGENT = """
import os, sys
from tallystick import *
emitter = WalEmitter(
    inner=HttpEmitter(
        HttpEmitterConfig(
            os.environ["AGENTRECEIPTS_COLLECTOR_URL"], retry=RetryConfig(max_attempts=1)
        )
    ),
    wal=MemoryWal(),
)
chain = ReceiptChain(
    signer=EnvVarKeyProvider().get_key_pair(),
    issuer={"id": "did:agent:a"},
    principal={"id": "did:user:u"},
    emitter=emitter,
    hold_undelivered=True,
)
install_sigterm_flush(emitter, chain)
for line in sys.stdin:
    with chain.action("filesystem.file.read", target={"resource": line.strip()}) as call:
        call.result = line
    print(emitter.pending, "wait", flush=True)
"""


class Agent:
    """An agent in a process of its own, with a log in memory. It works on what it is told."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def begins(self, name: str) -> None:
        """Let it work on something."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{name}\n")
        self.process.stdin.flush()

    def says(self) -> str:
        """Wait until it is done, and return what it says of it; what it logs is passed over."""
        assert self.process.stdout is not None
        return next(line.strip() for line in self.process.stdout if line.endswith(" wait\n"))

    def works(self, name: str) -> str:
        """Let it work on something, and wait until it is done."""
        self.begins(name)
        return self.says()


@pytest.fixture
def agent(collector: StoringCollector, tmp_path: Path) -> Iterator[Agent]:
    with started(["-c", AGENT], settings(collector.url), tmp_path) as process:
        yield Agent(process)


def test_ended_with_warning(collector: StoringCollector, agent: Agent, tmp_path: Path) -> None:
    """Hard timeout, with SIGTERM before it: what the flush leaves ends in `agent_end`, status
    `interrupted`."""
    assert agent.works("a") == "0 wait"
    collector.is_down()
    assert agent.works("b") == "2 wait"
    # The flush fails once; when the end is sent, all gets through in order.
    collector.does(answer(503))
    agent.process.send_signal(signal.SIGTERM)
    assert agent.process.wait(20) == 128 + signal.SIGTERM
    verdict = tally_verify(collector.lines, tmp_path, "--require-terminal", "--expect-length", "5")
    assert verdict == Verdict(0, "verified", [], ["interrupted"])
    last = json.loads(collector.lines.splitlines()[-1])["credentialSubject"]
    assert last["action"]["type"] == "agent_receipts.agent_end"
    assert (last["action"]["risk_level"], last["chain"]["status"]) == ("low", "interrupted")


def test_ended_without_warning(collector: StoringCollector, agent: Agent, tmp_path: Path) -> None:
    """Hard timeout, SIGKILL: what was in memory is lost. What is left is in order and open, so only
    who requires an end, or knows the length, can tell."""
    assert agent.works("a") == "0 wait"
    collector.is_down()
    assert agent.works("b") == "2 wait"
    agent.process.kill()
    agent.process.wait(20)
    assert tally_verify(collector.lines, tmp_path) == Verdict(0, "verified", [], ["unknown"])
    verdict = tally_verify(collector.lines, tmp_path, "--require-terminal")
    assert verdict == Verdict(1, "refused", ["EXPECTED_TERMINAL"], ["unknown"])
    verdict = tally_verify(collector.lines, tmp_path, "--expect-length", "4")
    assert verdict == Verdict(1, "refused", ["EXPECTED_LENGTH"], ["unknown"])


def test_collector_unreachable(collector: StoringCollector, tmp_path: Path) -> None:
    """The retry budget is used up: `emit` raises, the receipt stays in the log, and a later replay
    (here by another process's `FileWal`, after the first is gone) closes the gap."""
    chain, emitter = chain_over(collector, FileWal(tmp_path / "wal"))
    chain.emit(READ, SUCCESS)
    collector.is_down()
    with pytest.raises(EmitError, match="is kept and not yet delivered") as caught:
        chain.emit(READ, SUCCESS)
    assert caught.value.receipt.link.sequence == 2
    assert emitter.pending == 1
    emitter.wal.close()
    assert tally_verify(collector.lines, tmp_path).codes == []

    collector.is_up()
    _, again = chain_over(collector, FileWal(tmp_path / "wal"))
    assert again.replay().delivered == 1
    verdict = tally_verify(collector.lines, tmp_path, "--expect-length", "2")
    assert verdict == Verdict(0, "verified", [], ["unknown"])


def test_never_delivered(collector: StoringCollector, tmp_path: Path) -> None:
    """A receipt that never arrives, and others behind it do: a gap, and where it is. Delivered
    after all, it fills the gap."""
    chain, emitter = chain_over(collector, MemoryWal())
    chain.emit(READ, SUCCESS)
    collector.does(answer(400))
    with pytest.raises(EmitError, match="dead letter"):
        chain.emit(READ, SUCCESS)
    chain.emit(READ, SUCCESS)
    chain.close()
    verdict = tally_verify(collector.lines, tmp_path)
    assert verdict == Verdict(1, "refused", ["CHAIN_GAP"], ["complete"])

    emitter.emit(emitter.dead_letters[0].receipt())
    in_order = sorted(collector.lines.splitlines(keepends=True), key=sequence_of)
    verdict = tally_verify(b"".join(in_order), tmp_path, "--expect-length", "4")
    assert verdict == Verdict(0, "verified", [], ["complete"])


def sequence_of(line: bytes) -> int:
    sequence: int = json.loads(line)["credentialSubject"]["chain"]["sequence"]
    return sequence


def test_never_delivered_fire_and_forget(collector: StoringCollector, tmp_path: Path) -> None:
    """Without a log a failed delivery is a gap too; the next call says so, the emitter counts."""
    config = HttpEmitterConfig(collector.url, strategy="fire-and-forget", retry=ONE_TRY)
    emitter = HttpEmitter(config)
    chain = ReceiptChain(
        signer=material.KEY,
        issuer={"id": material.ISSUER},
        principal={"id": "did:user:u"},
        emitter=emitter,
    )
    chain.emit(READ, SUCCESS)
    assert emitter.flush() == 0
    collector.does(answer(503))
    chain.emit(READ, SUCCESS)
    assert emitter.flush() == 0
    with pytest.raises(EmitError, match="not delivered"):
        chain.emit(READ, SUCCESS)
    chain.close()
    emitter.close()
    assert emitter.dropped == 1
    verdict = tally_verify(collector.lines, tmp_path)
    assert verdict == Verdict(1, "refused", ["CHAIN_GAP"], ["complete"])


def test_killed_before_the_result(
    collector: StoringCollector, agent: Agent, tmp_path: Path
) -> None:
    """Killed when the tool has run and its result is not yet a receipt: a call without a result,
    and nothing that looks like a break."""
    assert agent.works("a") == "0 wait"
    collector.does(collector.store, silent)
    agent.begins("b")
    collector.holds(3).was_asked(4)
    agent.process.kill()
    agent.process.wait(20)
    verdict = tally_verify(collector.lines, tmp_path, "--expect-length", "3")
    assert verdict == Verdict(0, "verified", ["incomplete_tool_roundtrip"], ["unknown"])


def test_cold_start(
    collector: StoringCollector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first receipt waits for KMS to give its public key, later ones don't: latency only, and
    the chain verifies under the key that came late."""

    def slowly(request: Request, _connection: object, _stop: object) -> Answer | None:
        time.sleep(0.5)
        return kms.answer(request)

    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    with KmsService() as kms:
        kms.make_key(bytes(range(7, 39)), "alias/agent")
        kms.tricks.append(slowly)
        chain = ReceiptChain(
            signer=KMSSigner("alias/agent", client=client_for(kms)),
            issuer={"id": material.ISSUER},
            principal={"id": "did:user:u"},
            emitter=WalEmitter(
                inner=HttpEmitter(HttpEmitterConfig(collector.url)), wal=MemoryWal()
            ),
        )
        cold, warm = timed(chain), min(timed(chain) for _ in range(5))
        assert [request.path for request in kms.requests] == ["/"] * 7
        assert kms.count("GetPublicKey") == 1
    assert cold > 0.5 > warm
    verdict = tally_verify(
        collector.lines,
        tmp_path,
        "--expect-length",
        "6",
        key=KeyPair.from_seed(bytes(range(7, 39))),
    )
    assert verdict == Verdict(0, "verified", [], ["unknown"])


def timed(chain: ReceiptChain) -> float:
    """Emit once, and return how long it took."""
    begin = time.perf_counter()
    chain.emit(READ, SUCCESS)
    return time.perf_counter() - begin


def test_every_row_has_its_test() -> None:
    """The table in the docs names each test of this file, and no other, in this order."""
    page = (ROOT / "docs" / "concepts" / "failure-modes.md").read_text(encoding="utf-8")
    named = re.findall(r"\| `(test_\w+)` \|$", page, re.MULTILINE)
    here = [name for name in globals() if name.startswith("test_")]
    assert named == here[:-1]
