# SPDX-License-Identifier: Apache-2.0
"""One key gives way to the next while the daemon runs, or not at all, wherever it dies.

    1  staged     the next key lies in `<key>.next`; nothing else has changed
    2  archived   the public half of the outgoing key lies beside the published one
    3  committed  one transaction of the store hands the root over and closes all chains
    4  installed  `<key>.next` has become the key
    5  published  the published key is the next one

Before 3 a crash leaves everything as it was, and a start throws the staged key away. From 3 on the
store itself says, signed by the outgoing key, which key comes next: a start does what is left.
"""

from __future__ import annotations

from collections.abc import Callable

from tallystick.daemon.key_source import KeySource
from tallystick.daemon.publishing import archive, published, replace
from tallystick.daemon.vouching import is_signed
from tallystick.durable.file import FilePath
from tallystick.errors import SigningError, StoreCorruptError
from tallystick.model.receipt import Receipt, split_canonical
from tallystick.model.rotation import KeyRotation, incoming_key, rotation_between, rotation_faults
from tallystick.model.taxonomy import KEY_ROTATE
from tallystick.ports import Signer
from tallystick.store.ledger import LedgerStore

Reached = Callable[[str], None]
HandOver = Callable[[KeyRotation, Signer], None]


def rotate(
    keys: KeySource,
    public_path: FilePath,
    hand_over: HandOver,
    reached: Reached = lambda _: None,
) -> tuple[bytes, bytes]:
    """Hand over to the next key, and return both public keys; `reached` is told of each step."""
    outgoing = keys.get_public_key()
    successor = keys.stage()
    incoming = successor.get_public_key()
    try:
        rotation = rotation_between(outgoing, incoming)
        reached("staged")
        archive(public_path, outgoing)
        reached("archived")
    except BaseException:
        keys.discard()
        raise
    # What becomes of a transaction that fails is known only when the store is opened again: until
    # then the staged key is kept.
    try:
        hand_over(rotation, successor)
    except SigningError:  # before anything was written
        keys.discard()
        raise
    reached("committed")
    keys.install()
    reached("installed")
    replace(public_path, incoming)
    reached("published")
    return outgoing, incoming


def recover(keys: KeySource, public_path: FilePath, store: LedgerStore) -> str | None:
    """Finish or undo what a crash left of a rotation; return what was done, if anything."""
    current = keys.get_public_key()
    staged = keys.staged()
    last = last_rotation(store)
    if staged is not None:
        if last is None or incoming_key(last[0]) != staged.get_public_key():
            return "a rotation that was not committed was undone" if keys.discard() else None
        if not is_sound(last, current):
            raise StoreCorruptError(
                f"{store.path}: the hand-over to the next key is not signed by the key before it; "
                "nothing was changed"
            )
        incoming = staged.get_public_key()
        keys.install()
        replace(public_path, incoming)
        return "a rotation that was committed was finished"
    before = published(public_path)
    if before is None or before == current or last is None:
        return None
    if incoming_key(last[0]) != current or not is_sound(last, before):
        return None
    replace(public_path, current)
    return "the public key of a committed rotation was published"


def last_rotation(store: LedgerStore) -> tuple[KeyRotation, Receipt, bytes] | None:
    """Return the newest hand-over in the store with its receipt and its signed bytes."""
    body = store.newest_of_type(KEY_ROTATE)
    found = None if body is None else split_canonical(body.encode("utf-8", "surrogatepass"))
    if found is None:
        return None
    receipt, statement = found
    rotation = receipt.credentialSubject.keyRotation
    return None if rotation is None else (rotation, receipt, statement)


def is_sound(last: tuple[KeyRotation, Receipt, bytes], outgoing: bytes) -> bool:
    """Whether a hand-over is from this key and signed by it."""
    rotation, receipt, statement = last
    return not rotation_faults(rotation, outgoing) and is_signed(receipt, statement, outgoing)
