# SPDX-License-Identifier: Apache-2.0
"""What the second pass confirms, and that nobody can change the input between the two."""

from __future__ import annotations

from collections.abc import Iterator

from tallystick import (
    Head,
    Link,
    UnsignedReceipt,
    create_receipt,
    generate_key_pair,
    issue,
    verify_chain,
)

KEYS = generate_key_pair()


def lines(count: int) -> list[bytes]:
    """Return a chain as the bytes of its receipts."""

    def draft(link: Link) -> UnsignedReceipt:
        return create_receipt(
            issuer={"id": "did:agent:x"},
            principal={"id": "u"},
            action={"type": "filesystem.file.read"},
            outcome={"status": "success"},
            chain=link,
        )

    head, made = Head(chain_id="c"), []
    for _ in range(count):
        receipt, head = issue(head, draft, KEYS, "did:agent:x#key-1")
        made.append(receipt.to_json())
    return made


class Changing:
    """Gives another content at the second reading."""

    def __init__(self, *readings: list[bytes]) -> None:
        self._readings = list(readings)
        self._has_begun = False

    def __iter__(self) -> Iterator[bytes]:
        # The verifier asks once whether it can read twice, and reads nothing then.
        return self._read()

    def _read(self) -> Iterator[bytes]:
        yield from self._readings.pop(0)


def test_a_repeat_is_confirmed() -> None:
    """Read twice alike, the repeated id is named with both places."""
    made = lines(3)
    report = verify_chain([*made, made[0]], KEYS.public_key)
    found = next(f for f in report.findings if f.code == "ID_DUPLICATE")
    assert found.where == "receipt[3]/id"
    assert "receipt[0]/id" in found.message


def test_input_that_changes_in_between_is_told() -> None:
    """A repeat that is gone at the second reading is not forgotten."""
    made = lines(3)
    report = verify_chain(Changing([*made, made[0]], made), KEYS.public_key)
    assert not report
    assert "REPEATS_UNCONFIRMED" in report.codes()


def test_without_suspicion_there_is_one_pass() -> None:
    """A chain without repeats is read once: there is no second reading to pop."""
    assert verify_chain(Changing(lines(3)), KEYS.public_key)
