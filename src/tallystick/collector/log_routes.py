# SPDX-License-Identifier: Apache-2.0
"""The log over HTTP: C2SP tlog-tiles under `/log/`, and proofs.

All of it is public and holds hashes only. What never changes says so to caches; the checkpoint is
asked for each time, and what is missing is never pinned as missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from tallystick.collector.log_view import LogView, encoded
from tallystick.crypto.multibase import b64_encode
from tallystick.limits import TREE_SIZE_MAX
from tallystick.model.tile import parse_tile_path
from tallystick.serve.problem import Refusal, problem_response

_FOREVER: Final = "public, max-age=31536000, immutable"
_TEXT: Final = "text/plain; charset=utf-8"
_BYTES: Final = "application/octet-stream"
_JSON: Final = "application/json"

# A number in an address: one spelling for each, within what a log can hold.
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_PROOF: Final = re.compile(rb"/log/proof/(0|[1-9][0-9]{0,18})\.tlog-proof")


def log_routes(log: LogView) -> list[Any]:
    """Return the routes of a log, all of them GET."""
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    def route(path: str, answer: Callable[[LogView, Any], tuple[bytes, str, str]]) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                body, media_type, caching = await run_in_threadpool(answer, log, request)
            except Refusal as refusal:
                members = refusal.members or {}
                refused: Response = problem_response(refusal.name, refusal.detail, **members)
                return refused
            headers = {"Cache-Control": caching, "Content-Type": media_type}
            return Response(body, headers=headers)

        return Route(path, endpoint, methods=["GET"])

    return [
        route("/log/checkpoint", _checkpoint),
        route("/log/sheet", _sheet),
        route("/log/tile/{rest:path}", _tile),
        route("/log/proof/inclusion", _inclusion),
        route("/log/proof/consistency", _consistency),
        route("/log/proof/{file}", _proof_file),
    ]


def _checkpoint(log: LogView, request: Any) -> tuple[bytes, str, str]:  # noqa: ARG001
    newest = log.current()
    if newest is None or newest.note is None:
        raise Refusal("not-found", "the log has no checkpoint yet")
    return newest.note, _TEXT, "no-cache"


def _sheet(log: LogView, request: Any) -> tuple[bytes, str, str]:  # noqa: ARG001
    return log.sheet, _TEXT, _FOREVER


def _tile(log: LogView, request: Any) -> tuple[bytes, str, str]:
    # The bytes of the address as they came: a second spelling is another address, and not here.
    found = parse_tile_path(_raw_path(request).removeprefix(b"/log/").decode("latin-1"))
    if found is None:
        raise Refusal("not-found", "no tile has such an address")
    if found.level is None:
        data = log.bundle(found.number, found.width)
    else:
        data = log.tile(found.level, found.number, found.width)
    if data is None:
        raise Refusal("not-found", "no checkpoint covers this tile yet")
    return data, _BYTES, _FOREVER


def _inclusion(log: LogView, request: Any) -> tuple[bytes, str, str]:
    index = _number(request, "index")
    size = _number(request, "size", log.size)
    if index >= size or not log.reaches(size):
        raise Refusal("not-found", f"wanted are index < size ≤ {log.size}")
    body = {
        "index": index,
        "size": size,
        "leaf": b64_encode(log.leaf(index)),
        "root": b64_encode(log.root(size)),
        "path": encoded(log.inclusion(index, size)),
    }
    return msgspec.json.encode(body), _JSON, _caching(request, "size")


def _consistency(log: LogView, request: Any) -> tuple[bytes, str, str]:
    old = _number(request, "from")
    new = _number(request, "to", log.size)
    if not 0 < old <= new or not log.reaches(new):
        raise Refusal("not-found", f"wanted are 0 < from ≤ to ≤ {log.size}")
    body = {
        "from": old,
        "to": new,
        "from_root": b64_encode(log.root(old)),
        "to_root": b64_encode(log.root(new)),
        "path": encoded(log.consistency(old, new)),
    }
    return msgspec.json.encode(body), _JSON, _caching(request, "to")


def _proof_file(log: LogView, request: Any) -> tuple[bytes, str, str]:
    found = _PROOF.fullmatch(_raw_path(request))
    if found is None:
        raise Refusal("not-found", "the name of a proof is an index and .tlog-proof")
    size = _number(request, "size", -1)
    data = log.proof_file(int(found[1]), None if size < 0 else size)
    if data is None:
        raise Refusal("not-found", "no checkpoint of that size covers this entry")
    # Of one size there may be several notes: another time, and later cosignatures.
    return data, _TEXT, "no-cache"


def _raw_path(request: Any) -> bytes:
    raw: bytes | None = request.scope.get("raw_path")
    path = request.scope["path"].encode() if raw is None else raw
    return bytes(path.partition(b"?")[0])


def _number(request: Any, name: str, default: int | None = None) -> int:
    values = request.query_params.getlist(name)
    if not values and default is not None:
        return default
    if len(values) != 1 or not _NUMBER.fullmatch(values[0]) or int(values[0]) > TREE_SIZE_MAX:
        raise Refusal("bad-parameter", f"{name}: wanted is one decimal number")
    return int(values[0])


def _caching(request: Any, name: str) -> str:
    """Say how long an answer holds: for ever, where it names the size that it is about."""
    return _FOREVER if name in request.query_params else "no-cache"
