# SPDX-License-Identifier: Apache-2.0
"""The collector as one ASGI application: which address does what, and how each failure is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic
from typing import Any, Final, Protocol

from tallystick.collector.addresses import ROUTES
from tallystick.collector.log_routes import log_routes
from tallystick.collector.log_view import LogView
from tallystick.collector.openapi import openapi_document
from tallystick.collector.parsing import Parsing
from tallystick.collector.posting import Posting, refusal_of, refuse_after
from tallystick.collector.reading import Reading
from tallystick.collector.receiving import Answer, Receiving, Sequencing
from tallystick.errors import StoreError
from tallystick.limits import RECEIPT_BYTES_MAX
from tallystick.ports import LogStore
from tallystick.serve.access import Gate, Need
from tallystick.serve.body import BodyDoor, ClientGone
from tallystick.serve.logs import LOGGER, event
from tallystick.serve.metrics import CONTENT_TYPE, Meters
from tallystick.serve.problem import Refusal, problem_response
from tallystick.serve.rate import RateLimit

# How long a health check waits for the store before it says that it can't be reached.
_CHECK_S: Final = 2.0
# A readiness check writes; anybody may ask, so one answer serves all who ask within a second.
_READY_FOR_S: Final = 1.0

# Posts never come as far as the table of routes.
_NOT_POST: Final = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


class Logged(Protocol):
    """What keeps receipts and their log: the store, who gives places, and the log's readers."""

    @property
    def store(self) -> LogStore:
        """The store."""
        ...

    @property
    def sequencer(self) -> Sequencing:
        """Who gives receipts their place."""
        ...

    @property
    def log(self) -> LogView:
        """The log as anybody may read it."""
        ...

    @property
    def fault(self) -> str | None:
        """Why nothing more is taken, or None while all is well."""
        ...


