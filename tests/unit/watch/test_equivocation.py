# SPDX-License-Identifier: Apache-2.0
"""Two signed outcomes of one intent are found and proven; nothing else is taken for it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.chains import CHALLENGER, ETHER, REQUESTER, SOLVER, embedded, signer_of

from tallystick.errors import PostingError
from tallystick.onchain.contracts import Posted, PostStatus
from tallystick.onchain.signed_post import keep_signed, sign_post
from tallystick.onchain.solving import Offer
from tallystick.watch.equivocation import is_equivocation, signed_posts
from tallystick.watch.hub import PostWatcher, Sighting, WatchPolicy


def test_a_second_outcome_is_found_and_proven(tmp_path: Path) -> None:
    """Only a signature by the solver's key, of the same intent, under another outcome counts."""

    def fetch(_posted: Posted, /) -> object:
        raise PostingError("nothing is there")

    with embedded(tmp_path / "chain") as chain:
        contracts = chain.contracts
        first = chain.commitment()
        post = chain.post(first)
        posted = contracts.posted(post)
        other = msgspec.structs.replace(first, outcome_hash=b"\7" * 32)
        signed = sign_post(contracts, signer_of(SOLVER), other, Offer())
        typed = sign_post(contracts, signer_of(SOLVER), other, Offer(requester=REQUESTER.address))
        assert is_equivocation(contracts, posted, signed)
        assert is_equivocation(contracts, posted, typed)
        replaced = msgspec.structs.replace
        foreign = sign_post(contracts, signer_of(REQUESTER), other, Offer())
        for harmless in (
            sign_post(contracts, signer_of(SOLVER), first, Offer()),
            sign_post(contracts, signer_of(SOLVER), chain.commitment("two"), Offer()),
            foreign,
            replaced(foreign, signer=SOLVER.address),
            replaced(signed, signature=b"\0" * 65),
            replaced(signed, signature=b""),
        ):
            assert not is_equivocation(contracts, posted, harmless)

        folder = tmp_path / "signed"
        folder.mkdir()
        keep_signed(folder / "a.json", signed)
        (folder / "b.json").write_text("{")
        assert list(signed_posts(str(folder))) == [signed]
        told: list[Sighting] = []
        PostWatcher(
            contracts,
            chain.home / "watch",
            fetch,  # type: ignore[arg-type]  # opens nothing
            WatchPolicy(prove=True, spend_max=ETHER),
            account=chain.account(CHALLENGER),
            signed=lambda: signed_posts(str(folder)),
        ).round(told.append)
        assert told[0].verdict == "its solver signed another outcome of the same intent"
        assert told[0].action.startswith("sent in 0x")
        assert contracts.post(post).status is PostStatus.SLASHED


def test_a_folder_with_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than can be watched is refused, and not cut short."""
    monkeypatch.setattr("tallystick.watch.equivocation.WATCHED_POSTS_MAX", 1)
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(PostingError, match="more than one can watch"):
        list(signed_posts(str(tmp_path)))
