# SPDX-License-Identifier: Apache-2.0
"""What a bundle holds of a log, and which receipts a log can speak of.

It speaks of the last one, which is the head that the manifest binds, and with it of all that come
before. Its files stand beside the manifest and not in it: the log's own key vouches for them, and
they may come years after the solver has signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from tallystick.chain.issue import head_behind
from tallystick.deliver.logged import Logged
from tallystick.errors import BundleError
from tallystick.model import bundle
from tallystick.model.chain import Head
from tallystick.model.manifest import Manifest
from tallystick.model.reader import parse_receipt

# Names of members, and what they hold.
LogMembers: TypeAlias = Mapping[str, bytes]


def members_of(logged: Logged) -> LogMembers:
    """Return what a collector gave out under the names that it has in a bundle."""
    return {
        bundle.LOG_PROMISE: logged.promise,
        bundle.LOG_PROOF: logged.proof,
        bundle.LOG_SHEET: logged.sheet,
    }


def bound_receipts(manifest: Manifest, data: bytes | None) -> tuple[bytes, ...]:
    """Return the lines of a run's receipts, the last of which is the head that is bound.

    Each names the one before it: none is logged that the bound head does not speak for.
    """
    bound = manifest.receipt_chain
    if bound is None:
        raise BundleError("binds no receipts that a log could speak of", bundle.MANIFEST)
    if not data:
        raise BundleError("is not there: a log speaks of receipts", bundle.RECEIPTS)
    lines = tuple(data.rstrip(b"\n").split(b"\n"))
    head: Head | None = None
    for line in lines:
        receipt = parse_receipt(line)
        if receipt.link.previous_receipt_hash != (None if head is None else head.hash):
            message = "are not one chain, each after the one that it names"
            raise BundleError(message, bundle.RECEIPTS)
        head = head_behind(receipt)
    assert head is not None  # a text has one line at least
    if (head.chain_id, head.sequence, head.hash) != (bound.chain_id, bound.length, bound.head):
        message = "does not end with the head that the manifest binds"
        raise BundleError(message, bundle.RECEIPTS)
    return lines