class CollectorApp:
    """Answers every request of one collector."""

    def __init__(
        self,
        service: Logged,
        gate: Gate,
        meters: Meters,
        *,
        rate: RateLimit | None = None,
        body_bytes_max: int = RECEIPT_BYTES_MAX,
        logs_requests: bool = False,
        may_ask: bool = False,
    ) -> None:
        """Take what keeps receipts, who may call, what counts, and whether to parse beside."""
        self._service = service
        self._gate = gate
        self._meters = meters
        self._logs_requests = logs_requests
        self._reading = Reading(service.store)
        self._parsing = Parsing(body_bytes_max, meters, may_ask=may_ask)
        self._receiving = Receiving(
            service.sequencer,
            gate,
            meters,
            self._parsing,
            rate=rate or RateLimit(0, 1, monotonic),
            door=BodyDoor(),
            body_bytes_max=body_bytes_max,
        )
        # Who is to log each request needs all of it.
        self.posts: Final = (
            None
            if logs_requests
            else Posting(
                self._receiving,
                service.sequencer,
                fault=lambda: service.fault,
                note=partial(self._count, "/receipts"),
            )
        )
        self._ready_at = -_READY_FOR_S
        self._ready_lock: asyncio.Lock | None = None
        self._document = openapi_document(body_bytes_max)
        self._rest = self._routes()

    def close(self) -> None:
        """Let go of threads, and of a process where there is one."""
        self._parsing.close()
        self._reading.close()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        started = monotonic()
        if scope["method"] == "POST":
            path = scope["path"]
            if path == "/receipts":
                await self._post(self._receiving.take_one, scope, receive, send, started=started)
                return
            if path == "/receipts/batch":
                await self._post(self._receiving.take_batch, scope, receive, send, started=started)
                return
        status = 500

        async def watch(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._rest(scope, receive, watch)
        except Exception:  # noqa: BLE001  # as for posts; what has been sent can't be taken back
            LOGGER.exception("internal_fault")
        self._note(_route_of(scope["path"]), scope, status, started)

    async def _post(
        self,
        take: Callable[[Any, Any], Awaitable[Answer]],
        scope: Any,
        receive: Any,
        send: Any,
        *,
        started: float,
    ) -> None:
        try:
            refuse_after(self._service.fault)
            status, headers, body = await take(scope, receive)
        except ClientGone:
            return
        except Exception as fault:  # noqa: BLE001  # whatever it is, it ends here, as an answer
            status, headers, body = refusal_of(fault).answer()
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        self._note(scope["path"], scope, status, started)

    def _note(self, route: str, scope: Any, status: int, started: float) -> None:
        seconds = self._count(route, status, started)
        if self._logs_requests:
            client = scope.get("client")
            event(
                logging.INFO,
                "request",
                method=scope["method"],
                route=route,
                status=status,
                ms=seconds * 1000,
                client=client[0] if client else None,
            )

    def _count(self, route: str, status: int, started: float) -> float:
        seconds = monotonic() - started
        self._meters.count("tally_requests_total", route, str(status))
        self._meters.observe("tally_request_seconds", seconds, route)
        return seconds

    def _routes(self) -> Any:
        from starlette.applications import Starlette
        from starlette.exceptions import HTTPException
        from starlette.responses import Response
        from starlette.routing import Route

        reading, wrap = self._reading, self._endpoint

        async def wrong(request: Any, fault: Exception) -> Response:
            assert isinstance(fault, HTTPException)
            if fault.status_code == 405:
                response = problem_response("wrong-method", f"not {request.method}")
                response.headers["Allow"] = _allowed(request.url.path)
            else:
                known = "nothing has this address; /openapi.json lists all that there are"
                response = problem_response("not-found", known)
            answer: Response = response
            return answer

        async def failed(_request: Any, fault: Exception) -> Response:
            refusal = refusal_of(fault, is_read=True)
            answer: Response = problem_response(refusal.name, refusal.detail)
            return answer

        app = Starlette(
            routes=[
                Route("/healthz", wrap(None, self._health)),
                Route("/readyz", wrap(None, self._ready)),
                Route("/metrics", wrap("metrics", self._metrics)),
                Route("/openapi.json", wrap(None, self._openapi)),
                Route("/receipts", _only_post, methods=_NOT_POST),
                Route("/receipts/batch", _only_post, methods=_NOT_POST),
                Route(
                    "/receipts/leaf/{leaf}",
                    wrap("read", lambda r, t: reading.leaf(t, r.path_params["leaf"])),
                ),
                Route(
                    "/receipts/{receipt_id:path}",
                    wrap("read", lambda r, t: reading.receipt(t, r.path_params["receipt_id"])),
                ),
                Route("/chains", wrap("read", lambda r, t: reading.chains(t, r.query_params))),
                Route(
                    "/chains/{chain_id:path}",
                    wrap(
                        "read",
                        lambda r, t: reading.chain(
                            t,
                            r.path_params["chain_id"],
                            r.query_params,
                            is_head=r.method == "HEAD",
                        ),
                    ),
                ),
                *log_routes(self._service.log),
            ],
            exception_handlers={HTTPException: wrong, StoreError: failed},
        )
        app.router.redirect_slashes = False
        return app

    def _endpoint(
        self, need: Need | None, work: Callable[[Any, str], Awaitable[Any]]
    ) -> Callable[[Any], Awaitable[Any]]:
        """Return an endpoint that lets callers in and tells failures as problems."""

        async def endpoint(request: Any) -> Any:
            try:
                tenant = self._gate.admit(request.scope, need).tenant if need else ""
                return await work(request, tenant)
            except Exception as fault:  # noqa: BLE001  # as for posts
                found = refusal_of(fault, is_read=True)
            return problem_response(found.name, found.detail, **(found.members or {}))

        return endpoint

    async def _health(self, _request: Any, _tenant: str) -> Any:
        await self._check(self._service.store.ping)
        return _json(b'{"status":"ok"}')

    async def _ready(self, _request: Any, _tenant: str) -> Any:
        if self._ready_lock is None:
            self._ready_lock = asyncio.Lock()
        async with self._ready_lock:
            if monotonic() - self._ready_at >= _READY_FOR_S:
                await self._check(self._service.store.probe)
                self._ready_at = monotonic()
        return _json(b'{"status":"ready"}')

    async def _check(self, work: Callable[[], None]) -> None:
        if self._service.fault is not None:
            raise Refusal("store-unavailable", "it failed; see the service's log")
        try:
            async with asyncio.timeout(_CHECK_S):
                await self._reading.run(work)
        except TimeoutError:
            raise Refusal("store-unavailable", "the store does not answer") from None

    async def _metrics(self, _request: Any, _tenant: str) -> Any:
        from starlette.responses import Response

        body = await self._reading.run(self._meters.render)
        return Response(body, headers={"Content-Type": CONTENT_TYPE.decode()})

    async def _openapi(self, _request: Any, _tenant: str) -> Any:
        return _json(self._document)


async def _only_post(_request: Any) -> Any:
    from starlette.exceptions import HTTPException

    raise HTTPException(405)


def _json(body: bytes) -> Any:
    from starlette.responses import Response

    return Response(body, headers={"Cache-Control": "no-store"}, media_type="application/json")


def _route_of(path: str) -> str:
    """Return the address of a route for metrics: few values, whatever is asked for."""
    if path in _FIXED:
        return path
    for beginning, route in _BEGINNINGS:
        if path.startswith(beginning):
            return route
    return "other"


_FIXED: Final = frozenset(route.path for route in ROUTES if "{" not in route.path)
_BEGINNINGS: Final = sorted(
    ((route.path.partition("{")[0], route.path) for route in ROUTES if "{" in route.path),
    reverse=True,
)


def _allowed(path: str) -> str:
    return "POST" if _route_of(path) in ("/receipts", "/receipts/batch") else "GET, HEAD"
