# SPDX-License-Identifier: Apache-2.0
"""The single writer: chains, days, losses, ends, and that nothing is ours before it is stored."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.frames import body
from tests.ledgers import DAY_MS, ISSUER, METHOD, NOON_MS, Home, chain_of, type_of
from tests.portions import ids_of, plain_frame, stated_frame

from tallystick.daemon import ledger as module
from tallystick.daemon.attested import ArrivedFrame, AttestedFrame
from tallystick.daemon.batch import Draft
from tallystick.daemon.head_file import HeadFile
from tallystick.daemon.key_file import make_keys
from tallystick.daemon.key_source import SignerKeySource
from tallystick.daemon.ledger import Ledger
from tallystick.daemon.turn import Turn
from tallystick.errors import (
    LogRolledBackError,
    SignerUnavailable,
    SigningError,
    StoreCorruptError,
    StoreError,
    StoreStoppedError,
)
from tallystick.keys.local import LocalSigner, generate_key_pair
from tallystick.model.frame import Acknowledgement, Refusal

ROOT = "2026-03-10"
END = "agent_receipts.agent_end"
INTERRUPTED = "agent_receipts.chain_interrupted"
STARTS = "agent_receipts.agent_start"
DROPPED = "agent_receipts.events_dropped"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A folder with a key and no store."""
    return Home(tmp_path)


