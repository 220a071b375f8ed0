# SPDX-License-Identifier: Apache-2.0
"""Throws bytes at the reader and the judge of bundles, and holds their answers against their laws.

    pip install -e .[fuzz]
    python tests/fuzz/fuzz_bundle.py                          until it finds something or is stopped
    python tests/fuzz/fuzz_bundle.py -max_total_time=60       libFuzzer's own options
    python tests/fuzz/fuzz_bundle.py --runs 20000 --seed 7    without atheris: seeded mutation only

The laws, for any bytes:

- the judge gives a report and never raises, and only what our key has signed is verified;
- what the reader takes is packed again as the same bytes: a bundle has one form;
- how a stream cuts the bytes changes nothing;
- what is unpacked lies in the folder that was asked for, and is no larger than the bundle;
- a proof gets a report, too.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import os
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
        importlib.import_module("tallystick.verify.evidence")

from tests.fuzz.fuzz_verify import mutated as mutated_from  # noqa: E402  # instrumented first
from tests.vectors.test_bundle_vectors import signers_of, vectors  # noqa: E402

from tallystick.errors import BundleError, RefusedInput  # noqa: E402
from tallystick.model.bundle import (  # noqa: E402
    END,
    BundleReader,
    exactly,
    member_header,
    padding,
)
from tallystick.solver.extracting import extract_bundle  # noqa: E402
from tallystick.verify.artifact_proof import verify_artifact_proof  # noqa: E402
from tallystick.verify.evidence import verify_evidence  # noqa: E402

SEEDS = [one.data for one in vectors() if one.expected.verdict == "verified"]
SIGNERS = signers_of(vectors()[0].expected.keys)
# Manifests that our key has signed: no other one is ever verified.
KNOWN = {
    verify_artifact_proof(one.data, SIGNERS).manifest_sha256
    if one.is_proof
    else verify_evidence(one.data, SIGNERS).manifest_sha256
    for one in vectors()
    if one.expected.verdict == "verified"
}
PIECES = [
    b"\0", b"\0" * 512, b"ustar\x0000", b"artifacts/", b"../", b"/", b"x", b"0000644\0",
    b"evidence/manifest.json", b"evidence/artifacts.jsonl", b'"artifacts":null', b"77777777777",
    b"path=", b"21 path=artifacts/zz\n", b"5", b"{", b"\n", b'"', b"\xff",
]  # fmt: skip


class Cut(io.BytesIO):
    """A stream that gives a hundred bytes at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(100 if size is None or size < 0 else min(size, 100))


def one_input(data: bytes) -> None:
    """Hold the laws on some bytes."""
    report = verify_evidence(data, SIGNERS)
    assert not report or report.manifest_sha256 in KNOWN
    assert report == verify_evidence(Cut(data), SIGNERS)
    proof = verify_artifact_proof(data, SIGNERS)
    assert not proof or proof.manifest_sha256 in KNOWN
    try:
        members = _members(data)
    except BundleError:
        assert not report
        return
    assert (
        b"".join(
            member_header(name, len(body)) + body + padding(len(body)) for name, body in members
        )
        + END
        == data
    )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        try:
            extract_bundle(io.BytesIO(data), out)
        except RefusedInput:
            pass
        assert os.listdir(folder) in ([], ["out"])
        assert sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) <= len(data)


def _members(data: bytes) -> list[tuple[str, bytes]]:
    reader, found = BundleReader(exactly(io.BytesIO(data).read)), []
    while (member := reader.next()) is not None:
        found.append((member.name, reader.content()))
    return found


def mutated(dice: random.Random) -> bytes:
    """Return a bundle with a few pieces put in, cut out, flipped or moved."""
    return mutated_from(dice, SEEDS, PIECES)


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
