# SPDX-License-Identifier: Apache-2.0
"""Chains that were removed as a whole are missed by those that speak of them.

Cases by hand are vectors (`vectors/input/whole-*`); these here are what a daemon writes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.ledgers import DAY_MS, Home, chain_of
from tests.material import OTHER_KEY, Members, hash_of, rotation, signed, uuid

from tallystick.cli.inputs import opened_sources
from tallystick.crypto.ed25519 import KeyPair, public_key_from
from tallystick.daemon.publishing import archived
from tallystick.daemon.vouching import hand_overs, vouched_keys
from tallystick.errors import LogRolledBackError
from tallystick.store.ledger_reads import LedgerReader
from tallystick.verify.source import Source
from tallystick.verify.trust import Trust, trust_of
from tallystick.verify.verification import Expectations, verify_input


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A folder with a store of three days, each with two agents, and a rotation."""
    home = Home(tmp_path)
    for _ in range(3):
        ledger = home.open()
        ledger.commit([home.frame(), home.frame(agent_id="a"), home.frame(agent_id="b")])
        home.now_ms += DAY_MS
        ledger.tick()
        ledger.close()
    return home


def found_in(home: Home, *statements: str) -> set[str]:
    """Return what decides the verdict on the store after some statements."""
    with closing(sqlite3.connect(home.db)) as connection, connection:
        connection.execute("DROP TRIGGER IF EXISTS receipts_update")
        connection.execute("DROP TRIGGER IF EXISTS receipts_delete")
        for statement in statements:
            assert connection.execute(statement).rowcount > 0
    with opened_sources([str(home.db)]) as (sources, _):
        report = verify_input(sources, [home.public.read_text(), *archived(home.public)])
    return {code for code in report.codes() if code.isupper()}


def day_of(receipt: dict[str, Any]) -> str:
    """Return the day of the chain that a receipt stands in."""
    return str(chain_of(receipt)["chain_id"])[:10]


def test_nothing_is_absent_from_a_whole_store(home: Home) -> None:
    """Days, stops, rotations and an open chain at the end: all that is spoken of is there."""
    ledger = home.open()
    ledger.commit([home.frame(agent_id="c")])
    ledger.rotate()
    ledger.commit([home.frame(agent_id="c")])
    assert found_in(home) == set()
    ledger.close()
    assert found_in(home) == set()


def test_a_day_that_is_missing(home: Home) -> None:
    """The next day names it, also where all of its chains are gone."""
    assert found_in(home, "DELETE FROM receipts WHERE chain_id LIKE '2026-03-11%'") == {
        "CHAIN_MISSING"
    }


def test_a_first_day_that_is_missing(home: Home) -> None:
    """The one after it still says that it was not the first."""
    assert found_in(home, "DELETE FROM receipts WHERE chain_id LIKE '2026-03-10%'") == {
        "CHAIN_MISSING"
    }


def test_an_agent_that_is_missing(home: Home) -> None:
    """Its root has announced it."""
    assert found_in(home, "DELETE FROM receipts WHERE chain_id = '2026-03-10/agent/b'") == {
        "CHAIN_MISSING"
    }


def test_ends_that_are_missing(home: Home) -> None:
    """A root's end is named by the next root; an agent's can't lack where the root has its own."""
    cut = "DELETE FROM receipts WHERE terminal = 1 AND chain_id ="
    assert found_in(home, f"{cut} '2026-03-11/agent/a'") == {"CHAIN_CUT"}
    assert found_in(home, f"{cut} '2026-03-10'") == {"CHAIN_CUT", "CHAIN_MISSING"}


