# SPDX-License-Identifier: Apache-2.0
"""A machine that issues receipts, closes chains, rotates keys, delegates, and is attacked.

The oracle is the machine's own book of what it did: the verifier must say the same, and must
refuse each copy that somebody else has changed.
"""

from __future__ import annotations

from itertools import count
from typing import Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.material import uuid

from tallystick.chain.issue import create_receipt, issue
from tallystick.crypto.ed25519 import KeyPair
from tallystick.model.chain import Delegation, Delegator, Head, Link
from tallystick.model.receipt import Receipt, UnsignedReceipt
from tallystick.model.rotation import KeyRotation, rotation_between
from tallystick.verify.report import Report
from tallystick.verify.source import Source
from tallystick.verify.verification import verify_chain, verify_input

KEYS = [KeyPair.from_seed(bytes([number]) * 32) for number in range(1, 6)]
STRANGER = KeyPair.from_seed(b"\xff" * 32)
ISSUER = "did:agent:machine"
INDEXES = st.integers(0, 10_000)


def raw(key: KeyPair) -> bytes:
    return key.signing_key().public_key


class Book:
    """One chain, and what is known of it."""

    def __init__(self, chain_id: str, key: int, parent: Receipt | None = None) -> None:
        self.head = Head(chain_id=chain_id)
        self.first_key = self.key = key
        self.parent = parent
        self.receipts: list[Receipt] = []
        self.open_calls: set[str] = set()
        self.is_closed = False
        self.stretches = 0

    def lines(self) -> list[bytes]:
        return [receipt.to_json() for receipt in self.receipts]


