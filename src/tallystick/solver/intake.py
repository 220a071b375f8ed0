# SPDX-License-Identifier: Apache-2.0
"""The solver's service as one ASGI application: intents in, states and bundles out.

An intent is parsed as strictly as on the command line, and acknowledged when it is on stable
storage. Whoever handed it in may ask for it: tenants do not see each other's runs.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from time import monotonic
from typing import Any, Final

import msgspec

from tallystick.errors import CanonicalError, Error, IntentError, LimitError, MalformedInput
from tallystick.limits import ARTIFACT_CHUNK_BYTES, INTENT_BYTES_MAX
from tallystick.model.intent import parse_intent
from tallystick.serve.access import Gate
from tallystick.serve.body import BodyDoor, ClientGone, check_media_type
from tallystick.serve.logs import LOGGER, event
from tallystick.serve.metrics import CONTENT_TYPE, Meters
from tallystick.serve.problem import Headers, Refusal
from tallystick.solver.attempts import attempts_of
from tallystick.solver.home import SolverHome
from tallystick.solver.overview import RunView, view_run
from tallystick.solver.waiting import AlreadyKnown, Waitlist
from tallystick.solver.workers import Workers
from tallystick.solver.workspace import BUNDLE

_TYPES: Final = frozenset({b"application/json"})
_ID: Final = re.compile(r"[0-9a-f]{64}")
_ENCODE: Final = msgspec.json.Encoder().encode
_BUNDLE_TYPE: Final = b"application/x-tar"

Answer = tuple[int, Headers, bytes]


class SolverApp:
    """Answers every request of one solver."""

    def __init__(
        self,
        home: SolverHome,
        line: Waitlist,
        workers: Workers,
        gate: Gate,
        meters: Meters,
    ) -> None:
        """Take what keeps intents, who works on them, who may call, and what counts."""
        self._home = home
        self._line = line
        self._workers = workers
        self._gate = gate
        self._meters = meters
        self._door = BodyDoor()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        started = monotonic()
        route, rest = _route_of(scope["path"])
        try:
            if route == "/runs/{runId}/bundle" and scope["method"] in ("GET", "HEAD"):
                status = await self._bundle(scope, send, rest)
            else:
                status, headers, body = await self._answer(scope, receive, route, rest)
                await _send(scope, send, status, headers, body)
        except ClientGone:
            return
        except Refusal as refusal:
            status, headers, body = refusal.answer()
            await _send(scope, send, status, headers, body)
        except Exception:  # noqa: BLE001  # whatever it is, it ends here: in the log, and as a 500
            LOGGER.exception("internal_fault")
            status, headers, body = Refusal("internal", "see the service's log").answer()
            await _send(scope, send, status, headers, body)
        self._meters.count("tally_requests_total", route, str(status))
        self._meters.observe("tally_request_seconds", monotonic() - started, route)

    async def _answer(self, scope: Any, receive: Any, route: str, rest: str) -> Answer:
        method = scope["method"]
        wanted = "POST" if route == "/intents" else "GET"
        if route == "other":
            raise Refusal("not-found", "nothing has this address")
        if method != wanted and not (wanted == "GET" and method == "HEAD"):
            allow = b"POST" if wanted == "POST" else b"GET, HEAD"
            raise Refusal("wrong-method", f"not {method[:16]}", headers=[(b"allow", allow)])
        if route == "/intents":
            return await self._post(scope, receive)
        if route == "/healthz":
            return _json(200, {"status": "ok"})
        if route == "/readyz":
            return await self._ready()
        if route == "/metrics":
            self._gate.admit(scope, "metrics")
            body = await asyncio.to_thread(self._meters.render)
            return 200, [(b"content-type", CONTENT_TYPE)], body
        tenant = self._gate.admit(scope, "read").tenant
        find = self._run if route == "/runs/{runId}" else self._intent
        return await asyncio.to_thread(find, tenant, rest)

    async def _post(self, scope: Any, receive: Any) -> Answer:
        tenant = self._gate.admit(scope, "write").tenant
        headers = scope["headers"]
        check_media_type(headers, _TYPES)
        body = await self._door.read(headers, receive, INTENT_BYTES_MAX, tenant)
        try:
            if not body:
                raise Refusal("empty-body", "an intent is wanted")
            outcome = "malformed"
            try:
                answer = await asyncio.to_thread(self._accept, body, tenant)
                outcome = "accepted"
                return answer
            except Refusal as refusal:
                outcome = {"already-accepted": "already_accepted", "busy": "no_room"}.get(
                    refusal.name, outcome
                )
                raise
            finally:
                self._meters.count("tally_solver_intents_total", outcome)
        finally:
            self._door.leave(len(body), tenant)

    def _accept(self, body: bytes, tenant: str) -> Answer:
        try:
            intent = parse_intent(body)
        except MalformedInput as fault:
            members = {"code": fault.code, "where": fault.where}
            raise Refusal("malformed-json", fault.message, members=members) from None
        except IntentError as fault:
            members = {"code": fault.code, "where": fault.where}
            raise Refusal("malformed-intent", fault.message, members=members) from None
        except CanonicalError as fault:
            members = {"code": "INTENT_CANONICAL", "where": ""}
            raise Refusal("malformed-intent", str(fault), members=members) from None
        told = {"intentId": intent.intent_id}
        try:
            self._line.accept(intent, body, tenant)
        except AlreadyKnown as known:
            found = self._how_far(tenant, intent.intent_id)  # for who may only write: the state
            members = told | ({"state": found["state"]} if found else {})
            raise Refusal("already-accepted", str(known), members=members) from None
        except LimitError:
            raise Refusal("busy", "too many intents wait") from None
        except Error as fault:
            event(logging.ERROR, "intent_not_kept", error=str(fault))
            raise Refusal("busy", "the intent could not be kept; nothing was promised") from None
        path = f"/intents/{intent.intent_id}"
        status, headers, answer = _json(202, {**told, "state": "queued"})
        return status, [*headers, (b"location", path.encode())], answer

    def _intent(self, tenant: str, intent_id: str) -> Answer:
        told = self._how_far(tenant, intent_id)
        if not told:
            raise Refusal("not-found", "no such intent")
        return _json(200, {"intentId": intent_id, **told})

    def _how_far(self, tenant: str, intent_id: str) -> dict[str, Any]:
        """Return the place or the runs of an intent; nothing where it is another tenant's."""
        found = self._line.place_of(intent_id)
        if found is not None and found[1].tenant == tenant:
            number, waiting = found
            return {"state": "queued", "ahead": number, "since": waiting.at}
        runs = [
            view
            for attempt in attempts_of(self._home, intent_id)
            if (view := view_run(self._home, attempt.run_id)) is not None and view.tenant == tenant
        ]
        if not runs:
            return {}
        return {"state": runs[-1].state, "runs": list(map(_shown, runs))}

    def _run(self, tenant: str, run_id: str) -> Answer:
        return _json(200, _shown(self._view(tenant, run_id)))

    def _view(self, tenant: str, run_id: str) -> RunView:
        view = view_run(self._home, run_id)
        if view is None or view.tenant != tenant:
            raise Refusal("not-found", "no such run")
        return view

    async def _bundle(self, scope: Any, send: Any, run_id: str) -> int:
        tenant = self._gate.admit(scope, "read").tenant
        view = await asyncio.to_thread(self._view, tenant, run_id)
        if view.state != "done":
            raise Refusal("not-found", f"the run is {view.state}: its bundle comes when it is done")
        with open(os.path.join(self._home.run(run_id), BUNDLE), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            headers = [
                (b"content-type", _BUNDLE_TYPE),
                (b"content-length", b"%d" % size),
                (b"content-disposition", b'attachment; filename="%b.tally"' % run_id.encode()),
            ]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            while scope["method"] == "GET":
                chunk = await asyncio.to_thread(file.read, ARTIFACT_CHUNK_BYTES)
                if not chunk:
                    break
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        return 200

    async def _ready(self) -> Answer:
        if not self._workers.are_alive:
            raise Refusal("busy", "nobody works on intents")
        if not self._line.has_room:
            raise Refusal("busy", "too many intents wait, or the service is about to end")
        if not os.access(self._home.queue, os.W_OK):
            raise Refusal("busy", "the queue's folder can't be written")
        return _json(200, {"status": "ready"})


def _shown(view: RunView) -> dict[str, Any]:
    return {
        "runId": view.run_id,
        "intentId": view.intent_id,
        "jobType": view.job_type,
        "state": view.state,
        "since": view.since,
        "received": view.received,
        "allowed": view.allowed,
        "reasons": view.reasons,
        "status": view.status,
        "error": view.error,
        "manifestSha256": view.manifest,
    }


def _json(status: int, members: dict[str, Any]) -> Answer:
    return status, [(b"content-type", b"application/json")], _ENCODE(members)


async def _send(scope: Any, send: Any, status: int, headers: Headers, body: bytes) -> None:
    kept = [one for one in headers if one[0] not in (b"content-length", b"cache-control")]
    kept += [(b"content-length", b"%d" % len(body)), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": kept})
    shown = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": shown})


def _route_of(path: str) -> tuple[str, str]:
    """Return the address as a table has it, and the id in it."""
    if path in ("/intents", "/healthz", "/readyz", "/metrics"):
        return path, ""
    parts = path.split("/")
    if len(parts) >= 3 and _ID.fullmatch(parts[2]):
        if len(parts) == 3 and parts[1] == "intents":
            return "/intents/{intentId}", parts[2]
        if len(parts) == 3 and parts[1] == "runs":
            return "/runs/{runId}", parts[2]
        if len(parts) == 4 and (parts[1], parts[3]) == ("runs", "bundle"):
            return "/runs/{runId}/bundle", parts[2]
    return "other", ""