@pytest.mark.parametrize(
    "gone",
    [
        "chain_id LIKE '2026-03-13%' AND (terminal = 1 OR sequence > 2)",
        "chain_id LIKE '2026-03-13%'",
    ],
)
def test_nothing_in_the_store_speaks_of_the_newest_root(home: Home, gone: str) -> None:
    """Its end, or all of it, is noticed by the daemon, and not by who has the store alone."""
    ledger = home.open()
    ledger.commit([home.frame(), *[home.frame(agent_id="a")] * 3])
    ledger.close()
    assert found_in(home, f"DELETE FROM receipts WHERE {gone}") == set()
    with pytest.raises(LogRolledBackError, match="is behind what was acknowledged"):
        home.open()


# ---- an earlier key that somebody else has by now


def handed_over(home: Home) -> tuple[KeyPair, Trust]:
    """Rotate on the last day; return the earlier key, and what the published one vouches for."""
    stolen = KeyPair.from_private_pem(home.key.read_text())
    ledger = home.open()
    ledger.commit([home.frame(), home.frame(agent_id="a")])
    ledger.rotate()
    ledger.close()
    return stolen, vouched_by(home)


def vouched_by(home: Home) -> Trust:
    """Return the trust of who has only the published key."""
    with LedgerReader(home.db) as reader:
        published = public_key_from(home.public.read_bytes())
        keys = vouched_keys(published, archived(home.public), hand_overs(reader))
    return Trust(anyone=tuple(keys))


def forged(
    home: Home, key: KeyPair, day: str, change: Callable[[Members], object]
) -> list[Members]:
    """Return a chain as the root of that day began, of the same time, by somebody with a key."""
    source = [one for one in home.receipts() if chain_of(one)["chain_id"] == day][:1]
    made: list[Members] = []
    for sequence in (1, 2):
        receipt = json.loads(json.dumps(source[0]))
        receipt |= {"id": f"urn:receipt:{uuid(10**6 + sequence)}"}
        receipt["credentialSubject"]["action"] |= {"id": f"act_{uuid(10**6 + sequence)}"}
        previous = hash_of(made[-1]) if made else None
        link = {"chain_id": "forged", "previous_receipt_hash": previous, "sequence": sequence}
        receipt["credentialSubject"]["chain"] = link
        change(receipt)
        made.append(signed({name: receipt[name] for name in receipt if name != "proof"}, key))
    return made


def nothing(_receipt: Members) -> None:
    """Change nothing: a second root that goes on from the one before."""


def no_daemons(receipt: Members) -> None:
    """A chain as a program writes it by itself."""
    del receipt["issuer"]["type"]


def of_another(receipt: Members) -> None:
    """A first root of another daemon."""
    receipt["issuer"] |= {"id": "did:agent:other", "runtime": {}}


@pytest.mark.parametrize("change", [nothing, no_daemons, of_another])
def test_an_earlier_key_writes_nothing_new(home: Home, change: Callable[[Members], object]) -> None:
    """Dated before the hand-over, in the store or beside it: no later chain speaks of it."""
    stolen, trust = handed_over(home)
    lines = [json.dumps(one).encode() for one in home.receipts()]
    assert verify_input([Source(lines, whole=True)], trust).codes() == []
    more = [json.dumps(one).encode() for one in forged(home, stolen, "2026-03-11", change)]
    inside = verify_input([Source(lines + more, whole=True)], trust)
    beside = verify_input([Source(lines, whole=True), Source(more)], trust)
    alone = verify_input([Source(more)], trust)
    for report in (inside, beside, alone):
        assert "CHAIN_UNANNOUNCED" in report.codes()
        assert str(report.verdict) == "refused"
    named = Trust(anyone=(*trust.anyone, *trust_of([stolen]).anyone))
    assert change is nothing or verify_input([Source(more)], named).verified


