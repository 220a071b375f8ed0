# SPDX-License-Identifier: Apache-2.0
"""What root may read and others may not: a test gives root's privileges back, or runs as another.

Another user may not be able to start this interpreter, or to read its modules. What is to run as
such a user has to be loaded before.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.command import environment

# Owns nothing that a test makes.
_NOBODY = 65_534

_BECOMES_ANOTHER = """
import json, os, sys
from tallystick.cli.main import main
before, words, user, groups = json.loads(sys.argv[1])
if main(before, standalone_mode=False):
    sys.exit(99)
print("---", flush=True)
os.setgroups(groups)
os.setgid(user)
os.setuid(user)
sys.exit(main(words, standalone_mode=False))
"""


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be nobody within, where root runs the tests: modes of files count then."""
    if os.geteuid() != 0:
        yield
        return
    # The real one, too, for which `access` asks; the saved one is the way back.
    os.setresuid(_NOBODY, _NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def tally_as(
    user: int,
    groups: Sequence[int],
    words: Sequence[str | Path],
    *,
    before: Sequence[str | Path],
    home: Path,
) -> subprocess.CompletedProcess[str]:
    """Run `tally` as another user, which root alone may; return its answer.

    `before` is what we do as ourselves, with something else, so that all is loaded.
    """
    given = [[str(one) for one in before], [str(one) for one in words], user, list(groups)]
    done = subprocess.run(
        [sys.executable, "-c", _BECOMES_ANOTHER, json.dumps(given)],
        cwd=home,
        env={**environment(), "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    done.stdout = done.stdout.partition("---")[2]
    return done
