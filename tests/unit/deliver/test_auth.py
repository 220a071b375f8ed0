# SPDX-License-Identifier: Apache-2.0
"""Credentials: refused where they could do harm, and never shown."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
from tests.leaks import everything_shown_by

from tallystick.deliver.auth import ApiKeyAuth, Auth, BearerAuth, MtlsAuth, NoAuth
from tallystick.errors import RefusedInput
from tallystick.limits import CREDENTIAL_CHARS_MAX, PEM_BYTES_MAX

SECRET = "s3cr3t-value"
KEY = f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n"
ALL: tuple[Auth, ...] = (
    NoAuth(),
    BearerAuth(SECRET),
    ApiKeyAuth("X-Api-Key", SECRET),
    MtlsAuth(KEY.encode(), KEY),
)


def test_headers() -> None:
    """Each credential becomes one header line, or none."""
    assert [auth.header() for auth in ALL] == [
        b"",
        b"Authorization: Bearer s3cr3t-value\r\n",
        b"X-Api-Key: s3cr3t-value\r\n",
        b"",
    ]
    assert BearerAuth(token="t").header() == BearerAuth("t").header()


@pytest.mark.parametrize("auth", ALL, ids=repr)
def test_nothing_secret_is_shown_or_copied_out(auth: Auth) -> None:
    """No repr, no pickle, no state; copies are the thing itself; nothing can be changed."""
    assert SECRET not in repr(auth) + str(auth) + f"{auth}" + ascii(auth)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(auth, protocol)
    with pytest.raises(TypeError, match="not dumped"):
        auth.__getstate__()
    assert copy.copy(auth) is auth
    assert copy.deepcopy(auth) is auth
    with pytest.raises(AttributeError):
        setattr(auth, "_token", "x")  # noqa: B010  # what the test is about
    with pytest.raises(AttributeError):
        delattr(auth, "_token")  # what the test is about


def test_whether_a_text_holds_it() -> None:
    """Each credential recognises itself in what others say."""
    assert [auth.is_in(f"you sent {SECRET}!") for auth in ALL] == [False, True, True, False]
    assert [auth.is_in("nothing") for auth in ALL] == [False] * 4
    assert ALL[3].is_in(KEY)


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        (f"{SECRET}\n", "strip it"),
        (f" {SECRET}", "strip it"),
        (f"{SECRET}\r\nX-Evil: 1", "line break"),
        (f"{SECRET}\x00", "line break"),
        (f"{SECRET}\x7f", "line break"),
        (f"{SECRET}é", "no header may hold"),
        (f"Bearer {SECRET}", "without `Bearer`"),
        (SECRET * CREDENTIAL_CHARS_MAX, "characters"),
        (SECRET.encode(), "type bytes"),
        (None, "type NoneType"),
    ],
)
def test_tokens_that_no_header_may_hold(token: str, why: str) -> None:
    """A token that would break out of its header is refused, and not quoted."""
    with pytest.raises(RefusedInput, match=why) as caught:
        BearerAuth(token)
    assert SECRET not in everything_shown_by(caught.value)
    if why != "without `Bearer`":  # an API key may hold a space
        with pytest.raises(RefusedInput, match=why) as caught:
            ApiKeyAuth("X-Key", token)
        assert SECRET not in everything_shown_by(caught.value)


def test_an_api_key_may_hold_a_space() -> None:
    """`Authorization: Basic …` and its like are given as an API key."""
    auth = ApiKeyAuth("Authorization", "Basic dTpw")
    assert auth.header() == b"Authorization: Basic dTpw\r\n"


@pytest.mark.parametrize(
    "header",
    ["", "X Key", "X:Key", "X\r\nY", "X\n", "é", "a" * 200, SECRET + "=:", 5, None],
)
def test_names_that_are_none(header: str) -> None:
    """What can't be the name of a header is refused, and not quoted: it may be the key."""
    with pytest.raises(RefusedInput, match="not the name of a header") as caught:
        ApiKeyAuth(header, SECRET)
    assert SECRET not in everything_shown_by(caught.value)


@pytest.mark.parametrize(
    "header", ["Host", "content-length", "Transfer-Encoding", "Connection", "CONTENT-TYPE", "Te"]
)
def test_names_that_are_ours(header: str) -> None:
    """Headers that frame the request are not the caller's to set."""
    with pytest.raises(RefusedInput, match="needs for itself"):
        ApiKeyAuth(header, "v")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "is empty"),
        (b"", "is empty"),
        (SECRET.encode(), "no BEGIN line"),
        (7, "type int"),
        (KEY.encode() + b"x" * PEM_BYTES_MAX, "larger than"),
    ],
)
def test_client_certificates_that_are_none(given: bytes, why: str) -> None:
    """What is neither a path nor PEM is refused on either side, and not quoted."""
    for pair in ((given, KEY), (Path("cert.pem"), given)):
        with pytest.raises(RefusedInput, match=why) as caught:
            MtlsAuth(*pair)
        assert SECRET not in everything_shown_by(caught.value)
