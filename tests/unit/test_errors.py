# SPDX-License-Identifier: Apache-2.0
"""The tree of errors: one root, and carried values that callers can rely on."""

from __future__ import annotations

import inspect
import pickle

import pytest

from tallystick import errors

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if kind.__module__ == errors.__name__  # `Any` is a class too, from Python 3.11 on
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_all_have_one_root(kind: type[BaseException]) -> None:
    """`except tallystick.Error` catches everything that is raised on purpose."""
    assert issubclass(kind, errors.Error)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_says_what_it_means(kind: type[BaseException]) -> None:
    """Each error has a docstring of its own: the reference page shows it."""
    assert kind.__doc__
    assert kind.__doc__ != getattr(kind.__base__, "__doc__", None)


def test_refused_values_are_value_errors() -> None:
    """Who catches ValueError for a bad value catches ours, too."""
    assert issubclass(errors.RefusedInput, ValueError)


def test_malformed_input_carries_code_and_place() -> None:
    """The verifier turns it into a finding without reading its text."""
    fault = errors.MalformedInput("MALFORMED_JSON", "not JSON", "/issuer")
    assert (fault.code, fault.where, fault.message) == ("MALFORMED_JSON", "/issuer", "not JSON")
    assert str(fault) == "not JSON (at /issuer)"
    assert str(errors.MalformedInput("MALFORMED_JSON", "not JSON")) == "not JSON"


def test_receipt_error_carries_its_place() -> None:
    """A caller can show the field at fault."""
    fault = errors.ReceiptError("is not an integer", "/chain/sequence")
    assert (fault.where, fault.message) == ("/chain/sequence", "is not an integer")
    assert str(fault) == "/chain/sequence: is not an integer"
    assert str(errors.ReceiptError("is empty")) == "is empty"


def test_plain_errors_cross_processes() -> None:
    """Errors that carry nothing but text survive pickling, as test runners and pools need."""
    fault = pickle.loads(pickle.dumps(errors.KeyFileError("refused")))
    assert isinstance(fault, errors.KeyFileError)
    assert str(fault) == "refused"
