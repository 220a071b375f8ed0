# SPDX-License-Identifier: Apache-2.0
"""Signatures checked one at a time and packed. What libsodium accepts: `test_ed25519.py`."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.crypto.checking import check, check_packed, pack
from tallystick.crypto.ed25519 import SigningKey

KEY = SigningKey.from_seed(bytes(range(32)))
OTHER = SigningKey.from_seed(bytes(32))
Question = tuple[bytes, bytes, bytes]


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """Return a question to which the answer is yes in about half of the cases."""
    message = draw(st.binary(max_size=80))
    signature = draw(st.sampled_from([KEY, OTHER])).sign(message)
    if draw(st.booleans()):
        message += b"."
    return signature, message, draw(st.sampled_from([KEY, KEY, OTHER])).public_key


def test_other_sizes_are_not_accepted() -> None:
    """Not even where the bytes before or behind would make up for it: C measures nothing."""
    seeds = (number.to_bytes(32, "big") for number in range(10_000))
    # Behind the bytes of a Python value stands a zero, which would be read for the last one.
    key = next(key for key in map(SigningKey.from_seed, seeds) if key.public_key[31] == 0)
    public, signature = key.public_key, key.sign(b"message")
    assert check(signature, b"message", public)
    assert not check(signature, b"message", public[:31])
    assert not check(signature, b"message", public + b"x")
    assert not check(signature[:63], signature[63:] + b"message", public)
    assert not check(signature + b"m", b"essage", public)


@given(st.lists(questions(), max_size=9))
def test_packed_answers_are_those_of_one_at_a_time(asked: list[Question]) -> None:
    """A byte a question, in order, each the answer of `check`."""
    assert list(check_packed(pack(asked))) == [check(*question) for question in asked]


@given(st.lists(questions(), min_size=1, max_size=3), st.data())
def test_a_cut_piece_is_no_piece(asked: list[Question], data: st.DataObject) -> None:
    """A piece that ends within a question is refused; nothing is read past its end."""
    piece = pack(asked)
    ends = {len(pack(asked[:count])) for count in range(len(asked) + 1)}
    cut = data.draw(st.integers(0, len(piece)).filter(lambda size: size not in ends))
    with pytest.raises(ValueError, match="ends within a question"):
        check_packed(piece[:cut])


def test_a_size_that_holds_no_signature_is_no_piece() -> None:
    """A question shorter than a signature is refused."""
    piece = bytearray(pack([(KEY.sign(b""), b"", KEY.public_key)]))
    piece[3] -= 1
    with pytest.raises(ValueError, match="ends within a question"):
        check_packed(bytes(piece[:-1]))


@pytest.mark.parametrize(
    "question",
    [(bytes(63), b"", bytes(32)), (bytes(65), b"", bytes(32)), (bytes(64), b"", bytes(31))],
)
def test_other_sizes_are_not_packed(question: Question) -> None:
    """What `check` would refuse unseen can't be packed: it would shift all that follows."""
    assert not check(*question)
    with pytest.raises(ValueError, match="64 bytes and a key 32"):
        pack([question])


def test_a_process_that_only_checks_loads_nothing_else() -> None:
    """Neither our errors nor any parser: a checker is to start in milliseconds."""
    code = (
        "import sys, tallystick.verify.checker\n"
        "assert {one for one in sys.modules if one.startswith('tallystick')} == {\n"
        "    'tallystick', 'tallystick.crypto', 'tallystick.crypto.checking',\n"
        "    'tallystick.verify', 'tallystick.verify.checker', 'tallystick.verify.pieces'}\n"
        "assert not {'msgspec', 'hashlib', 'json', 'socket'} & set(sys.modules)\n"
    )
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}\n{code}"],
        check=True,
        timeout=60,
    )
