# SPDX-License-Identifier: Apache-2.0
"""Which parameters and responses a receipt carries sealed, and to whom (HPKE, one recipient).

Whatever can't be sealed is still hashed: an action is never lost for the sake of its disclosure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.hpke import KEY_BYTES, public_key_weakness
from tallystick.errors import Error, SettingError
from tallystick.limits import DISCLOSED_TYPES_MAX, DISCLOSURE_BYTES_MAX, IDENTIFIER_CHARS_MAX
from tallystick.model.disclosure import (
    DisclosureEnvelope,
    encrypt_disclosure,
    forensic_kid,
    parse_envelope,
)
from tallystick.model.taxonomy import RiskLevel

_OFF: Final = frozenset(("", "off", "false", "0", "no"))
_ALL: Final = frozenset(("all", "true", "1", "yes"))
_GRAVE: Final = ("high", "critical")


class DisclosurePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Whose payloads are sealed: no action's, grave ones', all of them, or those of some types."""

    mode: Literal["off", "high", "all", "list"] = "off"
    types: frozenset[str] = frozenset()

    def elects(self, action_type: str, risk: RiskLevel) -> bool:
        """Whether an action's payload is to be sealed."""
        if self.mode == "high":
            return risk in _GRAVE
        return self.mode == "all" or (self.mode == "list" and action_type in self.types)


class Disclosed(NamedTuple):
    """What goes into the receipt: an envelope for each payload that was elected."""

    parameters: dict[str, Any] | None
    response: DisclosureEnvelope | None


NOTHING: Final = Disclosed(None, None)


def parse_policy(value: str | bool | int | Sequence[str]) -> DisclosurePolicy:
    """Return the policy that a flag, a variable or a TOML value states, or raise `SettingError`."""
    if isinstance(value, (bool, int)):
        if value not in (0, 1):
            raise SettingError("a disclosure policy is off, high, all or a list of action types")
        return DisclosurePolicy(mode="all" if value else "off")
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _OFF:
            return DisclosurePolicy()
        if word in _ALL:
            return DisclosurePolicy(mode="all")
        if word == "high":
            return DisclosurePolicy(mode="high")
        value = value.split(",")
    names = [name.strip() for name in value]
    if not names:
        return DisclosurePolicy()
    if len(names) > DISCLOSED_TYPES_MAX:
        raise SettingError(f"a disclosure policy names at most {DISCLOSED_TYPES_MAX} action types")
    for name in names:
        if name.lower() in _OFF | _ALL | {"high"}:
            raise SettingError(f"{name!r} is a policy of its own: it can't stand in a list")
        if len(name) > IDENTIFIER_CHARS_MAX or not name.isprintable() or " " in name:
            raise SettingError("a disclosure policy lists exact action types, with commas between")
    return DisclosurePolicy(mode="list", types=frozenset(names))


class Disclosure:
    """Seals what its policies elect. Owns the count of what it could not seal, by reason."""

    def __init__(
        self,
        parameters: DisclosurePolicy,
        responses: DisclosurePolicy,
        public_key: bytes | None,
    ) -> None:
        if public_key is None:
            if parameters.mode != "off" or responses.mode != "off":
                raise SettingError("a disclosure policy needs a forensic public key to seal to")
        else:
            if len(public_key) != KEY_BYTES:
                raise SettingError(f"a forensic public key has {KEY_BYTES} bytes")
            weakness = public_key_weakness(public_key)
            if weakness is not None:
                raise SettingError(f"forensic public key refused: {weakness}")
        self._parameters = parameters
        self._responses = responses
        self._key = public_key
        self._kid = "" if public_key is None else forensic_kid(public_key)
        self.missed: Counter[str] = Counter()

    @property
    def is_idle(self) -> bool:
        """Whether there is a key that no policy uses: worth a line in the log."""
        return self._key is not None and self._parameters.mode == self._responses.mode == "off"

    def seal(
        self, action_type: str, risk: RiskLevel, parameters: object, response: object
    ) -> Disclosed:
        """Return the envelopes for an action; both together fit into a receipt."""
        if self._key is None:
            return NOTHING
        room = DISCLOSURE_BYTES_MAX
        sealed: list[dict[str, Any] | None] = []
        for policy, payload in ((self._parameters, parameters), (self._responses, response)):
            envelope = None
            if payload is not None and policy.elects(action_type, risk):
                envelope, size = self._sealed(payload, room)
                room -= size
            sealed.append(envelope)
        first, second = sealed
        return Disclosed(first, None if second is None else parse_envelope(second))

    def _sealed(self, payload: object, room: int) -> tuple[dict[str, Any] | None, int]:
        if not isinstance(payload, Mapping):
            self.missed["no object"] += 1
            return None, 0
        try:
            size = len(canonicalize(payload))
            if size > room:
                self.missed["too large"] += 1
                return None, 0
            assert self._key is not None
            return encrypt_disclosure(payload, self._key, self._kid), size
        except Error:
            self.missed["not sealed"] += 1
            return None, 0
