# SPDX-License-Identifier: Apache-2.0
"""The file of heads: the last of each chain, short, and readable after a crash."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallystick.daemon.head_file import HeadFile
from tallystick.durable.journal import Journal
from tallystick.errors import StoreError
from tallystick.limits import HEADS_SPENT_BYTES_MAX
from tallystick.model.chain import Head


def head(chain_id: str, sequence: int) -> Head:
    """Return a head."""
    return Head(chain_id=chain_id, sequence=sequence, hash=f"sha256:{sequence:064x}")


def test_the_last_head_of_each_chain_is_kept(tmp_path: Path) -> None:
    """Written before it is synced, found by the next who opens; closed chains are let go."""
    heads = HeadFile(tmp_path / "heads")
    heads.write([head("a", 1), head("b", 1)])
    heads.write([head("a", 2)])
    heads.write([head("b", 2), head("c", 1)], closed=["b"])
    assert heads.heads == {"a": (2, head("a", 2).hash), "c": (1, head("c", 1).hash)}
    heads.close()
    again = HeadFile(tmp_path / "heads")
    assert again.heads["a"] == (2, head("a", 2).hash)
    again.close()


def test_the_file_stays_short(tmp_path: Path) -> None:
    """What is no longer the last is left out when the file is written anew."""
    heads = HeadFile(tmp_path / "heads")
    for number in range(1, 16_000):
        heads.write([head("a", number)])
        if number % 1000 == 0:
            heads.shorten()
    heads.shorten()
    heads.sync()
    assert (tmp_path / "heads").stat().st_size < HEADS_SPENT_BYTES_MAX + 100_000
    heads.close()
    again = HeadFile(tmp_path / "heads")
    assert again.heads == {"a": (15_999, head("a", 15_999).hash)}
    again.close()


def test_a_file_that_is_mostly_needed_is_left_as_it_is(tmp_path: Path) -> None:
    """Writing it anew costs a rename and two syncs, and frees nothing."""
    heads = HeadFile(tmp_path / "heads")
    heads.write([head("a", 1)])
    heads.write([head("a", 2)])
    before = (tmp_path / "heads").stat()
    heads.shorten()
    after = (tmp_path / "heads").stat()
    assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)
    heads.close()


def test_a_head_without_a_receipt_is_read_again(tmp_path: Path) -> None:
    """A chain that has a name and nothing in it yet doesn't make the file unreadable."""
    heads = HeadFile(tmp_path / "heads")
    heads.write([Head(chain_id="a")])
    heads.close()
    again = HeadFile(tmp_path / "heads")
    assert again.heads == {"a": (0, "")}
    again.close()


def test_a_torn_end_is_no_damage(tmp_path: Path) -> None:
    """Half a last item, as a power cut leaves it, is cut away."""
    heads = HeadFile(tmp_path / "heads")
    heads.write([head("a", 1)])
    heads.sync()
    heads.write([head("a", 2)])
    heads.close()
    path = tmp_path / "heads"
    path.write_bytes(path.read_bytes()[:-5])
    again = HeadFile(path)
    assert again.heads["a"][0] == 1
    again.close()


def test_what_is_no_file_of_heads_is_refused(tmp_path: Path) -> None:
    """Garbage, another journal, and one that somebody holds; what is refused is let go of."""
    (tmp_path / "garbage").write_bytes(b"x" * 100)
    journal = Journal(tmp_path / "journal", bytes_max=1000)
    journal.append(b"not heads")
    garbage = tmp_path / "garbage"
    with pytest.raises(StoreError, match=f"Nothing was changed.*move {garbage} away") as caught:
        HeadFile(garbage)
    assert "salvage" not in str(caught.value)
    assert garbage.read_bytes() == b"x" * 100
    with pytest.raises(StoreError, match="in use"):
        HeadFile(tmp_path / "journal")
    journal.close()
    with pytest.raises(
        StoreError, match=f"can't be read.*move {tmp_path / 'journal'} away"
    ) as kept:
        HeadFile(tmp_path / "journal")
    # Also while somebody holds on to the error.
    Journal(tmp_path / "journal", bytes_max=1000).close()
    assert "not heads" not in str(kept.value)


def test_a_sync_at_the_end_is_none(tmp_path: Path) -> None:
    """Who comes too late to sync finds nothing to do: closing has done it."""
    heads = HeadFile(tmp_path / "heads")
    heads.write([head("a", 1)])
    heads.close()
    heads.sync()


def test_a_file_that_is_replaced_is_told(tmp_path: Path) -> None:
    """What is written to a file that nobody finds any more protects nothing."""
    heads = HeadFile(tmp_path / "heads")
    heads.write([head("a", 1)])
    (tmp_path / "heads").unlink()
    with pytest.raises(StoreError, match="removed or replaced"):
        heads.sync()
    with pytest.raises(StoreError):
        heads.write([head("a", 2)])
