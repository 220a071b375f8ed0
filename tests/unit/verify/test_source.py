# SPDX-License-Identifier: Apache-2.0
"""Input is split into receipts: the same ones, however it comes."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.material import CHAIN, PUBLIC, array, chain_of, lines, wire

from tallystick.errors import MalformedInput
from tallystick.limits import RECEIPT_BYTES_MAX
from tallystick.model.reader import parse_receipt
from tallystick.verify.report import Report
from tallystick.verify.source import Format, Input, Source
from tallystick.verify.verification import verify_chain

THREE = chain_of(3)


class Stuttering(io.RawIOBase):
    """A stream that gives as many bytes as it likes: never more than it was asked for."""

    def __init__(self, data: bytes, sizes: list[int], *, seekable: bool = True) -> None:
        self._data = io.BytesIO(data)
        self._sizes = sizes
        self._seekable = seekable
        self._calls = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._seekable

    def seek(self, offset: int, whence: int = 0, /) -> int:
        if not self._seekable:
            raise io.UnsupportedOperation("seek")
        return self._data.seek(offset, whence)

    def tell(self) -> int:
        return self._data.tell()

    def readinto(self, buffer: Any, /) -> int:
        size = self._sizes[self._calls % len(self._sizes)]
        self._calls += 1
        data = self._data.read(min(size, len(buffer)))
        buffer[: len(data)] = data
        return len(data)

    def readline(self, size: int | None = -1, /) -> bytes:
        return self._data.readline(size)  # the inherited one asks for single bytes: slow


class Failing(io.BytesIO):
    """A stream that breaks when its bytes are used up, or from some pass on."""

    def __init__(
        self, data: bytes, fault: Exception, *, passes: int = 0, seekable: bool = True
    ) -> None:
        super().__init__(data)
        self.fault = fault
        self.passes = passes
        self.is_seekable = seekable

    def seekable(self) -> bool:
        return self.is_seekable

    def _fail(self, data: bytes) -> bytes:
        if data:
            return data
        if self.passes:
            self.passes -= 1
            return data
        raise self.fault

    def read(self, size: int | None = -1, /) -> bytes:
        return self._fail(super().read(size))

    def readline(self, size: int | None = -1, /) -> bytes:
        return self._fail(super().readline(size))


def elements(data: object, form: Format = "auto") -> list[Any]:
    """Return what comes out of a source; faults as their codes."""
    return [one.code if isinstance(one, MalformedInput) else one for one in Source(data, form=form)]


TEXTS = st.text(st.sampled_from('a"\\[]{},\n ü\U0001f600'), max_size=8)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=5)


@given(
    st.lists(JSON_VALUES, max_size=6),
    SIZES,
    st.sampled_from([None, 1]),
    st.booleans(),
    st.sampled_from([b"", b"\n", b"\r\n \t"]),
)
@example([""], [1], None, False, b"")
@example(['\\"', "]", "["], [2], None, True, b"")
def test_arrays_are_split_like_json(
    values: list[object], sizes: list[int], indent: int | None, ascii_only: bool, blanks: bytes
) -> None:
    """However a stream cuts an array, its elements are those that JSON has."""
    data = blanks + json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode() + blanks
    parts = elements(Stuttering(data, sizes))
    assert [json.loads(part) for part in parts] == values
    assert parts == elements(data)


@given(st.lists(JSON_VALUES.map(lambda value: {"v": value}), min_size=1, max_size=6), SIZES)
def test_lines_are_split_at_line_feeds(values: list[dict[str, object]], sizes: list[int]) -> None:
    """JSON Lines give one element a line, with either line end and with blank lines between."""
    texts = [json.dumps(value) for value in values]
    for data in ("\n".join(texts), "\r\n".join(texts) + "\r\n", "\n \n\n".join(["", *texts, ""])):
        parts = elements(Stuttering(data.encode(), sizes))
        assert parts == [text.encode() for text in texts]
        assert parts == elements(data.encode(), "lines")


@given(st.binary(max_size=40), SIZES, st.sampled_from([b"", b"[", b"{", b'[{"a":"', b'{"a":1}\n']))
def test_any_bytes_are_split_alike(data: bytes, sizes: list[int], prefix: bytes) -> None:
    """Whatever the bytes are, and however a stream cuts them, nothing is raised or lost."""
    assert elements(Stuttering(prefix + data, sizes)) == elements(prefix + data)


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (b"", []),
        (b"  \n\r\n\t", []),
        (b"[]", []),
        (b" [ ] \n", []),
        (b"[1]", [b"1"]),
        (b"[,]", [b"", b""]),
        (b"[1,]", [b"1", b""]),
        (b"[,1]", [b"", b"1"]),
        (b"[1,,2]", [b"1", b"", b"2"]),
        (b"[ {} , {} ]", [b"{}", b"{}"]),
        (b'["a]","\\"],[","\\\\"]', [b'"a]"', b'"\\"],["', b'"\\\\"']),
        (b"[[1,2],{}]", [b"[1,2]", b"{}"]),
        (b"[1", ["MALFORMED_JSON"]),
        (b"[", ["MALFORMED_JSON"]),
        (b'["a', ["MALFORMED_JSON"]),
        (b'["a\\', ["MALFORMED_JSON"]),
        (b"[1,2", [b"1", "MALFORMED_JSON"]),
        (b"[{1]", ["MALFORMED_JSON"]),
        (b"[1]]", [b"1", "MALFORMED_TRAILING_DATA"]),
        (b"[1] x", [b"1", "MALFORMED_TRAILING_DATA"]),
        (b"[1]\n[2]", [b"1", "MALFORMED_TRAILING_DATA"]),
        (b"[}]", [b"}"]),
        (b"[1 2]", [b"1 2"]),
        (b'{"a":1}', [b'{"a":1}']),
        (b'{"a":\n1}\n', [b'{"a":\n1}']),
        (b'{"a":1}\n{"b":2}', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}{"b":2}', [b'{"a":1}{"b":2}']),
        (b'{"a":"}\n{"b":2}', [b'{"a":"}\n{"b":2}']),
        (b'{"a":"{"}\n{"b":2}', [b'{"a":"{"}', b'{"b":2}']),
        (b'{"a":[}\n{"b":2}', [b'{"a":[}\n{"b":2}']),
        (b"{\n}\n{\n}", [b"{\n}\n{\n}"]),
        (b"7", [b"7"]),
        (b"\xef\xbb\xbf[1]", [b"\xef\xbb\xbf[1]"]),
        (b"\xff\n{}", [b"\xff\n{}"]),
    ],
)  # fmt: skip
def test_each_form_is_recognised(data: bytes, parts: list[object]) -> None:
    """One receipt, an array, or lines: what is none of these is passed on for the parser."""
    assert elements(data) == parts
    for kind in (bytearray, memoryview, io.BytesIO):
        assert elements(kind(data)) == parts


def test_lines_can_be_asked_for() -> None:
    """With `form="lines"` each line is an element, also where it is no object."""
    assert elements(b"[1]\n5\n", "lines") == [b"[1]", b"5"]
    assert elements(b'{"a":\n1}', "lines") == [b'{"a":', b"1}"]


FILL = RECEIPT_BYTES_MAX - len(b'{"a":""}')
FORMS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("line", lambda receipt: receipt + b"\n" + b'{"b":2}'),
    ("crlf", lambda receipt: receipt + b"\r\n" + b'{"b":2}'),
    ("only", lambda receipt: receipt),
    ("array", lambda receipt: b"[" + receipt + b"]"),
    ("padded", lambda receipt: b"[" + b" " * 99_999 + receipt + b"\n" * 99_999 + b"]"),
    ("second", lambda receipt: b"[1," + receipt + b",2]"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "form"), FORMS)
@pytest.mark.parametrize("sizes", [[10**9], [65_537, 1], [65_535]])
def test_elements_at_the_limit(name: str, form: Callable[[bytes], bytes], sizes: list[int]) -> None:
    """A receipt of exactly the limit comes out, and of one byte more only its fault."""
    largest = b'{"a":"' + b"x" * FILL + b'"}'
    assert len(largest) == RECEIPT_BYTES_MAX
    assert largest in elements(Stuttering(form(largest), sizes))
    larger = b'{"a":"' + b"x" * (FILL + 1) + b'"}'
    parts = elements(Stuttering(form(larger), sizes))
    kept = [one for one in parts if one in ("MALFORMED_SIZE", larger)]
    assert len(kept) == 1
    assert verify_chain(form(larger), None).codes().count("MALFORMED_SIZE") == 1


def test_a_line_over_the_limit_does_not_hide_the_next() -> None:
    """Splitting goes on behind a line that is too long."""
    data = b'{"a":1}\n' + b"x" * (3 * RECEIPT_BYTES_MAX) + b'\n{"b":2}\n' + b"y" * RECEIPT_BYTES_MAX
    parts = elements(data + b"yyy")
    assert parts == [b'{"a":1}', "MALFORMED_SIZE", b'{"b":2}', "MALFORMED_SIZE"]


@pytest.mark.parametrize("opening", [b"[", b'["', b"[ ", b"[[", b"{", b'{"a":\n', b" "])
def test_endless_input_ends(opening: bytes) -> None:
    """From a stream without an end only so much is taken, blanks included."""

    class Endless(io.RawIOBase):
        taken = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any, /) -> int:
            fill = opening if not self.taken else b" " if opening.endswith(b" ") else b"a"
            size = len(fill) if not self.taken else len(buffer)
            buffer[:size] = fill * (size // len(fill))
            self.taken += size
            return size if self.taken < 10 * RECEIPT_BYTES_MAX else 0

    stream = Endless()
    parts = elements(io.BufferedReader(stream))
    if opening != b" ":
        assert len(parts) == 1
        assert parts[0] == "MALFORMED_SIZE" or len(parts[0]) > RECEIPT_BYTES_MAX
        assert stream.taken <= 4 * RECEIPT_BYTES_MAX or opening == b"{"


def test_what_follows_a_document_is_never_passed_over() -> None:
    """A megabyte of blanks does not hide what comes behind it."""
    document = b'{\n"a":1}'
    assert elements(document + b" " * (2 * RECEIPT_BYTES_MAX)) == [document]
    assert elements(document + b" " * (2 * RECEIPT_BYTES_MAX) + b"x") == ["MALFORMED_SIZE"]
    assert elements(b"[]" + b" " * (2 * RECEIPT_BYTES_MAX) + b"x") == ["MALFORMED_TRAILING_DATA"]


def test_python_values_pass_through() -> None:
    """Dicts, receipts and bytes in an iterable come out as they are; one alone is one item."""
    receipt = parse_receipt(wire(THREE[0]))
    items: list[Any] = [THREE[0], receipt, b"{}", 5, None]
    assert list(Source(items)) == items
    assert list(Source(iter(items))) == items
    assert list(Source(THREE[0])) == [THREE[0]]
    assert list(Source(receipt)) == [receipt]


@pytest.mark.parametrize("data", ["text", None, 5, io.StringIO("{}"), 1.5, object()])
def test_what_is_no_input_is_refused_at_once(data: object) -> None:
    """Text and text streams, and what can't be iterated over, are the caller's mistake."""
    with pytest.raises(TypeError, match="give bytes"):
        Source(data)


def once(data: bytes) -> Iterator[bytes]:
    yield from data.splitlines()


def test_what_can_be_read_again() -> None:
    """Bytes, lists and files can; generators and pipes can't."""
    assert Source(b"").is_rereadable
    assert Source([]).is_rereadable
    assert Source(io.BytesIO(b"")).is_rereadable
    assert not Source(once(b"")).is_rereadable
    assert not Source(Stuttering(b"", [9], seekable=False)).is_rereadable
    assert not Input([Source([]), Source(once(b""))]).is_rereadable
    assert Input([Source([]), Source(b"")]).is_rereadable


