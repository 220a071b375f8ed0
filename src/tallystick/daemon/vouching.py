# SPDX-License-Identifier: Apache-2.0
"""Which earlier keys the published one vouches for: who may plant a file vouches for nothing.

An earlier public key lies beside the published one, in a file that proves nothing by itself. What
proves it is the store: the key's own hand-over, and the receipt right behind it, which the next key
signed and which holds the hash of the hand-over. So each key vouches for the one before it, and
the published one, which the reader trusts, in the end for all. An earlier key counts up to its
hand-over: what it signs later, whoever has it by then, counts no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tallystick.crypto.checking import check
from tallystick.crypto.digest import sha256_tagged
from tallystick.crypto.multibase import b64u_decode
from tallystick.errors import RefusedInput
from tallystick.limits import ARCHIVED_KEYS_MAX
from tallystick.model.receipt import Receipt, split_canonical
from tallystick.model.rotation import incoming_key, rotation_faults
from tallystick.model.taxonomy import KEY_ROTATE
from tallystick.store.ledger_reads import Filter, LedgerReader
from tallystick.verify.trust import TrustedKey


def hand_overs(reader: LedgerReader) -> list[tuple[bytes, bytes]]:
    """Return each hand-over of a store, oldest first, with the receipt behind it."""
    found = []
    for one in reader.receipts(Filter(action_type=KEY_ROTATE)):
        behind = reader.at(one.chain_id, one.sequence + 1)
        if behind is not None:
            found.append((one.body, behind.body))
    return found[-ARCHIVED_KEYS_MAX:]


def vouched_keys(
    published_key: bytes, archived_keys: Iterable[bytes], given: Iterable[tuple[bytes, bytes]]
) -> list[TrustedKey]:
    """Return the keys under which chains may stand by these hand-overs, the published one first."""
    pairs = [(split_canonical(one), split_canonical(behind)) for one, behind in given]
    rotations = [(one, behind) for one, behind in pairs if one is not None and behind is not None]
    by_fingerprint = {sha256_tagged(key): key for key in archived_keys}
    by_fingerprint.update(_announced(one for (one, _), _ in rotations))
    vouched = {published_key: TrustedKey(public_key=published_key)}
    # Oldest first they are found, newest first they are followed.
    for (receipt, statement), last in reversed(rotations):
        rotation = receipt.credentialSubject.keyRotation
        if rotation is None:
            continue
        outgoing = by_fingerprint.get(rotation.old_key_fingerprint)
        incoming = incoming_key(rotation)
        if outgoing is None or incoming not in vouched or outgoing in vouched:
            continue
        if _is_sound((receipt, statement), last, outgoing, incoming):
            vouched[outgoing] = TrustedKey(
                public_key=outgoing, valid_until=receipt.issuanceDate, is_earlier=True
            )
    return list(vouched.values())


def unpublished_key(published_key: bytes, given: Sequence[tuple[bytes, bytes]]) -> bytes | None:
    """Return the key to which the newest hand-over goes from the published one, if it does.

    So it is from when a rotation is committed until the next key is published: both have signed.
    """
    if not given:
        return None
    handed_over, behind = map(split_canonical, given[-1])
    rotation = None if handed_over is None else handed_over[0].credentialSubject.keyRotation
    if handed_over is None or behind is None or rotation is None:
        return None
    incoming = incoming_key(rotation)
    if incoming is None or not _is_sound(handed_over, behind, published_key, incoming):
        return None
    return incoming


def _is_sound(
    handed_over: tuple[Receipt, bytes],
    behind: tuple[Receipt, bytes],
    outgoing: bytes,
    incoming: bytes,
) -> bool:
    """Whether one key signed the hand-over to the other, which signed the receipt behind it."""
    receipt, statement = handed_over
    rotation = receipt.credentialSubject.keyRotation
    return (
        rotation is not None
        and not rotation_faults(rotation, outgoing)
        and is_signed(receipt, statement, outgoing)
        and is_signed(*behind, incoming)
        and behind[0].link.chain_id == receipt.link.chain_id
        and behind[0].link.previous_receipt_hash == sha256_tagged(statement)
    )


def _announced(rotations: Iterable[Receipt]) -> Iterator[tuple[str, bytes]]:
    """Yield the keys that hand-overs name in full: of all but the first, no file is needed."""
    for receipt in rotations:
        rotation = receipt.credentialSubject.keyRotation
        key = None if rotation is None else incoming_key(rotation)
        if key is not None:
            yield sha256_tagged(key), key


def is_signed(receipt: Receipt, statement: bytes, key: bytes) -> bool:
    """Whether a receipt's signature over these bytes is this key's."""
    try:
        signature = b64u_decode(receipt.proof.proofValue[1:])
    except RefusedInput:
        return False
    return check(signature, statement, key)
