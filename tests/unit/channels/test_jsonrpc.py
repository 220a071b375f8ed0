# SPDX-License-Identifier: Apache-2.0
"""One strict parse of a message."""

from __future__ import annotations

import json

import pytest

from tallystick.channels.jsonrpc import (
    Notification,
    Request,
    Response,
    error_line,
    glimpse,
    is_id,
    parse_message,
    without_end,
)
from tallystick.errors import MessageRefused
from tallystick.limits import MESSAGE_BYTES_MAX, MESSAGE_ID_CHARS_MAX, MESSAGE_VALUES_MAX


def test_the_three_kinds() -> None:
    """A request, a notification and an answer are told apart, alone and in a batch."""
    data = (
        b'[{"jsonrpc":"2.0","id":"a","method":"m","params":{"x":1}},{"jsonrpc":"2.0","method":"n"},'
        b'{"jsonrpc":"2.0","id":1,"result":null},{"jsonrpc":"2.0","id":null,"error":{"code":1}}]'
    )
    messages, is_batch = parse_message(data)
    assert is_batch
    assert messages == (
        Request(id="a", method="m", params={"x": 1}),
        Notification(method="n", params={}),
        Response(id=1),
        Response(id=None, error={"code": 1}),
    )


def test_ids_of_other_types_are_others() -> None:
    """1 and "1" are two ids."""
    (one,), _ = parse_message(b'{"jsonrpc":"2.0","id":1,"method":"m"}')
    (text,), _ = parse_message(b'{"jsonrpc":"2.0","id":"1","method":"m"}')
    assert isinstance(one, Request)
    assert isinstance(text, Request)
    assert one.key != text.key
    assert is_id(-5)
    none: list[object] = [None, 1.0, True, [], "x" * 1025, 1 << 200]
    assert not any(map(is_id, none))


def test_numbers_are_left_alone() -> None:
    """What no double holds is read all the same."""
    (message,), _ = parse_message(
        b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":9007199254740993,"b":0.1}}'
    )
    assert isinstance(message, Request)
    assert message.params == {"a": 9007199254740993, "b": 0.1}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", -32700),
        (b"[1]", -32600),
        (b'{"jsonrpc":"2.0","id":1}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":""}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"result":1,"error":{}}', -32600),
        (b'{"jsonrpc":"2.0","result":1}', -32600),
        (b'{"jsonrpc":"2.0","id":null,"result":1}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":null}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":1e999}}', -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","Params":{}}', -32600),
    ],
)
def test_what_is_refused(data: bytes, code: int) -> None:
    """Each is refused by its code; the refusal has the request's id where it can be read."""
    with pytest.raises(MessageRefused) as fault:
        parse_message(data)
    assert fault.value.code == code
    assert fault.value.id == (1 if b'"id":1' in data and code != -32700 else None)


def test_bounds() -> None:
    """Size, values and ids are bounded."""
    for data in (
        b" " * (MESSAGE_BYTES_MAX + 1),
        b"[" + b"1," * MESSAGE_VALUES_MAX + b"1,1]",
        json.dumps(
            {"jsonrpc": "2.0", "id": "x" * (MESSAGE_ID_CHARS_MAX + 1), "method": "m"}
        ).encode(),
    ):
        with pytest.raises(MessageRefused):
            parse_message(data)


def test_a_glimpse() -> None:
    """Of an answer that was not parsed whole, the id and the kind of answer can be told."""
    seen = glimpse(b'{"jsonrpc":"2.0","id":5,"result":{"a":1,"a":2,"isError":true}}')
    assert seen is not None
    assert (seen.key, seen.is_error) == ((int, 5), True)
    other = glimpse(b'{"jsonrpc":"2.0","id":"x","error":{}}')
    assert other is not None
    assert other.is_error
    plain = glimpse(b'{"jsonrpc":"2.0","id":"x","result":[1]}')
    assert plain is not None
    assert not plain.is_error
    for data in (b"x", b'{"id":5,"method":"m"}', b'{"id":null,"result":1}', b'{"id":5}'):
        assert glimpse(data) is None


def test_lines() -> None:
    """A refusal is one line; the end of a line is no part of a message."""
    line = error_line("a", -1, "no", why="so", nothing=None)
    assert json.loads(line)["error"] == {"code": -1, "message": "no", "data": {"why": "so"}}
    assert line.endswith(b"}\n")
    assert [without_end(one) for one in (b"a\r\n", b"a\n", b"a", b"a\r")] == [
        b"a",
        b"a",
        b"a",
        b"a\r",
    ]


def test_a_glimpse_sees_what_clients_see() -> None:
    """An error that is null is none; what is no answer for any client is none here either."""
    seen = glimpse(b'{"jsonrpc":"2.0","id":5.0,"result":{"isError":"true"},"error":null}')
    assert seen is not None
    assert (seen.key, seen.is_error) == ((int, 5), True)
    plain = glimpse(b'{"jsonrpc":"2.0","id":5,"result":{},"error":null}')
    assert plain is not None
    assert not plain.is_error
    assert glimpse(b'{"id":5,"result":{}}') is None
