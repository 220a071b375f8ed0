# SPDX-License-Identifier: Apache-2.0
"""Fills a folder with all that a daemon's store can be verified with, and be put back from.

    receipts.db                 the store as it was at one moment, whatever the daemon does
    receipts.db.imported/       chains from elsewhere, where there are any
    signing.key.pub             the public key, and earlier ones beside it (….rotated-…)
    receipts.proof              what has to be there, as `tally export --proof` says it

Never the private key, and never the file of heads: that one is how a daemon notices that its store
was rolled back. Public keys are read as keys and written anew, so nothing else can come along.

Nothing is verified. What was tampered with is copied as it is: it is evidence.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence

import msgspec

from tallystick.crypto.ed25519 import public_key_pem
from tallystick.daemon.backup_proof import proof_of
from tallystick.daemon.publishing import archive_path, archived, published
from tallystick.daemon.vouching import is_signed
from tallystick.durable.file import FilePath, make_directory, reason_of, shown, write_new
from tallystick.durable.whole import WholeFile
from tallystick.errors import StoreError, UnreadableError
from tallystick.model.export_proof import ExportProof
from tallystick.model.receipt import split_canonical
from tallystick.store.imported import imported_chains, imported_folder
from tallystick.store.ledger_copy import copy_ledger
from tallystick.store.ledger_reads import LedgerReader

STORE, PUBLIC_KEY, PROOF = "receipts.db", "signing.key.pub", "receipts.proof"
FILE_MODE, FOLDER_MODE = 0o640, 0o750

_READ_BYTES = 1024 * 1024
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

# What is told of how far it is: files that are done, and bytes.
Progress = Callable[[int, int], None]


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds."""

    # The paths of the store and of each imported chain.
    stores: tuple[str, ...]
    # The path of the public key; None where none was found.
    public_key: str | None
    earlier_keys: int
    # None where the store can't be read as a ledger: whoever verifies it says why.
    proof: ExportProof | None


def fill(
    folder: str,
    *,
    store: FilePath,
    public_path: FilePath,
    trusted: Sequence[bytes] = (),
    beside: Sequence[FilePath] = (),
    progress: Progress | None = None,
) -> Contents:
    """Copy a store and what belongs to it into an empty folder; all of it is on stable storage.

    `public_path` is where its daemon publishes; the first of the keys that are trusted stands in
    where nothing is published there. Earlier keys lie beside it, and beside the other paths.
    """
    tell = progress or (lambda _files, _bytes: None)
    # A rotation may come while the store is copied: then it is the key from before or from after.
    before = published(public_path)
    target = os.path.join(folder, STORE)
    copy_ledger(store, target, FILE_MODE, progress=lambda done, _: tell(0, done))
    stores = [target, *_copy_imported(os.fspath(store), target, tell)]
    candidates = [published(public_path), before, *trusted]
    key = _key_of(target, [one for one in candidates if one is not None])
    earlier = _earlier_keys((public_path, *beside), but=key)
    path = None if key is None else _write_keys(folder, key, earlier)
    proof = proof_of(target, stores[1:], earlier)
    if proof is not None:
        write_new(os.path.join(folder, PROOF), proof.encoded(), FILE_MODE)
    return Contents(stores=tuple(stores), public_key=path, earlier_keys=len(earlier), proof=proof)


def size_of(store: FilePath) -> int:
    """Return about how many bytes there are to copy, for a bar."""
    paths = [os.fspath(store), *_imported(os.fspath(store))]
    total = 0
    for path in paths:
        try:
            total += os.stat(path).st_size
        except OSError:
            continue  # whoever copies it finds out, and says so
    return total


def _imported(store: str) -> list[str]:
    """Return the paths of the chains that were imported beside a store."""
    try:
        return imported_chains(store)
    except OSError as error:
        folder = shown(imported_folder(store))
        raise UnreadableError(f"{folder} could not be read: {reason_of(error)}") from error


def _copy_imported(store: str, target: str, tell: Progress) -> Iterator[str]:
    done = os.stat(target).st_size
    folder = imported_folder(target)
    for number, path in enumerate(_imported(store), start=1):
        make_directory(folder, FOLDER_MODE)
        place = os.path.join(folder, os.path.basename(path))
        with WholeFile(place, FILE_MODE) as file:
            for part in _parts(path):
                file.write(part)
                done += len(part)
                tell(number, done)
            file.finish()
        yield place
    if os.path.isdir(folder):
        os.chmod(folder, FOLDER_MODE)  # whatever the umask


def _parts(path: str) -> Iterator[bytes]:
    """Yield the bytes of a plain file, and of nothing that only looks like one."""
    try:
        descriptor = os.open(path, _OPEN)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UnreadableError(f"{shown(path)} is not a regular file: refused")
            while part := os.read(descriptor, _READ_BYTES):
                yield part
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UnreadableError(f"{shown(path)} could not be read: {reason_of(error)}") from error


def _key_of(store: str, candidates: Sequence[bytes]) -> bytes | None:
    """Return which of these keys signed the newest receipt of a copy, or else the first."""
    if len(set(candidates)) > 1:
        try:
            with LedgerReader(store) as reader:
                newest = reader.newest(limit=1)
        except StoreError:
            newest = []
        found = split_canonical(newest[0].body) if newest else None
        if found is not None:
            for key in candidates:
                if is_signed(*found, key):
                    return key
    return candidates[0] if candidates else None


def _earlier_keys(paths: Sequence[FilePath], *, but: bytes | None) -> list[bytes]:
    found = [key for path in paths for key in archived(path)]
    return [key for key in dict.fromkeys(found) if key != but]


def _write_keys(folder: str, key: bytes, earlier: Sequence[bytes]) -> str:
    path = os.path.join(folder, PUBLIC_KEY)
    write_new(path, public_key_pem(key).encode(), FILE_MODE)
    for one in earlier:
        write_new(archive_path(path, one), public_key_pem(one).encode(), FILE_MODE)
    return path
