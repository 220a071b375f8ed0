# SPDX-License-Identifier: Apache-2.0
"""Portions of frames as the daemon hands them over, and what is stated of them in this process."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path
from typing import Any

from tests.frames import body
from tests.ledgers import ISSUER, NOON_MS, PEER

from tallystick.chain.issue import timestamp
from tallystick.daemon.attestation import Attestation
from tallystick.daemon.attested import AttestedFrame, StatedFrame
from tallystick.daemon.batch import ordered_ids
from tallystick.daemon.drafting import DraftSettings
from tallystick.daemon.portion import Portion, Statement, ids_in, new_gap, state
from tallystick.daemon.terms import Terms, draft_settings_of
from tallystick.model.frame import parse_frame
from tallystick.model.secret_patterns import Pattern

TERMS = Terms(issuer_id=ISSUER)
SETTINGS = draft_settings_of(TERMS)
# Who these also look for.
TANGO = Terms(issuer_id=ISSUER, patterns=(Pattern(name="tango", regex="tango [0-9]+"),))
# As `Home` names its users.
PRINCIPAL = "did:user:user7"
_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def usual_bodies(number: int, **more: Any) -> list[bytes]:
    """Return frames that can be stated ahead, each one another."""
    return [
        body(**{"session_id": f"s{at % 3}", "tool": {"name": f"t{at}"}, "ack": at % 2 == 0, **more})
        for at in range(number)
    ]


def unusual_bodies() -> dict[str, bytes]:
    """Return one of each kind that is not stated ahead."""
    return {
        "losses before it": body(drop_count=2),
        "late": body(late=True),
        "of an agent": body(agent_id="a7", ack=True),
        "a secret": body(error="password=hunter2hunter2"),
        "a secret in a name": body(session_id="sk-" + "a" * 24),
        "a fraction": body(usage={"cost": 0.5}),
        "a large number": body(usage={"cost": 1e21}),
        "another version": body(v="2", ack=True),
        "a decision that is none": body(decision="perhaps"),
        "a type of the issuer's": body(action_type="agent.key.rotate", ack=True),
        "no JSON": b"junk",
        "a list": b"[]",
        "nothing": b"",
        "a key twice": b'{"v":"1","v":"1"}',
        "half of a pair": body(error="x").replace(b'"x"', b'"\\ud800"'),
        "nested deep": body(input="x").replace(b'"x"', b"[" * 200 + b"]" * 200),
    }


def mixed_bodies(number: int = 40) -> list[bytes]:
    """Return usual frames and unusual ones in turn."""
    found: list[bytes] = []
    strange = [*unusual_bodies().values()]
    for at, usual in enumerate(usual_bodies(number)):
        found += [usual, strange[at]] if at < len(strange) else [usual]
    return found


def portion_of(
    bodies: list[bytes], *, number: int = 1, moment_ms: int = NOON_MS, peer: Attestation = PEER
) -> Portion:
    """Return what came in together."""
    return Portion(
        number=number,
        moment_ms=moment_ms,
        moment=timestamp(moment_ms * 1_000_000),
        principal_id=PRINCIPAL,
        credential=peer.credential,
        peer=peer.peer,
        bodies=bodies,
    )


def ids() -> Callable[[], str]:
    """Return what makes the same ids each time."""
    numbers = count(1)
    return lambda: f"00000000-0000-7000-8000-{next(numbers):012d}"


def here(
    portion: Portion,
    settings: DraftSettings = SETTINGS,
    like: Iterable[Statement | None] = (),
) -> list[Statement | None]:
    """State a portion in this process, with the ids that were drawn elsewhere."""
    gap, make = new_gap(), ids()
    drawn = [None if one is None else iter(ids_in(one)) for one in like]
    return [
        state(one, portion, settings, gap, make if each is None else each.__next__)
        for one, each in zip(portion.bodies, drawn or [None] * len(portion.bodies), strict=True)
    ]


def ids_of(receipt_json: str) -> Callable[[], str]:
    """Return what makes the two ids of a receipt again."""
    receipt = json.loads(receipt_json)
    action = receipt["credentialSubject"]["action"]["id"]
    return iter([_UUID.findall(one)[0] for one in (action, receipt["id"])]).__next__


def plain_frame(one: bytes, moment_ms: int = NOON_MS) -> AttestedFrame:
    """Return a frame as it is read here."""
    frame = parse_frame(one)
    received_ns = moment_ms * 1_000_000
    return AttestedFrame(
        frame=frame, peer=PEER, received_ns=received_ns, late=frame.late, is_parsed=True
    )


def stated_frame(
    one: bytes,
    moment_ms: int = NOON_MS,
    *,
    stated_ms: int | None = None,
    make: Callable[[], str] | None = None,
) -> StatedFrame:
    """Return a frame that was stated ahead, for the moment when it came in or for another one."""
    portion = portion_of([one], moment_ms=moment_ms if stated_ms is None else stated_ms)
    stated = state(one, portion, SETTINGS, new_gap(), make or ordered_ids(moment_ms))
    assert stated is not None
    return StatedFrame(stated, portion, one, moment_ms * 1_000_000)


def stop(pid: int) -> None:
    """Stop a process, and wait until it stands still."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + 20
    while "State:\tT" not in Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.001)
