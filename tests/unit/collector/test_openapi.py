# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document: valid, complete, and true of a running collector."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types

from tallystick.collector.addresses import ROUTES
from tallystick.collector.openapi import openapi_document

DOCUMENT: Any = json.loads(openapi_document(1 << 20))


def test_every_address_is_in_it() -> None:
    """With all statuses that the table knows."""
    for route in ROUTES:
        operation = DOCUMENT["paths"][route.path][route.method]
        statuses = {str(reply.status) for reply in route.replies}
        assert statuses <= set(operation["responses"])
        assert operation["summary"] == route.summary


def test_references_lead_somewhere_and_schemas_are_schemas() -> None:
    """Each $ref is there, each schema is one, each operationId is unique."""
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    text = json.dumps(DOCUMENT)
    for name in DOCUMENT["components"]["schemas"]:
        assert f'"#/components/schemas/{name}"' in text
    ids = [one["operationId"] for path in DOCUMENT["paths"].values() for one in path.values()]
    assert len(set(ids)) == len(ids)


def test_the_limit_of_a_body_is_that_of_the_service() -> None:
    """The document is made for one collector."""
    assert b"At most 5 bytes." in openapi_document(5)


def test_the_document_is_the_published_one() -> None:
    """It says OpenAPI 3.1 and the version of this package."""
    assert DOCUMENT["openapi"] == "3.1.0"
    pyproject = (Path(__file__).parents[3] / "src/tallystick/__init__.py").read_text()
    assert f'__version__ = "{DOCUMENT["info"]["version"]}"' in pyproject
