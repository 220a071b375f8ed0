# SPDX-License-Identifier: Apache-2.0
"""How grave a shell script is: that of its gravest command, seen through wrappers and substitution.

Commands that nobody here knows are what the taxonomy says of `system.command.execute`: high. Low
is only what is known to read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from tallystick.limits import ARGUMENTS_MAX, SCRIPT_DEPTH_MAX
from tallystick.model.path_risk import is_whole, path_grade
from tallystick.model.shell import Command, Script, parse_script
from tallystick.model.shell_names import (
    BUILDERS,
    BY_NAME,
    CODE,
    DECODERS,
    DELETE,
    DOWNLOADERS,
    EXECUTE,
    GIT_ARGUMENTS,
    GIT_VALUED,
    GRAMMAR,
    GRAVE_ARGUMENTS,
    INTERPRETERS,
    MODIFY,
    NEUTRAL,
    RAISERS,
    READERS,
    SETTINGS,
    SHELLS,
    SQL_CLIENTS,
    VALUED,
    WRAPPERS,
    WRITERS,
    WRITES_TO_ALL,
)
from tallystick.model.sql_risk import is_sql, sql_grade
from tallystick.model.taxonomy import Grade, gravest

_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=.*", re.DOTALL)
_SECRET_VARIABLE: Final = re.compile(
    r"(?i)\$\{?[A-Z0-9_]{0,60}(?:SECRET|TOKEN|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY|PRIVATE_KEY)"
)
# Agents repeat their short commands.
_REMEMBERED_CHARS_MAX: Final = 512
# Nobody stacks that many; what is left then counts as a command that nobody knows.
_WRAPPERS_MAX: Final = 32
_FORK_BOMB: Final = re.compile(
    r"(\S{1,20})\s{0,4}\(\s{0,4}\)\s{0,4}\{[^}]{0,80}\1\s{0,4}\|\s{0,4}\1"
)
_SENDS: Final = re.compile(
    r"-(?:[dFTX]|-data|-form|-upload-file|-post-|-request|-json|-method|-body)|@\S"
)


def shell_grade(text: str) -> Grade | None:
    """Return how grave a shell script is; None for one that is empty."""
    return _short_grade(text) if len(text) <= _REMEMBERED_CHARS_MAX else _grade(text)


@lru_cache(maxsize=256)
def _short_grade(text: str) -> Grade | None:
    return _grade(text)


def _grade(text: str) -> Grade | None:
    if _FORK_BOMB.search(text[:4096]):
        return Grade("critical", EXECUTE, "shell:fork-bomb")
    return _script_grade(parse_script(text), 0)


def words_grade(words: Sequence[str]) -> Grade | None:
    """Return how grave a command is that is given as its words, without a shell."""
    return _command_grade(Command(words=list(words)), 0, follows_download=False)


def _script_grade(script: Script, depth: int) -> Grade | None:
    grades: list[Grade | None] = []
    if script.is_opaque:
        grades.append(Grade("high", EXECUTE, "shell:unreadable"))
    follows = False
    for command in script.commands:
        follows = command.is_piped and follows
        grades.append(_command_grade(command, depth, follows_download=follows))
        follows = follows or _downloads(command)
    return gravest(grades)


def _command_grade(command: Command, depth: int, *, follows_download: bool) -> Grade | None:
    if depth > SCRIPT_DEPTH_MAX:
        return Grade("high", EXECUTE, "shell:too-deep")
    words, is_raised = _unwrapped(command.words)
    grades = [*_redirect_grades(command), *_inner_grades(command, depth)]
    if words:
        grades.append(_words_grade(words, command, depth, follows_download=follows_download))
    elif command.words and _name(command.words[-1]) == "env":
        grades.append(Grade("high", "filesystem.file.read", "shell:environment"))
    grade = gravest(grades)
    if not is_raised:
        return grade
    if grade is not None and grade.risk in ("high", "critical") and words:
        return Grade("critical", grade.type, f"{grade.reason}+sudo")
    return Grade("high", EXECUTE, "shell:sudo")


def _words_grade(
    words: list[str], command: Command, depth: int, *, follows_download: bool
) -> Grade | None:
    name = _name(words[0])
    arguments = words[1:]
    is_run = name in SHELLS or name in ("eval", "source", ".") or INTERPRETERS.fullmatch(name)
    if is_run and (follows_download or any(_brings_script(one) for one in command.scripts)):
        return Grade("critical", EXECUTE, "shell:run-unseen")
    paths = gravest(_argument_grades(name, arguments))
    special = _SPECIAL.get(name)
    if special is None and name.startswith("mkfs"):
        own: Grade | None = Grade("critical", SETTINGS, "shell:mkfs")
    elif special is not None:
        own = special(name, arguments)
    elif name in SHELLS:
        own = _shell_call_grade(name, arguments, command, depth)
    elif name == "eval":
        inner = _script_grade(parse_script(" ".join(arguments)), depth + 1)
        own = gravest((Grade("high", EXECUTE, "shell:eval"), inner))
    elif name in SQL_CLIENTS:
        own = _sql_client_grade(name, arguments, command)
    elif INTERPRETERS.fullmatch(name):
        own = Grade("high", CODE, f"shell:{name}")
    else:
        own = _named_grade(name, arguments, depth)
    return gravest((own, paths))


def _named_grade(name: str, arguments: list[str], depth: int) -> Grade | None:
    line = " ".join(arguments)
    for risk, pattern, kind in GRAVE_ARGUMENTS.get(name, ()):
        if re.search(pattern, line):
            return gravest((Grade(risk, kind, f"shell:{name}"), _found_grade(arguments, depth)))
    if name in BY_NAME:
        return Grade(*BY_NAME[name], f"shell:{name}")
    if name in READERS:
        return Grade("low", "filesystem.file.read", f"shell:{name}")
    if name in NEUTRAL:
        return None
    if name in BUILDERS:
        return Grade("medium", None, f"shell:{name}")
    return Grade("high", EXECUTE, "shell:unknown")


def _found_grade(arguments: list[str], depth: int) -> Grade | None:
    """Return the grade of what `find` runs with what it found."""
    for flag in ("-exec", "-execdir", "-ok", "-okdir"):
        if flag in arguments:
            inner = Command(words=arguments[arguments.index(flag) + 1 :])
            return _command_grade(inner, depth + 1, follows_download=False)
    return None


def _git_grade(_: str, arguments: list[str]) -> Grade:
    at = 0
    while at < len(arguments) and arguments[at].startswith("-"):
        at += 2 if arguments[at] in GIT_VALUED else 1
    line = " ".join(arguments[at:])
    risk, _pattern, kind = next(row for row in GIT_ARGUMENTS if re.match(row[1], line))
    # `-c alias.x=!rm` and `-c core.editor=rm` run what they name.
    if "-c" in arguments[:at]:
        return Grade("high", EXECUTE, "shell:git-c")
    return Grade(risk, kind, "shell:git")


def _remove_grade(name: str, arguments: list[str]) -> Grade:
    flags = "".join(one for one in arguments if one.startswith("-") and not one.startswith("--"))
    is_recursive = "r" in flags.lower() or "--recursive" in arguments or "/s" in arguments
    targets = [one for one in arguments if not one.startswith("-")]
    is_grave = is_recursive or any(is_whole(one) for one in targets)
    kind = "filesystem.directory.delete" if is_recursive else DELETE
    return Grade("critical" if is_grave else "high", kind, f"shell:{name}")


def _copy_grade(name: str, arguments: list[str]) -> Grade:
    if name == "mv" and any(is_whole(one) for one in arguments[:-1]):
        return Grade("critical", "filesystem.file.move", "shell:mv")
    kind = "filesystem.file.move" if name == "mv" else MODIFY
    return Grade("medium", kind, f"shell:{name}")


def _dd_grade(name: str, arguments: list[str]) -> Grade:
    target = next((one[3:] for one in arguments if one.startswith("of=")), "")
    is_device = target.startswith("/dev/") and path_grade(target, "write") is not None
    return Grade("critical" if is_device else "high", MODIFY, f"shell:{name}")


def _download_grade(name: str, arguments: list[str]) -> Grade:
    sends = any(_SENDS.match(one) for one in arguments)
    if sends:
        return Grade("high", "network.egress.observed", f"shell:{name}-send")
    return Grade("medium", "network.egress.observed", f"shell:{name}")


def _owner_grade(name: str, arguments: list[str]) -> Grade:
    is_grave = any(one in ("-R", "--recursive") for one in arguments) and any(
        is_whole(one) for one in arguments
    )
    return Grade("critical" if is_grave else "high", SETTINGS, f"shell:{name}")


_SPECIAL: Final[Mapping[str, Callable[[str, list[str]], Grade]]] = {
    **dict.fromkeys(("rm", "remove-item", "del", "rd", "unlink"), _remove_grade),
    **dict.fromkeys(("cp", "mv", "install"), _copy_grade),
    "dd": _dd_grade,
    "chown": _owner_grade,
    "git": _git_grade,
    **dict.fromkeys(DOWNLOADERS, _download_grade),
}


def _shell_call_grade(name: str, arguments: list[str], command: Command, depth: int) -> Grade:
    """Return the grade of `sh -c TEXT`, of a script on its input, or of one in a file."""
    for at, one in enumerate(arguments):
        if one.startswith("-") and not one.startswith("--") and "c" in one.lower():
            inner = _script_grade(parse_script(" ".join(arguments[at + 1 : at + 2])), depth + 1)
            return inner or Grade("high", EXECUTE, f"shell:{name}")
        if one in ("/c", "/C", "-Command", "-command"):
            inner = _script_grade(parse_script(" ".join(arguments[at + 1 :])), depth + 1)
            return inner or Grade("high", EXECUTE, f"shell:{name}")
    inner = gravest(_script_grade(parse_script(text), depth + 1) for text in command.documents)
    return gravest((Grade("high", EXECUTE, f"shell:{name}"), inner)) or Grade(
        "high", EXECUTE, f"shell:{name}"
    )


def _sql_client_grade(name: str, arguments: list[str], command: Command) -> Grade:
    texts = [one for one in (*arguments, *command.documents) if is_sql(one)]
    grade = gravest(sql_grade(text) for text in texts)
    return grade or Grade("high", "data.database.modify", f"shell:{name}")


def _redirect_grades(command: Command) -> Iterator[Grade | None]:
    for operator, target in command.redirects:
        if operator.startswith("<") and operator != "<>":
            yield path_grade(target, "read")
        elif not _is_harmless(operator, target):
            yield Grade("medium", MODIFY, "shell:redirect")
            yield path_grade(target, "write")


def _is_harmless(operator: str, target: str) -> bool:
    is_copy = operator in (">&", "<&") and target.rstrip("-").isdigit()
    return is_copy or target in ("-", "/dev/null", "/dev/stdout", "/dev/stderr")


def _inner_grades(command: Command, depth: int) -> Iterator[Grade | None]:
    for text in command.scripts:
        yield _script_grade(parse_script(text), depth + 1)


def _argument_grades(name: str, arguments: list[str]) -> Iterator[Grade | None]:
    """Yield what the paths among the arguments add."""
    plain = [one for one in arguments if not one.startswith("-")]
    if len(plain) > ARGUMENTS_MAX:
        yield Grade("high", EXECUTE, "shell:too-many")
        plain = plain[:ARGUMENTS_MAX]
    for at, one in enumerate(plain):
        if "$" in one and _SECRET_VARIABLE.search(one):
            yield Grade("high", "filesystem.file.read", "shell:secret-variable")
        path = one.split("=", 1)[-1].lstrip("@")
        if name in BY_NAME and BY_NAME[name][1] == DELETE:
            yield path_grade(path, "delete")
        elif name in WRITERS and (at == len(plain) - 1 or name in WRITES_TO_ALL):
            yield path_grade(path, "write")
        else:
            yield path_grade(path, "read")


def _unwrapped(words: Sequence[str]) -> tuple[list[str], bool]:
    """Return the words of the command proper, and whether it runs with raised rights."""
    rest, is_raised = list(words), False
    for _ in range(_WRAPPERS_MAX):
        if not rest:
            break
        name = _name(rest[0])
        if _ASSIGNMENT.fullmatch(rest[0]) or name in GRAMMAR:
            rest = rest[1:]
        elif name in RAISERS or name in WRAPPERS:
            is_raised = is_raised or name in RAISERS
            rest = _behind_options(rest[1:], takes_number=name in ("timeout", "watch", "nice"))
        else:
            break
    return rest, is_raised


def _behind_options(words: list[str], *, takes_number: bool) -> list[str]:
    at = 0
    while at < len(words):
        one = words[at]
        if one == "--":
            return words[at + 1 :]
        if one == "-c" and at + 1 < len(words):  # su -c TEXT
            return ["sh", "-c", *words[at + 1 :]]
        if one in VALUED:
            at += 2
        elif (
            one.startswith("-")
            or _ASSIGNMENT.fullmatch(one)
            or (takes_number and re.fullmatch(r"[0-9.]{1,9}[smhd]?", one))
        ):
            at += 1
        else:
            break
    return words[at:]


def _name(word: str) -> str:
    return word.replace("\\", "/").rsplit("/", 1)[-1].casefold().removesuffix(".exe")


def _downloads(command: Command) -> bool:
    words, _ = _unwrapped(command.words)
    return bool(words) and (_name(words[0]) in DOWNLOADERS or _name(words[0]) in DECODERS)


def _brings_script(text: str) -> bool:
    return any(_downloads(command) for command in parse_script(text).commands)
