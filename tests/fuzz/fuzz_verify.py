# SPDX-License-Identifier: Apache-2.0
"""Throws bytes at the verifier and holds its answers against its laws.

    pip install -e .[fuzz]
    python tests/fuzz/fuzz_verify.py                          until it finds something or is stopped
    python tests/fuzz/fuzz_verify.py -max_total_time=60       libFuzzer's own options
    python tests/fuzz/fuzz_verify.py --runs 20000 --seed 7    without atheris: seeded mutation only

The laws, for any bytes:

- every entry gives a report, and none raises;
- only a receipt that our key has signed is verified;
- the fast and the strict reader say the same;
- splitting does not depend on how a stream cuts the bytes, nor the report on the workers;
- what the fast reader takes is written again as the same bytes.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

# Started by path, this file finds the other tests and a checkout that is not installed.
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

atheris: Any = None
if importlib.util.find_spec("atheris") and "--runs" not in sys.argv:
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["tallystick", "json"]):
        importlib.import_module("tallystick.verify.verification")

from tests.material import (  # noqa: E402  # instrumented first
    OTHER_PUBLIC,
    PUBLIC,
    array,
    chain_of,
    full_statement,
    hash_of,
    lines,
    rotation,
    signed,
    statement,
    wire,
    with_member,
)

from tallystick.chain.issue import hash_receipt  # noqa: E402
from tallystick.crypto.multibase import did_key_encode  # noqa: E402
from tallystick.crypto.strict import parse_json  # noqa: E402
from tallystick.errors import MalformedInput  # noqa: E402
from tallystick.limits import RECEIPT_BYTES_MAX  # noqa: E402
from tallystick.model.receipt import has_sound_open_members, split_canonical  # noqa: E402
from tallystick.verify.receipt import _examine_value, examine  # noqa: E402
from tallystick.verify.source import Source  # noqa: E402
from tallystick.verify.trust import TrustFileError, parse_trust  # noqa: E402
from tallystick.verify.verification import verify_chain, verify_receipt  # noqa: E402

SIGNED = [
    signed(statement()),
    signed(statement(version="0.1.0")),
    signed(full_statement()),
    signed(with_member(statement(), "/issuer/runtime", {"n": [0.5, -1e300, "é", None]})),
    signed(
        with_member(statement(), "/credentialSubject/keyRotation", rotation(PUBLIC, OTHER_PUBLIC))
    ),
    *chain_of(3),
]
KNOWN = {(hash_of(receipt), receipt["proof"]["proofValue"]) for receipt in SIGNED}
TRUST = f'[[issuer]]\nid = "a"\n[[issuer.key]]\nkey = "{did_key_encode(PUBLIC)}"\n'
SEEDS = [
    *(wire(receipt) for receipt in SIGNED),
    array(SIGNED[:1], indent=1),
    array(SIGNED[-3:]),
    lines(SIGNED[-3:]),
    TRUST.encode() + b'valid_from = "2026-01-01T00:00:00Z"\nvalid_until = 2027-01-01T00:00:00Z\n',
    b'{"a":[1,2.5,-0,1e21,"\\ud83d\\ude00",true,null],"b":{"\xf0\x9f\x98\x80":{}}}',
]
# Pieces that carry meaning, for the mutation that has no feedback.
PIECES = [
    b'"', b"\\", b"\\u0000", b"\\ud800", b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"0",
    b"1.0", b"1e999", b"-0", b"9007199254740993", b"\n", b" ", b"\xff", b"\xef\xbb\xbf", b"NaN",
    b'"proof":', b'"sequence":2', b'"terminal":true', b'"@context"', b"=", b"u", b"\x00", b"[" * 70,
    b'{"a":' * 70, b'"a":1,"a":1',
]  # fmt: skip


class Cut(io.BytesIO):
    """A stream that gives three bytes at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(3 if size is None or size < 0 else min(size, 3))


def one_input(data: bytes) -> None:
    """Hold the laws on some bytes."""
    for report in (verify_receipt(data, PUBLIC), verify_receipt(data, PUBLIC, accept_nulls=True)):
        assert bool(report) is (str(report.verdict) == "verified")
        assert not report or _is_ours(data)
    report = verify_chain(data, PUBLIC)
    if len(data) % 8 == 0:  # starting threads takes longer than all the rest
        assert report == verify_chain(data, PUBLIC, workers=3)
    assert not report or _is_ours(data)
    assert _split(io.BytesIO(data)) == _split(Cut(data))
    _compare_readers(data)
    try:
        parse_trust(data)
    except TrustFileError:
        pass


def _is_ours(data: bytes) -> bool:
    """Whether each receipt of the input is one that our key has signed, with its own signature."""
    found = [json.loads(raw) for raw in Source(data) if isinstance(raw, bytes)]
    return bool(found) and all(
        (hash_receipt(one), one["proof"]["proofValue"]) in KNOWN for one in found
    )


def _split(stream: io.BytesIO) -> list[Any]:
    return [str(one) if isinstance(one, MalformedInput) else one for one in Source(stream)]


def _compare_readers(data: bytes) -> None:
    fast, strict, refused = examine(data), None, ""
    try:
        strict = _examine_value(parse_json(data, RECEIPT_BYTES_MAX), accept_nulls=False)
    except MalformedInput as fault:
        refused = fault.code
    if strict is None:
        assert [one.code for one in fast.faults] == [refused]
        return
    assert fast == strict
    split = split_canonical(data)
    if split is not None and has_sound_open_members(split[0]):
        assert split == (strict.receipt, strict.body)
        assert split[0].to_json() == data


def mutated(
    dice: random.Random, seeds: list[bytes] | None = None, pieces: list[bytes] | None = None
) -> bytes:
    """Return a seed with a few pieces put in, cut out, flipped or moved."""
    seeds, pieces = seeds or SEEDS, pieces or PIECES
    data = bytearray(dice.choice(seeds))
    for _ in range(dice.choice((1, 1, 1, 2, 3, 8))):
        at = dice.randrange(len(data) + 1)
        size = dice.choice((0, 1, 1, 2, 8, 50))
        kind = dice.randrange(5)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << dice.randrange(8)
        elif kind == 1:
            del data[at : at + size]
        elif kind == 2:
            data[at : at + size] = dice.choice(pieces)
        elif kind == 3:
            data[at:at] = data[dice.randrange(len(data) + 1) :][:size]
        else:
            data[at : at + size] = dice.choice(seeds)[at : at + size + dice.randrange(9)]
    return bytes(data)


def run(count: int, seed: int) -> None:
    """Try so many mutations; the failing input is printed."""
    for data in SEEDS:
        one_input(data)
    dice = random.Random(seed)
    for number in range(count):
        data = mutated(dice)
        try:
            one_input(data)
        except BaseException:
            sys.stderr.write(f"fuzz: run {number} of seed {seed}: {data!r}\n")
            raise
    sys.stdout.write(f"fuzz: {count} runs, nothing found\n")


def main() -> None:
    """Fuzz with atheris where it is installed, and by seeded mutation with `--runs`."""
    if "--runs" in sys.argv or atheris is None:
        options = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=False))
        run(int(options.get("--runs", "10000")), int(options.get("--seed", "0")))
        return
    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(SEEDS):
            Path(corpus, f"seed-{number}").write_bytes(data)
        atheris.Setup([*sys.argv, corpus], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
