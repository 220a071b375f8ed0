# SPDX-License-Identifier: Apache-2.0
"""All that a daemon has stored, whole and with chains or ends taken out of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tools.corpus.chains import Edit, chain, closing, setting
from tools.corpus.inputs import MEMBER, case, delegation
from tools.corpus.making import Case, Json, digest, put
from tools.corpus.shapes import ACTION, SUBJECT

ISSUER = "did:example:daemon"
PRINCIPAL = f"{SUBJECT}/principal/id"
START = "agent_receipts.agent_start"


class Day(NamedTuple):
    """A root, and the chain of the agent that its second receipt announces."""

    root: list[Json]
    agent: list[Json]

    def all(self) -> list[Json]:
        """Return both."""
        return self.root + self.agent


def cases() -> Iterator[Case]:
    """Yield all of them."""
    one = day("whole-1")
    two = day("whole-2", one.root[-1])
    three = day("whole-3", two.root[-1], is_closed=False)
    store = one.all() + two.all() + three.all()
    yield _case("whole", "Three days, of which the last goes on.", store)
    yield _case("whole-backward", "The order does not count.", three.all() + two.all() + one.all())
    why = "A part was asked about: what it speaks of may be elsewhere."
    yield case("whole-in-part", why, two.all())
    yield from _without_chains(one, two, three)
    yield from _with_others(one, two, three)
    yield from _shared()


def _without_chains(one: Day, two: Day, three: Day) -> Iterator[Case]:
    rest = one.all() + three.all()
    why = "The second day is gone: the third names the end of it."
    yield _case("whole-without-a-day", why, rest, "CHAIN_MISSING")
    why = "The first day is gone: the second says that it was not the first."
    yield _case("whole-without-the-first-day", why, two.all() + three.all(), "CHAIN_MISSING")
    why = "The chain of an agent is gone: its root announces it."
    yield _case("whole-without-an-agent", why, one.all() + two.root, "CHAIN_MISSING")
    why = "The root is gone from below the chain of its agent."
    yield _case("whole-without-a-root", why, one.agent, "CHAIN_MISSING", "CHAIN_UNANNOUNCED",
                "delegation_unresolved")  # fmt: skip
    why = "The end of the first day is gone: the second names it."
    cut = one.root[:-1] + one.agent + two.all()
    yield _case("whole-without-an-end", why, cut, "CHAIN_MISSING")
    why = "The end of an agent's chain is gone: its root was closed with it."
    yield _case("whole-without-an-agents-end", why, one.root + one.agent[:-1], "CHAIN_CUT")


def _with_others(one: Day, two: Day, three: Day) -> Iterator[Case]:
    name = "whole-1"
    edits = _root_edits(name, None, is_closed=True)
    end = edits[3]
    edits[3] = lambda made: put(end(made), f"{ACTION}/tool_name", "other")
    other = chain(name, 3, edits, issuer=ISSUER)
    why = "The first day ends with another receipt than the second goes on from."
    yield _case("whole-with-another-end", why, other + one.agent + two.all(), "CHAIN_REPLACED")
    why = "The first day went on, behind the receipt that the second goes on from."
    early = day("whole-4", one.root[1])
    yield _case("whole-with-a-longer-day", why, one.all() + early.all(), "CHAIN_REPLACED")
    why = "Nothing says that the fourth day was not the first, too."
    yield _case("whole-with-two-beginnings", why, one.all() + day("whole-5").all(),
                "CHAIN_MISSING")  # fmt: skip
    root = chain("whole-6", 3, _daemons({3: closing("complete")}), issuer=ISSUER)
    agent = _agent("whole-6", root[1], is_closed=True)
    why = "The chain of an agent, which its root does not announce."
    yield _case("whole-unannounced", why, root + agent, "CHAIN_REPLACED", "CHAIN_UNANNOUNCED")
    plain = chain("whole-unlinked", 3, _daemons({3: closing("complete")}), issuer=ISSUER)
    below = chain(
        "whole-unlinked-agent",
        2,
        _daemons({1: setting(MEMBER, delegation("chain-whole-unlinked", plain[1]["id"], ISSUER)),
                  2: closing("complete")}),
        issuer=ISSUER,
    )  # fmt: skip
    why = "It names no place that it goes on from, and nobody announces it."
    yield _case("whole-unannounced-alone", why, plain + below, "CHAIN_UNANNOUNCED")
    why = "Others than daemons announce nothing."
    foreign = chain("whole-7", 2, issuer="did:agent:other")
    yield _case("whole-with-a-foreign-chain", why, three.root[:0] + one.all() + foreign)


def day(name: str, before: Json | None = None, *, is_closed: bool = True) -> Day:
    """Return what a daemon writes on one day."""
    root = chain(name, 3, _root_edits(name, before, is_closed=is_closed), issuer=ISSUER)
    return Day(root, _agent(name, root[1], is_closed=is_closed))


def _root_edits(name: str, before: Json | None, *, is_closed: bool) -> dict[int, Edit]:
    edits: dict[int, Edit] = {2: _announcing(f"chain-{name}-agent")}
    if before is not None:
        edits[1] = _going_on_from(before)
    if is_closed:
        edits[3] = closing("complete")
    return _daemons(edits)


def _agent(name: str, announcement: Json, *, is_closed: bool) -> list[Json]:
    hung = delegation(f"chain-{name}", announcement["id"], ISSUER)

    def first(made: Json) -> Json:
        return put(_going_on_from(announcement)(made), MEMBER, hung)

    edits: dict[int, Edit] = {1: first}
    if is_closed:
        edits[2] = closing("complete")
    return chain(f"{name}-agent", 2, _daemons(edits), issuer=ISSUER)


def _daemons(edits: dict[int, Edit]) -> dict[int, Edit]:
    """Return the edits, and for each receipt that it is a daemon's."""

    def edit_of(number: int) -> Edit:
        inner = edits.get(number)

        def edit(made: Json) -> Json:
            made = put(made, "/issuer/type", "AgentReceiptsDaemon")
            return made if inner is None else inner(made)

        return edit

    return {number: edit_of(number) for number in (1, 2, 3)}


