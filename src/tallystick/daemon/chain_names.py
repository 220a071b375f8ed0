# SPDX-License-Identifier: Apache-2.0
"""What chains are called: a root for each UTC day or a fixed one, and one below it per agent.

2026-11-21              the root of a day
2026-11-21-2            the second of that day, after an orderly stop
2026-11-21/agent/a7     the chain of agent a7 below the root
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache

from tallystick.errors import SettingError
from tallystick.limits import FRAME_IDENTITY_BYTES_MAX

_AGENT = "/agent/"
_DAY_MS = 86_400_000


def day_of(moment_ms: int) -> str:
    """Return the UTC day of a moment: YYYY-MM-DD."""
    return _day(moment_ms // _DAY_MS)


@lru_cache(maxsize=4)
def _day(number: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(number * _DAY_MS // 1000))


def agent_chain(root: str, agent_id: str) -> str:
    """Return the chain of one agent below a root."""
    return f"{root}{_AGENT}{agent_id}"


def agents_of(root: str) -> str:
    """Return what the names of all chains below a root begin with."""
    return f"{root}{_AGENT}"


def root_of(chain_id: str) -> str:
    """Return the root of a chain, which may be itself."""
    return chain_id.partition(_AGENT)[0]


def is_of(root: str, base: str) -> bool:
    """Whether a root is the first or a later one of a day or of a fixed name."""
    rest = root.removeprefix(base)
    if not root.startswith(base) or not rest:
        return root == base
    number = rest[1:]
    return rest[0] == "-" and number.isascii() and number.isdigit() and number[0] != "0"


def unused(base: str, is_used: Callable[[str], bool]) -> str:
    """Return the first of `base`, `base-2`, `base-3` … that no chain has yet."""
    name, number = base, 1
    while is_used(name):
        number += 1
        name = f"{base}-{number}"
    return name


def check_fixed(chain_id: str) -> str:
    """Return a fixed name for the root, or raise where it can't be one."""
    if (
        not chain_id
        or _AGENT in chain_id
        or not chain_id.isprintable()
        or len(chain_id.encode()) > FRAME_IDENTITY_BYTES_MAX
    ):
        raise SettingError(
            f"no name for a chain: 1 to {FRAME_IDENTITY_BYTES_MAX} printable bytes without "
            f"{_AGENT!r} are wanted"
        )
    return chain_id
