# SPDX-License-Identifier: Apache-2.0
"""`connect` picks what the environment names; the recorder goes on over leases and chains."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests import material
from tests.collector import StoringCollector
from tests.deliveries import Collector, receipts
from tests.frame_listener import FrameListener
from tests.honest_log import SHEET_NOTE
from tests.logs import LOG_KEY
from tests.misbehaving import answer, silent
from tests.promising import PromisingCollector

from tallystick import (
    Acknowledged,
    ChainClosedError,
    DaemonRecorder,
    EmitError,
    EmitTransportError,
    Error,
    FileEmitter,
    FileWal,
    Head,
    InMemoryEmitter,
    Issuer,
    KeyMismatchError,
    KeyPair,
    MemoryWal,
    Operator,
    Principal,
    ProductionKeyProviderError,
    ReceiptChain,
    RefusedInput,
    SessionSigner,
    SettingError,
    SignerUnavailable,
    Source,
    WalEmitter,
    verify_chain,
    verify_input,
)
from tallystick.chain.recorder import Recorder
from tallystick.keys.local import LocalSigner
from tallystick.recorder import connect

READ = {"type": "filesystem.file.read"}
SUCCESS = {"status": "success"}
KEY = {"AGENTRECEIPTS_KEY": material.KEY.private_key}


def connected(environ: Mapping[str, str], **settings: Any) -> Recorder:
    settings = {"issuer": material.ISSUER, "principal": "did:user:u"} | settings
    return connect(environ=environ, **settings)


def to_file(place: Path, **settings: Any) -> tuple[Recorder, Path]:
    path = place / "receipts.jsonl"
    return connected(KEY | {"TALLY_FILE": str(path)}, **settings), path


def agent_at_work(recorder: Recorder) -> None:
    """Work as an agent does, whatever the receipts go to."""
    with recorder.action("filesystem.file.read", target={"resource": "/etc/hosts"}) as call:
        call.result = {"bytes": 120}
    with pytest.raises(OSError, match="no such"), recorder.action("filesystem.file.delete"):
        raise OSError("no such file")

    @recorder.action("system.command.execute")
    def sort(lines: list[str]) -> list[str]:
        return sorted(lines)

    assert sort(["b", "a"]) == ["a", "b"]

    async def later() -> None:
        async with recorder.action("data.api.read") as call:
            call.result = [1, 2]
        await recorder.aemit(READ, SUCCESS)

    asyncio.run(later())
    recorder.emit(READ, SUCCESS, parameters={"path": "a"}, response={"bytes": 3})


def facts_of(lines: bytes) -> list[tuple[str, str, bool]]:
    """Return what each receipt says, without what is new in every run."""
    subjects = [json.loads(line)["credentialSubject"] for line in lines.splitlines()]
    return [
        (one["action"]["type"], one["outcome"]["status"], "response_hash" in one["outcome"])
        for one in subjects
    ]


def test_the_same_code_over_file_and_collector(tmp_path: Path) -> None:
    """One and the same agent: the file and the collector hold the same story, and both verify."""
    recorder, path = to_file(tmp_path)
    with recorder:
        agent_at_work(recorder)
    with StoringCollector() as collector:
        with connected(KEY | {"AGENTRECEIPTS_COLLECTOR_URL": collector.url}) as recorder:
            agent_at_work(recorder)
        from_collector = collector.lines
    from_file = path.read_bytes()
    assert facts_of(from_file) == facts_of(from_collector)
    for lines in (from_file, from_collector):
        report = verify_chain(
            lines, material.KEY.public_key, expected_length=11, require_terminal=True
        ).ensure()
        assert not report.findings
        assert report.chains[0].termination == "complete"


def test_promises_are_checked_where_the_log_is_named(tmp_path: Path) -> None:
    """With TALLY_LOG_TRUST each answer's promise is checked and kept; without one, none counts."""
    trust = tmp_path / "keys"
    trust.mkdir()
    (trust / "log.vkey").write_text(LOG_KEY.verifier.encode())
    (trust / "sheet").write_bytes(SHEET_NOTE)
    kept = tmp_path / "promises"
    settings = KEY | {"TALLY_LOG_TRUST": str(trust), "TALLY_PROMISES": str(kept)}
    with PromisingCollector(lambda: time.time_ns() // 1_000_000) as collector:
        url = {"AGENTRECEIPTS_COLLECTOR_URL": collector.url}
        with connected(settings | url) as recorder:
            recorder.emit(READ, SUCCESS)
        assert len(list(kept.iterdir())) == 2
    required = KEY | {"TALLY_REQUIRE_PROMISE": "true", "TALLY_DEADLINE_MS": "500"}
    with StoringCollector() as collector:
        url = {"AGENTRECEIPTS_COLLECTOR_URL": collector.url}
        with pytest.raises(SettingError, match="TALLY_LOG_TRUST"):
            connected(required | url)
        recorder = connected(required | url | {"TALLY_LOG_TRUST": str(trust)})
        with pytest.raises(EmitError, match="promise"):
            recorder.emit(READ, SUCCESS)
        with pytest.raises(Error):
            recorder.close()
    with pytest.raises(Error, match=r"log\.vkey"):
        connected(settings | url | {"TALLY_LOG_TRUST": str(tmp_path)})


def test_neither_named_is_a_file_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without collector and file, receipts go to `receipts.jsonl` in this folder."""
    monkeypatch.chdir(tmp_path)
    with connected(KEY) as recorder:
        assert isinstance(recorder.emitter, FileEmitter)
        recorder.emit(READ, SUCCESS)
    assert len((tmp_path / "receipts.jsonl").read_bytes().splitlines()) == 2


def test_a_collector_is_a_log_and_http(tmp_path: Path) -> None:
    """A URL is HTTP behind a log: in memory, or in the file that TALLY_WAL names. Nothing is opened
    before the first receipt, and the token is shown nowhere."""
    url = {"AGENTRECEIPTS_COLLECTOR_URL": "https://collector.invalid"}
    recorder = connected(KEY | url | {"AGENTRECEIPTS_COLLECTOR_TOKEN": "tok-1"})
    assert isinstance(recorder.emitter, WalEmitter)
    assert isinstance(recorder.emitter.wal, MemoryWal)
    assert "tok-1" not in repr(recorder.emitter)
    durable = connected(KEY | url | {"TALLY_WAL": str(tmp_path / "wal")})
    assert isinstance(durable.emitter, WalEmitter)
    assert isinstance(durable.emitter.wal, FileWal)
    durable.emitter.close()


def test_a_silent_collector_does_not_hold_up_the_start(tmp_path: Path) -> None:
    """With a backlog and nobody who answers, `connect` returns within its two seconds."""
    log = tmp_path / "log"
    with FileWal(log) as wal:
        wal.append(receipts(1)[0])
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        begun = time.monotonic()
        recorder = connected(KEY | {"AGENTRECEIPTS_COLLECTOR_URL": url, "TALLY_WAL": str(log)})
        assert time.monotonic() - begun < 4
        assert isinstance(recorder.emitter, WalEmitter)
        assert recorder.emitter.pending == 1
        recorder.emitter.wal.close()


def test_a_backlog_is_delivered_at_the_start(tmp_path: Path) -> None:
    """What an earlier process left in the file of TALLY_WAL is delivered by `connect`."""
    with StoringCollector() as collector:
        environ = KEY | {
            "AGENTRECEIPTS_COLLECTOR_URL": collector.url,
            "TALLY_WAL": str(tmp_path / "wal"),
        }
        recorder = connected(environ)
        assert isinstance(recorder.emitter, WalEmitter)
        recorder.emitter.wal.append(receipt_of(recorder))
        recorder.emitter.wal.close()
        collector.is_up()
        again = connected(environ)
        assert again.flush() == 0
        assert len(collector.stored) == 1
        again.close()


def receipt_of(recorder: Recorder) -> Any:
    """Return a receipt that the recorder's key would have signed."""
    kept = Collector()
    ReceiptChain(
        signer=material.KEY,
        issuer={"id": material.ISSUER},
        principal={"id": "did:user:u"},
        emitter=kept,
        chain_id=recorder.chain.chain_id,
    ).emit(READ, SUCCESS)
    return kept.received[0]


def told(listener: FrameListener, **settings: Any) -> Recorder:
    """Return a recorder of a daemon; the key in the environment is none of its business."""
    return connected({"AGENTRECEIPTS_SOCKET": listener.path, "AGENTRECEIPTS_KEY": "x"}, **settings)


def record(recorder: Recorder) -> Any:
    """Do what any program does, whatever stands behind `connect`."""
    with recorder.action(
        "filesystem.file.read", target={"resource": "/etc/hosts"}, parameters={"n": 1}
    ) as a:
        a.result = {"bytes": 120}
    return a.receipt


def test_the_same_lines_with_a_daemon(tmp_path: Path) -> None:
    """A socket in the environment: no key, no file, two frames for an action, both acknowledged."""
    issuer = Issuer(id=material.ISSUER, model="m", operator=Operator(id="o", name="O"))
    with FrameListener() as listener, told(listener, issuer=issuer, session_id="s") as recorder:
        answer = record(recorder)
        assert isinstance(recorder, DaemonRecorder)
        assert (type(answer), answer.sequence) == (Acknowledged, 2)
        before, after = listener.frames
        assert (before.decision, after.decision) == ("pending", "allowed")
        assert before.input == after.input == {"n": 1}
        assert (before.output, after.output) == (None, {"bytes": 120})
        assert before.correlation_id == after.correlation_id
        assert before.type == before.tool.name == "filesystem.file.read"
        assert (before.target_system, before.target_resource) == ("local", "/etc/hosts")
        assert (before.issuer_name, before.issuer_model) == (material.ISSUER, "m")
        assert (before.operator_id, before.operator_name, before.session_id) == ("o", "O", "s")
        assert before.ack and after.ack
        assert (recorder.flush(), recorder.undelivered, recorder.is_closed) == (0, 0, False)
        with pytest.raises(SettingError, match="daemon has the chain"):
            _ = recorder.chain
    assert recorder.is_closed
    # The very same lines with a chain of their own.
    with connected(KEY | {"TALLY_FILE": str(tmp_path / "r.jsonl")}) as own:
        assert record(own).link.sequence == 2


def test_failures_and_functions_told_to_a_daemon() -> None:
    """Exceptions are told by their class; decorated functions by arguments and result."""
    with FrameListener() as listener, told(listener) as recorder:

        @recorder.action("system.command.execute")
        def run(name: str) -> str:
            if name == "x":
                raise KeyError("secret")
            return name * 2

        assert run("a") == "aa"
        with pytest.raises(KeyError):
            run("x")

        @recorder.action("system.command.execute")
        async def wait(thing: object) -> object:
            return thing

        asyncio.run(wait(object()))
        frames = listener.wait(6)
        assert (frames[1].input, frames[1].output) == ({"args": ["a"], "kwargs": {}}, "aa")
        assert (frames[3].error, frames[3].decision) == ("KeyError", "allowed")
        assert (frames[5].input, frames[5].output) == (None, None)


def test_payloads_that_no_frame_holds() -> None:
    """What is too large, or known by its hash alone, is told by its hash; the action is kept."""
    large = "x" * (1024 * 1024)
    with FrameListener() as listener, told(listener) as recorder:
        with recorder.action("data.api.read", parameters=large) as a:
            a.result = 1
        recorder.emit(
            {**READ, "parameters_hash": "sha256:" + "0" * 64},
            {"status": "failure"},
            intent={"prompt_preview": "why"},
        )
        frames = listener.wait(3)
        assert frames[0].input["omitted"]["bytes"] == len(large) + 2
        assert frames[2].input == {"omitted": {"hash": "sha256:" + "0" * 64}}
        assert (frames[2].error, frames[2].prompt_preview) == ("failed", "why")


@pytest.mark.parametrize(
    ("action", "outcome", "members"),
    [
        ({**READ, "trusted_timestamp": "AA=="}, SUCCESS, {}),
        (READ, {"status": "success", "reversible": True}, {}),
        (READ, {"status": "done"}, {}),
        (READ, SUCCESS, {"authorization": {"granted_at": "2026-01-01T00:00:00Z"}}),
        (READ, SUCCESS, {"intent": {"reasoning_hash": "sha256:" + "0" * 64}}),
    ],
)
def test_what_a_frame_can_not_tell(
    action: dict[str, Any], outcome: dict[str, Any], members: dict[str, Any]
) -> None:
    """A member that a frame has no place for is refused, and not left out in silence."""
    with FrameListener() as listener, told(listener) as recorder:
        with pytest.raises(RefusedInput):
            recorder.emit(action, outcome, **members)
        assert not listener.frames


def test_a_daemon_that_is_down(tmp_path: Path) -> None:
    """The caller is told; with a spool and `hold_undelivered` the work goes on."""
    environ = {"AGENTRECEIPTS_SOCKET": str(tmp_path / "s"), "TALLY_SPOOL": str(tmp_path / "spool")}
    with pytest.raises(EmitTransportError, match="kept"):
        connected(environ).emit(READ, SUCCESS)
    recorder = connected(environ, hold_undelivered=True)
    assert recorder.emit(READ, SUCCESS) is None
    assert recorder.undelivered == 2
    with FrameListener(environ["AGENTRECEIPTS_SOCKET"]) as listener:
        assert recorder.flush() == 0
        assert [one.late for one in listener.frames] == [True, True]
        recorder.close()


def test_plain_http_needs_loopback() -> None:
    """A collector elsewhere is reached over https."""
    with pytest.raises(ValueError, match="https"):
        connected(KEY | {"AGENTRECEIPTS_COLLECTOR_URL": "http://collector.example"})


@pytest.mark.parametrize(
    ("environ", "settings"),
    [({"TALLY_DEADLINE_MS": "500"}, {}), ({"TALLY_DEADLINE_MS": "60000"}, {"deadline_ms": 500})],
    ids=["variable", "argument"],
)
def test_a_deadline_for_delivery(environ: dict[str, str], settings: dict[str, int]) -> None:
    """A collector that says nothing is given up when the deadline is over; the receipt is kept.
    The argument goes before the variable."""
    with StoringCollector() as collector:
        collector.does(silent)
        recorder = connected(
            KEY | environ | {"AGENTRECEIPTS_COLLECTOR_URL": collector.url}, **settings
        )
        began = time.monotonic()
        with pytest.raises(EmitError):
            recorder.emit(READ, SUCCESS)
        assert time.monotonic() - began < 20
        assert recorder.flush(deadline_ms=20_000) == 0
        recorder.close()
        assert collector.sequences == [1, 2]


@pytest.mark.parametrize("text", ["2s", "0"])
def test_a_deadline_that_is_none(text: str) -> None:
    """A deadline that is no number, or none in bounds, is refused before anything begins."""
    url = {"AGENTRECEIPTS_COLLECTOR_URL": "https://collector.invalid"}
    with pytest.raises(Error, match=r"(?i)deadline_ms must be a whole number"):
        connected(KEY | url | {"TALLY_DEADLINE_MS": text})


def test_holding_what_is_not_delivered() -> None:
    """With `hold_undelivered` the work goes on while the collector is away; all is kept."""
    with StoringCollector() as collector:
        collector.does(answer(401), answer(401))
        recorder = connected(
            KEY | {"AGENTRECEIPTS_COLLECTOR_URL": collector.url}, hold_undelivered=True
        )
        with recorder.action("filesystem.file.read"):
            pass
        assert recorder.flush() == 0
        recorder.close()
        assert collector.sequences == [1, 2, 3]


def test_an_emitter_of_ones_own() -> None:
    """A given emitter takes the receipts, whatever the environment names; leases still go on."""
    kept = InMemoryEmitter()
    lease = SessionSigner(LocalSigner(material.KEY), max_receipts=2)
    recorder = connected({"AGENTRECEIPTS_SOCKET": "/s"}, emitter=kept, signer=lease)
    for _ in range(3):
        recorder.emit(READ, SUCCESS)
    assert recorder.emitter is kept
    report = verify_input([Source(one.to_json()) for one in kept.receipts], material.KEY.public_key)
    assert [chain.length for chain in report.ensure().chains] == [4, 2]
    with pytest.raises(SettingError, match="deadline_ms"):
        connected(KEY, emitter=kept, deadline_ms=200)


def test_no_collector_on_a_runtime_that_forgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the disk goes with the instance, the default file brings a warning, a named one not."""
    monkeypatch.chdir(tmp_path)
    with pytest.warns(RuntimeWarning, match="AGENTRECEIPTS_COLLECTOR_URL is not set.*Cloud Run"):
        connected(KEY | {"K_SERVICE": "prices"}).close()
    connected(KEY | {"K_SERVICE": "prices", "TALLY_FILE": str(tmp_path / "mounted")}).close()


@pytest.mark.parametrize("name", ["issuer", "principal"])
def test_an_empty_id_is_refused(name: str) -> None:
    """A variable that was never set does not become the name of nobody."""
    with pytest.raises(SettingError, match=f"{name} is empty"):
        connected(KEY, **{name: ""})


@pytest.mark.parametrize(
    ("issuer", "principal"),
    [
        (material.ISSUER, "did:user:u"),
        ({"id": material.ISSUER}, {"id": "did:user:u"}),
        (Issuer(id=material.ISSUER), Principal(id="did:user:u")),
    ],
)
def test_issuer_and_principal(tmp_path: Path, issuer: Any, principal: Any) -> None:
    """Each is an id, a dict in the protocol's words, or typed."""
    recorder, path = to_file(tmp_path, issuer=issuer, principal=principal, session_id="s-1")
    with recorder:
        recorder.emit(READ, SUCCESS)
    first = json.loads(path.read_bytes().splitlines()[0])
    assert first["issuer"] == {"id": material.ISSUER, "session_id": "s-1"}
    assert first["credentialSubject"]["principal"] == {"id": "did:user:u"}
    assert first["proof"]["verificationMethod"] == f"{material.ISSUER}#key-1"


def test_a_chain_id_that_is_set_to_nothing_is_not_set(tmp_path: Path) -> None:
    """As in a compose file that passes on what is not there: a fresh id is made."""
    environ = KEY | {"AGENTRECEIPTS_CHAIN_ID": "", "TALLY_FILE": str(tmp_path / "r.jsonl")}
    with connected(environ) as recorder:
        assert recorder.chain.chain_id.startswith("chain_")
        assert recorder.undelivered == 0


def test_the_environment_names_chain_and_method(tmp_path: Path) -> None:
    """AGENTRECEIPTS_CHAIN_ID and AGENTRECEIPTS_VERIFICATION_METHOD are taken; an argument wins."""
    path = tmp_path / "receipts.jsonl"
    environ = KEY | {
        "AGENTRECEIPTS_CHAIN_ID": "chain-7",
        "AGENTRECEIPTS_VERIFICATION_METHOD": "did:x:y#key-9",
        "TALLY_FILE": str(path),
    }
    connected(environ).close()
    connected(environ, verification_method="did:x:y#key-8").close()
    found = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert {one["credentialSubject"]["chain"]["chain_id"] for one in found} == {"chain-7"}
    methods = [one["proof"]["verificationMethod"] for one in found]
    assert methods == ["did:x:y#key-9", "did:x:y#key-8"]


def test_production_needs_a_key(tmp_path: Path) -> None:
    """In production a missing key is an error; nothing is opened, nothing is made."""
    production = {"AGENTRECEIPTS_PRODUCTION": "true", "TALLY_FILE": str(tmp_path / "r.jsonl")}
    with pytest.raises(ProductionKeyProviderError):
        connected(production)
    assert not list(tmp_path.iterdir())
    connected(production | KEY).close()
    connected(production, signer=material.KEY).close()


def test_development_makes_a_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a key one is made for this process, and that is said once."""
    monkeypatch.setattr("tallystick.keys.generating._warned", {})
    path = tmp_path / "r.jsonl"
    connected({"TALLY_FILE": str(path)}).close()
    assert not verify_chain(path.read_bytes(), material.KEY.public_key)
    assert "dev-only" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["key pair", "signer", "function"])
def test_a_signer_is_given(tmp_path: Path, kind: str) -> None:
    """A key pair, a signer, or a function that makes one: it signs, and not the environment's."""
    signer = {
        "key pair": material.OTHER_KEY,
        "signer": LocalSigner(material.OTHER_KEY),
        "function": lambda: LocalSigner(material.OTHER_KEY),
    }[kind]
    recorder, path = to_file(tmp_path, signer=signer)
    with recorder:
        recorder.emit(READ, SUCCESS)
    verify_chain(path.read_bytes(), material.OTHER_KEY.public_key, expected_length=2).ensure()


def test_how_a_block_ends(tmp_path: Path) -> None:
    """A `with` block that ends well closes as complete, one that raises as interrupted."""
    recorder, path = to_file(tmp_path)
    with pytest.raises(KeyError), recorder:
        fails(recorder)
    assert recorder.is_closed
    report = verify_chain(path.read_bytes(), material.KEY.public_key).ensure()
    assert report.chains[0].termination == "interrupted"
    recorder.close()
    with pytest.raises(ChainClosedError):
        recorder.emit(READ, SUCCESS)
    assert len(path.read_bytes().splitlines()) == 2


def fails(recorder: Recorder) -> None:
    recorder.emit(READ, SUCCESS)
    raise KeyError


def test_flush(tmp_path: Path) -> None:
    """`flush` gives what still waits, whether the emitter keeps receipts or the chain does."""
    collector = Collector()
    keeping = recorder_over(WalEmitter(inner=collector, wal=MemoryWal()))
    lining_up = recorder_over(collector)
    for recorder in (keeping, lining_up):
        collector.is_down()
        with pytest.raises(EmitError):
            recorder.emit(READ, SUCCESS)
        assert recorder.flush(deadline_ms=100) == 1
        collector.is_up()
        assert recorder.flush() == 0
    recorder, _ = to_file(tmp_path)
    assert recorder.flush() == 0
    recorder.close()


def recorder_over(emitter: Any, **settings: Any) -> Recorder:
    """Return a recorder whose chains are signed with the tests' key."""

    def begin(previous: ReceiptChain | None) -> ReceiptChain:
        return ReceiptChain(
            signer=material.KEY,
            issuer={"id": material.ISSUER},
            principal={"id": "did:user:u"},
            emitter=emitter,
            previous_chain=None if previous is None else previous.head,
            **settings,
        )

    return Recorder(begin, emitter)


def chains_in(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the receipts of a file, by their chains."""
    chains: dict[str, list[dict[str, Any]]] = {}
    for line in path.read_bytes().splitlines():
        receipt = json.loads(line)
        chains.setdefault(receipt["credentialSubject"]["chain"]["chain_id"], []).append(receipt)
    return chains


class Clock:
    """A clock that goes only when it is told."""

    def __init__(self) -> None:
        self.now = 1_780_000_000 * 10**9

    def __call__(self) -> int:
        return self.now


def test_a_lease_that_ends_begins_a_new_chain(tmp_path: Path) -> None:
    """When the session key is too old, its chain is closed, and a new one with a new key names it.
    The caller's code goes on; an auditor with the root's key alone verifies both."""
    clock = Clock()
    lease = SessionSigner(LocalSigner(material.KEY), max_age=timedelta(minutes=5), clock=clock)
    recorder, path = to_file(tmp_path, signer=lease)
    with recorder:
        recorder.emit(READ, SUCCESS)
        before = recorder.chain
        clock.now += 6 * 60 * 10**9
        recorder.emit(READ, SUCCESS)
        assert recorder.chain is not before
        assert before.is_closed
    assert lease.is_closed
    report = verify_input([Source(path.read_bytes())], material.KEY.public_key).ensure()
    assert [chain.termination for chain in report.chains] == ["complete", "complete"]
    first, second = chains_in(path).values()
    named = second[0]["issuer"]["runtime"]["tallystick"]["previous_chain"]
    assert named["chain_id"] == first[0]["credentialSubject"]["chain"]["chain_id"]
    assert named["sequence"] == len(first) == 3
    assert first[-1]["issuer"]["runtime"]["tallystick"] == {"lease_ended": True}
    keys = [
        chain[0]["credentialSubject"]["keyRotation"]["new_public_key"] for chain in (first, second)
    ]
    assert len(set(keys)) == 2


def test_many_threads_go_over_to_one_new_chain(tmp_path: Path) -> None:
    """16 threads meet the end of a lease together: each lease is one chain, none is left empty, and
    no receipt is lost."""
    lease = SessionSigner(LocalSigner(material.KEY), max_receipts=10)
    recorder, path = to_file(tmp_path, signer=lease)
    together = threading.Barrier(16)

    def work() -> None:
        together.wait(10)
        for _ in range(5):
            recorder.emit(READ, SUCCESS)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    recorder.close()
    verify_input([Source(path.read_bytes())], material.KEY.public_key).ensure()
    # 80 actions in eight leases of ten, each with a hand-over and an end.
    assert [len(chain) for chain in chains_in(path).values()] == [12] * 8


def test_a_call_over_two_leases(tmp_path: Path) -> None:
    """The lease ends while a call runs: its result goes to the next chain, under the same
    correlation id."""
    lease = SessionSigner(LocalSigner(material.KEY), max_receipts=1)
    recorder, path = to_file(tmp_path, signer=lease)
    with recorder, recorder.action("filesystem.file.read") as call:
        call.result = 1
    verify_input([Source(path.read_bytes())], material.KEY.public_key).ensure()
    first, second = (chain[1]["credentialSubject"] for chain in chains_in(path).values())
    assert [first["outcome"]["status"], second["outcome"]["status"]] == ["pending", "success"]
    assert first["correlation_id"] == second["correlation_id"]


def test_a_root_that_is_away_when_the_lease_ends(tmp_path: Path) -> None:
    """The next chain can't begin just now: the caller is told, and the one after that can."""
    leases = [SessionSigner(LocalSigner(material.KEY), max_receipts=1) for _ in range(2)]

    def lend() -> SessionSigner:
        if is_away:
            raise SignerUnavailable("the root is away")
        return leases.pop()

    is_away = False
    recorder, path = to_file(tmp_path, signer=lend)
    recorder.emit(READ, SUCCESS)
    is_away = True
    for _ in range(2):
        with pytest.raises(SignerUnavailable):
            recorder.emit(READ, SUCCESS)
    is_away = False
    recorder.emit(READ, SUCCESS)
    recorder.close()
    verify_input([Source(path.read_bytes())], material.KEY.public_key).ensure()
    assert [len(chain) for chain in chains_in(path).values()] == [3, 3]


def test_a_key_that_changes_is_not_passed_over(tmp_path: Path) -> None:
    """A signer whose key changes in mid-chain raises: only leases begin new chains."""

    class Changing:
        key = LocalSigner(material.KEY)

        def sign(self, message: bytes, /) -> bytes:
            return self.key.sign(message)

        def get_public_key(self) -> bytes:
            return self.key.get_public_key()

    signer = Changing()
    recorder, _ = to_file(tmp_path, signer=signer)
    recorder.emit(READ, SUCCESS)
    signer.key = LocalSigner(material.OTHER_KEY)
    with pytest.raises(KeyMismatchError):
        recorder.emit(READ, SUCCESS)
    signer.key = LocalSigner(material.KEY)
    recorder.close()


class Named:
    """A signer that pins the key of a name at its first use, as those of a KMS do."""

    def __init__(self, keys: list[KeyPair]) -> None:
        self.keys_by_time = keys
        self.pinned: KeyPair | None = None

    def sign(self, message: bytes, /) -> bytes:
        self.get_public_key()
        if self.pinned is not self.keys_by_time[-1]:
            raise KeyMismatchError("the name leads to another key now")
        return LocalSigner(self.keys_by_time[-1]).sign(message)

    def get_public_key(self) -> bytes:
        self.pinned = self.pinned or self.keys_by_time[-1]
        return LocalSigner(self.pinned).get_public_key()

    def anew(self) -> Named:
        return Named(self.keys_by_time)


@pytest.mark.parametrize("leased", [True, False])
def test_an_alias_that_moves_before_the_first_receipt(tmp_path: Path, leased: bool) -> None:
    """Between warm-up and first receipt nothing stands on the old key: the chain begins with the
    new one, and the instance is not stuck. Its id from the environment is kept."""
    keys = [material.KEY]
    root = Named(keys)
    path = tmp_path / "r.jsonl"
    recorder = connected(
        {"TALLY_FILE": str(path), "AGENTRECEIPTS_CHAIN_ID": "one"},
        signer=SessionSigner(root) if leased else root,
    )
    root.get_public_key()
    keys.append(material.OTHER_KEY)
    with recorder:
        recorder.emit(READ, SUCCESS)
    verify_chain(path.read_bytes(), material.OTHER_KEY.public_key, require_terminal=True).ensure()
    assert list(chains_in(path)) == ["one"]


def test_a_signer_that_never_fits(tmp_path: Path) -> None:
    """A signer that can't be made anew raises, and is not tried for ever."""

    class Stuck:
        def sign(self, message: bytes, /) -> bytes:
            raise KeyMismatchError("another key")

        def get_public_key(self) -> bytes:
            return LocalSigner(material.KEY).get_public_key()

    recorder, path = to_file(tmp_path, signer=Stuck())
    with pytest.raises(KeyMismatchError):
        recorder.emit(READ, SUCCESS)
    assert path.read_bytes() == b""


def test_what_can_not_begin_lets_go_of_its_files(tmp_path: Path) -> None:
    """A chain that can't begin leaves no file open and no log locked."""
    environ = KEY | {
        "AGENTRECEIPTS_COLLECTOR_URL": "https://collector.invalid",
        "TALLY_WAL": str(tmp_path / "wal"),
    }
    with pytest.raises(ValueError, match="required field `id`"):
        connected(environ, issuer={"name": "nobody"})
    FileWal(tmp_path / "wal").close()


def test_heads_go_on(tmp_path: Path) -> None:
    """`recorder.chain.head` is the head of the chain that the next receipt goes to."""
    recorder, _ = to_file(tmp_path)
    assert recorder.chain.head == Head(chain_id=recorder.chain.chain_id)
    recorder.emit(READ, SUCCESS)
    assert recorder.chain.head.sequence == 1
    recorder.close()
