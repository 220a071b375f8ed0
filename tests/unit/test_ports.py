# SPDX-License-Identifier: Apache-2.0
"""The ports: what we ask of the world is little, and our own adapters fit."""

from __future__ import annotations

import inspect

import pytest

from tallystick import (
    InMemoryKeyProvider,
    KeyProvider,
    LocalSigner,
    Signer,
    generate_key_pair,
    ports,
)


@pytest.mark.parametrize(
    "port",
    [
        kind
        for _, kind in inspect.getmembers(ports, inspect.isclass)
        if kind.__module__ == ports.__name__
    ],
)
def test_ports_are_small(port: type) -> None:
    """A port has at most five methods of its own, each with a docstring; a union has none."""
    methods = [
        one
        for name, one in vars(port).items()
        if inspect.isfunction(one) and not name.startswith("_")
    ]
    is_union = sum(getattr(base, "_is_protocol", False) for base in port.__bases__) > 2
    assert len(methods) <= 5
    assert bool(methods) is not is_union
    assert all(one.__doc__ for one in methods)


def test_our_adapters_fit() -> None:
    """What we ship for a port is an instance of it."""
    pair = generate_key_pair()
    assert isinstance(LocalSigner(pair), Signer)
    assert isinstance(InMemoryKeyProvider(pair), KeyProvider)


def test_a_key_provider_is_no_signer() -> None:
    """The two ports are told apart: one yields bytes, the other signatures."""
    assert not isinstance(InMemoryKeyProvider(generate_key_pair()), Signer)
