# SPDX-License-Identifier: Apache-2.0
"""How grave an SQL text is: what it changes, and whether anything holds the change back.

Comments and the contents of texts are taken out first, except MySQL's `/*! … */`, which it runs.
"""

from __future__ import annotations

import re
from typing import Final

from tallystick.limits import SCRIPT_CHARS_MAX
from tallystick.model.taxonomy import Grade, gravest

QUERY: Final = "data.database.query"
MODIFY: Final = "data.database.modify"

# Texts and comments in one pass, so that neither can hide in the other; those without an end go to
# the end. Some databases take a backslash in a text as an escape, and some do not.
_REST: Final = r"|\"[^\"]*+(?:\"|\Z)|`[^`]*+(?:`|\Z)|--[^\n]*+|#[^\n]*+|/\*(?!!)"
_INERT_WITH_ESCAPES: Final = re.compile(
    r"'[^'\\]*+(?:(?:''|\\.)[^'\\]*+)*+(?:'|\\?\Z)" + _REST, re.DOTALL
)
_INERT: Final = re.compile(r"'[^']*+(?:'|\Z)" + _REST, re.DOTALL)
_WORD: Final = re.compile(r"[a-z_][a-z0-9_$]*")
_OBJECTS: Final = (
    r"(?:or\s+replace\s+|temp(?:orary)?\s+|unique\s+|global\s+|materialized\s+|external\s+|if\s)?\s*"
    r"(?:table|database|schema|index|view|user|role|login|function|trigger|sequence|type|extension"
    r"|policy|procedure|owned|column|constraint|keyspace|domain|server|tablespace|publication"
    r"|subscription|event|system|session|default|virtual|rule|cast|operator|language|collation)\b"
)
# How statements begin: what also begins a sentence (`update`, `drop`) with what follows it in SQL.
_BEGINS_SQL: Final = re.compile(
    r"[\s(;]*+(?:(?:select|with|explain|pragma|vacuum|attach|analyze|reindex|show|describe|values"
    r"|begin)\b"
    r"|insert\s+(?:into|or|ignore|overwrite|low_priority|delayed)|replace\s+into|merge\s+into"
    r"|update\s+(?:only\s+|or\s+\w+\s+)?[^\s]+\s+(?:as\s+)?(?:\w+\s+)?set"
    r"|delete\s+(?:\w+\s+)?from|(?:drop|create|alter)\s+" + _OBJECTS + r"|truncate\s+\w+|grant\s"
    r"|revoke\s|copy\s+(?:\(|[^\s]+\s+(?:\(|from|to))|exec(?:ute)?\s+\w|call\s+[\w.]+\s*\("
    r"|do\s+(?:\$|x|language)|start\s+transaction|set\s|use\s+\w+\s*;|rename\s+table"
    r"|load\s+data|lock\s+table)",
    re.IGNORECASE,
)
_READS: Final = frozenset(
    ("select", "show", "describe", "desc", "explain", "values", "table", "use", "pragma", "with")
)
_CONTROLS: Final = frozenset(("begin", "start", "commit", "rollback", "end", "savepoint", "set"))
_ACCOUNTS: Final = frozenset(("user", "role", "login"))
# Ways out of the database into files and programs.
_WAYS_OUT: Final = frozenset(
    (
        "outfile",
        "dumpfile",
        "load_file",
        "pg_read_file",
        "pg_read_binary_file",
        "pg_ls_dir",
        "lo_import",
        "lo_export",
        "xp_cmdshell",
        "load_extension",
        "sys_exec",
        "sys_eval",
    )
)
# A condition that holds for every row is none.
_ALWAYS: Final = re.compile(
    r"\b(?:where|or)\s+(?:(\w+)\s*=\s*\1\b|true\b|1\b|not\s+false\b)(?!\s*and\b)"
)
_PAIRS: Final = re.compile(r"\([^()]*\)")