class Pausing(io.BytesIO):
    """A pipe that has nothing to give at first, and then goes on."""

    def __init__(self, *parts: bytes) -> None:
        super().__init__()
        self.parts = list(parts)

    def seekable(self) -> bool:
        return False

    def read(self, size: int | None = -1, /) -> bytes:
        return self.parts.pop(0) if self.parts else b""

    readline = read


@pytest.mark.parametrize("first", [b'{"a":1}\n', b"[1", b"\n", b'{"a":\n'])
def test_a_pause_is_not_the_end(first: bytes) -> None:
    """A stream that gives nothing, and then more, is not taken for a whole one."""
    parts = elements(Pausing(first, b"", b'{"b":2}\n', b""))
    assert parts not in ([], [first.strip()])


def test_a_second_pass_begins_where_the_first_did() -> None:
    """A stream is read from where it stood when it was handed over."""
    stream = io.BytesIO(b'junk{"a":1}\n{"b":2}')
    stream.seek(4)
    source = Source(stream)
    assert list(source) == list(source) == [b'{"a":1}', b'{"b":2}']


def test_places_name_the_source() -> None:
    """A place counts from 0 within its own source, and an empty source takes none."""
    sources = [Source([b"1", b"2"], name="a"), Source([], name="b"), Source([b"3"], name="c")]
    stream = Input(sources)
    assert list(stream) == [b"1", b"2", b"3"]
    places = [stream.where(index) for index in range(3)]
    assert places == ["a:receipt[0]", "a:receipt[1]", "c:receipt[0]"]
    assert list(stream) == [b"1", b"2", b"3"]
    alone = Input([Source([1])])
    assert [alone.where(0), alone.where(7)] == ["receipt[0]", "receipt[7]"]
    named = Input([Source([1], name="f.json")])
    list(named)
    assert named.where(0) == "f.json:receipt[0]"


