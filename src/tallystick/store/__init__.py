# SPDX-License-Identifier: Apache-2.0
"""Stores: where a collector keeps receipts and the log over them, on SQLite or PostgreSQL."""
