# SPDX-License-Identifier: Apache-2.0
"""A signed post is read as it was written, and proves that two outcomes were signed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.chains import CHALLENGER, REQUESTER, SOLVER, Chain, embedded, signer_of

from tallystick.errors import PostingError, RevertError
from tallystick.onchain.challenging import equivocation
from tallystick.onchain.contracts import PostStatus
from tallystick.onchain.signed_post import keep_signed, read_signed, relaying, sign_post
from tallystick.onchain.solving import Offer


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with embedded(tmp_path / "chain") as made:
        yield made


@pytest.mark.parametrize("offer", [Offer(), Offer(requester=REQUESTER.address, volume=5)])
def test_two_words_for_one_thing(chain: Chain, tmp_path: Path, offer: Offer) -> None:
    """Another outcome slashes, in either form; the same outcome or a stranger's word does not."""
    contracts, challenger = chain.contracts, chain.account(CHALLENGER)
    posted = contracts.posted(chain.post(chain.commitment()))
    other = chain.commitment(outcome_hash=b"\7" * 32)
    for who, commitment, why in (
        (SOLVER, chain.commitment(), "NoContradiction"),
        (CHALLENGER, other, "InvalidReceiptSignature"),
    ):
        word = sign_post(contracts, signer_of(who), commitment, offer)
        with pytest.raises(RevertError, match=why):
            challenger.do(equivocation(contracts, posted, word))
    path = tmp_path / "signed.json"
    keep_signed(path, sign_post(contracts, signer_of(SOLVER), other, offer))
    challenger.do(equivocation(contracts, posted, read_signed(path)))
    assert contracts.post(posted.receipt_id).status is PostStatus.SLASHED


def test_what_the_first_form_does_not_sign(chain: Chain) -> None:
    """A location or a volume without a requester would not be signed: refused."""
    for offer in (Offer(location="https://e.example"), Offer(volume=5)):
        with pytest.raises(PostingError, match="names its requester"):
            sign_post(chain.contracts, signer_of(SOLVER), chain.commitment(), offer)


def test_a_post_that_another_sends(chain: Chain, tmp_path: Path) -> None:
    """Whoever has the file posts it, with what was signed and nothing else, for ten minutes."""
    contracts, sender, path = chain.contracts, chain.account(CHALLENGER), tmp_path / "signed.json"
    offer = Offer(requester=REQUESTER.address, volume=5, location="https://e.example/one")
    keep_signed(path, sign_post(contracts, signer_of(SOLVER), chain.commitment(), offer))
    signed = read_signed(path)
    receipt_id, wish = relaying(contracts, signed)
    sender.do(wish)
    posted = contracts.posted(receipt_id)
    assert (posted.location, posted.terms) == (offer.location, signed.terms)
    with pytest.raises(PostingError, match="not the one that was signed"):
        relaying(contracts, msgspec.structs.replace(signed, location="https://e.example/two"))
    first_form = sign_post(contracts, signer_of(SOLVER), chain.commitment("two"), Offer())
    with pytest.raises(PostingError, match="must send that post itself"):
        relaying(contracts, first_form)
    late = sign_post(contracts, signer_of(SOLVER), chain.commitment("three"), offer)
    chain.pass_time(700)
    with pytest.raises(RevertError, match="CreatedAtOutOfRange"):
        sender.do(relaying(contracts, late)[1])


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 5000, b'{"commitment":{"expiry":-1}}'])
def test_what_is_no_signed_post(tmp_path: Path, data: bytes) -> None:
    """A file that holds none is named."""
    path = tmp_path / "signed.json"
    path.write_bytes(data)
    with pytest.raises(PostingError, match="holds no signed post"):
        read_signed(path)
