# SPDX-License-Identifier: Apache-2.0
"""The file of tokens: what is kept, what is found, and what happens when it changes."""

from __future__ import annotations

import shutil
import stat
import threading
from hmac import compare_digest
from pathlib import Path

import pytest

from tallystick.errors import LimitError, RefusedInput, SettingError, UnreadableError
from tallystick.limits import TENANT_CHARS_MAX, TOKENS_FILE_BYTES_MAX, TOKENS_MAX
from tallystick.serve import tokens as module
from tallystick.serve.access import Gate
from tallystick.serve.problem import Refusal
from tallystick.serve.tokens import (
    TokenBook,
    add_token,
    check_tenant,
    read_tokens,
    revoke_token,
)

WHEN = "2026-01-01T00:00:00+00:00"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_token_is_known_again_and_kept_nowhere(tmp_path: Path) -> None:
    """The file holds a salted hash, is for its owner alone, and knows the token by it."""
    path = tmp_path / "tokens"
    text, token = add_token(path, "acme", access="read", note="auditor", made_at=WHEN)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = text.removeprefix(f"tally_{token.id}_")
    assert secret not in path.read_text()
    assert text not in repr(token)
    assert read_tokens(path) == (token,)
    assert (token.tenant, token.access, token.note, token.made_at) == (
        "acme", "read", "auditor", WHEN,
    )  # fmt: skip
    found = TokenBook(path, Clock()).find(text)
    assert found == token


def test_same_entropy_never_gives_the_same_hash_for_another_salt(tmp_path: Path) -> None:
    """Two tokens differ in id, salt and hash."""
    path = tmp_path / "tokens"
    one, first = add_token(path, "a", made_at=WHEN)
    two, second = add_token(path, "a", made_at=WHEN)
    assert one != two
    assert not {first.id, first.salt, first.hash} & {second.id, second.salt, second.hash}


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"),
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text + "\n",
        lambda text: "x" + text,
        lambda text: text.replace("tally_", "tally_0", 1),
        lambda text: "",
        lambda text: "tally_" + "0" * 12 + text[18:],
        lambda text: text[:-1] + "\u00e9",
    ],
)
def test_nothing_near_a_token_is_one(tmp_path: Path, change: object) -> None:
    """Another secret, another id, another shape: unknown."""
    path = tmp_path / "tokens"
    text, _ = add_token(path, "a", made_at=WHEN)
    assert TokenBook(path, Clock()).find(change(text)) is None  # type: ignore[operator]  # a lambda


def test_secrets_are_compared_in_constant_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown id costs the same comparison as a known one."""
    compared: list[int] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(len(other))
        return compare_digest(one, other)

    monkeypatch.setattr(module, "compare_digest", compare)
    path = tmp_path / "tokens"
    text, _ = add_token(path, "a", made_at=WHEN)
    book = TokenBook(path, Clock())
    book.find(text)
    book.find("tally_" + "0" * 12 + text[18:])
    assert compared == [32, 32]


def test_a_change_is_seen_within_a_second(tmp_path: Path) -> None:
    """New tokens are let in and revoked ones are not, without a restart."""
    path, clock = tmp_path / "tokens", Clock()
    book = TokenBook(path, clock)
    assert len(book) == 0
    text, token = add_token(path, "a", made_at=WHEN)
    assert book.find(text) is None
    clock.now += 1
    assert book.find(text) == token
    assert revoke_token(path, token.id) == token
    clock.now += 1
    assert book.find(text) is None


@pytest.mark.parametrize("way", ["removed", "dangling", "unreachable", "directory"])
def test_a_file_that_goes_away_is_a_fault(tmp_path: Path, way: str) -> None:
    """Nobody is let in, and nobody is told that the token is unknown; it may come back."""
    folder, aside, clock = tmp_path / "folder", tmp_path / "aside", Clock()
    folder.mkdir()
    path = folder / "tokens"
    text, token = add_token(path, "a", made_at=WHEN)
    book = TokenBook(path, clock)
    assert (book.find(text), len(book)) == (token, 1)
    folder.rename(aside)
    if way == "unreachable":
        folder.symlink_to(folder)
    else:
        folder.mkdir()
        if way == "dangling":
            path.symlink_to("nowhere")
        elif way == "directory":
            path.mkdir()
    for _ in range(2):
        clock.now += 1
        assert (book.find(text), len(book)) == (None, 0)
        assert book.fault is not None
    with pytest.raises(Refusal) as refused:
        Gate(tokens=book).admit({"headers": [(b"x-api-key", text.encode())]}, "read")
    assert refused.value.name == "tokens-unavailable"
    folder.unlink() if way == "unreachable" else shutil.rmtree(folder)
    aside.rename(folder)
    clock.now += 1
    assert book.find(text) == token
    assert book.fault is None


def test_only_a_file_that_is_not_there_holds_none(tmp_path: Path) -> None:
    """At a start, too: what can't be looked at is no reason to refuse everybody."""
    assert read_tokens(tmp_path / "tokens") == ()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    for path in ("loop/tokens", "dangling", "a\0b", "loop"):
        with pytest.raises(UnreadableError):
            read_tokens(tmp_path / path)
        with pytest.raises(UnreadableError):
            TokenBook(tmp_path / path, Clock())


