# SPDX-License-Identifier: Apache-2.0
"""The version of this distribution; the build reads it from here and nowhere else."""

from __future__ import annotations

__version__ = "0.1.0"
