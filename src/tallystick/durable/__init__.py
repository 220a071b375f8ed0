# SPDX-License-Identifier: Apache-2.0
"""Stable storage: what is returned from here survives a power cut."""
