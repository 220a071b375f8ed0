# SPDX-License-Identifier: Apache-2.0
"""Principals: named once, never waited for long, never named after something strange."""

from __future__ import annotations

import os
import pwd
import threading
import time

import pytest

from tallystick.daemon.principal_names import PrincipalNames
from tallystick.limits import LOGIN_NAMES_MAX


def test_real_users_are_named() -> None:
    """The user who runs this test has a login name; one who is nowhere has a number."""
    names = PrincipalNames("linux")
    try:
        own = f"did:user:{pwd.getpwuid(os.geteuid()).pw_name}"
    except KeyError:
        own = f"did:user:linux:{os.geteuid()}"
    assert names.principal(os.geteuid()) == own
    assert names.principal(3_999_999_999) == "did:user:linux:3999999999"
    assert names.principal(None) == "did:user:unknown"


def test_each_user_is_asked_for_once() -> None:
    """Many threads that ask at once make one look-up."""
    asked: list[int] = []
    begin = threading.Barrier(8)

    def lookup(uid: int) -> str:
        asked.append(uid)
        time.sleep(0.02)
        return "ada"

    names = PrincipalNames("linux", lookup)

    def ask() -> None:
        begin.wait()
        assert names.principal(7) == "did:user:ada"

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked == [7]
    names.forget()
    assert names.principal(7) == "did:user:ada"
    assert asked == [7, 7]


def test_nobody_waits_for_a_slow_directory() -> None:
    """Until it answers a user has a number; from then on a name."""
    answered = threading.Event()

    def lookup(uid: int) -> str:
        answered.wait(10)
        return "ada"

    names = PrincipalNames("darwin", lookup, wait_ms=10)
    start = time.perf_counter()
    assert names.principal(501) == "did:user:darwin:501"
    assert time.perf_counter() - start < 5
    assert names.known(501) is None
    answered.set()
    for _ in range(500):
        if names.known(501) is not None:
            break
        time.sleep(0.01)
    assert names.principal(501) == names.known(501) == "did:user:ada"


def test_all_wait_together_and_not_one_after_the_other() -> None:
    """A thousand frames of a user that no directory names hold up the daemon once, not each."""
    never = threading.Event()

    def lookup(uid: int) -> str | None:
        never.wait(20)
        return None

    names = PrincipalNames("linux", lookup, wait_ms=300)
    assert names.known(7) is None  # as at accept: from here on time runs
    start = time.monotonic()
    for _ in range(1000):
        assert names.principal(7) == "did:user:linux:7"
    assert time.monotonic() - start < 10
    never.set()


@pytest.mark.parametrize("login", ["", "a b", "a\n", "linux:0", "a/b", "é" * 3, "x" * 200, None])
def test_strange_names_are_not_taken(login: str | None) -> None:
    """A directory can't make a user pass for another principal."""
    assert PrincipalNames("linux", lambda uid: login).principal(5) == "did:user:linux:5"


def test_a_directory_that_fails_harms_nobody() -> None:
    """Whatever it raises, the user has a number."""

    def lookup(uid: int) -> str:
        raise RuntimeError("down")

    assert PrincipalNames("linux", lookup).principal(5) == "did:user:linux:5"


def test_the_cache_is_bounded() -> None:
    """Users without end do not fill the memory."""
    names = PrincipalNames("linux", lambda uid: "ada")
    filled = {uid: names._asked(1) for uid in range(LOGIN_NAMES_MAX)}
    names._answers.update(filled)
    for uid in range(LOGIN_NAMES_MAX, LOGIN_NAMES_MAX + 10):
        assert names.principal(uid) == "did:user:ada"
    assert len(names._answers) == LOGIN_NAMES_MAX


def test_whom_nobody_waits_for_is_known_to_be_so() -> None:
    """Not while the directory is asked, and not after it was forgotten."""
    may_answer = threading.Event()

    def lookup(uid: int) -> str | None:
        assert may_answer.wait(20)
        return f"user{uid}" if uid else None

    names = PrincipalNames("linux", lookup, wait_ms=10_000)
    assert names.is_found(None)
    assert names.known(7) is None
    assert not names.is_found(7)
    may_answer.set()
    assert names.principal(7) == "did:user:user7"
    assert names.is_found(7)
    names.forget()
    assert not names.is_found(7)
