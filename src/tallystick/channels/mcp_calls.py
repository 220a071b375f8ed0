# SPDX-License-Identifier: Apache-2.0
"""Calls: requests that do something, as we understand them, and those that wait for their answer.

A call is found by its direction and its id, where 1 is not "1": client and server count on their
own. Nothing here grows without bound: answered calls go, and a table that is full takes no more.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from threading import Condition
from typing import Any, Final, Literal

import msgspec

from tallystick.channels.jsonrpc import Id, Key, Request
from tallystick.channels.mcp_methods import ACTING, TOOL_CALL, operation_of
from tallystick.channels.rules import Decision, Subject
from tallystick.limits import (
    CALLS_ANSWERED_MAX,
    CALLS_LINKED_MAX,
    CALLS_OPEN_BYTES_MAX,
    CALLS_OPEN_MAX,
    CALLS_ROOM_MS_MAX,
    FRAME_IDENTITY_BYTES_MAX,
    FRAME_RESOURCE_BYTES_MAX,
)
from tallystick.model.classify import claimed_risk, classify, settled_risk
from tallystick.model.taxonomy import RiskLevel

Direction = Literal["client", "server"]

# Arguments that say what a tool is used on, the more telling ones first.
_TARGETS: Final = ("path", "file_path", "uri", "url", "filename", "file", "directory", "repo")
_CUT: Final = "…"
IN_USE: Final = "another request with this id is not answered yet"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request that does something. What its sender says of itself is marked as said."""

    direction: Direction
    id: Id
    method: str
    tool: str
    arguments: Any
    action_type: str | None
    operation: str
    risk: RiskLevel
    target: str | None
    correlation: str | None = None
    session: str | None = None
    model: str | None = None
    links: tuple[str, ...] = ()

    def subject(self, server: str) -> Subject:
        """Return what rules look at."""
        return Subject(server, self.method, self.tool, self.operation, self.risk, self.arguments)


class Open:
    """A call that waits: what was decided on it, and what has happened to it since."""

    __slots__ = (
        "approver",
        "call",
        "correlation",
        "line",
        "is_cancelled",
        "is_forwarded",
        "is_late",
        "is_note",
        "number",
        "reason",
        "ruling",
        "since_s",
    )

    def __init__(
        self, call: Call, ruling: Decision, line: bytes, number: int, since_s: float
    ) -> None:
        self.call = call
        self.line = line
        self.ruling = ruling
        self.number = number
        self.since_s = since_s
        self.correlation = call.correlation
        self.approver: str | None = None
        self.reason: str | None = ruling.reason
        self.is_cancelled = False
        self.is_forwarded = False
        self.is_late = False
        self.is_note = False  # nobody answers it

    @property
    def key(self) -> Key:
        """What its answer is found by."""
        return type(self.call.id), self.call.id


def call_of(request: Request, direction: Direction, server: str) -> Call:
    """Return what a request does. It has been checked: a tool's call has a name and arguments."""
    params = request.params
    action_type, telling = ACTING.get(request.method, (None, None))
    if request.method == TOOL_CALL:
        tool, arguments = params["name"], params.get("arguments")
        own = classify(tool, arguments, server)
    else:
        tool = request.method
        arguments = {name: one for name, one in params.items() if name != "_meta"}
        own = None
    if action_type is None and own is not None:
        action_type = own.type
    meta = params.get("_meta")
    return Call(
        direction=direction,
        id=request.id,
        method=request.method,
        tool=tool,
        arguments=arguments,
        action_type=action_type,
        operation=operation_of(action_type),
        risk=settled_risk(claimed_risk(action_type), own),
        target=_target(arguments, telling),
        links=_links(params),
        **(_said(meta) if isinstance(meta, dict) and meta else {}),
    )


def links_of(output: Any) -> tuple[str, ...]:
    """Return the names under which what was answered will be continued by further requests."""
    if not isinstance(output, dict):
        return ()
    found = []
    state = output.get("requestState")
    if output.get("resultType") == "input_required" and isinstance(state, str):
        found.append(f"state:{state}")
    task = output.get("task")
    if isinstance(task, dict) and isinstance(task.get("taskId"), str):
        found.append(f"task:{task['taskId']}")
    return tuple(found)