def facts_of(receipt: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of ours in a receipt."""
    found: dict[str, Any] = receipt["issuer"]["runtime"]["tallystick"]
    return found


def links(home: Home) -> list[tuple[str, int]]:
    """Return chain and sequence of all receipts, in the order in which they were written."""
    return [(one["chain_id"], one["sequence"]) for one in map(chain_of, home.receipts())]


def test_frames_become_one_chain(home: Home) -> None:
    """Frames of several emitters are one chain; each answer names its receipt; all of it holds."""
    ledger = home.open()
    frames = [home.frame(session_id=f"s{number % 3}") for number in range(20)]
    answers = [*ledger.commit(frames[:5]), *ledger.commit(frames[5:])]
    ledger.close()
    receipts = home.receipts()
    assert links(home) == [(ROOT, number) for number in range(1, 22)]
    for answer, receipt in zip(answers, receipts, strict=False):
        assert isinstance(answer, Acknowledgement)
        assert (answer.id, answer.sequence) == (receipt["id"], chain_of(receipt)["sequence"])
    assert [chain_of(one)["previous_receipt_hash"] for one in receipts[1:20]] == [
        answer.hash for answer in answers[:19] if isinstance(answer, Acknowledgement)
    ]
    report = home.verify()
    assert report.verdict == "verified"
    assert report.receipts == 21


def test_an_agent_has_a_chain_of_its_own(home: Home) -> None:
    """The root announces it; its first receipt names that announcement, by id and by hash."""
    ledger = home.open()
    ledger.commit([home.frame(), home.frame(agent_id="a7"), home.frame(agent_id="a7")])
    ledger.commit([home.frame(agent_id="a7"), home.frame(agent_id="b")])
    ledger.close()
    assert links(home)[:7] == [
        (ROOT, 1),
        (ROOT, 2),
        (f"{ROOT}/agent/a7", 1),
        (f"{ROOT}/agent/a7", 2),
        (f"{ROOT}/agent/a7", 3),
        (ROOT, 3),
        (f"{ROOT}/agent/b", 1),
    ]
    _, announced, first, second, *_ = home.receipts()
    assert type_of(announced) == STARTS
    assert announced["credentialSubject"]["action"]["target"]["resource"] == f"{ROOT}/agent/a7"
    assert first["credentialSubject"]["delegation"] == {
        "delegator": {"id": ISSUER},
        "parent_chain_id": ROOT,
        "parent_receipt_id": announced["id"],
    }
    assert facts_of(first)["previous_chain"]["sequence"] == 2
    assert "delegation" not in second["credentialSubject"]
    assert "previous_chain" not in facts_of(second)
    assert home.verify().verdict == "verified"


def test_an_agent_may_come_first(home: Home) -> None:
    """Where the root has no receipt yet, the announcement is its first: delegation never lacks."""
    ledger = home.open()
    ledger.commit([home.frame(agent_id="a")])
    ledger.close()
    assert links(home) == [
        (ROOT, 1), (f"{ROOT}/agent/a", 1), (ROOT, 2), (f"{ROOT}/agent/a", 2),
    ]  # fmt: skip
    assert home.verify().verdict == "verified"


def test_the_root_changes_with_the_day(home: Home) -> None:
    """At midnight UTC all chains close as complete, the root first; the next root names its end."""
    ledger = home.open()
    ledger.commit([home.frame(), home.frame(agent_id="a")])
    home.now_ms += DAY_MS
    ledger.commit([home.frame(), home.frame(agent_id="a")])
    ledger.close()
    receipts = home.receipts()
    ends = [one for one in receipts if chain_of(one).get("status") == "complete"]
    assert [chain_of(one)["chain_id"] for one in ends] == [ROOT, f"{ROOT}/agent/a"]
    assert [type_of(one) for one in ends] == [END, END]
    first = next(one for one in receipts if chain_of(one)["chain_id"] == "2026-03-11")
    assert facts_of(first)["previous_chain"]["chain_id"] == ROOT
    assert facts_of(first)["previous_chain"]["sequence"] == chain_of(ends[0])["sequence"]
    report = home.verify()
    assert report.verdict == "verified"
    assert len(report.chains) == 4


def test_a_day_ends_without_a_frame(home: Home) -> None:
    """`tick` closes yesterday's chains; an empty day leaves no chain."""
    ledger = home.open()
    ledger.commit([home.frame()])
    home.now_ms += DAY_MS
    ledger.tick()
    home.now_ms += DAY_MS
    ledger.tick()
    assert ledger.status().root is None
    ledger.commit([home.frame()])
    ledger.close()
    assert links(home) == [(ROOT, 1), (ROOT, 2), ("2026-03-12", 1), ("2026-03-12", 2)]


def test_a_fixed_chain_does_not_change_with_the_day(home: Home) -> None:
    """A name that was given stays; after an orderly stop the next has a number."""
    for _ in range(2):
        ledger = home.open(chain_id="main")
        ledger.commit([home.frame()])
        home.now_ms += DAY_MS
        ledger.commit([home.frame()])
        ledger.close()
    assert links(home) == [("main", 1), ("main", 2), ("main", 3)] + [
        ("main-2", number) for number in (1, 2, 3)
    ]
    assert home.verify().verdict == "verified"


def test_time_never_goes_back(home: Home) -> None:
    """A clock that was set back changes neither the order of issuance nor the day."""
    ledger = home.open()
    ledger.commit([home.frame()])
    home.now_ms -= 2 * DAY_MS
    ledger.commit([home.frame(), home.frame(agent_id="a")])
    ledger.close()
    ledger = home.open()
    ledger.commit([home.frame()])
    ledger.close()
    assert {one["issuanceDate"] for one in home.receipts()} == {"2026-03-10T12:00:00.000Z"}
    assert [name for name, _ in links(home)][-1] == f"{ROOT}-2"
    assert "time_backwards" not in home.verify().codes()


def test_issuance_is_when_the_frame_came(home: Home) -> None:
    """Milliseconds of arrival are issued, what the emitter says is kept as its claim."""
    ledger = home.open()
    one = home.frame()
    home.now_ms += 5
    ledger.commit([one, home.frame()])
    ledger.close()
    first, second, _ = home.receipts()
    assert first["issuanceDate"] == "2026-03-10T12:00:00.000Z"
    assert second["issuanceDate"] == "2026-03-10T12:00:00.005Z"
    assert facts_of(first)["emitted_at"] == "2026-03-10T11:59:59.123Z"


def test_what_an_emitter_lost_stands_before_its_frame(home: Home) -> None:
    """`drop_count` becomes a receipt right before the one that carried it, on the same chain."""
    ledger = home.open()
    ledger.commit([home.frame(), home.frame(drop_count=3), home.frame(agent_id="a", drop_count=2)])
    ledger.close()
    dropped = [one for one in home.receipts() if type_of(one) == DROPPED]
    told = [
        (chain_of(one)["chain_id"], chain_of(one)["sequence"],
         one["credentialSubject"]["action"]["emitter_metadata"]["drop_count"])
        for one in dropped
    ]  # fmt: skip
    assert told == [(ROOT, 2, 3), (f"{ROOT}/agent/a", 1, 2)]
    assert dropped[0]["credentialSubject"]["action"]["peer_credential"]["pid"] == 4
    assert home.verify().verdict == "verified"


def test_own_losses_ride_with_the_next_receipt(home: Home) -> None:
    """Reasons, counts and the time between stand in a receipt of the same transaction."""
    ledger = home.open()
    ledger.losses.note("FRAME_JSON", NOON_MS - 2000, 2)
    ledger.losses.note("FRAME_SIZE", NOON_MS - 1000)
    ledger.commit([home.frame()])
    commits = ledger.status().commits
    ledger.commit([home.frame()])
    ledger.close()
    (dropped,) = [one for one in home.receipts() if type_of(one) == DROPPED]
    assert commits == 1
    assert facts_of(dropped)["dropped"] == {
        "reasons": {"FRAME_JSON": 2, "FRAME_SIZE": 1},
        "since": "2026-03-10T11:59:58.000Z",
        "until": "2026-03-10T11:59:59.000Z",
    }


@pytest.mark.parametrize("last", ["tick", "close"])
def test_losses_that_nothing_carries_are_written_all_the_same(home: Home, last: str) -> None:
    """A frame that makes no receipt is refused with a code, and its loss is in the chain."""
    ledger = home.open()
    bad = home.frame(input={"x": float("nan")}, agent_id="a", drop_count=4)
    (answer,) = ledger.commit([bad])
    assert isinstance(answer, Refusal)
    assert answer.code == "FRAME_VALUE"
    assert ledger.status().receipts == 0
    getattr(ledger, last)()
    ledger.close()
    dropped = home.receipts()[0]
    assert facts_of(dropped)["dropped"]["reasons"] == {"CLAIMED_BY_EMITTER": 4, "FRAME_VALUE": 1}
    assert dropped["credentialSubject"]["action"]["emitter_metadata"]["drop_count"] == 5
    assert not [name for name, _ in links(home) if "/agent/" in name]
    assert home.verify().verdict == "verified"


def test_one_bad_frame_does_not_harm_the_others(home: Home) -> None:
    """The frames around a refused one are stored, and the chain has no gap."""
    ledger = home.open()
    bad = home.frame(input={"x": float("nan")}, agent_id="a")
    answers = ledger.commit([home.frame(), bad, home.frame()])
    ledger.close()
    assert [one.ok for one in answers] == [True, False, True]
    assert home.verify().verdict == "verified"


def test_the_end_closes_everything_in_one_transaction(home: Home) -> None:
    """Any number of agents' chains: interrupted, the root first, one commit; then nothing more."""
    ledger = home.open()
    ledger.commit([home.frame(agent_id=f"a{number}") for number in range(500)])
    before = ledger.status()
    ledger.close()
    ledger.close()
    ends = home.receipts()[before.receipts :]
    assert len(ends) == 501
    assert chain_of(ends[0])["chain_id"] == ROOT
    assert {chain_of(one)["status"] for one in ends} == {"interrupted"}
    assert {type_of(one) for one in ends} == {INTERRUPTED}
    assert ledger.status().commits == before.commits + 1
    assert home.verify().verdict == "verified"
    with pytest.raises(StoreStoppedError, match="closed"):
        ledger.commit([])


def test_an_unused_ledger_leaves_nothing(home: Home) -> None:
    """A daemon that saw no frame writes no receipt, however often it starts."""
    for _ in range(2):
        ledger = home.open()
        ledger.tick()
        assert ledger.commit([]) == []
        ledger.close()
    assert home.receipts() == []


def test_many_threads_make_one_chain(home: Home) -> None:
    """Whoever calls, sequences stay contiguous."""
    ledger = home.open()

    def work() -> None:
        for _ in range(25):
            ledger.commit([home.frame(), home.frame(agent_id="a")])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.close()
    report = home.verify()
    assert report.verdict == "verified"
    assert report.receipts == 100 + 100 + 1 + 2


def test_a_signer_that_refuses_one_receipt(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """That one is refused and told as a loss; what came with it is stored."""
    ledger = home.open()
    ledger.commit([home.frame()])
    sign = ledger._keys.sign

    def failing(message: bytes, /) -> bytes:
        if b'"odd"' in message:
            raise SigningError("not this one")
        return sign(message)

    monkeypatch.setattr(ledger._keys, "sign", failing)
    odd = home.frame(agent_id="a", session_id="odd")
    answers = ledger.commit([home.frame(), odd, home.frame(agent_id="a")])
    assert [one.ok for one in answers] == [True, False, True]
    assert isinstance(answers[1], Refusal)
    assert answers[1].code == "SIGNER"
    drafted = ledger.draft([odd])
    assert [one.ok for one in ledger.write(drafted)] == [False]
    ledger.close()
    dropped = [one for one in home.receipts() if type_of(one) == DROPPED]
    assert [facts_of(one)["dropped"]["reasons"] for one in dropped] == [{"SIGNER": 1}] * 2
    assert home.verify().verdict == "verified"


def test_a_signer_that_is_away_changes_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is stored of a batch whose signatures could not all be made; the next one goes on."""
    ledger = home.open()
    ledger.commit([home.frame()])
    sign, calls = ledger._keys.sign, iter(range(100))

    def failing(message: bytes, /) -> bytes:
        if next(calls) == 2:
            raise SignerUnavailable("the token is away")
        return sign(message)

    monkeypatch.setattr(ledger._keys, "sign", failing)
    with pytest.raises(SigningError):
        ledger.commit([home.frame(), home.frame(agent_id="a"), home.frame()])
    assert ledger.status().receipts == 1
    ledger.commit([home.frame(), home.frame(agent_id="a")])
    ledger.close()
    assert home.verify().verdict == "verified"


@pytest.mark.parametrize("chain", [ROOT, "another"])
@pytest.mark.parametrize("count", [1, 3])
def test_who_writes_beside_us_is_found_out(home: Home, chain: str, count: int) -> None:
    """A row that another program put into the store stops the ledger: nothing is forked.

    Be it where ours would stand, or elsewhere.
    """
    ledger = home.open()
    ledger.commit([home.frame()])
    with sqlite3.connect(home.db) as other:
        other.execute(
            "INSERT INTO receipts (id, chain_id, sequence, action_type, risk_level, status, "
            "timestamp, issuer_id, receipt_json, receipt_hash) "
            f"VALUES ('x', '{chain}', 2, 'a', 'low', 'success', '', '', '', '')"
        )
    other.close()
    with pytest.raises(StoreCorruptError, match="another program"):
        ledger.commit([home.frame() for _ in range(count)])
    with pytest.raises(StoreStoppedError):
        ledger.commit([home.frame()])
    stop(ledger)
    with sqlite3.connect(home.db) as other:
        # Nothing of ours stands behind it, by which it would look like one of ours.
        assert other.execute("SELECT id FROM receipts ORDER BY rowid DESC").fetchone() == ("x",)
    other.close()
    with pytest.raises(StoreCorruptError):
        home.open()


@pytest.mark.parametrize("name", ["receipts.db", "receipts.db-wal"])
def test_a_store_that_is_replaced_underneath_stops_us(home: Home, name: str) -> None:
    """What goes into a file that nobody finds any more is not acknowledged."""
    ledger = home.open()
    ledger.commit([home.frame()])
    (home.folder / name).rename(home.folder / "elsewhere")
    with pytest.raises(StoreStoppedError, match="replaced or removed"):
        ledger.commit([home.frame()])
    stop(ledger)


def test_losses_outlive_a_failing_signer(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be written of them, in whichever call, is told by the next that works."""
    ledger = home.open()
    ledger.commit([home.frame()])
    ledger.losses.note("FRAME_JSON", home.now_ms, 7)

    def failing(_: bytes, /) -> bytes:
        raise SigningError("the token is away")

    with monkeypatch.context() as patch:
        patch.setattr(ledger._keys, "sign", failing)
        for call in (ledger.tick, ledger.rotate, lambda: ledger.commit([home.frame()])):
            with pytest.raises(SigningError):
                call()
    assert not list(home.folder.glob("*.next"))
    ledger.close()
    dropped = [one for one in home.receipts() if type_of(one) == DROPPED]
    assert [facts_of(one)["dropped"]["reasons"] for one in dropped] == [{"FRAME_JSON": 7}]
    assert home.verify().verdict == "verified"


def test_heads_that_cannot_be_kept_stop_us(home: Home) -> None:
    """What is stored is acknowledged; then no more, since a rollback could not be seen."""
    ledger = home.open()
    ledger._heads._journal._fault = "the disk is full"
    assert ledger.commit([home.frame()])[0].ok
    with pytest.raises(StoreStoppedError, match="the disk is full"):
        ledger.commit([home.frame()])
    with pytest.raises(StoreStoppedError):
        ledger.tick()
    ledger.close()
    assert len(home.receipts()) == 1


def test_heads_that_cannot_be_made_stable_stop_us_at_once(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is acknowledged between a sync that failed and the end."""
    ledger = home.open()
    assert ledger.commit([home.frame()])[0].ok

    def failing() -> None:
        raise StoreError("the disk has failed")

    monkeypatch.setattr(ledger._heads, "sync", failing)
    with pytest.raises(StoreError, match="the disk has failed"):
        ledger.tick()
    monkeypatch.undo()
    with pytest.raises(StoreStoppedError, match="the disk has failed"):
        ledger.commit([home.frame()])
    ledger.close()
    assert len(home.receipts()) == 1


def stop(ledger: Ledger) -> None:
    """Let go of a ledger whose store takes no more."""
    with pytest.raises(StoreStoppedError):
        ledger.close()


def test_drafts_build_on_what_is_not_yet_stored(home: Home) -> None:
    """Several transactions under way: chains go on without a gap, and all of it verifies."""
    ledger = home.open()
    drafts = [
        ledger.draft([home.frame(), home.frame(agent_id=f"a{number % 2}")]) for number in range(4)
    ]
    assert home.receipts() == []
    assert ledger.status().sequence == 0
    for drafted in drafts:
        ledger.write(drafted)
    assert ledger.status().sequence == 6
    ledger.close()
    assert home.verify().verdict == "verified"
    assert len(home.receipts()) == 13


def test_what_needs_the_store_waits_for_what_is_under_way(home: Home) -> None:
    """A commit, the end of a day and the end of all come behind drafts, never between them."""
    ledger = home.open()
    first = ledger.draft([home.frame(agent_id="a")])
    rest: list[Any] = []

    def go_on() -> None:
        rest.append(ledger.commit([home.frame(agent_id="a")]))
        home.now_ms += DAY_MS
        drafted = ledger.draft([home.frame()])
        threading.Timer(0.05, ledger.write, (drafted,)).start()
        ledger.close()

    thread = threading.Thread(target=go_on)
    thread.start()
    thread.join(0.1)
    assert thread.is_alive() and not rest
    ledger.write(first)
    thread.join(20)
    assert not thread.is_alive()
    assert home.verify().verdict == "verified"
    assert [one for one in links(home) if one[0] == "2026-03-11"] == [
        ("2026-03-11", 1),
        ("2026-03-11", 2),
    ]


def test_behind_a_lost_transaction_nothing_is_written(home: Home) -> None:
    """A write that fails is the last: what builds on it is refused, and its losses are kept."""
    ledger = home.open()
    ledger.losses.note("FRAME_JSON", home.now_ms)
    drafts = [ledger.draft([home.frame()]) for _ in range(2)]
    ledger._store.close()
    with pytest.raises(StoreStoppedError):
        ledger.write(drafts[0])
    assert ledger.losses
    with pytest.raises(StoreStoppedError):
        ledger.write(drafts[1])
    with pytest.raises(StoreStoppedError):
        ledger.draft([home.frame()])
    ledger.close()
    assert home.receipts() == []


def test_too_many_agents_begin_another_root(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ever new agents must not fill the file of heads: all is closed, and a new root goes on."""
    monkeypatch.setattr(module, "AGENT_CHAINS_MAX", 3)
    ledger = home.open()
    for number in range(12):
        ledger.write(ledger.draft([home.frame(agent_id=f"a{number}")]))
    ledger.close()
    roots = {name for name, _ in links(home) if "/agent/" not in name}
    assert len(roots) >= 3
    assert home.verify().verdict == "verified"


@pytest.mark.parametrize("is_killed", [False, True])
def test_chains_that_are_closed_are_not_counted_after_a_start(
    home: Home, monkeypatch: pytest.MonkeyPatch, is_killed: bool
) -> None:
    """The bound is on those that are open: a start with a full day behind it begins one root."""
    monkeypatch.setattr(module, "AGENT_CHAINS_MAX", 3)
    for _ in range(3):
        ledger = home.open()
        for number in range(3):
            ledger.commit([home.frame(agent_id=f"a{number}")])
        ledger.close()
    ledger = home.open()
    ledger.commit([home.frame(), *(home.frame(agent_id=f"b{number}") for number in range(3))])
    if is_killed:
        ledger._store.close()
        ledger._heads.close()
        ledger = home.open()
    for _ in range(3):
        ledger.commit([home.frame()])
    assert (ledger.status().root, ledger.status().open_agents) == (f"{ROOT}-4", 3)
    ledger.commit([home.frame(agent_id="one too many")])
    ledger.commit([home.frame()])
    assert (ledger.status().root, ledger.status().open_agents) == (f"{ROOT}-5", 0)
    ledger.close()
    assert home.verify().verdict == "verified"


def test_the_file_of_heads_stays_short_over_starts(home: Home) -> None:
    """Closed chains of agents are left out when it is written anew, also by a later start."""
    for turn in range(4):
        ledger = home.open()
        ledger.commit([home.frame(agent_id=f"a{turn}-{number}") for number in range(50)])
        ledger.close()
    ledger = home.open()
    ledger.commit([home.frame(agent_id="b")])
    ledger._heads._spent_max = 0
    ledger.tick()
    assert len(ledger._heads.heads) < 10
    ledger.close()
    heads = HeadFile(home.heads)
    assert f"{ROOT}-5" in heads.heads and f"{ROOT}-5/agent/b" in heads.heads
    assert len(heads.heads) < 10
    heads.close()
    home.open().close()


def test_a_chain_that_was_changed_meanwhile_is_not_gone_on_with(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chain that was not used for a while is looked up, and its last receipt judged anew."""
    monkeypatch.setattr(module, "CHAIN_NAMES_KEPT_MAX", 2)
    ledger = home.open()
    for name in "abc":
        ledger.commit([home.frame(agent_id=name)])
    with closing(sqlite3.connect(home.db)) as other, other:
        other.execute("DROP TRIGGER receipts_update")
        changes = other.execute(
            "UPDATE receipts SET receipt_json = replace(receipt_json, 'success', 'failure') "
            f"WHERE chain_id = '{ROOT}/agent/a'"
        )
        assert changes.rowcount == 1
    with pytest.raises(StoreCorruptError, match="hash is not that of its bytes"):
        ledger.commit([home.frame(agent_id="a")])
    assert [number for name, number in links(home) if name.endswith("/a")] == [1]


def test_the_end_of_the_last_root_is_kept_and_no_older_one(home: Home) -> None:
    """It vouches for all before it, also where the file of heads holds nothing else any more."""
    ledger = home.open()
    ledger.commit([home.frame(), home.frame(agent_id="a")])
    before = home.folder / "before.db"
    with closing(sqlite3.connect(home.db)) as other, closing(sqlite3.connect(before)) as copy:
        other.backup(copy)
    for day in (11, 12):
        home.now_ms += DAY_MS
        ledger.tick()
        assert len(ledger._heads.heads) == 1
        if day == 11:
            assert set(ledger._heads.heads) == {ROOT}
            ledger.commit([home.frame(), home.frame(agent_id="a")])
            assert len(ledger._heads.heads) == 3
    assert set(ledger._heads.heads) == {"2026-03-11"}
    ledger._heads._spent_max = 0
    ledger.tick()
    ledger.close()
    home.open().close()
    for name in ("receipts.db", "receipts.db-wal", "receipts.db-shm"):
        (home.folder / name).unlink(missing_ok=True)
    shutil.copy(before, home.db)
    with pytest.raises(LogRolledBackError, match="2026-03-11"):
        home.open()


def test_an_agent_whose_id_holds_a_secret_is_named_without_it(home: Home) -> None:
    """The name of its chain stands in clear in each of its receipts, and in its root."""
    secret = "sk-" + "a" * 24
    ledger = home.open()
    (answer,) = ledger.commit([home.frame(agent_id=secret, drop_count=2)])
    ledger.close()
    assert isinstance(answer, Acknowledgement)
    assert answer.chain_id.endswith("/agent/[redacted:api-key]")
    assert not [one for one in home.receipts() if secret in json.dumps(one)]
    assert home.verify().verdict == "verified"


def test_a_refusal_counts_once_where_the_batch_comes_again(home: Home) -> None:
    """A frame is refused, the signer is away for the next: the batch comes again as a whole."""
    ledger = home.open()
    bad = home.frame(input={"x": float("nan")}, drop_count=4)

    receipt, good = ledger.drafting.receipt, home.frame()

    def away(one: AttestedFrame) -> Draft:
        if one is good:
            raise SignerUnavailable("for now")
        return receipt(one)

    ledger.drafting.receipt = away  # type: ignore[method-assign]
    for _ in range(3):
        with pytest.raises(SignerUnavailable):
            ledger.draft([bad, good])
    ledger.drafting.receipt = receipt  # type: ignore[method-assign]
    ledger.write(ledger.draft([bad, good]))
    ledger.close()
    (dropped,) = [one for one in home.receipts() if type_of(one) == DROPPED]
    assert facts_of(dropped)["dropped"]["reasons"] == {"CLAIMED_BY_EMITTER": 4, "FRAME_VALUE": 1}


@pytest.mark.parametrize("way", ["draft", "commit"])
def test_a_refusal_counts_once_where_its_own_note_is_not_signed(
    home: Home, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """The signer goes away between a batch and what tells of its losses: all of it comes again."""
    ledger = home.open()
    ledger.commit([home.frame()])
    ledger.losses.note("OLD", home.now_ms)
    note, calls = Turn.note_losses, iter(range(100))

    def failing(self: Turn, *facts: Any) -> None:
        if next(calls) < 3:
            raise SignerUnavailable("for now")
        note(self, *facts)

    monkeypatch.setattr(Turn, "note_losses", failing)
    batch = [home.frame(input={"x": float("nan")}, drop_count=4), home.frame()]
    for _ in range(3):
        with pytest.raises(SignerUnavailable):
            getattr(ledger, way)(batch)
    ledger.write(ledger.draft(batch)) if way == "draft" else ledger.commit(batch)
    ledger.close()
    (dropped,) = [one for one in home.receipts() if type_of(one) == DROPPED]
    counted = {"CLAIMED_BY_EMITTER": 4, "FRAME_VALUE": 1, "OLD": 1}
    assert facts_of(dropped)["dropped"]["reasons"] == counted


def test_what_was_stated_ahead_goes_into_the_same_chains(home: Home) -> None:
    """Among frames that were not, of agents, with losses, over several transactions."""
    ledger = home.open()
    told: list[str] = []
    for number in range(4):
        stated = [stated_frame(body(session_id=f"s{number}"), home.now_ms) for _ in range(70)]
        told += [one.statement.receipt_id for one in stated[4:60]]
        frames: list[ArrivedFrame] = [*stated]
        frames[number] = plain_frame(body(agent_id="a"), home.now_ms)
        frames[60] = plain_frame(body(drop_count=2), home.now_ms)
        answers = ledger.write(ledger.draft(frames)) if number % 2 else ledger.commit(frames)
        assert all(isinstance(one, Acknowledgement) for one in answers)
        home.now_ms += 1
    answers = ledger.commit([stated_frame(body(), home.now_ms) for _ in range(3)])
    assert [one.ok for one in answers] == [True] * 3
    ledger.close()
    report = home.verify()
    assert report.verdict == "verified"
    assert {*told} <= {one["id"] for one in home.receipts()}
    # Each frame, the agent's announcement, losses four times, and two ends.
    assert report.receipts == 283 + 1 + 4 + 2
    assert [number for name, number in links(home) if name == ROOT] == [*range(1, 286)]


def test_both_ways_store_the_same(tmp_path: Path) -> None:
    """All columns of all rows, but for the ids that are drawn: by the same key they are equal."""
    homes = [Home(tmp_path / "a", with_key=False), Home(tmp_path / "b", with_key=False)]
    for one in homes:
        one.folder.mkdir()
    make_keys(homes[0].key, homes[0].public)
    shutil.copytree(homes[0].folder, homes[1].folder, dirs_exist_ok=True)
    bodies = [body(tool={"name": f"t{at}"}, input={"at": at}) for at in range(100)]
    plain = homes[0].open()
    plain.commit([plain_frame(one) for one in bodies])
    rows = homes[0].rows()
    made = [ids_of(one) for one in homes[0].bodies()]
    ahead = homes[1].open()
    # The first one begins the root, and so is made by the ledger itself: with ids of its own.
    ahead.commit([stated_frame(one, make=each) for one, each in zip(bodies, made, strict=True)])
    told = json.loads(homes[1].bodies()[0])
    stored = homes[1].rows()
    for ledger in (plain, ahead):
        ledger.close()
    assert len(stored) == len(rows) == 100
    assert homes[1].verify().verdict == "verified"
    own = (told["id"], told["credentialSubject"]["action"]["id"])
    first = json.loads(homes[0].bodies()[0])
    replaced = {
        own[0]: first["id"],
        own[1]: first["credentialSubject"]["action"]["id"],
    }
    assert without_links(stored, replaced) == without_links(rows, {})


def without_links(rows: list[tuple[Any, ...]], names: dict[str, str]) -> list[dict[str, Any]]:
    """Return what rows say, under other names, without what follows from these or from a clock."""
    found, created_at = [], 13
    for row in rows:
        (at,) = [at for at, one in enumerate(row) if str(one).startswith("{")]
        text = str(row[at])
        for name, other in names.items():
            text = text.replace(name, other)
        receipt = json.loads(text)
        del receipt["proof"]["proofValue"]
        chain_of(receipt).pop("previous_receipt_hash")
        others = [
            names.get(str(one), one)
            for place, one in enumerate(row)
            if not (place in (at, created_at) or str(one).startswith("sha256:"))
        ]
        found.append({"receipt": receipt, "columns": others})
    return found


def test_what_was_stated_for_a_day_that_is_over_is_stored_all_the_same(home: Home) -> None:
    """At midnight, before there is a root, after a rotation and at an earlier moment."""
    ledger = home.open()

    def commit(**more: Any) -> None:
        frames = [stated_frame(body(), home.now_ms, **more) for _ in range(6)]
        assert [one.ok for one in ledger.commit(frames[:3])] == [True] * 3
        assert [one.ok for one in ledger.write(ledger.draft(frames[3:]))] == [True] * 3

    commit()
    home.now_ms += DAY_MS
    commit(stated_ms=home.now_ms - DAY_MS)
    ledger.rotate()
    commit()
    home.now_ms -= 3
    commit(stated_ms=home.now_ms)
    ledger.close()
    assert home.verify().verdict == "verified"
    assert "time_backwards" not in home.verify().codes()
    own = [one for one in home.receipts() if "session_id" in one["issuer"]]
    assert len(own) == 24
    assert {chain_of(one)["chain_id"] for one in own} == {ROOT, "2026-03-11", "2026-03-11-2"}


def test_a_signer_that_refuses_one_that_was_stated(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused and told as a loss; its neighbours are stored."""
    ledger = home.open()
    ledger.commit([home.frame()])
    sign = ledger._keys.sign

    def failing(message: bytes, /) -> bytes:
        if b'"odd"' in message:
            raise SigningError("not this one")
        return sign(message)

    monkeypatch.setattr(ledger._keys, "sign", failing)
    monkeypatch.setattr(type(ledger._keys), "sign_all", None)
    frames = [stated_frame(body(session_id="odd" if at == 1 else "s")) for at in range(3)]
    answers = ledger.commit(frames)
    assert [one.ok for one in answers] == [True, False, True]
    ledger.close()
    (dropped,) = [one for one in home.receipts() if type_of(one) == DROPPED]
    assert facts_of(dropped)["dropped"]["reasons"] == {"SIGNER": 1}
    assert home.verify().verdict == "verified"


def test_who_writes_waits_for_no_draft(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the next one waits for a slow signer, a write is done; what needs the store waits."""
    ledger = home.open()
    ledger.commit([home.frame()])
    sign, signs, goes_on = ledger._keys.sign, threading.Event(), threading.Event()

    def slowly(message: bytes, /) -> bytes:
        signs.set()
        assert goes_on.wait(20)
        return sign(message)

    first = ledger.draft([stated_frame(body()) for _ in range(3)])
    monkeypatch.setattr(ledger._keys, "sign", slowly)
    monkeypatch.setattr(type(ledger._keys), "sign_all", None)
    drafted: list[Any] = []
    drafts = threading.Thread(target=lambda: drafted.append(ledger.draft([home.frame()])))
    drafts.start()
    assert signs.wait(20)
    writes = threading.Thread(target=ledger.write, args=(first,))
    writes.start()
    writes.join(20)
    assert not writes.is_alive()
    assert drafts.is_alive()
    assert ledger.status().receipts == 4
    goes_on.set()
    drafts.join(20)
    closes = threading.Thread(target=ledger.close)
    closes.start()
    closes.join(0.1)
    assert closes.is_alive()  # what is drafted comes first
    ledger.write(drafted[0])
    closes.join(20)
    assert not closes.is_alive()
    assert home.verify().verdict == "verified"
    assert len(home.receipts()) == 6


def test_a_write_that_fails_ends_the_waiting(home: Home) -> None:
    """Who waits until all is written hears that it can't be."""
    ledger = home.open()
    ledger.commit([home.frame()])
    drafted = ledger.draft([stated_frame(body())])
    heard: list[BaseException] = []

    def commit() -> None:
        try:
            ledger.commit([home.frame()])
        except StoreStoppedError as fault:
            heard.append(fault)

    thread = threading.Thread(target=commit)
    thread.start()
    ledger._store.close()
    with pytest.raises(StoreStoppedError):
        ledger.write(drafted)
    thread.join(20)
    assert len(heard) == 1
    ledger.close()


def test_a_draft_is_prompt_where_it_waits_for_nobody(home: Home) -> None:
    """Not at the end of a day, which looks into the store, and not by a signer elsewhere."""
    ledger = home.open()
    assert ledger.is_prompt_at(home.now_ms)
    ledger.commit([home.frame()])
    assert ledger.is_prompt_at(home.now_ms)
    assert not ledger.is_prompt_at(home.now_ms + DAY_MS)
    ledger.close()
    for path in (home.db, home.public, home.heads):
        path.unlink()
    elsewhere = home.open(keys=SignerKeySource(LocalSigner(generate_key_pair()), METHOD))
    assert not elsewhere.is_prompt_at(home.now_ms)
    elsewhere.close()
