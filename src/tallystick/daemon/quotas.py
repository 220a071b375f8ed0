# SPDX-License-Identifier: Apache-2.0
"""How much emitters may take up, all together and those of one user; who is over it waits."""

from __future__ import annotations

from typing import Final

import msgspec

from tallystick.daemon.connection import READ_BYTES, Account, Connection
from tallystick.limits import (
    ANSWER_STALL_MS_MAX,
    ANSWERS_UNSENT_BYTES_MAX,
    EMITTER_IDLE_MS_MAX,
    EMITTERS_MAX,
    FRAME_MS_MAX,
    HELD_BYTES_MAX,
    HELD_FRAMES_MAX,
)

# What one user may have of everything: the rest stays free for the others.
USER_SHARE: Final = (3, 4)


def share_of(whole: int) -> int:
    """Return what one user may have of so much."""
    return whole * USER_SHARE[0] // USER_SHARE[1]


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much all emitters, and how much those of one user, may take up."""

    connections: int = EMITTERS_MAX
    user_connections: int = share_of(EMITTERS_MAX)
    frames: int = HELD_FRAMES_MAX
    user_frames: int = share_of(HELD_FRAMES_MAX)
    held: int = HELD_BYTES_MAX
    user_held: int = HELD_BYTES_MAX // 2
    unsent: int = ANSWERS_UNSENT_BYTES_MAX
    frame_ms: int = FRAME_MS_MAX
    idle_ms: int = EMITTER_IDLE_MS_MAX
    stall_ms: int = ANSWER_STALL_MS_MAX


class Quotas:
    """Accounts of users, and one of all of them. Owned by the loop's thread."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.total = Account(None)
        self._accounts: dict[int | None, Account] = {}

    def account_of(self, uid: int | None) -> Account:
        """Return a user's account, a new one where there is none."""
        account = self._accounts.get(uid)
        if account is None:
            account = self._accounts[uid] = Account(uid)
        return account

    def may_connect(self, account: Account) -> bool:
        """Whether a user may have one more connection."""
        return account.connections < self.bounds.user_connections

    def count(self, account: Account, frames: int, size: int) -> None:
        """Count frames that begin to wait, or with negative numbers, are stored."""
        for one in (account, self.total):
            one.frames += frames
            one.held += size

    def forget(self, account: Account) -> None:
        """Let go of an account that nothing belongs to any more."""
        if not account.connections and not account.frames:
            self._accounts.pop(account.uid, None)

    def is_over(self, connection: Connection, *, counts_answers: bool = True) -> bool:
        """Whether a connection has to wait before it may be read."""
        bounds, account, total = self.bounds, connection.account, self.total
        # Who has nothing in line may always add one read: a flood holds up itself, and no other.
        if connection.frames and (
            total.frames >= bounds.frames or account.frames >= bounds.user_frames
        ):
            return True
        if counts_answers and connection.unsent > bounds.unsent:
            return True
        return _is_crowded(total, connection, bounds.held) or _is_crowded(
            account, connection, bounds.user_held
        )


def _is_crowded(account: Account, connection: Connection, held_max: int) -> bool:
    """Whether too many bytes are held. Where no commit will free any, one at a time may go on."""
    if account.held + READ_BYTES <= held_max:
        return False
    if account.frames:
        return True
    first = account.first
    if first is None or first.is_ended or not len(first.inbound):
        account.first = first = connection
    return first is not connection
