# SPDX-License-Identifier: Apache-2.0
"""Whose signatures count: public keys from outside, for any issuer or for a named one.

A trust file is TOML:

    [[issuer]]
    id = "did:agent:billing"
    [[issuer.key]]
    key = "did:key:z6Mk…"             # or the text of a PEM file
    valid_from = "2026-01-01T00:00:00Z"
    valid_until = "2026-12-31T23:59:59Z"
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from tallystick.crypto.digest import sha256_tagged
from tallystick.crypto.ed25519 import NOT_ON_CURVE, KeyPair, key_weakness, public_key_from
from tallystick.crypto.strict_toml import parse_toml
from tallystick.errors import KeyFormatError, LimitError, RefusedInput
from tallystick.limits import KEYS_PER_ISSUER_MAX, TRUST_FILE_BYTES_MAX
from tallystick.model.shapes import instant_ns, is_calendar_day, is_instant
from tallystick.verify.report import Findings

_BYTES = (bytes, bytearray, memoryview)


class TrustFileError(RefusedInput):
    """A trust file that is not of the documented form."""


class TrustedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A public key, and from when to when it counts."""

    public_key: bytes
    valid_from: str | None = None
    valid_until: str | None = None
    # Nobody named it: a later key vouches for it, and for what later chains speak of.
    is_earlier: bool = False

    def counts_at(self, instant: str) -> bool:
        """Whether the key is valid at an instant of the protocol's shape."""
        moment = instant_ns(instant)
        return (self.valid_from is None or instant_ns(self.valid_from) <= moment) and (
            self.valid_until is None or moment <= instant_ns(self.valid_until)
        )


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that a verification accepts, and what was wrong with those that it was given."""

    anyone: tuple[TrustedKey, ...] = ()
    issuers: dict[str, tuple[TrustedKey, ...]] = {}
    # (code, where, message) of keys that can't be used: they become findings.
    unusable: tuple[tuple[str, str, str], ...] = ()

    def keys_for(self, issuer: str) -> tuple[TrustedKey, ...]:
        """Return the keys that may have signed for an issuer, its own first."""
        own = self.issuers.get(issuer)
        return self.anyone if own is None else own + self.anyone

    @property
    def has_earlier(self) -> bool:
        """Whether there are keys that nobody named."""
        return any(entry.is_earlier for entry in self.anyone)

    def with_issuers(self, other: Trust) -> Trust:
        """Return this trust together with the issuers of another."""
        return Trust(
            anyone=self.anyone + other.anyone,
            issuers={**self.issuers, **other.issuers},
            unusable=self.unusable + other.unusable,
        )

    def report_unusable(self, findings: Findings) -> None:
        """Note each key that can't be used."""
        for code, where, message in self.unusable:
            findings.add(code, where, message)


def trust_of(keys: object) -> Trust:
    """Return the trust in one key, in several, or in a `Trust` as it is."""
    if isinstance(keys, Trust):
        return keys
    if keys is None:
        return Trust()
    if isinstance(keys, (str, *_BYTES, KeyPair)) or not isinstance(keys, Iterable):
        keys = [keys]
    usable: list[TrustedKey] = []
    unusable: list[tuple[str, str, str]] = []
    for number, key in enumerate(keys):
        if number == KEYS_PER_ISSUER_MAX:
            raise LimitError(f"over {KEYS_PER_ISSUER_MAX} keys for any issuer; use a trust file")
        where = f"key[{number}]"
        try:
            public_key = public_key_from(_key_text(key))
        except KeyFormatError as fault:
            unusable.append(("KEY_UNUSABLE", where, str(fault)))
            continue
        weakness = key_weakness(public_key)
        if weakness:
            # Nobody can sign with what is no point at all: that is garbage, not a weak key.
            code = "KEY_UNUSABLE" if weakness == NOT_ON_CURVE else "KEY_WEAK"
            unusable.append((code, where, f"the key is unusable: {weakness}"))
        else:
            usable.append(TrustedKey(public_key=public_key))
    return Trust(anyone=tuple(usable), unusable=tuple(unusable))


def _key_text(key: object) -> str | bytes:
    if isinstance(key, KeyPair):
        return key.public_key
    if isinstance(key, _BYTES):
        return bytes(key)
    if isinstance(key, str):
        return key
    raise KeyFormatError(f"the key is a {type(key).__name__}; give PEM, did:key or 32 bytes")


def parse_trust(data: bytes) -> Trust:
    """Return the trust that a trust file states; raise `TrustFileError` where it is not clear."""
    if len(data) > TRUST_FILE_BYTES_MAX:
        raise TrustFileError(f"over {TRUST_FILE_BYTES_MAX} bytes")
    try:
        document = parse_toml(data.decode("utf-8"))
    except ValueError as fault:  # also of what is no text
        raise TrustFileError(f"not TOML: {fault}") from None
    _only(document, {"issuer"}, "the file")
    issuers: dict[str, tuple[TrustedKey, ...]] = {}
    for number, entry in enumerate(_tables(document, "issuer", "the file")):
        place = f"issuer[{number}]"
        _only(entry, {"id", "key"}, place)
        name = entry.get("id")
        if not isinstance(name, str) or not name:
            raise TrustFileError(f"{place}: id is missing or not text")
        if name in issuers:
            raise TrustFileError(f"{place}: {name!r} comes twice")
        keys = _tables(entry, "key", place)
        if len(keys) > KEYS_PER_ISSUER_MAX:
            raise TrustFileError(f"{place}: over {KEYS_PER_ISSUER_MAX} keys")
        issuers[name] = tuple(_key(key, f"{place}.key[{n}]") for n, key in enumerate(keys))
    return Trust(issuers=issuers)


def fingerprint_of(public_key: bytes) -> str:
    """Return the fingerprint by which reports name a key: SHA-256 over its raw bytes."""
    return sha256_tagged(public_key)


def _tables(table: dict[str, Any], name: str, place: str) -> list[dict[str, Any]]:
    rows = table.get(name)
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise TrustFileError(f"{place}: needs one or more [[{name}]] tables")
    return rows


def _only(table: dict[str, Any], known: set[str], place: str) -> None:
    for name in table:
        if name not in known:
            raise TrustFileError(f"{place}: {name!r} is not known; use {', '.join(sorted(known))}")


def _key(entry: dict[str, Any], place: str) -> TrustedKey:
    _only(entry, {"key", "valid_from", "valid_until"}, place)
    text = entry.get("key")
    if not isinstance(text, str):
        raise TrustFileError(f"{place}: key is missing or not text")
    try:
        public_key = public_key_from(text)
    except KeyFormatError as fault:
        raise TrustFileError(f"{place}: {fault}") from None
    weakness = key_weakness(public_key)
    if weakness:
        raise TrustFileError(f"{place}: the key is unusable: {weakness}")
    return TrustedKey(
        public_key=public_key,
        valid_from=_instant(entry.get("valid_from"), f"{place}.valid_from"),
        valid_until=_instant(entry.get("valid_until"), f"{place}.valid_until"),
    )


def _instant(value: object, place: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        value = value.isoformat().replace("+00:00", "Z")
    if not isinstance(value, str) or not is_instant(value) or not is_calendar_day(value[:10]):
        raise TrustFileError(f"{place}: is not a timestamp with a time zone")
    return value
