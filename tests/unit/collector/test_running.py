# SPDX-License-Identifier: Apache-2.0
"""One process from start to end: what must not start, who may call, and what is left."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from tests.material import signed, statement, wire
from tests.served import Served

from tallystick.collector.log_keys import create_log_keys
from tallystick.collector.running import gate_of, settle_garbage
from tallystick.collector.settings import load_settings
from tallystick.errors import SettingError, StoreError
from tallystick.serve.tokens import add_token, revoke_token

WHEN = "2026-01-01T00:00:00+00:00"


def receipt(number: int, chain_id: str = "chain:x") -> bytes:
    return wire(signed(statement(1, number=number, chain_id=f"{chain_id}:{number}")))


def test_other_machines_need_a_credential(tmp_path: Path) -> None:
    """An address that others can reach starts with tokens, certificates or a plain word only."""
    db = str(tmp_path / "c.db")
    for addr in ("0.0.0.0:0", "[::]:0", "192.0.2.1:0"):
        settings, _ = load_settings({"addr": addr, "db": db}, environ={})
        with pytest.raises(SettingError, match="allow-anonymous"):
            gate_of(settings)
        said, _ = load_settings({"addr": addr, "db": db, "allow_anonymous": True}, environ={})
        gate_of(said)
    add_token(tmp_path / "c.tokens", "a", made_at=WHEN)
    gate_of(load_settings({"addr": "0.0.0.0:0", "db": db}, environ={})[0])


def test_tenants_see_and_write_their_own(tmp_path: Path) -> None:
    """What one tenant stored is not there for another, by any address."""
    path = tmp_path / "collector.tokens"
    one, _ = add_token(path, "one", made_at=WHEN)
    two, token = add_token(path, "two", made_at=WHEN)
    reader, _ = add_token(path, "one", access="read", made_at=WHEN)
    with Served(tmp_path) as served:
        mine = {"Authorization": f"Bearer {one}"}
        theirs = {"Authorization": f"Bearer {two}"}
        assert served.post(receipt(1)).status == 401
        assert served.post(receipt(1), "tally_nonsense").problem == "not-authorised"
        assert served.post(receipt(1), reader).problem == "not-allowed"
        stored = served.post(receipt(1), one)
        assert stored.status == 201
        for target in (
            stored.headers["location"],
            "/receipts/" + stored.json["id"],
            "/chains/chain:x:1",
        ):
            assert served.ask("GET", target, headers=mine).status == 200
            assert served.ask("GET", target, headers=theirs).status == 404
            assert served.get(target).status == 401
        assert served.ask("GET", "/chains", headers=theirs).json == {"chains": []}
        # The same receipt of another tenant is no duplicate: it would tell that it is there.
        other = served.post(receipt(1), two)
        assert other.status == 201
        assert "shares_id" not in other.json
        assert "shares_position" not in other.json
        for target in ("/healthz", "/readyz", "/openapi.json", "/log/checkpoint", "/log/sheet"):
            assert served.get(target).status == 200
        assert served.get("/metrics").status == 401
        assert served.ask("GET", "/metrics", headers=mine).status == 200
        revoke_token(path, token.id)


def test_a_rate_is_held_for_each_tenant(tmp_path: Path) -> None:
    """429 with Retry-After; a batch counts its lines."""
    with Served(tmp_path, rate="1", burst="3") as served:
        answers = [served.post(receipt(number)) for number in range(5)]
        assert [one.status for one in answers][:3] == [201] * 3
        slowed = answers[-1]
        assert slowed.problem == "too-many-requests"
        assert int(slowed.headers["retry-after"]) >= 1
        lines = receipt(8) + b"\n" + receipt(9)
        kind = {"Content-Type": "application/x-ndjson"}
        assert served.ask("POST", "/receipts/batch", lines, kind).status == 429


def test_a_first_start_on_a_laptop_makes_its_keys(tmp_path: Path) -> None:
    """And the next start finds keys, receipts and log again."""
    with Served(tmp_path) as served:
        assert served.post(receipt(1)).status == 201
        sheet = served.get("/log/sheet").body
    with Served(tmp_path) as served:
        assert served.get("/log/sheet").body == sheet
        assert served.post(receipt(1)).status == 409
        assert served.get("/log/checkpoint").body.splitlines()[1] == b"1"


def test_without_keys_nothing_else_starts(tmp_path: Path) -> None:
    """A store that has a log needs that log's keys, and so does an address for others."""
    with Served(tmp_path):
        pass
    for name in (tmp_path / "collector.keys").iterdir():
        name.unlink()
    (tmp_path / "collector.keys").rmdir()
    with pytest.raises(SettingError, match="keys new"), Served(tmp_path):
        pass
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    with (
        pytest.raises(SettingError, match="keys new"),
        Served(fresh, addr="0.0.0.0:0", allow_anonymous=True),
    ):
        pass
    create_log_keys(str(fresh / "collector.keys"), "collector.example/log1")
    with Served(fresh, addr="0.0.0.0:0", allow_anonymous=True) as served:
        served.url = served.url.replace("0.0.0.0", "127.0.0.1")
        assert b"collector.example/log1" in served.get("/log/checkpoint").body


def test_a_second_process_does_not_get_the_store(tmp_path: Path) -> None:
    """One file, one writer."""
    with Served(tmp_path), pytest.raises(StoreError), Served(tmp_path):
        pass


def test_an_address_in_use_leaves_the_store_closed(tmp_path: Path) -> None:
    """What could not start holds nothing: the same files start elsewhere at once."""
    with Served(tmp_path) as served:
        other = tmp_path / "other"
        other.mkdir()
        taken = ":".join(map(str, served.address))
        with pytest.raises(SettingError, match="listened on"), Served(other, addr=taken):
            pass
        with Served(other) as again:
            assert again.get("/healthz").status == 200


def test_garbage_is_settled_for_the_process() -> None:
    """What exists is left alone by the collector of garbage from then on."""
    before = gc.get_threshold()
    try:
        settle_garbage()
        assert gc.get_freeze_count() > 1000
        assert gc.get_threshold()[0] > before[0]
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
