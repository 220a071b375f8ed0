# SPDX-License-Identifier: Apache-2.0
"""Takes a shell script apart into the commands that it would run, without running any.

It reads as POSIX shells do: quotes, escapes, lists, pipes, subshells, substitutions, redirections,
here-documents and comments. Where a script goes beyond what it can follow, it says so (`opaque`)
instead of guessing: what can't be read counts as grave.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallystick.limits import ARGUMENTS_MAX, SCRIPT_CHARS_MAX

_BLANK: Final = " \t\r"
_ENDS: Final = frozenset(";&|\n(){}")
_REDIRECTS: Final = ("&>>", "<<<", "<<-", "&>", ">>", "<<", ">&", "<&", "<>", ">|", ">", "<")


class Command(msgspec.Struct, kw_only=True):
    """One simple command: its words, its redirections, and how it hangs together with others."""

    words: list[str] = msgspec.field(default_factory=list)
    # (operator, target)
    redirects: list[tuple[str, str]] = msgspec.field(default_factory=list)
    # What the command reads comes from the command before it.
    is_piped: bool = False
    # The text of its here-documents and here-strings.
    documents: list[str] = msgspec.field(default_factory=list)
    # The scripts in its `$(…)`, backticks and `<(…)`.
    scripts: list[str] = msgspec.field(default_factory=list)


class Script(msgspec.Struct, kw_only=True):
    """All commands of a script in their order; `is_opaque` where some of it could not be read."""

    commands: list[Command]
    is_opaque: bool = False


def parse_script(text: str) -> Script:
    """Return the commands of a script. Takes time in proportion to its length."""
    if len(text) > SCRIPT_CHARS_MAX:
        return Script(commands=_Reader(text[:SCRIPT_CHARS_MAX]).read(), is_opaque=True)
    reader = _Reader(text)
    commands = reader.read()
    return Script(commands=commands, is_opaque=reader.is_opaque)


class _Reader:
    """One pass over the text. Owns its place in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.is_opaque = False
        self.commands: list[Command] = []
        self.command = Command()
        self.waiting: list[tuple[str, Command]] = []  # here-documents whose text is to come

    def read(self) -> list[Command]:
        text = self.text
        while self.at < len(text):
            if len(self.commands) > ARGUMENTS_MAX:
                self.is_opaque = True
                break
            char = text[self.at]
            if char in _BLANK:
                self.at += 1
            elif char == "\\" and text[self.at + 1 : self.at + 2] == "\n":
                self.at += 2
            elif char == "#":
                end = text.find("\n", self.at)
                self.at = len(text) if end < 0 else end
            elif self._redirect():
                pass
            elif char in _ENDS:
                self._end(char)
            else:
                self._word()
        self._close(is_piped=False)
        return self.commands

    def _end(self, char: str) -> None:
        self.at += 1
        following = self.text[self.at : self.at + 1]
        if char in "|&" and following == char:
            self.at += 1
            self._close(is_piped=False)
        elif char == "|":
            self.at += following == "&"
            self._close(is_piped=True)
        else:
            # A group that a pipe leads into reads from it: `curl x | (sh)`.
            self._close(is_piped=char in "({" and self.command.is_piped)
        if char == "\n" and self.waiting:
            self._documents()

    def _close(self, *, is_piped: bool) -> None:
        command = self.command
        if command.words or command.redirects or command.scripts:
            self.commands.append(command)
        self.command = Command(is_piped=is_piped)

    def _redirect(self) -> bool:
        text, start = self.text, self.at
        while start < len(text) and text[start].isdigit() and start - self.at < 3:
            start += 1
        for operator in _REDIRECTS:
            if text.startswith(operator, start):
                break
        else:
            return False
        if operator in ("<", ">") and text.startswith("(", start + 1):
            if start > self.at:
                return False
            self.at = start + 2
            self.command.scripts.append(self._until_closed())
            self.command.words.append("")
            return True
        self.at = start + len(operator)
        self._skip_blanks()
        target = self._one_word()
        if operator in ("<<", "<<-"):
            self.waiting.append((target, self.command))
        elif operator == "<<<":
            self.command.documents.append(target)
        else:
            self.command.redirects.append((operator, target))
        return True

    def _documents(self) -> None:
        for delimiter, command in self.waiting:
            lines = []
            while self.at < len(self.text):
                end = self.text.find("\n", self.at)
                end = len(self.text) if end < 0 else end
                line = self.text[self.at : end]
                self.at = end + 1
                if line.strip("\t") == delimiter:
                    break
                lines.append(line)
            command.documents.append("\n".join(lines))
        self.waiting = []

    def _skip_blanks(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in _BLANK:
            self.at += 1

    def _word(self) -> None:
        self.command.words.append(self._one_word())

    def _one_word(self) -> str:
        """Return the next word with its quotes taken off; what is substituted stays as `$`."""
        text = self.text
        parts: list[str] = []
        while self.at < len(text):
            char = text[self.at]
            if char in _BLANK or char in "<>" or (char in _ENDS and not (char in "{}" and parts)):
                break
            if char == "\\":
                parts.append(
                    ""
                    if text[self.at + 1 : self.at + 2] == "\n"
                    else text[self.at + 1 : self.at + 2]
                )
                self.at += 2
            elif char == "'":
                parts.append(self._quoted_until("'", self.at + 1))
            elif char == '"':
                self.at += 1
                parts.append(self._in_double_quotes())
            elif char == "`":
                parts.append("$")
                self.command.scripts.append(self._quoted_until("`", self.at + 1))
            elif char == "$":
                parts.append(self._dollar())
            else:
                start = self.at
                while self.at < len(text) and (
                    text[self.at].isalnum() or text[self.at] in "-_./=:,@%+*?~[]"
                ):
                    self.at += 1
                if self.at == start:
                    self.at += 1
                parts.append(text[start : self.at])
        return "".join(parts)

    def _dollar(self) -> str:
        text = self.text
        following = text[self.at + 1 : self.at + 2]
        if following == "(":
            self.at += 2
            self.command.scripts.append(self._until_closed())
            return "$"
        if following == "'":
            return _unescaped(self._quoted_until("'", self.at + 2, escapes=True))
        if following == "{":
            end = text.find("}", self.at)
            if end < 0:
                self.is_opaque = True
                end = len(text) - 1
            variable = text[self.at : end + 1]
            if "`" in variable or "$(" in variable[1:]:
                self.is_opaque = True
            self.at = end + 1
            return variable
        self.at += 1
        return "$"

    def _in_double_quotes(self) -> str:
        text = self.text
        parts: list[str] = []
        while self.at < len(text):
            char = text[self.at]
            if char == '"':
                self.at += 1
                return "".join(parts)
            if char == "\\":
                parts.append(text[self.at + 1 : self.at + 2])
                self.at += 2
            elif char == "$" and text[self.at + 1 : self.at + 2] == "'":
                parts.append("$")  # `$'…'` is nothing special between double quotes
                self.at += 1
            elif char == "$":
                parts.append(self._dollar())
            elif char == "`":
                parts.append("$")
                self.command.scripts.append(self._quoted_until("`", self.at + 1))
            else:
                parts.append(char)
                self.at += 1
        self.is_opaque = True
        return "".join(parts)

    def _quoted_until(self, quote: str, start: int, *, escapes: bool = False) -> str:
        end = start
        while True:
            end = self.text.find(quote, end)
            if end < 0:
                self.is_opaque = True
                self.at = len(self.text)
                return self.text[start:]
            before = end
            while (escapes or quote == "`") and before > start and self.text[before - 1] == "\\":
                before -= 1
            if (end - before) % 2 == 0:
                self.at = end + 1
                return self.text[start:end]
            end += 1

    def _until_closed(self) -> str:
        """Return what stands before the bracket that closes this one, and go behind it."""
        start, depth, text = self.at, 1, self.text
        while self.at < len(text):
            char = text[self.at]
            if char == "\\":
                self.at += 2
                continue
            if char == "'":
                self._quoted_until("'", self.at + 1)
                continue
            depth += (char == "(") - (char == ")")
            self.at += 1
            if not depth:
                return text[start : self.at - 1]
        self.is_opaque = True
        self.at = len(text)
        return text[start:]


_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"'}


def _unescaped(text: str) -> str:
    """Return what `$'…'` stands for: the way to write `rm` without its letters."""
    parts: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char != "\\":
            parts.append(char)
            at += 1
            continue
        kind = text[at + 1 : at + 2]
        base, width = {"x": (16, 2), "u": (16, 4), "U": (16, 8)}.get(kind, (8, 3))
        start = at + (2 if base == 16 else 1)
        end = start
        digits = "0123456789abcdefABCDEF" if base == 16 else "01234567"
        while end < len(text) and end - start < width and text[end] in digits:
            end += 1
        if end > start:
            parts.append(chr(min(int(text[start:end], base), 0x10FFFF)))
            at = end
        else:
            parts.append(_ESCAPES.get(kind, kind))
            at += 2
    return "".join(parts)
