# SPDX-License-Identifier: Apache-2.0
"""A change to another program's configuration, as people see it: the diff, then what was done."""

from __future__ import annotations

import sys
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


def note_daemon(socket: str | None) -> None:
    """Say so where no daemon listens, or where the host may not learn of the one that does."""
    from tallystick.config import process_environment
    from tallystick.deliver.daemon_line import DaemonLine
    from tallystick.errors import EmitTransportError
    from tallystick.model.framing import SOCKET_VARIABLE, default_socket_path

    environ = process_environment()
    path = socket or default_socket_path(sys.platform, environ)
    if path is None:
        return
    if socket is None and environ.get(SOCKET_VARIABLE):
        told = (
            f"{SOCKET_VARIABLE} is set here, and may not be where the host starts us: use --socket"
        )
        say(("note: ", "dim"), told)
    line = DaemonLine(path)
    try:
        line.dial()
    except EmitTransportError as fault:
        say(("note: ", "dim"), f"{fault}; `tally daemon run` starts one")
    finally:
        line.close()
