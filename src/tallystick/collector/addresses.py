# SPDX-License-Identifier: Apache-2.0
"""The addresses of a collector as a table: what each is for, and all that it can answer.

The OpenAPI document and `docs/reference/collector.md` are made from `ROUTES`.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from tallystick.limits import (
    BATCH_BODY_BYTES_MAX,
    BATCH_RECEIPTS_MAX,
    CHAINS_PAGE_MAX,
    READ_PAGE_RECEIPTS_MAX,
    TREE_SIZE_MAX,
)

JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"
TEXT: Final = "text/plain"


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One part of an address that callers choose."""

    name: str
    place: Literal["path", "query"]
    schema: dict[str, Any]
    purpose: str


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One answer that is no problem."""

    status: int
    media_type: str
    schema: str  # a name under components/schemas, or "text", "bytes" or "receipt"
    purpose: str


class RouteFact(msgspec.Struct, frozen=True, kw_only=True):
    """One address: what it is for, who may use it, and all that it can answer."""

    path: str
    method: Literal["get", "post"] = "get"
    summary: str
    need: Literal["write", "read", "metrics", "nothing"] = "nothing"
    parameters: tuple[Parameter, ...] = ()
    takes: tuple[str, ...] = ()
    replies: tuple[Reply, ...]
    problems: tuple[str, ...] = ()


_ADMISSION: Final = ("not-authorised", "not-allowed", "tokens-unavailable")
_STORE: Final = ("store-unavailable", "internal")
_POST: Final = (
    "empty-body", "malformed-json", "malformed-receipt", "bad-request", *_ADMISSION, "too-slow",
    "too-large", "wrong-media-type", "head-too-large", "too-many-requests", "busy", *_STORE,
)  # fmt: skip
_READ: Final = (*_ADMISSION, "not-found", "bad-parameter", *_STORE)
INDEX: Final = {"type": "integer", "format": "int64", "minimum": 0, "maximum": TREE_SIZE_MAX}
LEAF: Final = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_LOG: Final = ("bad-parameter", "not-found", *_STORE)


def _query(name: str, schema: dict[str, Any], purpose: str) -> Parameter:
    return Parameter(name=name, place="query", schema=schema, purpose=purpose)


def _path(name: str, schema: dict[str, Any], purpose: str) -> Parameter:
    return Parameter(name=name, place="path", schema=schema, purpose=purpose)


def _reply(media_type: str, schema: str, purpose: str, status: int = 200) -> Reply:
    return Reply(status=status, media_type=media_type, schema=schema, purpose=purpose)


_RECEIPT: Final = _reply("application/ld+json", "receipt", "The receipt, byte for byte.")

ROUTES: Final = (
    RouteFact(
        path="/receipts",
        method="post",
        summary="Store one receipt.",
        need="write",
        takes=("application/ld+json", JSON),
        replies=(
            _reply(JSON, "Stored", "On stable storage, and promised a place in the log.", 201),
        ),
        problems=("already-stored", *_POST),
    ),
    RouteFact(
        path="/receipts/batch",
        method="post",
        summary=(
            "Store receipts, one per line, in one commit; up to "
            f"{BATCH_RECEIPTS_MAX} of them and {BATCH_BODY_BYTES_MAX // 2**20} MiB."
        ),
        need="write",
        takes=("application/x-ndjson", "application/jsonl"),
        replies=(
            _reply(
                "application/x-ndjson",
                "text",
                "A line for each receipt: `line`, `status` and what its own answer would hold.",
            ),
        ),
        problems=_POST,
    ),
    RouteFact(
        path="/receipts/{id}",
        summary="One receipt by its id.",
        need="read",
        parameters=(_path("id", {"type": "string", "minLength": 1}, "The receipt's id."),),
        replies=(
            _RECEIPT,
            _reply(JSON, "Choice", "Several receipts share the id: their leaf hashes.", 300),
        ),
        problems=_READ,
    ),
    RouteFact(
        path="/receipts/leaf/{hash}",
        summary="One receipt by the hash of its leaf in the log.",
        need="read",
        parameters=(_path("hash", LEAF, "The leaf hash in hex."),),
        replies=(_RECEIPT,),
        problems=_READ,
    ),
    RouteFact(
        path="/chains",
        summary="The chains of this tenant, by their first appearance, page by page.",
        need="read",
        parameters=(
            _query("issuer", {"type": "string"}, "Only chains of this issuer."),
            _query(
                "since",
                {"type": "string", "format": "date-time"},
                "Only chains that got a receipt at this time or later.",
            ),
            _query("after", INDEX, "Go on after the chain whose `first_index` is this."),
            _query(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": CHAINS_PAGE_MAX, "default": 100},
                "How many at most.",
            ),
        ),
        replies=(_reply(JSON, "Chains", "One page; `next` is the address of the next one."),),
        problems=_READ,
    ),
    RouteFact(
        path="/chains/{id}",
        summary=(
            "The receipts of a chain as JSON Lines, by sequence and then by index. Line feeds "
            "between the values of a receipt arrive as blanks."
        ),
        need="read",
        parameters=(
            _path("id", {"type": "string", "minLength": 1}, "The chain's id."),
            _query(
                "after",
                {"type": "string", "pattern": "^(-1|0|[1-9][0-9]{0,15}):(-1|0|[1-9][0-9]{0,17})$"},
                "Go on after this SEQUENCE:INDEX.",
            ),
            _query(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": READ_PAGE_RECEIPTS_MAX},
                "One page of so many, with `Link: …; rel=next`; without it, all of them.",
            ),
        ),
        replies=(_reply("application/x-ndjson", "text", "One receipt per line."),),
        problems=_READ,
    ),
    RouteFact(
        path="/healthz",
        summary="Whether the store can be read.",
        replies=(_reply(JSON, "State", "It can."),),
        problems=_STORE,
    ),
    RouteFact(
        path="/readyz",
        summary="Whether receipts are taken: a real, durable write.",
        replies=(_reply(JSON, "State", "They are."),),
        problems=_STORE,
    ),
    RouteFact(
        path="/metrics",
        summary="Counters for Prometheus.",
        need="metrics",
        replies=(_reply(TEXT, "text", "All meters."),),
        problems=(*_ADMISSION, "internal"),
    ),
    RouteFact(
        path="/openapi.json",
        summary="This document.",
        replies=(_reply(JSON, "Document", "OpenAPI 3.1."),),
    ),
    RouteFact(
        path="/log/checkpoint",
        summary="The log's newest checkpoint, a signed note.",
        replies=(_reply(TEXT, "text", "The note."),),
        problems=_LOG,
    ),
    RouteFact(
        path="/log/sheet",
        summary="The log's keys and its word on delays, a signed note.",
        replies=(_reply(TEXT, "text", "The note."),),
        problems=_LOG,
    ),
    RouteFact(
        path="/log/tile/{rest}",
        summary="Tiles and entry bundles (C2SP tlog-tiles): `<L>/<N>[.p/<W>]`, `entries/<N>…`.",
        parameters=(_path("rest", {"type": "string", "minLength": 1}, "Level and number."),),
        replies=(_reply(BYTES, "bytes", "Hashes, or entries with their lengths."),),
        problems=_LOG,
    ),
    RouteFact(
        path="/log/proof/inclusion",
        summary="That one entry is in the tree of one size.",
        parameters=(
            _query("index", INDEX, "The entry."),
            _query("size", INDEX, "The tree; without it, the newest checkpoint's."),
        ),
        replies=(_reply(JSON, "Document", "Leaf hash, path and root."),),
        problems=_LOG,
    ),
    RouteFact(
        path="/log/proof/consistency",
        summary="That the tree of one size is a part of a larger one.",
        parameters=(
            _query("from", INDEX, "The smaller tree."),
            _query("to", INDEX, "The larger one; without it, the newest checkpoint's."),
        ),
        replies=(_reply(JSON, "Document", "Path and roots."),),
        problems=_LOG,
    ),
    RouteFact(
        path="/log/proof/{file}",
        summary="`<index>.tlog-proof`: a proof with its checkpoint, complete for offline use.",
        parameters=(_path("file", {"type": "string", "minLength": 1}, "Index and ending."),),
        replies=(_reply(TEXT, "text", "The proof."),),
        problems=_LOG,
    ),
)