def _announcing(chain_id: str) -> Edit:
    def edit(made: Json) -> Json:
        made = put(made, f"{ACTION}/type", START)
        return put(made, f"{ACTION}/target", {"system": "agent_receipts", "resource": chain_id})

    return edit


def _going_on_from(before: Json) -> Edit:
    link = before["credentialSubject"]["chain"]
    told = {
        "chain_id": link["chain_id"],
        "hash": digest(before),
        "sequence": link["sequence"],
    }
    return setting("/issuer/runtime", {"tallystick": {"previous_chain": told}})


def _case(name: str, why: str, receipts: Sequence[Json], *codes: str) -> Case:
    return case(name, why, receipts, *codes, options={"whole": True})


def _shared() -> Iterator[Case]:
    peer = {"platform": "linux", "pid": 4711, "uid": 7, "gid": 7, "exe_path": "/usr/bin/agent"}

    def by(session: str, principal: str, *, is_attested: bool = True) -> Edit:
        def edit(made: Json) -> Json:
            made = put(put(made, "/issuer/session_id", session), PRINCIPAL, principal)
            return put(made, f"{ACTION}/peer_credential", peer) if is_attested else made

        return edit

    told = {1: by("s-1", "did:user:a"), 2: by("s-2", "did:user:b"), 3: setting(PRINCIPAL, ISSUER)}
    why = "Two emitters and the daemon itself share a chain; who sent what, the system told."
    yield case("shared-chain", why, chain("shared-chain", 3, _daemons(told), issuer=ISSUER))
    told[2] = by("s-2", "did:user:b", is_attested=False)
    why = "The second receipt says nothing of the process that sent it."
    yield case("shared-chain-of-whom", why, chain("shared-chain-of-whom", 3, _daemons(told),
               issuer=ISSUER), "session_changed", "principal_changed")  # fmt: skip
