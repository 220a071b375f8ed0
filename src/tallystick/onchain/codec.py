# SPDX-License-Identifier: Apache-2.0
"""Calls and events of our contracts, to bytes and back, by the interfaces that come with us."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

from tallystick.crypto.keccak import keccak256
from tallystick.errors import MissingExtraError, NodeError, how_to_install
from tallystick.onchain.artifact import artifact
from tallystick.onchain.node import Event


def signature_of(member: Mapping[str, Any]) -> str:
    """Return `name(type,…)` of a function, event or error."""
    return f"{member['name']}({','.join(_type(one) for one in member['inputs'])})"


def selector(contract: str, function: str) -> bytes:
    """Return the four bytes that name a function."""
    return keccak256(signature_of(_member(contract, "function", function)).encode())[:4]


def topic(contract: str, event: str) -> bytes:
    """Return the 32 bytes that name an event."""
    return keccak256(signature_of(_member(contract, "event", event)).encode())


def call_data(contract: str, function: str, *arguments: Any) -> bytes:
    """Return the bytes of a call."""
    member = _member(contract, "function", function)
    types = [_type(one) for one in member["inputs"]]
    return selector(contract, function) + bytes(_abi().encode(types, arguments))


def constructor_data(contract: str, *arguments: Any) -> bytes:
    """Return the bytes that make a contract."""
    found = artifact(contract)
    member = next(one for one in found.abi if one["type"] == "constructor")
    types = [_type(one) for one in member["inputs"]]
    code = bytes.fromhex(found.bytecode.removeprefix("0x"))
    return code + bytes(_abi().encode(types, arguments))


def outputs(contract: str, function: str, data: bytes) -> tuple[Any, ...]:
    """Return what a call returned."""
    member = _member(contract, "function", function)
    return _decoded([_type(one) for one in member["outputs"]], data)


def event_members(contract: str, event: str, told: Event) -> dict[str, Any]:
    """Return the members of an event by their names."""
    member = _member(contract, "event", event)
    topics = told.topics
    if not topics or topics[0] != topic(contract, event):
        raise NodeError(f"the node gave another event than {event}")
    indexed = [one for one in member["inputs"] if one["indexed"]]
    others = [one for one in member["inputs"] if not one["indexed"]]
    if len(topics) != len(indexed) + 1:
        raise NodeError(f"the node gave an {event} of another form")
    found = {
        one["name"]: _decoded([_type(one)], word)[0]
        for one, word in zip(indexed, topics[1:], strict=True)
    }
    # A contract takes any bytes for a string: what is no UTF-8 comes back as surrogates, not as an
    # error that nobody gets past.
    types = [_type(one).replace("string", "bytes") for one in others]
    values = _decoded(types, told.data)
    return found | {
        one["name"]: value.decode(errors="surrogateescape") if one["type"] == "string" else value
        for one, value in zip(others, values, strict=True)
    }


@cache
def _member(contract: str, kind: str, name: str) -> dict[str, Any]:
    for member in artifact(contract).abi:
        if member["type"] == kind and member["name"] == name:
            return member
    raise KeyError(f"{contract} has no {kind} {name}")


def _type(member: Mapping[str, Any]) -> str:
    kind: str = member["type"]
    if not kind.startswith("tuple"):
        return kind
    inner = ",".join(_type(one) for one in member["components"])
    return f"({inner}){kind.removeprefix('tuple')}"


def _decoded(types: list[str], data: bytes) -> tuple[Any, ...]:
    try:
        return tuple(_abi().decode(types, data))
    except Exception as error:  # noqa: BLE001  # of many kinds, about bytes that a node gave
        name = type(error).__name__
    raise NodeError(f"the node gave an answer of another form ({name}); are these our contracts?")


@cache
def _abi() -> Any:
    try:
        return import_module("eth_abi")
    except ImportError:
        raise MissingExtraError(f"eth-abi is not installed; {how_to_install('onchain')}") from None
