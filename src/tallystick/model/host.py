# SPDX-License-Identifier: Apache-2.0
"""Hosts as addresses name them."""

from __future__ import annotations

from urllib.parse import urlsplit


def is_open_http(url: str) -> bool:
    """Whether what goes there is for all to read, and to answer; what is no address is not."""
    parts = urlsplit(url)  # as clients do: blanks in front, and tabs anywhere, are nothing
    # Where there is only a host, whoever connects finds no other one.
    is_bare = not {"@", "\\"} & set(parts.netloc)
    return parts.scheme == "http" and not (is_bare and is_loopback(parts.hostname or ""))


def is_loopback(host: str) -> bool:
    """Whether a host is this machine for sure: `localhost`, 127.0.0.0/8 or ::1."""
    if host.lower() == "localhost":
        return True
    import ipaddress  # most hosts that are asked about are that name, or none at all

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