def test_what_could_not_be_read_at_all_is_no_receipt() -> None:
    """Its place is the source; where reading broke off later, it is that of the next receipt."""
    gone, cut = Failing(b"", OSError("gone")), Failing(lines(THREE), OSError("cut"))
    stream = Input([Source(gone, name="gone"), Source(lines(THREE), name="all"), Source(cut)])
    for _ in range(2):
        assert len(list(stream)) == 8
        told = [stream.where(index) for index in (0, 1, 3, 7)]
        assert told == ["gone", "all:receipt[0]", "all:receipt[2]", ":receipt[3]"]
    alone = Input([Source(Failing(b"", OSError("gone")))])
    assert len(list(alone)) == 1
    assert alone.where(0) == "input"


def test_what_was_read_and_is_no_receipt_has_its_place() -> None:
    """An element over the limit is one that stands there, also as the first."""
    long = b'"' + b"a" * RECEIPT_BYTES_MAX + b'"\n'
    stream = Input([Source(long + lines(THREE), form="lines")])
    first, *rest = stream
    assert isinstance(first, MalformedInput)
    assert len(rest) == 3
    assert stream.where(0) == "receipt[0]"


def test_one_source_that_has_to_be_whole_is_enough() -> None:
    """Be the others as they are: an export beside a daemon's store excuses nothing."""
    part, whole = Source([b"1"]), Source([b"2"], whole=True)
    assert Input([part, whole]).has_whole
    assert Input([part, Source([b"3"], whole=frozenset({CHAIN}))]).has_whole
    assert not Input([part, Source([b"4"])]).has_whole
    assert Input([part, whole]).has_store
    assert not Input([part, Source([b"3"], whole=frozenset({CHAIN}))]).has_store


