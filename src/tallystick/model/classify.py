# SPDX-License-Identifier: Apache-2.0
"""What we make of an action ourselves: from the tool's name and from its arguments.

The one classifier of daemon, proxy and hook. It looks at shell commands, file paths, SQL and the
words of the tool's name, and never lowers what an emitter claims: see `settled_risk`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from tallystick.limits import ARGUMENTS_MAX
from tallystick.model.known_tools import KNOWN_TOOLS
from tallystick.model.path_risk import Access, path_grade
from tallystick.model.shell_risk import shell_grade, words_grade
from tallystick.model.sql_risk import is_sql, sql_grade
from tallystick.model.taxonomy import (
    CUSTOM_RISK,
    RISK_LEVELS,
    Grade,
    RiskLevel,
    default_risk,
    gravest,
)

_EXECUTE: Final = "system.command.execute"
_DEPTH_MAX: Final = 6


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TOOLS: Final = {
    name: Grade(*row)  # type: ignore[arg-type]  # a test holds its risks to the levels
    for name, row in KNOWN_TOOLS.items()
}
_SHELL_WORDS: Final = frozenset(
    (
        "bash",
        "shell",
        "sh",
        "terminal",
        "exec",
        "execute",
        "command",
        "console",
        "powershell",
        "pty",
    )
)
# (words of a name, risk, type, access to the files that it names)
_VERBS: Final[tuple[tuple[frozenset[str], RiskLevel, str | None, Access], ...]] = (
    (
        _names(
            "delete remove destroy drop purge wipe erase truncate uninstall terminate kill revoke"
            " rm unlink clear reset prune"
        ),
        "high",
        "data.api.delete",
        "delete",
    ),
    (
        frozenset(("pay", "payment", "purchase", "charge", "transfer", "withdraw", "refund")),
        "critical",
        "financial.payment.initiate",
        "write",
    ),
    (frozenset(("eval", "execute", "exec", "run", "spawn", "invoke")), "high", _EXECUTE, "write"),
    (
        frozenset(("send", "email", "sms", "tweet", "publish", "broadcast", "notify")),
        "high",
        "communication.message.send",
        "write",
    ),
    (
        frozenset(("grant", "authorize", "approve", "deploy", "merge", "share", "invite")),
        "high",
        "data.api.write",
        "write",
    ),
    (
        _names(
            "create add write update set put edit insert upload save post move rename patch copy"
            " append replace modify import install configure enable disable start stop"
        ),
        "medium",
        "data.api.write",
        "write",
    ),
    (
        _names(
            "get list read search fetch find query describe view show count check status lookup"
            " browse inspect glob grep ls cat head tail info stat diff"
        ),
        "low",
        "data.api.read",
        "read",
    ),
)
_SENSITIVE_WORDS: Final = _names(
    "auth credential credentials password passwords token tokens secret secrets key keys apikey"
    " oauth permission permissions iam role"
)
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

_COMMAND_KEYS: Final = frozenset(("command", "cmd", "commands", "script", "shell", "argv"))
_SQL_KEYS: Final = frozenset(("sql", "query", "statement", "statements", "queries"))
_PATH_KEYS: Final = _names(
    "path paths file files file_path filepath filename file_name notebook_path dir directory folder"
    " source src destination dest dst target uri absolute_path relative_path root old_path"
    " new_path"
)
_CODE_KEYS: Final = frozenset(("code", "javascript", "python", "expression"))
_TELLING_KEYS: Final = _COMMAND_KEYS | _SQL_KEYS | _PATH_KEYS | _CODE_KEYS
# Arguments that are looked at one by one, without a list of what waits.
_FEW: Final = 16


def classify(tool: str, arguments: object = None, server: str | None = None) -> Grade | None:
    """Return what the tool's name and its arguments say, or None where they say nothing."""
    named = _tool_grade(tool[:256], (server or "")[:256])
    access, is_shell = _manner(tool[:256])
    if arguments is None:
        return named
    found = _told_grade(arguments, access, is_shell=is_shell)
    if found is not None and is_shell:
        # What a shell runs is told by its command, not by its being a shell.
        return found
    return named if found is None else gravest((named, found))


def claimed_risk(action_type: str | None) -> RiskLevel | None:
    """Return the risk that an emitter claims by the type that it names; None for types of its own.

    Emitters name types, never a risk: a lower one than the type's can't be claimed.
    """
    return None if action_type is None else default_risk(action_type)