@pytest.mark.parametrize("outgoing", ["own", "published"])
def test_an_earlier_key_hands_over_to_nobody_else(home: Home, outgoing: str) -> None:
    """Neither a key of the thief's nor the published one makes his chain sound, unless it signs."""
    stolen, trust = handed_over(home)
    new = OTHER_KEY.signing_key().public_key if outgoing == "own" else trust.anyone[0].public_key
    old = stolen.signing_key().public_key

    def change(receipt: Members) -> None:
        no_daemons(receipt)
        if chain_of(receipt)["sequence"] == 2:
            receipt["credentialSubject"]["keyRotation"] = rotation(old, new)

    more = forged(home, stolen, "2026-03-11", change)
    report = verify_input([Source(more)], trust)
    assert [one.code for one in report.findings if one.severity == "refused"] == [
        "CHAIN_UNANNOUNCED"
    ]


def test_a_known_end_speaks_for_a_chain(home: Home) -> None:
    """As in the proof of an export, which holds the head of each chain in it."""
    _, trust = handed_over(home)
    part = [one for one in home.receipts() if day_of(one) == "2026-03-11"]
    assert "CHAIN_UNANNOUNCED" in verify_input([Source(part)], trust).codes()
    ends = {}
    for one in part:
        link = chain_of(one)
        ends[link["chain_id"]] = (link["sequence"], hash_of(one))
    assert verify_input([Source(part)], trust, Expectations(ends=ends)).verified
    whole = frozenset(ends)
    assert verify_input([Source(part, whole=whole)], trust, Expectations(ends=ends)).codes() == [
        "CHAIN_MISSING"
    ]


def test_beside_a_store_no_end_speaks_for_a_chain(home: Home) -> None:
    """The store shows what its chains speak of, and its proof may be made of it just now."""
    stolen, trust = handed_over(home)
    more = forged(home, stolen, "2026-03-11", no_daemons)
    expected = Expectations(ends={"forged": (2, hash_of(more[-1]))})
    for sources in (
        [Source([*home.receipts(), *more], whole=True)],
        [Source(home.receipts(), whole=True), Source(more)],
    ):
        assert "CHAIN_UNANNOUNCED" in verify_input(sources, trust, expected).codes()
    assert verify_input([Source(more)], trust, expected).verified


def test_two_roots_behind_one(home: Home) -> None:
    """Also where the key is the same: a daemon writes one, and the next behind that."""
    key = KeyPair.from_private_pem(home.key.read_text())
    more = forged(home, key, "2026-03-12", nothing)
    whole = Source([*home.receipts(), *more], whole=True)
    report = verify_input([whole], home.public.read_text())
    assert [one.code for one in report.findings if one.severity == "refused"] == ["CHAIN_REPLACED"]


def test_a_part_of_a_store_lacks_nothing(home: Home) -> None:
    """Receipts of one day, taken out of the store, are no store that has to be whole."""
    part = [one for one in home.receipts() if day_of(one) == "2026-03-11"]
    assert verify_input([Source(part)], home.public.read_text()).verified


def test_what_was_not_read_may_be_there(home: Home) -> None:
    """Where a source breaks off, nothing is called missing: that it broke off is the finding."""
    rest = [one for one in home.receipts() if day_of(one) != "2026-03-10"]
    lines = [json.dumps(one).encode() for one in rest]
    key = home.public.read_text()
    assert verify_input([Source(lines, whole=True)], key).codes() == ["CHAIN_MISSING"]
    report = verify_input([Source(_Broken(lines), whole=True)], key)
    assert "SOURCE_UNREADABLE" in report.codes()
    assert "CHAIN_MISSING" not in report.codes()


class _Broken:
    """A stream that gives its lines, and then fails."""

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = lines
        self._next = iter(lines)

    def seekable(self) -> bool:
        """Say that it can be read again."""
        return True

    def tell(self) -> int:
        """Return the beginning."""
        return 0

    def seek(self, _offset: int) -> int:
        """Go back to the beginning."""
        self._next = iter(self._lines)
        return 0

    def read(self, _size: int) -> bytes:
        """Fail."""
        raise OSError(5, "gone")

    def readline(self, _size: int) -> bytes:
        """Give a line, or fail."""
        line = next(self._next, None)
        if line is None:
            raise OSError(5, "gone")
        return line + b"\n"
