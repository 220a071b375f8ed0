# SPDX-License-Identifier: Apache-2.0
"""Who looks after others: follows a collector's log, recomputes it, and keeps what it once said."""
