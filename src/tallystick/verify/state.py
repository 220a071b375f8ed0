# SPDX-License-Identifier: Apache-2.0
"""What is remembered of one chain while its receipts pass by."""

from __future__ import annotations

from bisect import bisect_left
from operator import itemgetter

from tallystick.limits import CHAIN_STATE_BYTES_EACH
from tallystick.model.chain import Delegation, Termination
from tallystick.model.extension import MEMBER
from tallystick.model.receipt import Receipt
from tallystick.verify.report import ChainReport, KeyUse
from tallystick.verify.trust import TrustedKey, fingerprint_of

# What a stretch of receipts under one key costs here and in the report.
KEY_USE_BYTES_EACH = 500


def bytes_of(text: str | None) -> int:
    """Return how much memory a text takes."""
    return 0 if text is None else text.__sizeof__()


def _previous_of(receipt: Receipt) -> str | None:
    """Return the chain that the one with this first receipt says it goes on from."""
    runtime = receipt.issuer.runtime if receipt.issuer is not None else None
    if runtime is None:
        return None
    ours = runtime.get(MEMBER)
    before = ours.get("previous_chain") if isinstance(ours, dict) else None
    name = before.get("chain_id") if isinstance(before, dict) else None
    return name if isinstance(name, str) else None


class ChainState:
    """The state of one chain. Owned by one `Judge`."""

    __slots__ = (
        "active_key",
        "chain_id",
        "delegation",
        "head",
        "is_closed",
        "issued",
        "issuer",
        "key_uses",
        "length",
        "method",
        "previous",
        "principal",
        "sequence",
        "session",
        "signed_first",
        "signed_last",
        "status",
        "where",
        "windows",
    )

    def __init__(self, chain_id: str, receipt: Receipt, where: str) -> None:
        self.chain_id = chain_id
        self.where = where
        self.issuer: str | None = receipt.issuer.id if receipt.issuer is not None else None
        self.session = receipt.issuer.session_id if receipt.issuer is not None else None
        principal = receipt.credentialSubject.principal
        self.principal: str | None = principal.id if principal is not None else None
        self.delegation: Delegation | None = receipt.credentialSubject.delegation
        self.previous = _previous_of(receipt)
        self.method: str | None = None
        self.issued: str | None = None
        self.length = 0
        self.sequence = 0
        self.head = ""
        self.is_closed = False
        self.status: Termination = "unknown"
        self.active_key: bytes | None = None
        self.windows: tuple[TrustedKey, ...] = ()
        # (key, first sequence, last sequence) of each key that signed a stretch.
        self.key_uses: list[tuple[bytes, int, int]] = []
        self.signed_first = self.signed_last = 0

    def bytes_kept(self) -> int:
        """Return about how much memory this state takes."""
        names: tuple[str | None, ...] = (
            self.chain_id, self.where, self.issuer, self.session, self.principal, self.method,
            self.previous,
        )  # fmt: skip
        if self.delegation is not None:
            parent = self.delegation
            delegator = parent.delegator.id if parent.delegator is not None else None
            names += (parent.parent_chain_id, parent.parent_receipt_id, delegator)
        return CHAIN_STATE_BYTES_EACH + sum(map(bytes_of, names))

    def stand_on(self, key: bytes, trusted: tuple[TrustedKey, ...]) -> None:
        """Make `key` the one that the next receipts are signed with."""
        self._close_stretch()
        self.active_key = key
        same = tuple(entry for entry in trusted if entry.public_key == key)
        # A key that is trusted without a window counts always, whatever other entries say.
        limited = all(entry.valid_from or entry.valid_until for entry in same)
        self.windows = same if limited else ()

    def note_signed(self, sequence: int) -> None:
        """Remember that the active key signed the receipt with that sequence."""
        self.signed_last = sequence
        if not self.signed_first:
            self.signed_first = sequence

    def earlier_keys(self, sequence: int) -> list[bytes]:
        """Return the key that signed the stretch with that sequence, where it handed over since."""
        # Stretches follow each other. Where they don't, the chain is refused for that.
        at = bisect_left(self.key_uses, sequence, key=itemgetter(2))
        return [key for key, first, _ in self.key_uses[at : at + 1] if first <= sequence]

    def signers(self) -> tuple[bytes | None, bytes | None]:
        """Return the first and the last key that signed a receipt of the chain."""
        keys: list[bytes | None] = [key for key, _, _ in (*self.key_uses[:1], *self.key_uses[-1:])]
        if self.signed_first or not keys:
            keys.append(self.active_key)  # None where nobody has signed
        return keys[0], keys[-1]

    def _close_stretch(self) -> None:
        if self.signed_first and self.active_key is not None:
            self.key_uses.append((self.active_key, self.signed_first, self.signed_last))
            self.signed_first = self.signed_last = 0

    def report(self) -> ChainReport:
        """Return what is known of the chain."""
        self._close_stretch()
        return ChainReport(
            chain_id=self.chain_id,
            issuer=self.issuer or "",
            length=self.length,
            head=self.head,
            termination=self.status,
            keys=tuple(
                KeyUse(fingerprint=fingerprint_of(key), first_sequence=first, last_sequence=last)
                for key, first, last in self.key_uses
            ),
        )
