# SPDX-License-Identifier: Apache-2.0
"""A watcher's cursor is read back as it was kept, of one deployment only."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallystick.errors import LimitError, PostingError
from tallystick.limits import RESPONSE_BYTES_MAX
from tallystick.onchain.contracts import DisputeState
from tallystick.onchain.deployment import Deployment
from tallystick.watch.cursor import Cursor, Seen, keep_cursor, read_cursor

AT = Deployment(
    chain_id=7,
    registry="0x" + "1" * 40,
    receipts="0x" + "2" * 40,
    disputes="0x" + "3" * 40,
    first_block=9,
)
QUESTION = DisputeState(
    dispute_id=4, receipt_id=b"\1" * 32, challenger="0x" + "4" * 40, index=0, due_at=5, block=10
)


def test_a_cursor_is_read_back(tmp_path: Path) -> None:
    """What was kept is what is read, for nobody else's eyes; without a file all is to be seen."""
    path = tmp_path / "cursor"
    fresh = read_cursor(path, AT)
    assert fresh == Cursor(chain_id=7, contract=AT.receipts, block=8)
    fresh.posts["a"] = Seen(receipt_id="a", solver="b", intent="c", evidence="d", paid={"e": 1})
    fresh.asked.append(QUESTION)
    fresh.aside["4"] = 6
    keep_cursor(path, fresh)
    assert read_cursor(path, AT) == fresh
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_cursor_of_before_questions(tmp_path: Path) -> None:
    """A file without an asker has looked for nobody's questions yet."""
    path = tmp_path / "cursor"
    path.write_text(f'{{"chain_id":7,"contract":"{AT.receipts}","block":20,"spent":3}}')
    found = read_cursor(path, AT)
    assert (found.spent, found.asker, found.asked) == (3, "", [])


@pytest.mark.parametrize("text", ["", "{", "[]", '{"chain_id":7}', '{"chain_id":"7"}'])
def test_a_damaged_cursor(tmp_path: Path, text: str) -> None:
    """It is refused, and not begun anew."""
    path = tmp_path / "cursor"
    path.write_text(text)
    with pytest.raises(PostingError, match="holds no cursor"):
        read_cursor(path, AT)


def test_a_cursor_of_other_contracts(tmp_path: Path) -> None:
    """What one deployment cost says nothing of another."""
    path = tmp_path / "cursor"
    keep_cursor(path, Cursor(chain_id=8, contract=AT.receipts, block=1))
    with pytest.raises(PostingError, match="other contracts"):
        read_cursor(path, AT)


def test_a_cursor_is_bounded(tmp_path: Path) -> None:
    """A file of any size is not read."""
    path = tmp_path / "cursor"
    path.write_bytes(bytes(RESPONSE_BYTES_MAX + 1))
    with pytest.raises(LimitError):
        read_cursor(path, AT)
