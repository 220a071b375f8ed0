# SPDX-License-Identifier: Apache-2.0
"""The Lambda example under AWS's own runtime client, against a local Runtime API."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests import material
from tests.collector import StoringCollector, wait_for
from tests.examples import EXAMPLES, TOKEN, ended, settings, started
from tests.lambda_runtime import RuntimeApi
from tests.misbehaving import answer, silent
from tests.systems.kms_service import KmsService

from tallystick import Report, verify_chain
from tallystick.crypto.ed25519 import KeyPair

PLACE = EXAMPLES / "lambda"
LAMBDA = {
    "AWS_LAMBDA_FUNCTION_NAME": "prices",
    # From here on the runtime client polls in a thread, and the main thread hears signals.
    "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
}


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    with RuntimeApi() as found:
        yield found


@pytest.fixture
def collector() -> Iterator[StoringCollector]:
    with StoringCollector() as found:
        yield found


@pytest.fixture
def unhurried(tmp_path: Path) -> Path:
    """The example with more time at SIGTERM: on a busy machine 140 ms may be none."""
    text = (PLACE / "handler.py").read_text(encoding="utf-8")
    assert text.count("GRACE_MS: Final = 140\n") == 1
    (tmp_path / "handler.py").write_text(text.replace("Final = 140\n", "Final = 10_000\n"))
    return tmp_path


@contextmanager
def environment(
    api: RuntimeApi, collector: StoringCollector, place: Path = PLACE, **more: str
) -> Iterator[subprocess.Popen[str]]:
    """One execution environment of the function."""
    told = {"LAMBDA_TASK_ROOT": str(place)} | more
    settled = settings(collector.url, AWS_LAMBDA_RUNTIME_API=api.address, **LAMBDA | told)
    with started(["-m", "awslambdaric", "handler.handler"], settled, place) as process:
        yield process


def verified(lines: bytes, key: KeyPair = material.KEY, **expected: Any) -> Report:
    """Return the report on a chain that verifies."""
    return verify_chain(lines, key.public_key, **expected).ensure()


def test_two_receipts_for_each_invocation(api: RuntimeApi, collector: StoringCollector) -> None:
    """When Lambda has the answer, the collector has call and result; warm invocations go on with
    the chain and with the connection."""
    with environment(api, collector):
        for count in (1, 2, 3):
            outcome = api.invoke({"item": "apple"})
            assert outcome.kind == "response", outcome
            assert outcome.body["cents"] == 30
            assert len(collector.stored) == 2 * count
            assert outcome.body["receipt"] == list(collector.stored)[-1]
    report = verified(collector.lines, expected_length=6)
    assert not [finding.code for finding in report.findings]
    assert collector.outcomes == ["pending", "success"] * 3
    assert collector.connections == 1
    assert {seen.headers["authorization"] for seen in collector.requests} == {f"Bearer {TOKEN}"}


def test_a_failure_is_a_receipt_too(api: RuntimeApi, collector: StoringCollector) -> None:
    """An exception in the function reaches Lambda as an error and the collector as a failure."""
    with environment(api, collector):
        outcome = api.invoke({"item": "grape"})
        assert (outcome.kind, outcome.body["errorType"]) == ("error", "KeyError")
        assert api.invoke({"item": "pear"}).body["cents"] == 40
    verified(collector.lines, expected_length=4)
    assert collector.outcomes == ["pending", "failure", "pending", "success"]


def test_each_environment_has_a_chain(api: RuntimeApi, collector: StoringCollector) -> None:
    """Two cold starts, one after the other: two chains, each of which verifies by itself."""
    for _ in range(2):
        with environment(api, collector):
            api.invoke({"item": "apple"})
    chains = collector.chains
    assert len(chains) == 2
    for lines in chains.values():
        verified(lines, expected_length=2)


def test_freeze_and_thaw(api: RuntimeApi, collector: StoringCollector) -> None:
    """Between invocations the environment is frozen, and the collector drops its connection:
    after the thaw the function goes on, nothing is lost and nothing comes twice."""
    with environment(api, collector) as process:
        for count in (1, 2, 3):
            assert api.invoke({"item": "apple"}).kind == "response"
            api.is_idle()
            process.send_signal(signal.SIGSTOP)
            wait_for(lambda: state_of(process) == "T")
            collector.drop_connections()
            time.sleep(0.1)
            process.send_signal(signal.SIGCONT)
            assert len(collector.stored) == 2 * count
        api.invoke({"item": "pear"})
        api.is_idle()
        process.send_signal(signal.SIGTERM)
        assert ended(process)[0] == 128 + signal.SIGTERM
    verified(collector.lines, expected_length=8)
    assert len(collector.requests) == 8
    assert collector.connections == 4


def test_frozen_before_the_acknowledgement(api: RuntimeApi, collector: StoringCollector) -> None:
    """A freeze in the middle of a delivery (another thread, a late thaw): the collector stored the
    receipt and the answer is lost with the connection. It is sent again, and stored once."""
    with environment(api, collector) as process:
        api.invoke({"item": "apple"})
        collector.does(collector.store_silently)
        api.send({"item": "pear"})
        collector.holds(3)
        process.send_signal(signal.SIGSTOP)
        wait_for(lambda: state_of(process) == "T")
        collector.drop_connections()
        process.send_signal(signal.SIGCONT)
        assert api.answer().body["cents"] == 40
    verified(collector.lines, expected_length=4)
    assert len(collector.requests) == 5


def state_of(process: subprocess.Popen[str]) -> str:
    """Return what the kernel says that a process does: T is stopped."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_sigterm_with_nothing_left(api: RuntimeApi, collector: StoringCollector) -> None:
    """All was delivered: the environment goes away at once, its chain stays open, and no call in
    it is without its result."""
    with environment(api, collector) as process:
        api.invoke({"item": "apple"})
        api.is_idle()
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert ended(process)[0] == 128 + signal.SIGTERM
        assert time.monotonic() - began < 20
    report = verified(collector.lines, expected_length=2)
    assert report.chains[0].termination == "unknown"
    assert not report.findings


