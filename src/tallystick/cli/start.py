# SPDX-License-Identifier: Apache-2.0
"""Where `tally` starts: who presses Ctrl-C while it loads, or while it ends, sees no traceback.

Before this module is found Python alone runs, which shows one: no line of ours comes before that.
"""

from __future__ import annotations

import signal
import sys


def run() -> None:
    """Run `tally` on the arguments of the process, and exit."""
    try:
        from tallystick.cli.main import main  # the longest part of a short command

        main()
    except KeyboardInterrupt:
        sys.exit(130)  # as shells report a process that ends by SIGINT
    finally:
        # Python joins threads and calls what is to be called at its end, and shows what stops it
        # there. A handler of somebody else's stays, and who ignores Ctrl-C goes on doing so.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
