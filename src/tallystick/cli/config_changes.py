# SPDX-License-Identifier: Apache-2.0
"""A change to another program's configuration, as people see it: the diff, then what was done."""

from __future__ import annotations

from typing import Any, Final

from tallystick.cli.output import Style, say

# Some hosts keep all their settings on one line.
_LINE_CHARS_MAX: Final = 400
_STYLES: Final[dict[str, Style]] = {"+": "good", "-": "bad", "@": "dim"}


def carry_out(change: Any, *, dry_run: bool, undo: bool = False) -> bool:
    """Show a change and make it; return whether there was anything to do."""
    if change.is_empty:
        say(f"{change.path}: nothing to do")
        return False
    from tallystick.model.redact import Redactor

    hidden = Redactor()
    for whole in change.diff():
        line = hidden.text(whole[:_LINE_CHARS_MAX])
        style = _STYLES.get(line[:1])
        say((line, style) if style else line)
    if dry_run:
        say(("nothing was written", "dim"))
        return True
    backup = change.apply(keeps=not undo)
    if change.after is None:
        say(f"removed {change.path}")
    else:
        say(f"wrote {change.path}")
    if backup is not None:
        say(f"the file as it was: {backup}")
    return True
