# SPDX-License-Identifier: Apache-2.0
"""`tally evidence log`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.command import Answer, tally
from tests.honest_log import SHEET_NOTE, HonestLog
from tests.logs import LOG_KEY
from tests.promising import PromisingCollector
from tests.sessions.stage_evidence import last_receipt
from tests.terminals import is_gone, watched

from tallystick.crypto.multibase import b64_encode
from tallystick.model.log_entry import receipt_digest, receipt_id_hash

VERIFY = ("evidence", "verify", "out.tally", "--key", "solver.pub", "--vkey", "log.vkey")
ALL = ("--proof", "proof", "--promise", "promise", "--sheet", "sheet")


@pytest.fixture
def log() -> HonestLog:
    """Return a log that has the run's last receipt as entry 2, and write its files."""
    made = HonestLog()
    value = json.loads(last_receipt(Path("solved.tally").read_bytes()))
    made.place(1_767_323_050_000, 2)
    hashes = receipt_digest(value), receipt_id_hash(value["id"])
    index = made.place_receipt(1_767_323_050_000, *hashes)
    note = made.sign(1_767_323_051_000)
    Path("proof").write_bytes(made.proof(index, note, 3))
    Path("promise").write_bytes(made.promise(index))
    Path("answer.json").write_text(
        json.dumps(
            {"entry": b64_encode(made.entries[index]), "promise": made.promise(index).decode()}
        )
    )
    Path("sheet").write_bytes(SHEET_NOTE)
    Path("note").write_bytes(note)
    Path("late").write_bytes(made.sign_size(2, 1_767_324_000))
    return made


@pytest.fixture
def collector() -> Iterator[PromisingCollector]:
    """Return a collector with a log, which signs a checkpoint after each receipt."""
    with PromisingCollector(lambda: time.time_ns() // 10**6) as running:
        running.signs_at_once = True
        yield running


def logged(*arguments: str, bundle: str = "solved.tally", stdin: bytes = b"") -> Answer:
    """Run the verb."""
    given = ("--vkey", "log.vkey", "--out", "out.tally")
    return tally("evidence", "log", bundle, *given, *arguments, stdin=stdin)


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    "files",
    [
        ("--proof", "proof"),
        ALL,
        ("--proof", "proof", "--promise", "answer.json", "--sheet", "sheet"),
        ("--proof", "proof", "--checkpoint", "note", "--sheet", "sheet"),
    ],
)
def test_files_of_a_log_are_put_in(files: tuple[str, ...]) -> None:
    """What was put in is what `verify` wants, and the place is told; the bundle stays."""
    before = Path("solved.tally").read_bytes()
    answer = logged(*files)
    assert answer.code == 0, answer.err
    assert f"entry 2 of {LOG_KEY.verifier.name}, taken at 2026-01-02T03:04:10.000Z" in answer.out
    assert tally(*VERIFY).code == 0
    (told,) = (
        line
        for line in tally("evidence", "show", "out.tally").out.splitlines()
        if line[:4] == "log "
    )
    assert set(told[4:].strip().split(", ")) == {name[2:] for name in files[::2]}
    assert Path("solved.tally").read_bytes() == before