class Issuing(RuleBasedStateMachine):
    """Issues honestly; each attack works on a copy."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = count(1)
        self.moment = 1_777_777_777_000_000_000
        self.books = [Book("chain:0", 0)]

    def clock(self) -> int:
        self.moment += 1_000_000
        return self.moment

    def issue_to(
        self,
        book: Book,
        *,
        status: Literal["success", "failure", "pending"] = "success",
        correlation: str | None = None,
        hand_over: KeyRotation | None = None,
        terminal: bool = False,
        key: KeyPair | None = None,
    ) -> Receipt:
        def draft(link: Link) -> UnsignedReceipt:
            delegation = None
            if book.parent is not None and link.sequence == 1:
                delegation = Delegation(
                    delegator=Delegator(id=ISSUER),
                    parent_chain_id=book.parent.link.chain_id,
                    parent_receipt_id=book.parent.id,
                )
            return create_receipt(
                issuer={"id": ISSUER},
                principal={"id": "did:user:u"},
                action={"type": "agent.key.rotate" if hand_over else "data.api.read"},
                outcome={"status": status},
                chain=link,
                delegation=delegation,
                key_rotation=hand_over,
                correlation_id=correlation,
                clock=self.clock,
                ids=lambda: uuid(next(self.numbers)),
            )

        receipt, head = issue(
            book.head, draft, key or KEYS[book.key], f"{ISSUER}#key", terminal=terminal,
            clock=self.clock,
        )  # fmt: skip
        if key is None:
            book.head = head
            book.receipts.append(receipt)
        return receipt

    def open_books(self) -> list[Book]:
        return [book for book in self.books if not book.is_closed]

    def pick(self, index: int, *, least: int = 0) -> Book | None:
        books = [book for book in self.open_books() if len(book.receipts) >= least]
        return books[index % len(books)] if books else None

    @rule(index=INDEXES, status=st.sampled_from(["success", "failure"]))
    def act(self, index: int, status: Literal["success", "failure"]) -> None:
        """Record an action."""
        if book := self.pick(index):
            self.issue_to(book, status=status)

    @rule(index=INDEXES)
    def call(self, index: int) -> None:
        """Record a call that waits for its result."""
        if book := self.pick(index):
            correlation = f"call-{next(self.numbers)}"
            self.issue_to(book, status="pending", correlation=correlation)
            book.open_calls.add(correlation)

    @rule(index=INDEXES)
    def answer(self, index: int) -> None:
        """Record the result of an open call."""
        book = self.pick(index)
        if book is not None and book.open_calls:
            self.issue_to(book, correlation=book.open_calls.pop())

    @rule(index=INDEXES, to=st.integers(0, len(KEYS) - 1))
    def rotate(self, index: int, to: int) -> None:
        """Hand a chain over to another key."""
        book = self.pick(index)
        if book is not None and to != book.key:
            self.issue_to(book, hand_over=rotation_between(raw(KEYS[book.key]), raw(KEYS[to])))
            book.key = to

    @precondition(lambda self: len(self.books) < 4)
    @rule(index=INDEXES)
    def delegate(self, index: int) -> None:
        """Begin a chain that hangs on a receipt of another one."""
        if book := self.pick(index, least=1):
            parent = book.receipts[index % len(book.receipts)]
            child = Book(f"chain:{len(self.books)}", 0, parent)
            self.issue_to(child)
            self.books.append(child)

    @rule(index=INDEXES)
    def close(self, index: int) -> None:
        """Close a chain."""
        if book := self.pick(index, least=2):
            self.issue_to(book, terminal=True)
            book.is_closed = True

    @invariant()
    def the_verifier_says_what_the_book_says(self) -> None:
        """Each chain by itself is verified, with its length, its head and its end."""
        for book in self.books:
            if not book.receipts:
                continue
            report = self.verify(book, book.lines())
            assert report.verified
            (chain,) = report.chains
            assert (chain.length, chain.head) == (len(book.receipts), book.head.hash)
            assert chain.termination == ("complete" if book.is_closed else "unknown")
            assert report.codes().count("incomplete_tool_roundtrip") == len(book.open_calls)
            assert set(report.codes()) <= {"incomplete_tool_roundtrip", "delegation_unresolved"}

    @invariant()
    def all_chains_together_are_verified(self) -> None:
        """Together the chains prove their delegations as well, in any order of the chains."""
        books = [book for book in self.books if book.receipts]
        if books:
            lines = [line for book in reversed(books) for line in book.lines()]
            report = verify_input([Source(lines)], raw(KEYS[0]), workers=2)
            assert report.verified
            assert set(report.codes()) <= {"incomplete_tool_roundtrip"}

    def verify(self, book: Book, lines: list[bytes]) -> Report:
        return verify_chain(
            lines,
            raw(KEYS[book.first_key]),
            expected_length=len(book.receipts),
            expected_head=book.head.hash,
            require_terminal=book.is_closed,
        )

    def attack(self, index: int, least: int) -> Book | None:
        books = [book for book in self.books if len(book.receipts) >= least]
        return books[index % len(books)] if books else None

    @rule(index=INDEXES, where=INDEXES)
    def remove(self, index: int, where: int) -> None:
        """Somebody takes a receipt out."""
        if book := self.attack(index, 1):
            lines = book.lines()
            del lines[where % len(lines)]
            assert not self.verify(book, lines)

    @rule(index=INDEXES, where=INDEXES, other=INDEXES)
    def move(self, index: int, where: int, other: int) -> None:
        """Somebody exchanges two receipts."""
        if book := self.attack(index, 2):
            lines = book.lines()
            one, two = where % len(lines), other % len(lines)
            lines[one], lines[two] = lines[two], lines[one]
            assert self.verify(book, lines).verified is (one == two)

    @rule(index=INDEXES, where=INDEXES)
    def repeat(self, index: int, where: int) -> None:
        """Somebody puts a receipt in again."""
        if book := self.attack(index, 1):
            lines = book.lines()
            lines.insert(where % (len(lines) + 1), lines[where % len(lines)])
            assert str(self.verify(book, lines).verdict) == "refused"

    @rule(index=INDEXES, where=INDEXES)
    def alter(self, index: int, where: int) -> None:
        """Somebody makes a failure of a success, or the other way round."""
        if book := self.attack(index, 1):
            lines = book.lines()
            at = where % len(lines)
            changed = lines[at].replace(b'"success"', b'"failure"')
            if changed == lines[at]:
                changed = lines[at].replace(b'"data.api.read"', b'"data.api.write"')
            if changed != lines[at]:
                lines[at] = changed
                assert str(self.verify(book, lines).verdict) == "refused"

    @rule(index=INDEXES)
    def go_on_as_a_stranger(self, index: int) -> None:
        """Somebody without the key adds a receipt in the right place."""
        if book := self.attack(index, 1):
            forged = self.issue_to(book, key=STRANGER).to_json()
            report = verify_chain([*book.lines(), forged], raw(KEYS[book.first_key]))
            assert str(report.verdict) == "refused"

    @rule(index=INDEXES)
    def go_on_with_a_spent_key(self, index: int) -> None:
        """Somebody with a key that has handed over adds a receipt in the right place."""
        book = self.attack(index, 1)
        if book is not None and book.key != book.first_key:
            forged = self.issue_to(book, key=KEYS[book.first_key]).to_json()
            report = verify_chain([*book.lines(), forged], raw(KEYS[book.first_key]))
            assert str(report.verdict) == "refused"

    @rule(index=INDEXES)
    def go_on_after_the_end(self, index: int) -> None:
        """The issuer itself goes on with a chain that it has closed."""
        closed = [book for book in self.books if book.is_closed]
        if closed:
            book = closed[index % len(closed)]
            more = self.issue_to(book, key=KEYS[book.key]).to_json()
            report = verify_chain([*book.lines(), more], raw(KEYS[book.first_key]))
            assert "CHAIN_AFTER_TERMINAL" in report.codes()

    @rule(index=INDEXES)
    def pass_for_another(self, index: int) -> None:
        """Somebody presents a chain as that of another key."""
        if book := self.attack(index, 1):
            report = verify_chain(book.lines(), raw(STRANGER))
            assert str(report.verdict) == "refused"


TestIssuing = Issuing.TestCase
TestIssuing.settings = settings(max_examples=max(5, settings().max_examples // 5))
