# SPDX-License-Identifier: Apache-2.0
"""Bytes: what is hashed and signed, and how it is read back. No clock, disk or wire."""
