# SPDX-License-Identifier: Apache-2.0
"""Hosts as addresses name them."""

from __future__ import annotations


def is_loopback(host: str) -> bool:
    """Whether a host is this machine for sure: `localhost`, 127.0.0.0/8 or ::1."""
    if host.lower() == "localhost":
        return True
    import ipaddress  # most hosts that are asked about are that name, or none at all

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
