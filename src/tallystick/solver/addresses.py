# SPDX-License-Identifier: Apache-2.0
"""The addresses of a solver's service as a table: `docs/reference/solver.md` is made from it."""

from __future__ import annotations

from typing import Final

import msgspec

from tallystick.serve.access import Need


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """One address: what it is for, who may use it, and what it answers."""

    method: str
    path: str
    purpose: str
    need: Need | None
    answers: tuple[int, ...] = (200,)
    problems: tuple[str, ...] = ()


_ADMISSION: Final = ("not-authorised", "not-allowed", "tokens-unavailable")

ADDRESSES: Final = (
    Address(
        method="POST",
        path="/intents",
        purpose="Hand an intent in; 202 when it is on stable storage.",
        need="write",
        answers=(202,),
        problems=(
            "empty-body",
            "malformed-json",
            "malformed-intent",
            *_ADMISSION,
            "already-accepted",
            "too-large",
            "wrong-media-type",
            "busy",
            "internal",
        ),
    ),
    Address(
        method="GET",
        path="/intents/{intentId}",
        purpose="How far an intent is: its place in the queue, or its runs.",
        need="read",
        problems=(*_ADMISSION, "not-found", "internal"),
    ),
    Address(
        method="GET",
        path="/runs/{runId}",
        purpose="How far a run is, and what became of it.",
        need="read",
        problems=(*_ADMISSION, "not-found", "internal"),
    ),
    Address(
        method="GET",
        path="/runs/{runId}/bundle",
        purpose="The signed bundle of a run that is done.",
        need="read",
        problems=(*_ADMISSION, "not-found", "internal"),
    ),
    Address(method="GET", path="/healthz", purpose="Whether the process answers.", need=None),
    Address(
        method="GET",
        path="/readyz",
        purpose="Whether intents are taken: the queue has room, and its folder can be written.",
        need=None,
        problems=("busy",),
    ),
    Address(
        method="GET",
        path="/metrics",
        purpose="Metrics in the form of Prometheus.",
        need="metrics",
        problems=_ADMISSION,
    ),
)