def test_sigterm_delivers_what_is_left(
    api: RuntimeApi, collector: StoringCollector, unhurried: Path
) -> None:
    """The collector was away during an invocation, which failed; at SIGTERM it is back, and gets
    the receipt within the grace time."""
    with environment(api, collector, unhurried) as process:
        api.invoke({"item": "apple"})
        collector.does(answer(401))
        outcome = api.invoke({"item": "pear"})
        assert (outcome.kind, outcome.body["errorType"]) == ("error", "EmitError")
        assert TOKEN not in json.dumps(outcome.body)
        assert len(collector.stored) == 2
        api.is_idle()
        process.send_signal(signal.SIGTERM)
        assert ended(process)[0] == 128 + signal.SIGTERM
    report = verified(collector.lines, expected_length=3)
    assert report.chains[0].termination == "unknown"


def test_sigterm_with_something_left(
    api: RuntimeApi, collector: StoringCollector, unhurried: Path
) -> None:
    """The flush does not get through: then the function signs that it was interrupted, and what
    it could deliver after all ends with that."""
    with environment(api, collector, unhurried) as process:
        api.invoke({"item": "apple"})
        collector.does(answer(401), answer(401))  # for the invocation, and for the flush
        assert api.invoke({"item": "pear"}).kind == "error"
        api.is_idle()
        process.send_signal(signal.SIGTERM)
        assert ended(process)[0] == 128 + signal.SIGTERM
    report = verified(collector.lines, expected_length=4, require_terminal=True)
    assert report.chains[0].termination == "interrupted"
    assert [finding.code for finding in report.findings] == ["incomplete_tool_roundtrip"]


def test_a_hard_timeout(api: RuntimeApi, collector: StoringCollector) -> None:
    """Killed between call and result: the chain says that a call has no result, and no more."""
    with environment(api, collector) as process:
        api.invoke({"item": "apple"})
        collector.does(collector.store, silent)
        api.send({"item": "pear"})
        collector.holds(3).was_asked(4)
        process.kill()
        process.wait(10)
    report = verified(collector.lines, expected_length=3)
    assert [finding.code for finding in report.findings] == ["incomplete_tool_roundtrip"]


def test_production_without_a_key(api: RuntimeApi, collector: StoringCollector) -> None:
    """In production no key is made up: the cold start fails, and Lambda is told why."""
    with environment(
        api, collector, AGENTRECEIPTS_KEY="", AGENTRECEIPTS_PRODUCTION="true"
    ) as process:
        assert ended(process)[0] == 1
    (told,) = api.init_errors
    assert told["errorType"] == "ProductionKeyProviderError"
    assert not collector.requests


def test_a_key_in_kms(api: RuntimeApi, collector: StoringCollector) -> None:
    """With KMS_KEY_ID the environment's chain stands on the KMS key: one signature by KMS at the
    first receipt, its public key fetched before the first invocation."""
    root = KeyPair.from_seed(bytes(range(7, 39)))
    with KmsService() as kms:
        kms.make_key(bytes(range(7, 39)), "alias/agent")
        with environment(
            api,
            collector,
            KMS_KEY_ID="alias/agent",
            AGENTRECEIPTS_KEY="",
            AGENTRECEIPTS_PRODUCTION="true",
            AWS_ENDPOINT_URL_KMS=kms.url,
            AWS_ACCESS_KEY_ID="AKIDEXAMPLE",
            AWS_SECRET_ACCESS_KEY="not a secret",
            AWS_REGION="eu-west-1",
            AWS_DEFAULT_REGION="eu-west-1",
        ):
            api.is_idle()
            assert (kms.count("GetPublicKey"), kms.count("Sign")) == (1, 0)
            for _ in range(2):
                assert api.invoke({"item": "apple"}).kind == "response"
            assert (kms.count("GetPublicKey"), kms.count("Sign")) == (1, 1)
    verified(collector.lines, root, expected_length=5)


def test_snap_start(api: RuntimeApi, collector: StoringCollector) -> None:
    """Under SnapStart the chain begins after the restore, so that no two copies share one."""
    with environment(api, collector, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start"):
        assert api.invoke({"item": "apple"}).kind == "response"
        assert api.restores == 1
    verified(collector.lines, expected_length=2)