def test_a_file_that_can_not_be_read_lets_nobody_in(tmp_path: Path) -> None:
    """Fail closed, say so, and recover when it is repaired."""
    path, clock = tmp_path / "tokens", Clock()
    text, token = add_token(path, "a", made_at=WHEN)
    good = path.read_bytes()
    book = TokenBook(path, clock)
    path.write_bytes(b"{")
    clock.now += 1
    assert book.find(text) is None
    assert book.fault is not None
    path.write_bytes(good)
    clock.now += 1
    assert book.find(text) == token
    assert book.fault is None


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"version":2,"tokens":[]}', b'{"version":1,"tokens":[],"more":1}', b"\xff"],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, content: bytes) -> None:
    """Nothing is guessed from a file that is not one of ours."""
    path = tmp_path / "tokens"
    path.write_bytes(content)
    with pytest.raises(SettingError, match="no file of tokens"):
        read_tokens(path)


def test_the_file_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In bytes when it is read, and in tokens when one is added."""
    path = tmp_path / "tokens"
    path.write_bytes(b" " * (TOKENS_FILE_BYTES_MAX + 1))
    with pytest.raises(SettingError, match="larger"):
        read_tokens(path)
    path.unlink()
    add_token(path, "a", made_at=WHEN)
    monkeypatch.setattr(module, "TOKENS_MAX", 1)
    with pytest.raises(LimitError, match="revoke"):
        add_token(path, "a", made_at=WHEN)
    assert TOKENS_MAX > 1


def test_an_unknown_id_can_not_be_revoked(tmp_path: Path) -> None:
    """And nothing is written."""
    with pytest.raises(RefusedInput, match="no token"):
        revoke_token(tmp_path / "tokens", "00")
    assert not (tmp_path / "tokens").exists()


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "ä", "a\n", "x" * (TENANT_CHARS_MAX + 1)])
def test_tenants_have_plain_names(tmp_path: Path, name: str) -> None:
    """They stand in logs and keys."""
    with pytest.raises(RefusedInput, match="tenant"):
        add_token(tmp_path / "tokens", name, made_at=WHEN)
    assert check_tenant("acme.eu:prod@1_x-y") == "acme.eu:prod@1_x-y"


def test_two_who_change_the_file_at_once_do_not_undo_each_other(tmp_path: Path) -> None:
    """Each change is made to what the one before has left."""
    path = tmp_path / "tokens"
    _, doomed = add_token(path, "a", made_at=WHEN)
    work = [lambda: add_token(path, "a", made_at=WHEN)] * 20 + [
        lambda: revoke_token(path, doomed.id)
    ]
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    known = read_tokens(path)
    assert len(known) == 20
    assert doomed not in known
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tokens"]
