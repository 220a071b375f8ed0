# SPDX-License-Identifier: Apache-2.0
"""Verdicts: bytes in, a report out. No clock, disk or wire, and nothing that could phone home."""
