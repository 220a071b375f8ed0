# SPDX-License-Identifier: Apache-2.0
"""Chains beside what a log holds of them: cut off, forked, or whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from tools.corpus.chains import chain
from tools.corpus.inputs import case
from tools.corpus.making import FIRST, SECOND, Case, Json, lines, put, rotation, sign

# Name, why, what is given, what the log holds, codes.
Compared: TypeAlias = tuple[str, str, Sequence[Json], Sequence[Json], Sequence[str]]

PLACE = "/credentialSubject/action/type"


def cases() -> Iterator[Case]:
    """Yield all of them."""
    for name, why, given, held, codes in (*_compared(), *_rotated()):
        more: dict[str, Any] = {"options": {"log": "log.jsonl"}}
        yield case(name, why, given, *codes, files={"log.jsonl": lines(list(held))}, **more)


def _compared() -> Iterator[Compared]:
    whole = chain("log-holds", 4)
    other = chain("log-holds-other", 2, issuer="did:agent:other")
    yield "log-holds-the-same", "The log holds what the input holds.", whole, whole, ()
    yield (
        "log-holds-more",
        "The last receipt is missing: nothing in the input says so, the log does.",
        whole[:3],
        whole,
        ("LOG_HOLDS_MORE",),
    )
    yield (
        "log-holds-more-alone",
        "The log gives the missing end only.",
        whole[:2],
        whole[2:],
        ("LOG_HOLDS_MORE",),
    )
    yield "log-holds-less", "The log was not given the end.", whole, whole[:3], ("log_lacks",)
    yield "log-holds-nothing", "The log holds nothing of it.", whole, [], ("log_lacks",)
    yield "log-holds-another-chain", "Other chains are passed over.", whole, whole + other, ()
    mixed = [*whole[2:], *other, *whole[:2]]
    yield "log-holds-in-any-order", "A log's order is that of arrival.", whole + other, mixed, ()
    forked = put({key: whole[2][key] for key in whole[2] if key != "proof"}, PLACE, "a.b.c")
    yield (
        "log-holds-a-fork",
        "The issuer signed another third receipt, which the log holds.",
        whole,
        [*whole, sign(forked)],
        ("LOG_HOLDS_OTHER",),
    )
    yield (
        "log-holds-the-gap",
        "The log holds the receipt that is missing in the middle.",
        [*whole[:1], *whole[2:]],
        whole,
        ("CHAIN_GAP", "LOG_HOLDS_OTHER"),
    )
    yield (
        "log-holds-junk",
        "Anybody can send a collector a fifth receipt: signed with another key it proves nothing.",
        whole,
        [*whole, sign(_next(whole), SECOND)],
        ("log_unsigned",),
    )
    yield (
        "log-holds-another-proof",
        "Members of the proof are not signed: it is the same receipt.",
        whole,
        [*whole[:3], put(whole[3], "/proof/created", "2031-01-01T00:00:00.000Z")],
        (),
    )


def _rotated() -> Iterator[Compared]:
    edits = {
        3: lambda receipt: put(receipt, "/credentialSubject/keyRotation", rotation(FIRST, SECOND))
    }
    handed = chain("log-holds-rotated", 5, edits, keys={4: SECOND, 5: SECOND})
    yield (
        "log-holds-more-after-rotation",
        "The end is signed with the key that the chain was handed over to.",
        handed[:4],
        handed,
        ("LOG_HOLDS_MORE",),
    )


def _next(receipts: Sequence[Json]) -> Json:
    made = chain("log-holds", len(receipts) + 1)[-1]
    return {key: made[key] for key in made if key != "proof"}