def outcome(report: Report) -> tuple[str, list[str], int]:
    return str(report.verdict), report.codes(), report.receipts


@pytest.mark.parametrize(
    "fault", [OSError(5, "Input/output error"), OSError(), EOFError("cut"), RuntimeError("odd")]
)
@pytest.mark.parametrize("form", [lines, array], ids=["lines", "array"])
def test_a_stream_that_breaks_is_judged_up_to_there(
    fault: Exception, form: Callable[[object], bytes]
) -> None:
    """What came before the break is judged; the report says that it is not all."""
    data = form(THREE)
    cut = len(data) - (1 if form is array else 0)
    report = verify_chain(Failing(data[:cut], fault, seekable=False), PUBLIC)
    expected = 3 if form is lines else 2  # the last element's end was not seen
    assert outcome(report) == ("unchecked", ["SOURCE_UNREADABLE"], expected)
    tampered = data[:cut].replace(b"success", b"failure", 1)
    report = verify_chain(Failing(tampered, fault, seekable=False), PUBLIC)
    assert report.codes()[0] == "SIGNATURE_INVALID"
    assert str(report.verdict) == "refused"


def unpacking(data: bytes) -> gzip.GzipFile:
    return gzip.GzipFile(fileobj=io.BytesIO(data))


def test_a_cut_archive_is_unreadable() -> None:
    """A gzip stream that ends too soon is judged up to there, and not taken for whole."""
    packed = gzip.compress(lines(chain_of(300)))
    assert verify_chain(unpacking(packed), PUBLIC).verified
    report = verify_chain(unpacking(packed[:-100]), PUBLIC)
    assert "SOURCE_UNREADABLE" in report.codes()
    assert str(report.verdict) == "unchecked"
    broken = packed[:-2000] + bytes(1000) + packed[-1000:]
    assert not verify_chain(unpacking(broken), PUBLIC)


