# SPDX-License-Identifier: Apache-2.0
"""Stores: a collector's log on SQLite or PostgreSQL, a daemon's ledger, and logs far away."""