@pytest.mark.usefixtures("log")
def test_a_bundle_on_standard_input() -> None:
    """`-` is standard input; a bundle that has a log's word already gets the new one."""
    assert logged("--proof", "proof", bundle="-", stdin=Path("solved.tally").read_bytes()).code == 0
    first = Path("out.tally").read_bytes()
    Path("out.tally").unlink()
    assert logged("--proof", "proof", bundle="-", stdin=first).code == 0
    assert Path("out.tally").read_bytes() == first


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    ("files", "code", "told"),
    [
        (("--proof", "other.tlog-proof"), 1, "not shown to be in the log"),
        (("--proof", "promise"), 1, "not shown to be in the log: proof: "),
        (("--proof", "nowhere"), 3, "nowhere could not be read"),
        (("--proof", "proof", "--promise", "promise"), 3, "sheet: is needed"),
        (("--proof", "proof", "--promise", "receipt.promise", "--sheet", "sheet"), 1, "promise: "),
        (("--proof", "proof", "--sheet", "note"), 1, "sheet: "),
        (
            (
                "--proof",
                "proof",
                "--promise",
                "promise",
                "--sheet",
                "sheet",
                "--checkpoint",
                "late",
            ),
            1,
            "checkpoint: ",
        ),
    ],
)
def test_what_does_not_hold_is_not_put_in(files: tuple[str, ...], code: int, told: str) -> None:
    """Another's proof, what is none, a promise that can't be opened or was broken: no file."""
    answer = logged(*files)
    assert (answer.code, told in answer.err) == (code, True), answer.err
    assert not Path("out.tally").exists()


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    ("bundle", "code", "told"),
    [
        ("garbage.json", 1, "is no bundle"),
        ("changed.tally", 1, "artifacts/report.json: is not what the manifest lists"),
        ("folder.tally", 1, "binds no receipts"),
        ("nowhere.tally", 3, "could not be read"),
        ("refusal.tally", 1, "not shown to be in the log"),
    ],
)
def test_what_is_no_bundle_of_this_run(bundle: str, code: int, told: str) -> None:
    """Garbage, an altered one, a folder's, none, and another run's."""
    key = ("--key", "agent.key")
    assert tally("evidence", "make", "results", "--out", "folder.tally", *key).code == 0
    answer = logged("--proof", "proof", bundle=bundle)
    assert (answer.code, told in answer.err) == (code, True), answer.err
    assert not Path("out.tally").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "what says the log?"),
        (("--sheet", "sheet"), "what says the log?"),
        (("--collector", "https://c.example", "--sheet", "sheet"), "--collector gives the sheet"),
        (("--collector", "http://c.example"), "--collector: "),
        (("--proof", "proof", "--vkey", "agent.pub"), "--vkey: "),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], told: str) -> None:
    """Nothing to put in, two sources at once, an address or a key that can't be used."""
    answer = logged(*arguments)
    assert (answer.code, told in answer.err) == (2, True), answer.err


@pytest.mark.usefixtures("log")
def test_nothing_is_written_over(collector: PromisingCollector) -> None:
    """A file that is there stays, and no receipt leaves for it."""
    Path("out.tally").write_bytes(b"mine")
    for arguments in (("--proof", "proof"), ("--collector", collector.url)):
        assert logged(*arguments).code == 2
    assert Path("out.tally").read_bytes() == b"mine"
    assert not collector.requests


def test_a_collector_is_asked_for_all_of_it(
    collector: PromisingCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the receipts under the token, and the bundle has the proof, in one command."""
    monkeypatch.setenv("AGENTRECEIPTS_COLLECTOR_TOKEN", "s3cret")
    answer = logged("--collector", collector.url)
    assert answer.code == 0, answer.err
    assert "entry 2 of" in answer.out
    assert tally(*VERIFY).code == 0
    assert len(collector.answers) == 3
    assert all(b"Bearer s3cret" in one.head for one in collector.requests)


def test_a_collector_that_does_not_do_it(collector: PromisingCollector) -> None:
    """Away or without a log: could not check. Another log, a false promise: refused."""
    collector.sheet = None
    assert logged("--collector", collector.url).code == 3
    collector.sheet = b"garbage"
    assert logged("--collector", collector.url).code == 1
    collector.sheet = SHEET_NOTE
    collector.spoil = lambda told: told.pop("promise")
    assert logged("--collector", collector.url).code == 1
    assert not Path("out.tally").exists()


def test_receipts_on_their_way_are_shown(collector: PromisingCollector) -> None:
    """On a terminal, on standard error alone, and it goes away again."""
    arguments = ("solved.tally", "--vkey", "log.vkey", "--out", "out.tally")
    code, out, shown = watched("evidence", "log", *arguments, "--collector", collector.url)
    assert code == 0, shown
    assert "\x1b" not in out
    assert "3 receipts" in shown
    assert is_gone(shown)
