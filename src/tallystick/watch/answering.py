# SPDX-License-Identifier: Apache-2.0
"""Answers questions about a solver's own posts, out of the bundles that it keeps."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from tallystick.errors import (
    LimitError,
    NodeError,
    PostingError,
    RefusedInput,
    SigningError,
    SpendRefused,
    WalError,
)
from tallystick.model.artifact import encode_entry
from tallystick.model.bundle import BundleReader, exactly
from tallystick.model.bundle_head import BundleHead, read_head
from tallystick.onchain.account import Account
from tallystick.onchain.contracts import MANIFEST_INDEX, Contracts, DisputeState
from tallystick.onchain.solving import entry_answer, manifest_answer


def answer_questions(
    contracts: Contracts,
    account: Account,
    solver_id: bytes,
    bundles: str,
    tell: Callable[[DisputeState, str], None],
) -> None:
    """Answer each open question about this solver's posts; say of each what became of it.

    Anybody may ask anybody anything, so nothing about one question keeps another unanswered.
    """
    for question in contracts.questions():
        try:
            told = _answered(contracts, account, solver_id, bundles, question)
        except (NodeError, PostingError, SpendRefused, LimitError, SigningError, WalError) as fault:
            told = f"failed: {fault}"
        if told:
            tell(question, told)


def _answered(
    contracts: Contracts, account: Account, solver_id: bytes, bundles: str, question: DisputeState
) -> str:
    """Answer one question, and say so; say nothing of one that is another's, or ended."""
    if contracts.post(question.receipt_id).solver_id != solver_id:
        return ""
    if not contracts.is_open(question.dispute_id):
        return ""
    posted = contracts.posted(question.receipt_id)
    head = _bundle_of(bundles, posted.commitment.evidence_hash)
    if head is None:
        return "no bundle here has that manifest"
    if question.index == MANIFEST_INDEX:
        wish = manifest_answer(contracts, question.dispute_id, posted, head.canonical)
    else:
        entries = [encode_entry(one) for one in head.entries]
        wish = entry_answer(contracts, question.dispute_id, question.index, posted, entries)
    return f"answered in 0x{account.do(wish).hash.hex()}"


def path_of(directory: str, evidence_hash: bytes) -> str | None:
    """Return the path of the bundle in a folder, or below, whose manifest has this hash."""
    wanted = evidence_hash.hex()
    for path in _bundles(directory):
        head = _head_of(path)
        if head is not None and head.sha256 == wanted:
            return path
    return None


def _bundle_of(directory: str, evidence_hash: bytes) -> BundleHead | None:
    path = path_of(directory, evidence_hash)
    return None if path is None else _head_of(path)


def _head_of(path: str) -> BundleHead | None:
    try:
        with open(path, "rb") as stream:
            return read_head(BundleReader(exactly(stream.read)))
    except (OSError, RefusedInput):
        return None  # somebody else's file


def _bundles(directory: str) -> Iterator[str]:
    for where, folders, names in os.walk(directory):
        folders.sort()
        yield from (os.path.join(where, name) for name in sorted(names) if name.endswith(".tally"))
