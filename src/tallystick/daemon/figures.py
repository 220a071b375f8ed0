# SPDX-License-Identifier: Apache-2.0
"""What each line of `tally daemon status` means. `docs/reference/daemon.md` is made from it."""

from __future__ import annotations

from typing import Final

import msgspec

_PID, _COUNT, _TIME, _NAME, _YES = "number", "count", "UTC", "text", "true or false"
_NOW, _SINCE = "count, now", "count, since the start"


class Figure(msgspec.Struct, frozen=True):
    """One line of the status; a part of its name in capitals stands for several names."""

    name: str
    unit: str
    purpose: str


FIGURES: Final = (
    Figure("version", _NAME, "Which Tallystick runs: after an upgrade, whether it was restarted."),
    Figure("pid", _PID, "Its process."),
    Figure("started", _TIME, "When it started."),
    Figure("uptime_s", "seconds", "How long it runs."),
    Figure("socket", _NAME, "The path at which emitters find it."),
    Figure("socket_in_place", _YES, "Whether that path still leads to it. If not, start it anew."),
    Figure(
        "socket_is_safe",
        _YES,
        "Whether only the system and the user create files there; else `--unsafe-socket-path` "
        "was given.",
    ),
    Figure("key.fingerprint", _NAME, "Of the public key that signs."),
    Figure("chains.open", _NOW, "Open chains: roots and agents."),
    Figure("chains.roots", _NOW, "Open roots: 1 from the day's first frame on."),
    Figure("chains.agents", _NOW, "Open chains of agents below the root."),
    Figure("ledger.root", _NAME, "The open root; none before its first receipt."),
    Figure("ledger.sequence", "sequence", "Of the root's last receipt."),
    Figure("ledger.hash", _NAME, "Of the root's last receipt."),
    Figure("ledger.receipts", _COUNT, "Receipts in the store, from all its days."),
    Figure(
        "ledger.last_issued_ms",
        "milliseconds since 1970",
        "Time of the newest receipt; 0 before the first. The next one is never earlier, also where "
        "the clock is set back.",
    ),
    Figure(
        "ledger.clock_behind_ms",
        "milliseconds",
        "How far the clock is behind that time: until it has come there, receipts are dated as the "
        "newest.",
    ),
    Figure("queue.frames", _NOW, "Frames that came in and are not stored yet."),
    Figure(
        "queue.commit_running_ms",
        "milliseconds",
        "How long the commit that runs now has been running. When it grows, the disk or the signer "
        "hangs.",
    ),
    Figure("queue.signer_is_away", _YES, "Whether frames wait for a signer that does not answer."),
    Figure("commit.count", _SINCE, "Commits: transactions that were put on stable storage."),
    Figure(
        "commit.recent_us.PART",
        "microseconds",
        "How long the last 1024 commits took: p50, p99 and max.",
    ),
    Figure("commit.last_fsync", _TIME, "When a commit was last on stable storage."),
    Figure("connections.open", _NOW, "Connections of emitters."),
    Figure("connections.taken", _SINCE, "Connections that were let in."),
    Figure("frames.frames", _SINCE, "Frames that came in whole, refused ones as well."),
    Figure("frames.receipts", _SINCE, "Frames that became a receipt on stable storage."),
    Figure("frames.acknowledged", _SINCE, "Answers to frames that asked for one, yes or no."),
    Figure(
        "frames.late",
        _SINCE,
        "Frames that an emitter had kept in its spool while no daemon answered.",
    ),
    Figure(
        "rejected.CODE",
        _SINCE,
        "Frames that were refused, by the code that the emitter is told; a receipt in the chain "
        "counts them as well.",
    ),
    Figure(
        "undisclosed.REASON",
        "count, since the settings were read",
        "What a disclosure policy elected and could not be sealed: no object, too large, not "
        "sealed. Its receipt has hashes alone.",
    ),
    Figure("drafting.pid", _PID, "The drafting process; none while few frames come."),
    Figure("drafting.lost", _SINCE, "Drafting processes that were lost. The daemon goes on."),
    Figure(
        "guarded.strangers",
        _SINCE,
        "Connections that were closed at once: the system did not say whose they are.",
    ),
    Figure(
        "guarded.over_quota",
        _SINCE,
        "Connections above one user's share. What they had sent was stored, and no more.",
    ),
    Figure(
        "guarded.evicted",
        _SINCE,
        "Idle connections that were closed to make room. See `max_connections`.",
    ),
    Figure(
        "guarded.idle", _SINCE, "Connections that were closed since nothing came: `idle_timeout`."
    ),
    Figure(
        "guarded.slow",
        _SINCE,
        "Connections that were closed within a frame that took too long: `frame_timeout`.",
    ),
    Figure(
        "guarded.stalled",
        _SINCE,
        "Emitters that did not read their answers. They get no more; what they sent is stored.",
    ),
    Figure(
        "guarded.holds",
        _SINCE,
        "How often a connection was not read for a while, since too much of it waited.",
    ),
    Figure(
        "guarded.scarcities",
        _SINCE,
        "How often nobody could be let in for want of descriptors or memory: raise its limits.",
    ),
    Figure(
        "guarded.faults", _SINCE, "Failures of our own, each in one connection: please report them."
    ),
    Figure("fault", _NAME, "Why it stores nothing any more; none while it stores."),
)
