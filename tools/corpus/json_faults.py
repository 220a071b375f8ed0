# SPDX-License-Identifier: Apache-2.0
"""Bytes that are not one strict JSON value, or that two parsers would read differently."""

from __future__ import annotations

from collections.abc import Iterator

from tools.corpus.genuine import good
from tools.corpus.making import Case, Json, draft, put, sign, spell
from tools.corpus.shapes import ACTION, refused

RUNTIME = "/issuer/runtime"
RECEIPT_BYTES_MAX = 1024 * 1024
DEPTH_MAX = 64


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from _nothing()
    yield from _not_json()
    yield from _duplicates()
    yield from _trailing()
    yield from _numbers()
    yield from _surrogates()
    yield from _encodings()
    yield from _limits()


def _wire(name: str) -> bytes:
    return spell(sign(draft(name)))


def _with_runtime(name: str, text: bytes) -> bytes:
    """Return a receipt with raw bytes as the value of runtime's only member."""
    receipt = spell(sign(put(draft(name), RUNTIME, {"member": "HERE"})))
    assert receipt.count(b'"HERE"') == 1
    return receipt.replace(b'"HERE"', text)


def _nothing() -> Iterator[Case]:
    for name, data in (("nothing", b""), ("blanks", b" \n\t\r\n"), ("empty-array", b"[ ]")):
        why = "No receipt in it: nothing is not a proof."
        yield Case(kind="receipt", name=name, why=why, data=data, suffix="bin",
                   codes=("NOTHING_TO_VERIFY",), verdict="unchecked")  # fmt: skip


def _not_json() -> Iterator[Case]:
    code = "MALFORMED_JSON"
    name = "cut-off"
    yield refused(name, "The last byte is missing.", _wire(name)[:-1], code)
    name = "array-not-closed"
    yield refused(name, "The array is not closed.", b"[" + _wire(name)[:-9], code, suffix="bin")
    for name, why, data in (
        ("text", "Plain text.", b"verified"),
        ("yaml", "YAML.", b"id: urn:receipt:1\n"),
        ("single-quotes", "Single quotes.", b"{'id': 1}"),
    ):
        yield refused(name, why, data, code, suffix="bin")
    for what, old, new in (
        ("trailing-comma", b'"success"}', b'"success",}'),
        ("comment", b'{"@context"', b'{/* */"@context"'),
        ("bare-key", b'"outcome":', b"outcome:"),
        ("raw-line-feed", b"filesystem.file", b"filesystem\nfile"),
        ("raw-nul", b"filesystem.file", b"filesystem\x00file"),
        ("bad-escape", b"filesystem.file", rb"filesystem\x2efile"),
        ("short-escape", b"filesystem.file", rb"filesystem\u00zzfile"),
        ("leading-zero", b'"sequence":1', b'"sequence":01'),
        ("plus-sign", b'"sequence":1', b'"sequence":+1'),
        ("hex-number", b'"sequence":1', b'"sequence":0x1'),
        ("bare-point", b'"sequence":1', b'"sequence":1.'),
        ("no-break-space", b'"sequence":1', '"sequence":\xa01'.encode()),
        ("capital-null", b'"previous_receipt_hash":null', b'"previous_receipt_hash":NULL'),
    ):
        name = f"json-{what}"
        data = _wire(name)
        assert data.count(old) == 1, name
        yield refused(name, "Some parsers let this pass; it is not JSON.", data.replace(old, new),
                      code, suffix="bin")  # fmt: skip
    for what, data in (
        ("null", b"null"), ("number", b"7"), ("string", b'"receipt"'), ("true", b"true"),
        ("array", b"[[]]"),
    ):  # fmt: skip
        name = f"value-{what}"
        why = "JSON, and no object."
        yield refused(name, why, data, "MALFORMED_NOT_OBJECT", suffix="bin")


