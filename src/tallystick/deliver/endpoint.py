# SPDX-License-Identifier: Apache-2.0
"""The collector's address, read strictly: a URL that two programs read differently is refused.

Both forms in use are accepted. A URL without a path, or with one that ends in a slash, is the base
of a collector: `receipts` is added. Any other path is posted to as it is given.

    https://c.example            → https://c.example/receipts
    https://c.example/audit/     → https://c.example/audit/receipts
    https://c.example/receipts   → https://c.example/receipts
    https://c.example/ingest     → https://c.example/ingest

No message quotes a URL that was refused: it may hold a password.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from tallystick.errors import RefusedInput
from tallystick.limits import URL_CHARS_MAX
from tallystick.model.host import is_loopback

# A value of a query this long may be a key; shorter ones (`v=1`) stand in any text.
_KEY_CHARS: Final = 8
_DEFAULT_PORT: Final = {"http": 80, "https": 443}
# RFC 3986: what may stand in a URL at all. Anything else is spelled %XX.
_CHARACTERS: Final = r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+"
_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME: Final = rf"{_LABEL}(?:\.{_LABEL})*\.?"
_AUTHORITY: Final = (
    rf"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>{_NAME}))(?::(?P<port>[0-9]{{1,5}}))?"
)


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where to connect, and what to ask for there."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORT[self.scheme] else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        """The URL for messages: without its query, which may hold a key."""
        return f"{self.scheme}://{self.authority}{self.target.partition('?')[0]}"

    def is_in(self, text: str, /) -> bool:
        """Whether a text holds the query, or a value in it, which may be a key."""
        query = self.target.partition("?")[2]
        values = (part.partition("=")[2] for part in query.split("&"))
        return any(len(value) >= _KEY_CHARS and value in text for value in (query, *values))

    def __repr__(self) -> str:
        return f"Endpoint({self.shown!r})"


def parse_endpoint(url: str, *, allow_insecure: bool = False) -> Endpoint:
    """Return where receipts are posted to, or raise `RefusedInput`."""
    found = _parsed(url)
    if isinstance(found, str):
        del url  # out of the frame that a traceback shows
        raise RefusedInput(f"the collector's URL {found}")
    if found.scheme == "http" and not allow_insecure and not is_loopback(found.host):
        raise RefusedInput(
            "the collector's URL is http: receipts and credentials would travel unprotected; "
            "use https, or say allow_insecure=True"
        )
    path, mark, query = found.target.partition("?")
    if path.endswith("/"):
        path += "receipts"
    return msgspec.structs.replace(found, target=path + mark + query)


def parse_proxy(url: str) -> Endpoint:
    """Return where a proxy listens, or raise `RefusedInput`."""
    found = _parsed(url)
    if not isinstance(found, str):
        if found.scheme == "http" and found.target == "/":
            return found
        found = "must be http://host:port: we speak plain HTTP to it, and TLS through it"
    del url
    raise RefusedInput(f"the proxy's URL {found}")


def _parsed(url: object) -> Endpoint | str:
    """Return the parts of a URL, or why it is refused in words that follow `the URL`."""
    if not isinstance(url, str):
        return f"is of type {type(url).__name__}, not text"
    if not url:
        return "is empty"
    if len(url) > URL_CHARS_MAX:
        return f"has more than {URL_CHARS_MAX} characters"
    if not re.fullmatch(_CHARACTERS, url):
        return "holds a character that no URL may hold; spell it as %XX, or a host in punycode"
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if scheme not in ("http", "https"):
        return "does not begin with https://"
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    target = rest[len(authority) :]
    if "@" in authority:
        return "holds a user name or a password; use BearerAuth or ApiKeyAuth"
    if "#" in target:
        return "has a fragment (#…), which is never sent"
    parts = re.fullmatch(_AUTHORITY, authority)
    if parts is None:
        return "names no host that we understand"
    port = int(parts["port"]) if parts["port"] else _DEFAULT_PORT[scheme]
    if not 0 < port < 65536:
        return "has a port that does not exist"
    if parts["six"] and not _is_ipv6(parts["six"]):
        return "names no host that we understand"
    return Endpoint(
        scheme="https" if scheme == "https" else "http",
        host=parts["six"] or parts["name"],
        port=port,
        target=target if target.startswith("/") else f"/{target}",
    )


def _is_ipv6(text: str) -> bool:
    import ipaddress

    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
