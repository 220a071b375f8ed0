# SPDX-License-Identifier: Apache-2.0
"""A text as whoever unescapes it would read it: secrets are looked for in that, too.

Takes away escapes of JSON, of URLs and of terminals, letters that only look different, and what
nobody sees. Each of it once over the text, and never longer than a few steps at one place.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# `\\u0070`, `\\x70`, `\\/`, `\\"`, behind any number of backslashes: JSON within JSON has many.
_ESCAPED: Final = re.compile(r"(?<!\\)\\++(?:u00([2-7][0-9A-Fa-f])|x([2-7][0-9A-Fa-f])|([\"'/]))")
# `%70`, also encoded again (`%2570`).
_PERCENT: Final = re.compile(r"%(?:25){0,3}([2-7][0-9A-Fa-f])")
_TERMINAL: Final = re.compile("\x1b\\[[0-9;?]{0,32}[@-~]")
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_UNSEEN: Final = frozenset(("Cf", "Mn", "Me", "Cc"))
_KEPT: Final = frozenset("\t\n\r")


def is_veiled(text: str) -> bool:
    """Whether a text may read otherwise to someone who unescapes it; cheap for usual ones."""
    if "\\" in text or "%" in text or not text.isascii():
        return True
    return not text.isprintable() and _CONTROL.search(text) is not None


def unveiled(text: str) -> str:
    """Return the text without its escapes."""
    if not text.isascii():
        wide = unicodedata.normalize("NFKC", text)
        text = "".join(
            one for one in wide if one in _KEPT or unicodedata.category(one) not in _UNSEEN
        )
    text = _CONTROL.sub("", _TERMINAL.sub("", text))
    if "\\" in text:
        text = _ESCAPED.sub(_letter, text)
    if "%" in text:
        text = _PERCENT.sub(_letter, text)
    return text


def _letter(found: re.Match[str]) -> str:
    # Two hexadecimal digits, or the letter itself.
    letter = found[found.lastindex or 0]
    return chr(int(letter, 16)) if len(letter) == 2 else letter
