# SPDX-License-Identifier: Apache-2.0
"""TransitSigner without a wire; tests/systems/test_vault_transit.py does the rest through hvac."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tallystick.errors import MissingExtraError, SigningError
from tallystick.keys.vault import TransitSigner


def client_that_answers(answer: object) -> Any:
    """Return what looks like a hvac.Client, and answers everything with one value."""
    engine = SimpleNamespace(
        read_key=lambda *_args, **_named: answer, sign_data=lambda *_args, **_named: answer
    )
    return SimpleNamespace(secrets=SimpleNamespace(transit=engine))


@pytest.mark.parametrize("name", ["", "a/b", "../keys", "a b", "-a", "a?x=1", "a\n"])
def test_names(name: str) -> None:
    """A name that would be another path is refused."""
    with pytest.raises(ValueError, match="no name of a transit key"):
        TransitSigner(name, client=client_that_answers({}))


@pytest.mark.parametrize("mount", ["", "/", "..", "../sys", "a/../b", "a//b", "./a", "/a", "a\r\n"])
def test_mount_points(mount: str) -> None:
    """A mount point that would be another path is refused."""
    with pytest.raises(ValueError, match="no path of a transit engine"):
        TransitSigner("agent", mount_point=mount, client=client_that_answers({}))
    for name in ("transit", "team/transit", "transit/", "team.a/tr..it"):
        TransitSigner("agent", mount_point=name, client=client_that_answers({}))


@pytest.mark.parametrize("answer", [None, [], {}, {"data": None}, {"data": []}, "text", 7])
def test_shapes(answer: object) -> None:
    """Whatever comes back, the error is ours."""
    with pytest.raises(SigningError, match="none of the transit engine's"):
        TransitSigner("agent", client=client_that_answers(answer)).warm_up()


@pytest.mark.parametrize(
    "url", ["http://vault.example:8200", " HTTP://10.0.0.1", "http://localhost@127.0.0.1"]
)
def test_plain_http_stays_on_this_machine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token would go over the wire for all to read, wherever the address comes from."""
    with pytest.raises(ValueError, match="endpoint is http"):
        TransitSigner("agent", url=url)
    monkeypatch.setenv("VAULT_ADDR", url)
    with pytest.raises(ValueError, match="endpoint is http"):
        TransitSigner("agent")
    TransitSigner("agent", url="http://127.0.0.1:8200")


def test_without_hvac(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not installed it reads which extra brings it."""
    monkeypatch.setitem(sys.modules, "hvac", None)
    with pytest.raises(MissingExtraError, match=r"tallystick\[vault\]"):
        TransitSigner("agent")
