# SPDX-License-Identifier: Apache-2.0
"""Disclosure: by policy, to one key, and never at the price of the receipt."""

from __future__ import annotations

from typing import Any

import pytest

from tallystick import decrypt_disclosure, decrypt_response, generate_forensic_key_pair
from tallystick.daemon.disclosing import NOTHING, Disclosure, DisclosurePolicy, parse_policy
from tallystick.errors import SettingError
from tallystick.limits import DISCLOSED_TYPES_MAX, DISCLOSURE_BYTES_MAX

PAIR = generate_forensic_key_pair()
ALL = DisclosurePolicy(mode="all")
OFF = DisclosurePolicy()


@pytest.mark.parametrize(
    ("value", "mode"),
    [
        ("", "off"),
        ("off", "off"),
        ("FALSE", "off"),
        (False, "off"),
        (0, "off"),
        ([], "off"),
        ("all", "all"),
        ("true", "all"),
        (True, "all"),
        (1, "all"),
        (" High ", "high"),
        ("a.b, c.d", "list"),
        (["a.b"], "list"),
    ],
)
def test_policies(value: Any, mode: str) -> None:
    """Flags, variables and TOML values state the four policies."""
    assert parse_policy(value).mode == mode


@pytest.mark.parametrize(
    "value",
    [2, -1, "a.b,high", ["all"], ["a b"], "a,,b", ["x" * 2000], ["a\nb"], ["x"] * 300],
)
def test_other_policies_are_refused(value: Any) -> None:
    """A policy that is not understood seals nothing by mistake: it stops the start."""
    assert DISCLOSED_TYPES_MAX < 300
    with pytest.raises(SettingError):
        parse_policy(value)


def test_whom_policies_elect() -> None:
    """By risk, by exact type, all or none."""
    high, some = parse_policy("high"), parse_policy("a.b,c.d")
    assert [high.elects("x", risk) for risk in ("low", "medium", "high", "critical")] == [
        False,
        False,
        True,
        True,
    ]
    assert some.elects("a.b", "low")
    assert not some.elects("a.b.c", "critical")
    assert ALL.elects("x", "low")
    assert not OFF.elects("x", "critical")


def test_what_is_sealed_opens() -> None:
    """Parameters and response come out for who holds the forensic key."""
    sealed = Disclosure(ALL, ALL, PAIR.public_key).seal("x", "low", {"a": 1}, {"b": "ä"})
    assert decrypt_disclosure(sealed.parameters, PAIR.private_key) == {"a": 1}
    assert decrypt_response(sealed.response, PAIR.private_key) == {"b": "ä"}


def test_each_payload_has_its_policy() -> None:
    """Parameters may be sealed without responses, and the other way round."""
    only = Disclosure(ALL, OFF, PAIR.public_key).seal("x", "low", {"a": 1}, {"b": 1})
    assert only.parameters is not None
    assert only.response is None
    only = Disclosure(OFF, ALL, PAIR.public_key).seal("x", "low", {"a": 1}, {"b": 1})
    assert only.parameters is None
    assert only.response is not None


def test_what_is_no_object_is_left_out() -> None:
    """Version 1 seals objects only: others are counted, and stay hashed."""
    disclosure = Disclosure(ALL, ALL, PAIR.public_key)
    assert disclosure.seal("x", "low", [1], "text") == NOTHING
    assert disclosure.seal("x", "low", None, None) == NOTHING
    assert disclosure.missed == {"no object": 2}


def test_both_together_fit_into_a_receipt() -> None:
    """What is too large is left out, the response before the parameters."""
    disclosure = Disclosure(ALL, ALL, PAIR.public_key)
    half = {"x": "y" * (DISCLOSURE_BYTES_MAX // 2)}
    sealed = disclosure.seal("x", "low", half, half)
    assert sealed.parameters is not None
    assert sealed.response is None
    over = disclosure.seal("x", "low", {"x": "y" * DISCLOSURE_BYTES_MAX}, {"small": 1})
    assert over.parameters is None
    assert over.response is not None
    assert disclosure.missed == {"too large": 2}


def test_what_has_no_canonical_form_is_counted() -> None:
    """A payload that can't be sealed costs the disclosure, not the receipt."""
    disclosure = Disclosure(ALL, OFF, PAIR.public_key)
    assert disclosure.seal("x", "low", {"x": "\ud800"}, None) == NOTHING
    assert disclosure.missed == {"not sealed": 1}


def test_a_policy_needs_a_key() -> None:
    """Who wants to disclose and has nobody to disclose to is told at the start."""
    for policies in ((ALL, OFF), (OFF, ALL)):
        with pytest.raises(SettingError, match="key"):
            Disclosure(*policies, None)
    idle = Disclosure(OFF, OFF, None)
    assert idle.seal("x", "critical", {"a": 1}, {"a": 1}) == NOTHING
    assert not idle.is_idle
    assert Disclosure(OFF, OFF, PAIR.public_key).is_idle
    assert not Disclosure(ALL, OFF, PAIR.public_key).is_idle


@pytest.mark.parametrize("key", [b"", b"x" * 31, bytes(32), b"\xff" * 32])
def test_weak_keys_are_refused(key: bytes) -> None:
    """A key to which anybody could listen is none."""
    with pytest.raises(SettingError):
        Disclosure(ALL, OFF, key)
