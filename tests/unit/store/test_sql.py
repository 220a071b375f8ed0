# SPDX-License-Identifier: Apache-2.0
"""The SQL of both engines: plain enough for those that are only like PostgreSQL."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import tallystick.store
from tallystick.store.sql import schema_text

# What distributed engines lack or do otherwise, and what transaction pooling breaks.
FORBIDDEN = re.compile(
    r"\b(SERIAL|BIGSERIAL|SMALLSERIAL|IDENTITY|CREATE SEQUENCE|NEXTVAL|LISTEN|UNLISTEN|NOTIFY|"
    r"pg_advisory_lock|pg_try_advisory_lock|LOCK TABLE|TEMP|TEMPORARY|UNLOGGED|INHERITS|"
    r"DEFERRABLE|EXCLUDE|WITH HOLD|SAVEPOINT|now\(|CURRENT_TIMESTAMP|ctid|xmin|OFFSET|"
    r"SET SESSION|SKIP LOCKED)(?!\w)",
    re.IGNORECASE,
)

STATEMENT = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|CREATE|BEGIN|SET LOCAL)\b")

SOURCE = Path(tallystick.store.__file__).parent
# SQLite's own words are nobody else's, and the tripwires are PostgreSQL's alone, as they say.
OWN = ("sqlite.py", "remote.py")


def texts() -> dict[str, str]:
    """Return all SQL: the schema, and every string in the modules that looks like a statement."""
    found = {"postgres_001": re.sub(r"--.*", "", schema_text("postgres_001"))}
    for path in SOURCE.glob("*.py"):
        if path.name in OWN:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
                continue
            if STATEMENT.search(node.value):
                found[f"{path.name}:{node.lineno}"] = node.value
    return found


def test_statements_are_plain() -> None:
    """No sequences, listeners, session locks, session settings or clocks of the transaction."""
    all_texts = texts()
    assert len(all_texts) > 30
    assert not {
        place: found[0] for place, text in all_texts.items() if (found := FORBIDDEN.search(text))
    }


@pytest.mark.parametrize(
    "text", ["id BIGSERIAL", "LISTEN x", "SELECT pg_advisory_lock(1)", "SELECT now()"]
)
def test_the_lint_sees(text: str) -> None:
    """What it is for is found."""
    assert FORBIDDEN.search(text)
    assert not FORBIDDEN.search("SELECT pg_advisory_xact_lock(1), clock_timestamp()")


def test_every_table_has_a_primary_key() -> None:
    """And those that grow with the receipts of a tenant begin theirs with the tenant."""
    tables = re.findall(r"CREATE TABLE (\w+) \((.*?)\n\);", schema_text("postgres_001"), re.DOTALL)
    keys = {}
    for name, columns in tables:
        found = re.search(r"PRIMARY KEY \(([^)]*)\)", columns) or re.search(
            r"(\w+) +\w+ PRIMARY KEY", columns
        )
        assert found, name
        keys[name] = found[1]
    assert keys["chain"] == "tenant, no"
    assert keys["body"] == "tenant, family, idx"
    assert keys["entry"] == "idx"
    assert len(keys) == 11


def test_both_schemas_have_the_same_tables_and_columns() -> None:
    """A statement that is written once finds on each engine what it names."""

    def columns_of(name: str) -> dict[str, set[str]]:
        return {
            table: set(re.findall(r"^ {4}(\w+) +\w+", columns, re.MULTILINE)) - {"PRIMARY"}
            for table, columns in re.findall(
                r"CREATE TABLE (\w+) \((.*?)\n\)", schema_text(name), re.DOTALL
            )
        }

    assert columns_of("postgres_001") == columns_of("sqlite_001")
