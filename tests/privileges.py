# SPDX-License-Identifier: Apache-2.0
"""What root may read and others may not: a test gives root's privileges back for a while."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

# Owns nothing that a test makes.
_NOBODY = 65_534


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be nobody within, where root runs the tests: modes of files count then.

    What is run there has to be loaded: this interpreter may lie where nobody else may read.
    """
    if os.geteuid() != 0:
        yield
        return
    # The real one, too, for which `access` asks; the saved one is the way back.
    os.setresuid(_NOBODY, _NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
