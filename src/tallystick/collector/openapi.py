# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document: the table of addresses, said to machines."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tallystick import __version__
from tallystick.collector.addresses import INDEX, LEAF, ROUTES, RouteFact
from tallystick.limits import BATCH_BODY_BYTES_MAX
from tallystick.serve.problem import MEDIA_TYPE, PROBLEMS, TYPE_PREFIX

_TEXT_FIELD: Final = {"type": "string"}
_BASE64: Final = {"type": "string", "contentEncoding": "base64"}
_HASH: Final = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}
_SCHEMAS: Final[dict[str, Any]] = {
    "Stored": {
        "type": "object",
        "required": ["id", "receipt_hash", "entry", "promise"],
        "properties": {
            "id": {**_TEXT_FIELD, "description": "The receipt's id."},
            "receipt_hash": {**_HASH, "description": "The hash that the chain links by."},
            "entry": {**_BASE64, "description": "The receipt's entry in the log."},
            "promise": {**_TEXT_FIELD, "description": "The log's signed word, a promise file."},
            "shares_id": {"const": True, "description": "Another receipt has the same id."},
            "shares_position": {
                "const": True,
                "description": "Another receipt has the same place in the chain.",
            },
        },
    },
    "Choice": {
        "type": "object",
        "required": ["id", "leaves"],
        "properties": {
            "id": _TEXT_FIELD,
            "leaves": {"type": "array", "items": LEAF, "minItems": 2},
        },
    },
    "Chains": {
        "type": "object",
        "required": ["chains"],
        "properties": {
            "chains": {"type": "array", "items": {"$ref": "#/components/schemas/Chain"}},
            "next": _TEXT_FIELD,
        },
    },
    "Chain": {
        "type": "object",
        "required": [
            "chain_id", "issuer", "length", "last_sequence", "termination", "first_index",
            "last_index", "first_time", "last_time",
        ],
        "properties": {
            "chain_id": _TEXT_FIELD,
            "issuer": _TEXT_FIELD,
            "length": {"type": "integer", "minimum": 1},
            "last_sequence": {"type": ["integer", "null"]},
            "termination": {"enum": ["complete", "interrupted", "unknown"]},
            "first_index": INDEX,
            "last_index": INDEX,
            "first_time": {"type": "string", "format": "date-time"},
            "last_time": {"type": "string", "format": "date-time"},
        },
    },
    "State": {
        "type": "object",
        "required": ["status"],
        "properties": {"status": {"enum": ["ok", "ready"]}},
    },
    "Document": {"type": "object"},
    "Problem": {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"enum": [TYPE_PREFIX + name for name in PROBLEMS]},
            "title": _TEXT_FIELD,
            "status": {"type": "integer"},
            "detail": _TEXT_FIELD,
        },
    },
}  # fmt: skip


def openapi_document(body_bytes_max: int) -> bytes:
    """Return the OpenAPI document of a collector that takes bodies of so many bytes."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method] = _operation(route, body_bytes_max)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Tallystick collector",
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Stores signed receipts and can be held to its word.",
        },
        "paths": paths,
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }
    return msgspec.json.encode(document)


def _operation(route: RouteFact, body_bytes_max: int) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": route.method + route.path.translate(str.maketrans("/{}.", "____")),
        "responses": _responses(route),
        "security": ([] if route.need == "nothing" else [{}, {"bearer": []}, {"key": []}]),
    }
    if route.parameters:
        operation["parameters"] = [
            {
                "name": one.name,
                "in": one.place,
                "required": one.place == "path" or one.name in ("from", "index"),
                "description": one.purpose,
                "schema": one.schema,
            }
            for one in route.parameters
        ]
    if route.takes:
        is_batch = route.path.endswith("/batch")
        schema = {} if is_batch else _receipt_schema()  # a batch is no JSON value
        limit = BATCH_BODY_BYTES_MAX if is_batch else body_bytes_max
        operation["requestBody"] = {
            "required": True,
            "description": f"At most {limit} bytes.",
            "content": {media_type: {"schema": schema} for media_type in route.takes},
        }
    return operation


def _responses(route: RouteFact) -> dict[str, Any]:
    responses: dict[str, Any] = {
        str(reply.status): {
            "description": reply.purpose,
            "content": {reply.media_type: {"schema": _schema(reply.schema)}},
        }
        for reply in route.replies
    }
    for name in route.problems:
        problem = PROBLEMS[name]
        told = responses.setdefault(str(problem.status), {"description": ""})
        told["description"] = f"{told['description']} {problem.title}.".strip()
        told["content"] = {
            MEDIA_TYPE.decode(): {"schema": {"$ref": "#/components/schemas/Problem"}}
        }
    return responses


def _schema(name: str) -> dict[str, Any]:
    if name in _SCHEMAS:
        return {"$ref": f"#/components/schemas/{name}"}
    return {} if name == "receipt" else {"type": "string"}


def _receipt_schema() -> dict[str, Any]:
    """Return what a body must hold; what else it holds is the verifier's business."""
    text = {"type": "string", "minLength": 1}
    link = {"type": "object", "required": ["chain_id"], "properties": {"chain_id": text}}
    action = {"type": "object", "required": ["type"], "properties": {"type": text}}
    proof = {"type": "object", "required": ["proofValue"], "properties": {"proofValue": text}}
    subject = {
        "type": "object",
        "required": ["action", "chain"],
        "properties": {"action": action, "chain": link},
    }
    return {
        "type": "object",
        "required": ["credentialSubject", "id", "proof"],
        "properties": {"credentialSubject": subject, "id": text, "proof": proof},
    }