def settled_risk(claimed: RiskLevel | None, own: Grade | None) -> RiskLevel:
    """Return the graver of the claim and our own; without either, that of unknown types."""
    if claimed is None or own is None:
        return claimed or (own.risk if own is not None else CUSTOM_RISK)
    return max(claimed, own.risk, key=RISK_LEVELS.index)


@lru_cache(maxsize=1024)
def _words_of(name: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORDS.findall(name))


@lru_cache(maxsize=1024)
def _manner(tool: str) -> tuple[Access, bool]:
    """Return what a tool does with the files that it names, and whether it is a shell."""
    known = _TOOLS.get(tool.lower())
    words = _words_of(tool)
    is_shell = not _SHELL_WORDS.isdisjoint(words)
    if known is not None:
        return ("read" if known.risk == "low" else "write"), is_shell
    for verbs, _, _, access in _VERBS:
        if not verbs.isdisjoint(words):
            return access, is_shell
    return "read", is_shell


@lru_cache(maxsize=1024)
def _tool_grade(tool: str, server: str) -> Grade | None:
    known = _TOOLS.get(tool.lower())
    if known is not None and not server:
        return known
    words = _words_of(tool)
    if not words:
        return None
    if not _SHELL_WORDS.isdisjoint(words):
        return Grade("high", _EXECUTE, "tool:shell")
    for verbs, risk, kind, _ in _VERBS:
        if not verbs.isdisjoint(words):
            if not _SENSITIVE_WORDS.isdisjoint(words) and risk in ("low", "medium"):
                return Grade("high", kind, f"tool:{risk}-of-secrets")
            return Grade(risk, kind, f"tool:{kind}")
    return None


def _told_grade(arguments: object, access: Access, *, is_shell: bool) -> Grade | None:
    """Return the gravest grade of all arguments; quickly where there is not one inside another."""
    if type(arguments) is dict and len(arguments) <= _FEW:
        best: Grade | None = None
        for name, value in arguments.items():
            if type(value) is str:
                key = name.lower()
                if value and key in _TELLING_KEYS:
                    grade = _text_grade(key, value, access, is_shell=is_shell)
                    best = gravest((grade, best)) if best is not None else grade
            elif isinstance(value, (dict, list)):
                break
        else:
            return best
    return gravest(_found_grades(arguments, access, is_shell=is_shell))


def _found_grades(value: object, access: Access, *, is_shell: bool) -> Iterator[Grade | None]:
    """Yield the grade of each argument that is a command, a path, SQL or code."""
    waiting: list[tuple[str, object, int]] = [("", value, 0)]
    seen = 0
    while waiting:
        key, one, depth = waiting.pop()
        seen += 1
        if seen > ARGUMENTS_MAX:
            yield Grade("high", None, "arguments:too-many")
            return
        if isinstance(one, dict):
            if depth < _DEPTH_MAX:
                waiting += [(name.lower(), inner, depth + 1) for name, inner in one.items()]
        elif isinstance(one, list):
            if key in _COMMAND_KEYS and one and all(isinstance(word, str) for word in one):
                yield _listed_grade(one, key)
            elif depth < _DEPTH_MAX:
                waiting += [(key, inner, depth + 1) for inner in one[: ARGUMENTS_MAX + 1]]
        elif isinstance(one, str) and one:
            yield _text_grade(key, one, access, is_shell=is_shell)


def _listed_grade(words: list[str], key: str) -> Grade | None:
    """Return the grade of a list: the words of one command, or several commands."""
    if key == "commands" or any(" " in word.strip() for word in words[:1]):
        return gravest(shell_grade(text) for text in words[:ARGUMENTS_MAX])
    return words_grade(words[:ARGUMENTS_MAX])


def _text_grade(key: str, text: str, access: Access, *, is_shell: bool) -> Grade | None:
    if key in _COMMAND_KEYS:
        # One word is more often what an editor is told (`view`) than what a shell runs.
        if is_shell or len(text.split(maxsplit=1)) > 1:
            return shell_grade(text)
        return None
    if key in _SQL_KEYS:
        return sql_grade(text) if is_sql(text) else None
    if key in _PATH_KEYS:
        return path_grade(text, access)
    if key in _CODE_KEYS:
        return Grade("high", "system.code.execute", "arguments:code")
    return None
