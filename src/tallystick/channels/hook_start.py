# SPDX-License-Identifier: Apache-2.0
"""Where `tally-hook` starts: as a command, or as the file of an isolated interpreter.

`tally hook install` has hosts run `python -I -S …/hook_start.py HOST`: nothing of the environment
or of the agent's folder is imported, and no time goes to looking for packages. This file adds the
one folder that is needed, behind the standard library.
"""

from __future__ import annotations

import sys


def run() -> int:
    """Run the hook on the arguments of the process; return its exit code."""
    if sys.flags.no_site:
        sys.path.append(__file__.rpartition("/tallystick/channels/")[0])
    from tallystick.channels.hook import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
