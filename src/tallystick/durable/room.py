# SPDX-License-Identifier: Apache-2.0
"""Room at the end of a file that is about to grow.

To make bytes stable that a file has already takes a disk about a third less time than to make it
longer: no block is allocated, and no length is written.
"""

from __future__ import annotations

import os
from typing import Final

from tallystick.durable.file import Durable, FilePath, write_at

_FLAGS: Final = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def make_room(path: FilePath, size: int, *, durable: Durable | None = None) -> None:
    """Append so many zeros to a file, and return when they are stable.

    Raises `OSError` where there is no room; what was appended before stays.
    """
    durable = durable or Durable()
    descriptor = os.open(path, _FLAGS)
    try:
        write_at(descriptor, bytes(size), os.fstat(descriptor).st_size, durable)
        durable.fdatasync(descriptor)
    finally:
        os.close(descriptor)