class Calls:
    """All calls of one session that wait for an answer, of both directions."""

    def __init__(self) -> None:
        self._open: dict[tuple[Direction, Key], Open] = {}
        # The client's other requests that wait, by their ids: an answer is theirs, or a call's.
        self._asked: dict[Key, int] = {}
        # Ids whose answer has come, or is not waited for: another answer is no call's. By their
        # hashes, in a ring: nothing is allocated for a call that outlives it.
        self._answered = array("q", bytes(8 * CALLS_ANSWERED_MAX))
        self._answers = 0
        self._given_up: list[Open] = []
        # Names of states and tasks, with the correlation of the call that they belong to.
        self._links: OrderedDict[str, str] = OrderedDict()
        self._lock = Condition()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._open)

    def add(self, one: Open, wait_s: float = CALLS_ROOM_MS_MAX / 1000) -> str | None:
        """Keep a call, when there is room; return why it can't be, where it can't."""
        key = (one.call.direction, one.key)
        with self._lock:
            if key in self._open or (one.call.direction == "client" and one.key in self._asked):
                return IN_USE
            # Whoever sends faster than the server answers is held up, as by the server itself.
            if not self._lock.wait_for(lambda: self._has_room(one), wait_s):
                return f"{len(self._open)} calls wait for an answer already"
            self._bytes += len(one.line)
            self._open[key] = one
        return None

    def ask(self, key: Key, wait_s: float = CALLS_ROOM_MS_MAX / 1000) -> str | None:
        """Keep the id of a client's request that is no call; return why it can't be."""
        with self._lock:
            if ("client", key) in self._open:
                return IN_USE
            if not self._lock.wait_for(
                lambda: key in self._asked or len(self._asked) < CALLS_OPEN_MAX, wait_s
            ):
                return f"{len(self._asked)} requests wait for an answer already"
            self._asked[key] = self._asked.get(key, 0) + 1
        return None

    def unask(self, keys: Iterable[Key]) -> None:
        """Let go of ids whose requests are not forwarded."""
        for key in keys:
            self.answer("client", key)

    def _has_room(self, one: Open) -> bool:
        while self._open:
            fits = self._bytes + len(one.line) <= CALLS_OPEN_BYTES_MAX
            if fits and len(self._open) < CALLS_OPEN_MAX:
                return True
            # Servers need not answer what was cancelled: the oldest of those makes room.
            gone = next((each for each in self._open.values() if each.is_cancelled), None)
            if gone is None:
                return False
            self._given_up.append(self._took((gone.call.direction, gone.key)))
        return True

    def given_up(self) -> Sequence[Open]:
        """Return the cancelled calls whose answer is not waited for any more, each of them once."""
        if not self._given_up:
            return ()
        with self._lock:
            left, self._given_up = self._given_up, []
        return left

    def close(self, direction: Direction, key: Key) -> Open | None:
        """Take the call off that an answer is for; None where none waits for it."""
        with self._lock:
            return self._took((direction, key)) if (direction, key) in self._open else None

    def answer(self, direction: Direction, key: Key) -> Open | str | None:
        """Take the call off that an answer is for; None where nothing is known of its id.

        A text says what is odd about an answer to a call that has not been forwarded, or that
        has been answered: a client may take it for the answer, and it isn't. It is empty for the
        answer to a request that is no call.
        """
        with self._lock:
            found = self._find(direction, key)
            if found is not None:
                if not found.is_forwarded:
                    return "it answers a call that was not forwarded"
                return self._took((direction, found.key))
            if direction == "server":
                return None
            if key in self._asked:
                self._asked[key] -= 1
                if not self._asked[key]:
                    del self._asked[key]
                    self._lock.notify()
                return ""
            if any(hash(each) in self._answered for each in (key, *alike(key))):
                return "it answers a call that has been answered, or given up"
        return None

    def _find(self, direction: Direction, key: Key) -> Open | None:
        found = self._open.get((direction, key))
        if found is None and direction == "client" and key not in self._asked:
            for other in alike(key):
                found = found or self._open.get((direction, other))
        return found

    def _took(self, at: tuple[Direction, Key]) -> Open:
        found = self._open.pop(at)
        self._bytes -= len(found.line)
        if at[0] == "client":
            self._answered[self._answers % CALLS_ANSWERED_MAX] = hash(found.key)
            self._answers += 1
        self._lock.notify()
        return found

    def find(self, direction: Direction, key: Key) -> Open | None:
        """Return the call that waits under an id."""
        return self._open.get((direction, key))

    def close_all(self) -> list[Open]:
        """Take all calls off, in the order in which they came."""
        with self._lock:
            left = list(self._open.values())
            self._open.clear()
            self._bytes = 0
            self._lock.notify_all()
        return left

    def late(self, now_s: float, after_s: float) -> list[Open]:
        """Return forwarded calls that wait for longer than that, each of them once."""
        with self._lock:
            found = [
                one
                for one in self._open.values()
                if one.is_forwarded and not one.is_late and now_s - one.since_s >= after_s
            ]
        for one in found:
            one.is_late = True
        return found

    def linked(self, call: Call) -> str | None:
        """Return the correlation of the call that this one goes on with."""
        for name in call.links:
            if name in self._links:
                return self._links[name]
        return None

    def link(self, output: Any, correlation: str) -> bool:
        """Remember what an answer will be continued by; tell whether there is anything."""
        names = links_of(output)
        with self._lock:
            for name in names:
                if len(name) <= FRAME_RESOURCE_BYTES_MAX:
                    self._links[name] = correlation
                    self._links.move_to_end(name)
            while len(self._links) > CALLS_LINKED_MAX:
                self._links.popitem(last=False)
        return bool(names)