def _duplicates() -> Iterator[Case]:
    for what, where, old, new in (
        ("top", "at the top", b'"type":["Ver', b'"type":["Other"],"type":["Ver'),
        ("top-last", "at the top, the second at the end", b'"version":"0.6.0"}',
         b'"version":"0.6.0","version":"9.9.9"}'),
        ("subject", "in credentialSubject", b'"outcome":{"status":"success"}',
         b'"outcome":{"status":"failure"},"outcome":{"status":"success"}'),
        ("action", "in action", b'"type":"filesystem.file.read"',
         b'"type":"filesystem.file.delete","type":"filesystem.file.read"'),
        ("chain", "in chain", b'"sequence":1', b'"sequence":2,"sequence":1'),
        ("proof", "in proof", b'"proofPurpose":"assertionMethod"',
         b'"proofPurpose":"authentication","proofPurpose":"assertionMethod"'),
        ("same-value", "with the same value", b'"sequence":1', b'"sequence":1,"sequence":1'),
        ("escaped", "spelled with an escape", b'"sequence":1', rb'"sequence":1,"\u0073equence":1'),
    ):  # fmt: skip
        name = f"twice-in-{what}"
        data = _wire(name)
        assert data.count(old) == 1, name
        why = f"A key comes twice, {where}: parsers differ on which counts."
        yield refused(name, why, data.replace(old, new), "MALFORMED_DUPLICATE_KEY")
    for what, text in (
        ("runtime", b'{"a":1,"b":2,"a":3}'),
        ("runtime-deep", b'{"a":{"b":{"c":[{"d":1,"d":1}]}}}'),
        ("empty-key", b'{"":1,"":2}'),
    ):
        name = f"twice-in-{what}"
        why = "A key comes twice in an open member."
        yield refused(name, why, _with_runtime(name, text), "MALFORMED_DUPLICATE_KEY")


def _trailing() -> Iterator[Case]:
    other = _wire("trailing")
    for what, text in (
        ("brace", b"}"), ("text", b" verified"), ("comma", b","), ("nul", b"\x00"),
        ("receipt-beside", b" " + other), ("receipt-below", b"\n" + other + b"\n"),
    ):  # fmt: skip
        name = f"trailing-{what}"
        why = "Something follows the one value."
        data = _wire(name) + text
        yield refused(name, why, data, "MALFORMED_TRAILING_DATA", suffix="bin")
    name = "trailing-array"
    data = b"[" + _wire(name) + b"] []"
    why = "Something follows the array."
    yield refused(name, why, data, "MALFORMED_TRAILING_DATA", suffix="bin")


def _numbers() -> Iterator[Case]:
    for what, text in (
        ("nan", b"NaN"),
        ("infinity", b"Infinity"),
        ("minus-infinity", b"-Infinity"),
        ("1e400", b"1e400"),
        ("minus-1e400", b"-1e400"),
        ("nineteen-digits", b"1234567890123456789"),
        ("2-to-53-plus-1", b"9007199254740993"),
        ("many-decimals", b"0.1000000000000000055"),
        ("underflow", b"1e-400"),
        ("tiny-exponent", b"1e-99999999999999999999"),
        ("huge-exponent", b"1e99999999999999999999"),
        ("zero-huge-exponent", b"0e99999999999999999999"),
        ("long", b"1" + b"0" * 64),
    ):
        name = f"number-{what}"
        data = _with_runtime(name, text)
        why = "The number is not exact in an IEEE 754 double, or not JSON at all."
        yield refused(name, why, data, "MALFORMED_NUMBER", suffix="bin")
    name = "number-in-sequence"
    data = _wire(name).replace(b'"sequence":1,', b'"sequence":1e400,').replace(
        b'"sequence":1}', b'"sequence":1e400}'
    )  # fmt: skip
    yield refused(name, "The sequence is out of range.", data, "MALFORMED_NUMBER", suffix="bin")


