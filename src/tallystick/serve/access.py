# SPDX-License-Identifier: Apache-2.0
"""Who calls, and what they may: from a token, from a client certificate, or nobody in particular.

A credential that is given must be right: a wrong token is refused also where none is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from tallystick.serve.problem import Refusal
from tallystick.serve.tokens import ANONYMOUS, Access, TokenBook

Need = Literal["write", "read", "metrics"]

_ALLOWS: Final[dict[Access, frozenset[str]]] = {
    "all": frozenset({"write", "read", "metrics"}),
    "write": frozenset({"write"}),
    "read": frozenset({"read", "metrics"}),
    "metrics": frozenset({"metrics"}),
}


class Caller(msgspec.Struct, frozen=True):
    """Whose receipts a request is about, and by what it was told."""

    tenant: str
    access: Access
    by: str  # "anonymous", "token <id>" or "certificate <name>"


_CREDENTIALS: Final = frozenset({b"authorization", b"x-api-key"})
_NOBODY: Final = Caller(ANONYMOUS, "all", "anonymous")


class Gate:
    """Decides on each request, before any of its body is read."""

    def __init__(
        self,
        *,
        tokens: TokenBook | None = None,
        certificates: Mapping[str, str] | None = None,
        is_open: bool = False,
    ) -> None:
        """Take the known tokens, tenants by certificate name, and whether nobody may come in."""
        self._tokens = tokens
        self._certificates = dict(certificates or {})
        self._is_open = is_open

    def admits_anyone(self, head: Mapping[bytes, bytes], state: Mapping[str, Any]) -> bool:
        """Whether such a request may do all, since it has no credential and needs none."""
        return self._is_open and not state and _CREDENTIALS.isdisjoint(head)

    def admit(self, scope: Mapping[str, Any], need: Need) -> Caller:
        """Return who calls, or raise `Refusal` (401, 403 or 503)."""
        caller = self._known(scope)
        if need not in _ALLOWS[caller.access]:
            raise Refusal(
                "not-allowed", f"this credential has access {caller.access!r}, not {need!r}"
            )
        return caller

    def _known(self, scope: Mapping[str, Any]) -> Caller:
        text = credential_in(scope["headers"])
        by_certificate = self._by_certificate(scope.get("state") or {})
        if text is not None:
            by_token = self._by_token(text)
            if by_certificate is not None and by_certificate.tenant != by_token.tenant:
                raise Refusal("not-allowed", "token and certificate belong to different tenants")
            return by_token
        if by_certificate is not None:
            return by_certificate
        if self._is_open:
            return _NOBODY
        raise Refusal("not-authorised", "this service asks for a credential")

    def _by_token(self, text: str) -> Caller:
        token = self._tokens.find(text) if self._tokens is not None else None
        if token is not None:
            return Caller(token.tenant, token.access, f"token {token.id}")
        if self._tokens is not None and self._tokens.fault is not None:
            # A 401 would tell emitters that their receipts are refused for good.
            raise Refusal("tokens-unavailable", "no token can be looked up at the moment")
        raise Refusal("not-authorised", "the token is not known here")

    def _by_certificate(self, state: Mapping[str, Any]) -> Caller | None:
        names: Sequence[str] = state.get("certificate", ())
        for name in names:
            tenant = self._certificates.get(name)
            if tenant is not None:
                return Caller(tenant, "all", f"certificate {name}")
        return None


def credential_in(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """Return the bearer token or API key of a request, or None where it has neither."""
    found: str | None = None
    for name, value in headers:
        if name == b"authorization":
            scheme, _, rest = value.partition(b" ")
            if scheme.lower() != b"bearer":
                raise Refusal("not-authorised", "the scheme of Authorization is not Bearer")
            given = rest.strip()
        elif name == b"x-api-key":
            given = value
        else:
            continue
        text = given.decode("latin-1")
        if found is not None and found != text:
            raise Refusal("not-authorised", "two credentials that differ")
        found = text
    return found
