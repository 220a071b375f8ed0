# SPDX-License-Identifier: Apache-2.0
"""Response bodies in a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.command import tally

from tallystick.cli.responses import ResponseFolder
from tallystick.errors import LimitError, UnreadableError
from tallystick.limits import RESPONSE_BYTES_MAX

UUID = "00000000-0000-4000-8004-000000000002"
ID = f"urn:receipt:{UUID}"


def test_bodies_are_found_by_receipt_id() -> None:
    """The file of a uuid is the body of its receipt."""
    folder = ResponseFolder("responses")
    assert list(folder) == [ID]
    assert folder[ID] == b'{"rows": [1, 2]}'
    assert ID in folder
    assert len(folder) == 1


def test_ids_never_leave_the_folder(place: Path) -> None:
    """An id that is no uuid finds nothing, whatever it spells."""
    (place / "secret.json").write_text("{}")
    folder = ResponseFolder("responses")
    for name in ("../secret", f"../responses/{UUID}", UUID, "", "urn:receipt:", f"{ID}.json", 7):
        assert name not in folder
        with pytest.raises(KeyError):
            folder[name]  # type: ignore[index]  # as a stranger would


@pytest.mark.parametrize("kind", ["link", "directory", "pipe", "gone", "large"])
def test_what_is_no_plain_file_is_not_read(place: Path, kind: str) -> None:
    """Links are not followed, pipes not waited for, and bodies bounded; the error says why."""
    path = place / "responses" / f"{UUID}.json"
    folder = ResponseFolder("responses")
    path.rename(place / "body.json")
    if kind == "link":
        path.symlink_to(place / "body.json")
    elif kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "large":
        with open(path, "wb") as body:
            body.truncate(RESPONSE_BYTES_MAX + 1)
    told = {
        "link": "is a symbolic link",
        "directory": "is not a regular file",
        "pipe": "is not a regular file",
        "gone": "No such file",
        "large": f"is larger than {RESPONSE_BYTES_MAX} bytes",
    }
    with pytest.raises((UnreadableError, LimitError), match=told[kind]):
        folder[ID]
    answer = tally("verify", "answered.jsonl", "--key", "agent.pub", "--responses", "responses")
    assert answer.code == (0 if kind == "gone" else 3)
    assert ("RESPONSE_UNREADABLE" in answer.out) is (kind != "gone")


def test_other_files_are_told(place: Path) -> None:
    """Files that are no body are reported as unused, their names escaped."""
    for name in (b"note\x1b.txt", b"\xff.json", b"0" * 36 + b".json"):
        Path(os.fsdecode(os.fsencode(place / "responses") + b"/" + name)).touch()
    answer = tally("verify", "answered.jsonl", "--key", "agent.pub", "--responses", "responses")
    assert answer.code == 0
    assert answer.out.count("response_unused") == 3
    assert "note\\x1b.txt" in answer.out
    assert "\\xff.json" in answer.out


def test_a_folder_that_cannot_be_listed() -> None:
    """The error says which and why."""
    with pytest.raises(UnreadableError, match=r"nowhere could not be read: No such file"):
        ResponseFolder("nowhere")
