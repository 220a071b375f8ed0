# SPDX-License-Identifier: Apache-2.0
"""On whose behalf a user id acts: `did:user:<login>`, asked once and off the hot path.

Where users live in a directory service, asking may take seconds or fail. It is done in a thread of
its own; nobody waits longer than the limit since it began, and who can't be named is
`did:user:<platform>:<uid>`.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from threading import Lock, Thread
from typing import Final

from tallystick.limits import LOGIN_NAMES_MAX, LOGIN_WAIT_MS_MAX

UNKNOWN_PRINCIPAL: Final = "did:user:unknown"
# What a login name may hold; whatever else a directory says could pass for another principal.
_LOGIN: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@+$-]{0,126}")


class PrincipalNames:
    """Owns what is known of users; may be asked by many threads at once."""

    def __init__(
        self,
        platform: str = sys.platform,
        lookup: Callable[[int], str | None] | None = None,
        wait_ms: int = LOGIN_WAIT_MS_MAX,
    ) -> None:
        self._platform = "linux" if platform.startswith("linux") else platform
        self._lookup = lookup or _login_of
        self._wait_s = wait_ms / 1000
        self._lock = Lock()
        # The answer, and until when it is waited for.
        self._answers: dict[int, tuple[Future[str], float]] = {}
        # Of these, what is known: looked up once for each frame.
        self._known: dict[int, str] = {}

    def principal(self, uid: int | None) -> str:
        """Return the principal of a user; waits a bounded time in all for who is new."""
        if uid is None:
            return UNKNOWN_PRINCIPAL
        known = self._known.get(uid)
        if known is not None:
            return known
        asked = self._asked(uid)
        answer, until = asked
        try:
            name = answer.result(max(0.0, until - time.monotonic()))
        except Late:
            return self._nameless(uid)
        with self._lock:
            if self._answers.get(uid) is asked:
                self._known[uid] = name
        return name

    def known(self, uid: int | None) -> str | None:
        """Return the principal where it is known already; never waits, but begins to ask."""
        if uid is None:
            return UNKNOWN_PRINCIPAL
        answer, _ = self._asked(uid)
        return answer.result() if answer.done() else None

    def is_found(self, uid: int | None) -> bool:
        """Whether `principal` says at once who that is."""
        return uid is None or uid in self._known

    def forget(self) -> None:
        """Ask anew from now on: users may have been renamed (SIGHUP)."""
        with self._lock:
            self._answers.clear()
            self._known.clear()

    def _asked(self, uid: int) -> tuple[Future[str], float]:
        with self._lock:
            known = self._answers.get(uid)
            if known is not None:
                return known
            if len(self._answers) >= LOGIN_NAMES_MAX:
                oldest = next(iter(self._answers))
                del self._answers[oldest]
                self._known.pop(oldest, None)
            answer: Future[str] = Future()
            asked = self._answers[uid] = (answer, time.monotonic() + self._wait_s)
        Thread(target=self._answer, args=(uid, answer), name="login name", daemon=True).start()
        return asked

    def _answer(self, uid: int, answer: Future[str]) -> None:
        try:
            login = self._lookup(uid)
        except Exception:  # noqa: BLE001  # a directory service may fail in any way
            login = None
        is_named = login is not None and _LOGIN.fullmatch(login) is not None
        answer.set_result(f"did:user:{login}" if is_named else self._nameless(uid))

    def _nameless(self, uid: int) -> str:
        return f"did:user:{self._platform}:{uid}"


def _login_of(uid: int) -> str | None:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
