# SPDX-License-Identifier: Apache-2.0
"""One machine of two: runs an intent in the environment that it is started in.

    python -m tests.systems.machine FOLDER UMASK ORDER

Its clock and ids are fixed; locale, time zone, hash seed, umask, and the order in which files are
written are not. Prints the hash of the manifest and of the bundle.
"""

from __future__ import annotations

import locale
import os
import random
import sys
from hashlib import sha256
from pathlib import Path
from typing import Final

from tests.solving import Scripted, body, policy, solver

from tallystick.solver.run import run_intent
from tallystick.solver.runner import Work

# Names that locales, file systems and JavaScript put in different orders.
NAMES: Final = (
    "Z.txt", "a.txt", "B.md", "ä.json", "z.html", "10", "9", "b", "_x", "-y", ".tmp-hidden",
    ".tmp-dir/in.txt", "sub/.tmp-x", "sub/é", "sub.txt", "sub-1", "__proto__", "I.csv", "ı.csv",
)  # fmt: skip


def main(folder: Path, umask: int, order: int) -> str:
    """Run, and return what has to be the same everywhere."""
    locale.setlocale(locale.LC_ALL, "")
    os.umask(umask)

    def work(given: Work) -> None:
        names = list(NAMES)
        random.Random(order).shuffle(names)
        for name in names:
            path = Path(given.artifacts) / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(name * 3, encoding="utf-8")

    made = solver(folder, {"WORK": Scripted(work)}, policy=policy(jobTypeAllowlist=["WORK"]))
    found = run_intent(made, body(jobType="WORK"))
    assert found.status == "SUCCESS", found
    return f"{found.manifest_sha256} {sha256(Path(found.bundle).read_bytes()).hexdigest()}"


if __name__ == "__main__":
    sys.stdout.write(main(Path(sys.argv[1]), int(sys.argv[2], 8), int(sys.argv[3])))