def is_sql(text: str) -> bool:
    """Whether a text begins as SQL does."""
    return _BEGINS_SQL.match(_without_inert(text[:1000], _INERT)) is not None


def sql_grade(text: str) -> Grade | None:
    """Return how grave an SQL text is: that of its gravest statement; None where it has none."""
    if len(text) > SCRIPT_CHARS_MAX:
        return Grade("critical", MODIFY, "sql:too-long")
    bare = [_without_inert(text, _INERT)]
    if "\\" in text:
        bare.append(_without_inert(text, _INERT_WITH_ESCAPES))
    statements = [one for script in bare for one in script.lower().split(";")]
    return gravest(_statement_grade(one) for one in statements if one.strip())


def _without_inert(text: str, inert: re.Pattern[str]) -> str:
    parts, at = [], 0
    while found := inert.search(text, at):
        parts.append(text[at : found.start()])
        at = found.end()
        if found.group() == "/*":
            end = text.find("*/", at)
            at = len(text) if end < 0 else end + 2
            parts.append(" ")
        elif found.group()[0] in "'\"`":
            parts.append("''" if found.group()[0] == "'" else " x ")
        else:
            parts.append(" ")
    parts.append(text[at:])
    return "".join(parts).replace("/*!", " ").replace("*/", " ")


def _statement_grade(statement: str) -> Grade | None:
    words = _WORD.findall(statement)
    if not words:
        return None
    known = set(words)
    first = words[0]
    if known & _WAYS_OUT or ("copy" in known and "program" in known):
        return Grade("critical", MODIFY, "sql:way-out")
    if first in ("drop", "truncate", "alter"):
        is_grave = first in ("drop", "truncate") or "drop" in known or known & _ACCOUNTS
        return Grade("critical" if is_grave else "high", MODIFY, f"sql:{first}")
    if first in ("grant", "revoke") or (
        first == "create" and len(words) > 1 and _makes_user(words)
    ):
        return Grade("critical", MODIFY, "sql:rights")
    for word in ("delete", "update"):
        if _changes(word, words):
            is_held = _has_condition(statement)
            return Grade(
                "high" if is_held else "critical", MODIFY, f"sql:{word}{'' if is_held else '-all'}"
            )
    if known & {"truncate", "drop"} and first not in _READS:
        return Grade("critical", MODIFY, "sql:drop")
    if "into" in known and known & {"insert", "merge", "replace", "select"}:
        return Grade("high", MODIFY, "sql:insert")
    if first in _READS:
        return Grade("low", QUERY, "sql:query")
    if first in _CONTROLS:
        return None
    return Grade("high", MODIFY, f"sql:{first[:20]}")


def _makes_user(words: list[str]) -> bool:
    return words[1] in _ACCOUNTS or (words[1:3] == ["or", "replace"] and words[3:4] == ["user"])


def _changes(word: str, words: list[str]) -> bool:
    """Whether `delete` or `update` is a statement's verb, and not part of another clause."""
    for at, one in enumerate(words):
        if one == word:
            before = words[at - 1] if at else ""
            # FOR UPDATE locks rows, ON DELETE declares a rule, DO UPDATE belongs to an insert.
            if before not in ("for", "on", "do", "key", "before", "after", "instead", "or"):
                return True
    return False


def _has_condition(statement: str) -> bool:
    """Whether a WHERE or LIMIT outside all brackets holds a change back, or one in its own."""
    # WITH puts the change into brackets of its own: then only those count.
    body = statement
    found = re.search(r"\(\s*(?:delete|update)\b", body)
    if found:
        body = body[found.start() + 1 :]
        body = body[: _closing(body)]
    for _ in range(16):
        body, count = _PAIRS.subn(" x ", body)
        if not count:
            break
    return re.search(r"\bwhere\b", body) is not None and _ALWAYS.search(body) is None


def _closing(text: str) -> int:
    depth = 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth < 0:
            return at
    return len(text)