def fitting(text: str, bytes_max: int = FRAME_IDENTITY_BYTES_MAX) -> str:
    """Return a text as a frame may hold it: no control characters, no halves, cut where too long.

    A cut one ends with an ellipsis and a number that tells it from others that begin alike.
    """
    if len(text) <= bytes_max // 4 and text.isprintable():
        return text
    # No more than can be left is looked at: names come in any length.
    head = text[: bytes_max + 1]
    clean = "".join(one if one.isprintable() else "�" for one in head)
    data = clean.encode("utf-8", "replace")
    if len(data) <= bytes_max:
        return data.decode()
    from tallystick.crypto.digest import sha256_tagged

    mark = _CUT + sha256_tagged(text.encode("utf-8", "surrogatepass"))[-12:]
    return data[: bytes_max - len(mark.encode())].decode("utf-8", "ignore") + mark


def alike(key: Key) -> tuple[Key, ...]:
    """Return the ids that clients take for the same: many read "7" as 7."""
    given = key[1]
    if isinstance(given, int):
        return ((str, str(given)),)
    try:
        number = float(given or 0)
        return ((int, int(number)),) if number.is_integer() else ()
    except ValueError:
        return ()


def _target(arguments: Any, telling: str | None) -> str | None:
    if not isinstance(arguments, dict):
        return None
    for name in (telling,) if telling is not None else _TARGETS:
        value = arguments.get(name)
        if isinstance(value, str) and value:
            return value
    return None


def _links(params: Mapping[str, Any]) -> tuple[str, ...]:
    found = []
    if isinstance(params.get("requestState"), str):
        found.append(f"state:{params['requestState']}")
    if isinstance(params.get("taskId"), str):
        found.append(f"task:{params['taskId']}")
    return tuple(found)


def _said(meta: dict[str, Any]) -> dict[str, str]:
    """Return what hosts tell of themselves beside a call, by which hooks tell of the same call."""
    said = {}
    codex = meta.get("x-codex-turn-metadata")
    codex = codex if isinstance(codex, dict) else {}
    for name, value in (
        ("correlation", meta.get("claudecode/toolUseId") or meta.get("callId")),
        ("session", codex.get("session_id") or meta.get("sessionId")),
        ("model", codex.get("model")),
    ):
        if isinstance(value, str) and value:
            said[name] = fitting(value)
    return said