def test_a_break_on_the_second_pass_leaves_repeats_unconfirmed() -> None:
    """Ids that look repeated are not forgotten when the input can't be read again."""
    doubled = chain_of(2)
    doubled[1] = {**doubled[1], "id": doubled[0]["id"]}
    data = lines(doubled)
    assert "ID_DUPLICATE" in verify_chain(data, PUBLIC).codes()
    report = verify_chain(Failing(data, OSError("gone"), passes=1), PUBLIC)
    assert "REPEATS_UNCONFIRMED" in report.codes()
    assert "ID_DUPLICATE" in report.codes()  # both were seen before the break
    report = verify_chain(Stuttering(data, [99], seekable=False), PUBLIC)
    assert "REPEATS_UNCONFIRMED" in report.codes()


@pytest.mark.parametrize("buffering", [-1, 0])
@pytest.mark.parametrize(
    "begun",
    [b"", lines(THREE)[:10], lines(THREE[:2]), lines(THREE)[:-1], array(THREE)[:-1], array(THREE)],
)
def test_a_stream_that_does_not_wait_is_not_at_its_end(begun: bytes, buffering: int) -> None:
    """What has not arrived yet on a non-blocking stream can't be told: never verified or broken."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with open(reader, "rb", buffering=buffering) as stream:
        os.write(writer, begun)
        report = verify_chain(stream, PUBLIC)
        os.close(writer)
    assert outcome(report)[:2] == ("unchecked", ["SOURCE_UNREADABLE"])


def test_the_same_chain_in_every_form() -> None:
    """Array, pretty array, lines, stream, list and generator give one report."""
    forms: list[object] = [
        lines(THREE),
        array(THREE),
        array(THREE, 2),
        io.BytesIO(lines(THREE)),
        Stuttering(array(THREE), [1], seekable=False),
        THREE,
        [wire(one) for one in THREE],
        [parse_receipt(wire(one)) for one in THREE],
        once(lines(THREE)),
        lines(THREE).replace(b"\n", b"\r\n\r\n"),
    ]
    reports = [verify_chain(form, PUBLIC) for form in forms]
    assert all(report.verified for report in reports)
    assert all(report.to_dict() == reports[0].to_dict() for report in reports)
    assert reports[0].chains[0].chain_id == CHAIN
