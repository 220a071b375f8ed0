# SPDX-License-Identifier: Apache-2.0
"""Where `tally` starts: who presses Ctrl-C while it loads sees no traceback either."""

from __future__ import annotations

import sys


def run() -> None:
    """Run `tally` on the arguments of the process, and exit."""
    try:
        from tallystick.cli.main import main  # the longest part of a short command

        main()
    except KeyboardInterrupt:
        sys.exit(130)  # as shells report a process that ends by SIGINT