def _surrogates() -> Iterator[Case]:
    for what, text in (
        ("high", rb'"\ud83d"'),
        ("low", rb'"\udca9"'),
        ("turned", rb'"\udca9\ud83d"'),
        ("high-and-text", rb'"\ud83dx"'),
        ("in-key", rb'{"\ud83d":1}'),
        ("in-array", rb'[["\udc00"]]'),
        ("upper-case", rb'"\uD83D"'),
    ):
        name = f"surrogate-{what}"
        why = "Half of a surrogate pair, which UTF-8 can't spell."
        yield refused(name, why, _with_runtime(name, text), "MALFORMED_SURROGATE", suffix="bin")
    name = "surrogate-in-known-key"
    data = _wire(name).replace(b'"outcome"', rb'"\ud83d":1,"outcome"')
    yield refused(name, "The same in a closed object.", data, "MALFORMED_SURROGATE", suffix="bin")
    name = "surrogate-pair"
    receipt = spell(sign(put(draft(name), RUNTIME, {"member": "\U0001f4a9"})))
    data = receipt.replace("\U0001f4a9".encode(), rb"\ud83d\udca9")
    yield good(name, "A whole pair of escapes is one character.", data)


def _encodings() -> Iterator[Case]:
    code = "MALFORMED_ENCODING"

    def latin(name: str) -> bytes:
        made = put(draft(name), ACTION + "/target", {"resource": "übung"})
        return spell(sign(made)).replace("ü".encode(), b"\xfc")

    for name, why, data in (
        ("byte-order-mark", "It begins with a byte order mark.",
         b"\xef\xbb\xbf" + _wire("byte-order-mark")),
        ("utf-16", "UTF-16 with a byte order mark.", _wire("utf-16").decode().encode("utf-16")),
        ("utf-32", "UTF-32.", _wire("utf-32").decode().encode("utf-32")),
        ("latin-1", "A letter in Latin-1.", latin("latin-1")),
        ("overlong", "A slash in two bytes.",
         _wire("overlong").replace(b"file.read", b"file\xc0\xaeread")),
        ("surrogate-bytes", "Half of a pair as three bytes.",
         _wire("surrogate-bytes").replace(b"file.read", b"file\xed\xa0\xbdread")),
        ("gzip", "A gzip file.", b"\x1f\x8b\x08\x00" + bytes(20)),
    ):  # fmt: skip
        yield refused(name, why, data, code, suffix="bin")


def _nest(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def _limits() -> Iterator[Case]:
    outer = 3  # receipt, issuer, runtime
    name = "depth-at-limit"
    made: Json = {"member": []}
    inner = made["member"]
    for _ in range(DEPTH_MAX - outer - 1):
        inner.append([])
        inner = inner[0]
    receipt = sign(put(draft(name), RUNTIME, made))
    yield good(name, f"{DEPTH_MAX} levels, the most there may be.", spell(receipt))
    for what, depth in (("over-limit", DEPTH_MAX - outer + 1), ("1000", 1000)):
        name = f"depth-{what}"
        why = f"Nested deeper than {DEPTH_MAX} levels."
        data = _with_runtime(name, _nest(depth))
        yield refused(name, why, data, "MALFORMED_DEPTH", suffix="bin")
    name = "depth-of-brackets-in-text"
    receipt = sign(put(draft(name), RUNTIME, {"member": '\\"' + "[{" * 100}))
    yield good(name, "Brackets inside a text are no levels.", spell(receipt))
    name = "size-over-limit"
    data = _wire(name)
    start, missing = data.index(b'"id"'), RECEIPT_BYTES_MAX + 1 - len(data)
    blanks = (b" " * 1023 + b"\n") * (missing // 1024) + b" " * (missing % 1024)
    data = data[:start] + blanks + data[start:]
    assert len(data) == RECEIPT_BYTES_MAX + 1
    why = f"{len(data)} bytes on the wire, blanks counted; {RECEIPT_BYTES_MAX} are allowed."
    yield refused(name, why, data, "MALFORMED_SIZE")
