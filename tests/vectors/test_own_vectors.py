# SPDX-License-Identifier: Apache-2.0
"""Our own vectors, and that every finding code is produced by one of them or by a test here."""

from __future__ import annotations

import ast
import io
import json
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from tests.evidence_making import SIGNERS
from tests.posts import make_bundle
from tests.stored import fill

from tallystick.cli.inputs import opened_sources
from tallystick.crypto.strict import parse_json
from tallystick.errors import ArtifactRefused, MalformedInput
from tallystick.limits import RECEIPT_BYTES_MAX, RESPONSE_BYTES_MAX
from tallystick.model.artifact import ArtifactEntry
from tallystick.model.decision import REASON_CODES
from tallystick.model.post import commitment_of
from tallystick.verify import workers as room
from tallystick.verify.evidence import EvidenceQuestion, verify_evidence
from tallystick.verify.findings import CODES
from tallystick.verify.manifest_signers import Signers
from tallystick.verify.post import PostFacts, verify_post
from tallystick.verify.report import Report
from tallystick.verify.source import Source
from tallystick.verify.trust import parse_trust
from tallystick.verify.verification import (
    Expectations,
    verify_chain,
    verify_input,
    verify_receipt,
)

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "vectors"
SOURCE = ROOT / "src" / "tallystick"

# How many there are: a corpus that shrinks unseen is no corpus.
COUNTS = {"chain": 136, "input": 63, "receipt": 444}

# What no file can bring about: each code with the test in this module that does.
IN_CODE = {
    "CHAINS_OVER_LIMIT": "test_more_chains_than_memory",
    "EVIDENCE_ARTIFACT_REFUSED": "test_a_folder_with_what_no_manifest_takes",
    "EVIDENCE_SCHEME_UNAVAILABLE": "test_a_signature_without_its_software",
    "EVIDENCE_UNREADABLE": "test_a_bundle_that_fails",
    "LOG_UNCONFIRMED": "test_a_log_and_a_stream_that_is_gone",
    "LOG_UNREADABLE": "test_a_log_that_fails",
    "MALFORMED_VALUE": "test_values_that_are_no_json",
    "POST_CONTRADICTED": "test_posts_against_bundles",
    "POST_EVIDENCE_MISMATCH": "test_posts_against_bundles",
    "POST_SLASHED": "test_posts_against_bundles",
    "POST_WITHOUT_BUNDLE": "test_posts_against_bundles",
    "post_disputed": "test_posts_against_bundles",
    "post_pending": "test_posts_against_bundles",
    "post_signer_other": "test_posts_against_bundles",
    "post_unresolved": "test_posts_against_bundles",
    "REPEATS_UNCONFIRMED": "test_repeats_in_a_stream_that_is_gone",
    "STORE_COLUMN": "test_a_store_whose_columns_lie",
    "SOURCE_UNREADABLE": "test_a_source_that_fails",
}


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a case asks for besides."""

    accept_nulls: bool = False
    chain_id: str | None = None
    expected_head: str | None = None
    expected_length: int | None = None
    log: str | None = None
    require_terminal: bool = False
    responses: dict[str, str] = {}
    verification_method: str | None = None
    whole: bool = False


class Expectation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `expect.json` holds."""

    why: str
    verdict: Literal["verified", "refused", "unchecked"]
    codes: list[str]
    keys: list[str] | None = None
    trust: str | None = None
    options: Options = Options()
    chains: list[dict[str, Any]] | None = None


class Vector(msgspec.Struct, frozen=True, kw_only=True):
    """One case, as it was read."""

    folder: Path
    kind: str
    data: bytes
    expected: Expectation

    @property
    def keys(self) -> object:
        """What the verifier is given as keys."""
        if self.expected.trust is not None:
            return parse_trust((self.folder / self.expected.trust).read_bytes())
        return [
            bytes.fromhex(key) if re.fullmatch(r"[0-9a-f]{64}", key) else key
            for key in self.expected.keys or ()
        ]

    @property
    def responses(self) -> dict[str, object]:
        """Receipt id → response body."""
        files = self.expected.options.responses
        return {name: (self.folder / file).read_bytes() for name, file in files.items()}

    def holdings(self, _chains: Sequence[str]) -> list[Source]:
        """Return what the log holds."""
        return [Source((self.folder / str(self.expected.options.log)).read_bytes())]


@cache
def vectors() -> tuple[Vector, ...]:
    """Return all of them."""
    return tuple(
        Vector(
            folder=folder,
            kind=folder.parent.name,
            data=next(folder.glob("input.*")).read_bytes(),
            expected=msgspec.json.decode(
                (folder / "expect.json").read_bytes(), type=Expectation
            ),
        )
        for kind in sorted(COUNTS)
        for folder in sorted((FOLDER / kind).iterdir())
    )  # fmt: skip


def name_of(vector: Vector) -> str:
    """Return `kind/case`."""
    return f"{vector.kind}/{vector.folder.name}"


def judge(vector: Vector, data: object, workers: int = 1) -> Report:
    """Return the report on `data` under the vector's keys and options."""
    options = vector.expected.options
    if vector.kind == "receipt":
        return verify_receipt(
            data,
            vector.keys,
            accept_nulls=options.accept_nulls,
            verification_method=options.verification_method,
        )
    if vector.kind == "chain":
        return verify_chain(
            data,
            vector.keys,
            chain_id=options.chain_id,
            expected_length=options.expected_length,
            expected_head=options.expected_head,
            require_terminal=options.require_terminal,
            verification_method=options.verification_method,
            responses=vector.responses,
            accept_nulls=options.accept_nulls,
            workers=workers,
        )
    expectations = Expectations(
        chain_id=options.chain_id,
        length=options.expected_length,
        head=options.expected_head,
        terminal=options.require_terminal,
        verification_method=options.verification_method,
        responses=vector.responses,
    )
    return verify_input(
        [Source(data, whole=options.whole)],
        vector.keys,
        expectations,
        accept_nulls=options.accept_nulls,
        workers=workers,
        holdings=None if options.log is None else vector.holdings,
    )


def assert_as_expected(report: Report, expected: Expectation) -> None:
    """Compare verdict, codes and, where they are told, chains."""
    assert (str(report.verdict), sorted(report.codes())) == (expected.verdict, expected.codes)
    assert report.verified is (expected.verdict == "verified") is bool(report)
    assert report.unlisted == 0
    if expected.chains is not None:
        assert report.to_dict()["chains"] == expected.chains


def test_all_vectors_were_loaded() -> None:
    """As many as we know of; the others are counted where they are judged."""
    assert Counter(vector.kind for vector in vectors()) == COUNTS
    listed = {path.name for path in FOLDER.iterdir()}
    assert listed == {*COUNTS, "bundle", "evidence", "log", "README.md", ".gitattributes"}


def test_vectors_are_what_their_sources_make() -> None:
    """`python -m tools.vectors --check` finds every file as it makes it."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.vectors", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_vectors_are_not_made_by_what_they_measure() -> None:
    """Nothing in the sources of the vectors imports tallystick."""
    for path in [ROOT / "tools" / "vectors.py", *(ROOT / "tools" / "corpus").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not [one.name for one in node.names if one.name.startswith("tallystick")]
            elif isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith("tallystick")


@pytest.mark.parametrize("vector", vectors(), ids=name_of)
def test_vector(vector: Vector) -> None:
    """Each case gets its verdict, exactly its codes, and its chains."""
    expected = vector.expected
    options = expected.options
    named = {"expect.json", expected.trust, options.log, *options.responses.values()} - {None}
    others = {path.name for path in vector.folder.iterdir()} - named
    assert len(others) == 1, "one input, and nothing that expect.json does not name"
    assert (expected.keys is None) is not (expected.trust is None)
    assert expected.why.endswith(".")
    assert expected.codes == sorted(expected.codes)
    assert_as_expected(judge(vector, vector.data), expected)


def receipts_of(data: bytes) -> list[Any] | None:
    """Return what strict parsing gives for each receipt, or None when something is malformed."""
    try:
        value = parse_json(data, 16 * RECEIPT_BYTES_MAX)
        return value if isinstance(value, list) else [value]
    except MalformedInput:
        pass
    try:
        lines = [line for line in data.split(b"\n") if line.strip()]
        return [parse_json(line, RECEIPT_BYTES_MAX) for line in lines] or None
    except MalformedInput:
        return None


def test_values_are_judged_like_bytes() -> None:
    """Dicts in place of bytes, and other white space and order, change no answer."""
    tried = 0
    for vector in vectors():
        receipts = receipts_of(vector.data)
        if not receipts or len(vector.data) > RECEIPT_BYTES_MAX:
            continue
        if not all(isinstance(one, dict) for one in receipts):
            continue
        alone = vector.kind == "receipt"
        if alone and len(receipts) > 1:
            continue
        tried += 1
        assert_as_expected(judge(vector, receipts[0] if alone else receipts), vector.expected)
        backward = [dict(reversed(one.items())) for one in receipts]
        data = json.dumps(backward, indent=1).encode()
        assert_as_expected(judge(vector, data), vector.expected)
    assert tried > sum(COUNTS.values()) * 0.8


def test_workers_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole report is the same where other processes check the signatures."""
    tried = 0
    for vector in vectors():
        codes = " ".join(vector.expected.codes)
        if vector.kind != "receipt" and re.search("SIGNATURE|KEY_|ROTATION", codes):
            alone = judge(vector, vector.data).to_dict()
            with monkeypatch.context() as patch:
                patch.setattr(room, "_BATCHES_ALONE", 0)  # they start at once
                assert judge(vector, vector.data, 2).to_dict() == alone, name_of(vector)
            tried += 1
    assert tried > 20


def test_lone_receipts_are_chains_of_one_too() -> None:
    """What is refused alone is refused as a chain; what is verified there is verified alone."""
    for vector in vectors():
        if vector.kind == "receipt":
            alone = judge(vector, vector.data)
            options = vector.expected.options
            chained = verify_chain(
                vector.data,
                vector.keys,
                accept_nulls=options.accept_nulls,
                verification_method=options.verification_method,
            )
            assert alone.verified or not chained.verified, name_of(vector)


# ---- every code


def codes_elsewhere() -> Iterator[list[str]]:
    """Yield the codes of each case of a log or a bundle, which other modules here judge."""
    for kind in ("log", "bundle"):
        for path in (FOLDER / kind).glob("*/expect.json"):
            yield json.loads(path.read_bytes())["codes"]


def test_every_code_is_produced() -> None:
    """Each listed code comes out of a vector or of a test here that is named for it."""
    produced = {code for vector in vectors() for code in vector.expected.codes}
    produced |= {code for codes in codes_elsewhere() for code in codes}
    assert produced | set(IN_CODE) == set(CODES)
    assert not produced & set(IN_CODE)
    for test in IN_CODE.values():
        assert callable(globals()[test])


def test_every_fault_can_come_alone() -> None:
    """For each code that decides there is a vector in which nothing else decides."""
    alone = {
        decisive[0]
        for codes in [*(vector.expected.codes for vector in vectors()), *codes_elsewhere()]
        if len(decisive := [code for code in codes if code.isupper()]) == 1
    }
    decided = {code for code in IN_CODE if code.isupper()}
    assert alone | decided == {name for name in CODES if name.isupper()}


def code_like_texts() -> Iterator[tuple[str, str]]:
    """Yield (place, text) of every text in the source that looks like a deciding code."""
    families = {name.split("_")[0] for name in CODES if name.isupper()}
    for path in SOURCE.rglob("*.py"):
        # Of the command line, what reads stores has something to find; the rest tells findings.
        if path.name == "findings.py" or ("cli" in path.parts and path.name != "ledger_input.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
                if re.fullmatch(r"[A-Z]+(_[A-Z]+)+", text) and text.split("_")[0] in families:
                    yield f"{path.name}:{node.lineno}", text


def test_no_code_is_unlisted() -> None:
    """Every text in the source that looks like a code is a listed one, and all are used."""
    found = list(code_like_texts())
    # The gate has codes of its own, which stand in manifests and decide no verdict.
    found = [(where, text) for where, text in found if text not in REASON_CODES]
    assert not [(where, text) for where, text in found if text not in CODES]
    used = {text for _, text in found}
    assert used == {name for name in CODES if name.isupper()}


# ---- what no file can bring about


def plain_receipts(name: str) -> bytes:
    """Return the input of a chain vector."""
    return (FOLDER / "chain" / name / "input.jsonl").read_bytes()


KEY = json.loads((FOLDER / "chain" / "three" / "expect.json").read_bytes())["keys"]


class Failing:
    """A stream that breaks off after its first lines."""

    def __init__(self, data: bytes) -> None:
        self._lines = iter(data.splitlines(keepends=True))

    def seekable(self) -> bool:
        """Say that there is only one pass."""
        return False

    def readline(self, size: int) -> bytes:
        """Give the lines, then fail."""
        line = next(self._lines, None)
        if line is None:
            raise OSError(5, "Input/output error")
        assert len(line) <= size
        return line

    def read(self, size: int) -> bytes:
        """Fail."""
        raise OSError(5, "Input/output error")


def test_a_source_that_fails() -> None:
    """What could not be read to its end is unchecked, also when all before was fine."""
    report = verify_chain(Failing(plain_receipts("three")), KEY)
    assert (str(report.verdict), report.codes()) == ("unchecked", ["SOURCE_UNREADABLE"])
    assert report.receipts == 3
    report = verify_chain(Failing(b""), KEY)
    assert (str(report.verdict), report.codes()) == ("unchecked", ["SOURCE_UNREADABLE"])


def test_more_chains_than_memory() -> None:
    """Chains beyond the memory limit are not judged, and that is said once."""
    line = (FOLDER / "chain" / "one" / "input.jsonl").read_bytes().strip()
    old = b'"chain_id":"chain-one"'
    assert old in line
    many = (
        line.replace(old, b'"chain_id":"%s"' % str(number).encode().rjust(1000, b"x"))
        for number in range(40_000)
    )
    report = verify_input([Source(many)], None)
    counts = Counter(report.codes())
    assert counts["CHAINS_OVER_LIMIT"] == 1
    assert str(report.verdict) == "unchecked"
    assert 15_000 < len(report.chains) < 40_000 == report.receipts


def test_repeats_in_a_stream_that_is_gone() -> None:
    """Ids that look repeated in what can't be read again are unchecked, not passed over."""
    receipts = plain_receipts("same-id").splitlines()
    assert verify_chain(receipts, KEY).codes() == ["ID_DUPLICATE"]
    report = verify_chain(iter(receipts), KEY)
    assert (str(report.verdict), report.codes()) == ("unchecked", ["REPEATS_UNCONFIRMED"])
    assert verify_chain(iter(plain_receipts("three").splitlines()), KEY).verified


def test_a_log_that_fails() -> None:
    """Where a log could not be read to its end, what it lacks is not said, nor that it has all."""
    failing = Source(Failing(plain_receipts("three")[:10]))
    report = verify_input([Source(plain_receipts("three"))], KEY, holdings=lambda _: [failing])
    assert (str(report.verdict), report.codes()) == ("unchecked", ["LOG_UNREADABLE"])


def test_a_log_and_a_stream_that_is_gone() -> None:
    """Which receipts within a chain a log holds besides takes a second look at the input."""
    held = plain_receipts("three")
    report = verify_input([Source(iter(held.splitlines()))], KEY, holdings=lambda _: [Source(held)])
    assert (str(report.verdict), report.codes()) == ("unchecked", ["LOG_UNCONFIRMED"])


@pytest.mark.parametrize(
    "value", [{1}, {"id": object()}, {1: "x"}, {"id": b"bytes"}, {"id": complex(1)}]
)
def test_values_that_are_no_json(value: object) -> None:
    """A Python value that has no JSON form is a finding, not an exception."""
    report = verify_receipt(value, KEY)
    assert (str(report.verdict), report.codes()) == ("refused", ["MALFORMED_VALUE"])


def test_limits_are_where_they_are_said_to_be() -> None:
    """A receipt of exactly the most bytes is read; nesting of any depth is refused quietly."""
    receipt = plain_receipts("one").strip()
    start = receipt.index(b'"id"')
    blanks = b" " * (RECEIPT_BYTES_MAX - len(receipt))
    whole = receipt[:start] + blanks + receipt[start:]
    assert len(whole) == RECEIPT_BYTES_MAX
    assert verify_receipt(whole, KEY).verified
    deep = receipt[:start] + b'"x":' + b"[" * 200_000 + b"]" * 200_000 + b"," + receipt[start:]
    assert verify_receipt(deep, KEY).codes() == ["MALFORMED_DEPTH"]
    unclosed = b"[" * (2 * RECEIPT_BYTES_MAX)
    assert verify_receipt(unclosed, KEY).codes() == ["MALFORMED_SIZE"]
    body = b" " * (RESPONSE_BYTES_MAX - 1) + b"1"
    report = verify_receipt(receipt, KEY, response_body=body)
    assert report.codes() == ["response_not_committed"]
    report = verify_receipt(receipt, KEY, response_body=body + b" ")
    assert report.codes() == ["RESPONSE_UNREADABLE"]


def test_a_store_whose_columns_lie(tmp_path: Path) -> None:
    """What stands beside a receipt in a store is compared with it, and no file of lines has it."""
    home = fill(tmp_path / "daemon")
    with closing(sqlite3.connect(home.db, isolation_level=None)) as base:
        base.execute("DROP TRIGGER receipts_update")
        base.execute("UPDATE receipts SET risk_level = 'low' WHERE risk_level = 'critical'")
    with opened_sources([str(home.db)]) as (sources, _):
        report = verify_input(sources, home.public.read_text())
    assert (str(report.verdict), report.codes()) == ("refused", ["STORE_COLUMN"])


def bundle_of(case: str) -> bytes:
    """Return the bundle of a case of `vectors/bundle`."""
    return (FOLDER / "bundle" / case / "input.tally").read_bytes()


def test_a_folder_with_what_no_manifest_takes() -> None:
    """A link in a folder refuses the bundle that is compared with it."""

    def refuse(name: str) -> ArtifactEntry:
        raise ArtifactRefused(name, "is a symbolic link")

    question = EvidenceQuestion(artifacts=map(refuse, ["report.json"]))
    report = verify_evidence(bundle_of("folder"), Signers(), question)
    assert "EVIDENCE_ARTIFACT_REFUSED" in report.codes()
    assert report.verdict == "refused"


def test_a_signature_without_its_software() -> None:
    """A signature that can't be checked here is neither right nor wrong."""
    script = (
        "import sys; sys.modules['coincurve'] = None\n"
        "from tallystick.verify.evidence import verify_evidence\n"
        "from tallystick.verify.manifest_signers import Signers\n"
        "report = verify_evidence(sys.stdin.buffer.read(), Signers(addresses=(bytes(20),)))\n"
        "print(report.verdict, *report.codes())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=bundle_of("signed-by-an-account"),
        capture_output=True,
        check=True,
    )
    # The receipts have a key of their own, which is not given here.
    assert done.stdout.split() == [b"unchecked", b"EVIDENCE_SCHEME_UNAVAILABLE", b"KEY_MISSING"]


def test_a_bundle_that_fails() -> None:
    """A stream that breaks is told as such."""

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    report = verify_evidence(Broken(), Signers())
    assert (report.codes(), report.verdict) == (["EVIDENCE_UNREADABLE"], "unchecked")


def test_posts_against_bundles(tmp_path: Path) -> None:
    """A post brings about its codes: by its status, by its words, and by what is missing."""
    path, made = make_bundle(tmp_path)
    evidence = verify_evidence(path.read_bytes(), SIGNERS)
    digest = bytes.fromhex(made.manifest_sha256)
    facts = PostFacts(
        receipt_id=bytes(32),
        chain_id=1,
        contract="0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        status="finalized",
        posted_at=1,
        operator="0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        commitment=commitment_of(made.manifest, digest, solver_id=bytes(32), created_at=1),
    )
    told = set(verify_post(facts, None).codes())
    for status in ("pending", "disputed", "slashed", "unresolved"):
        told |= set(verify_post(msgspec.structs.replace(facts, status=status), evidence).codes())
    for word in ("route_hash", "evidence_hash"):
        lie = msgspec.structs.replace(facts.commitment, **{word: b"\7" * 32})
        told |= set(verify_post(msgspec.structs.replace(facts, commitment=lie), evidence).codes())
    here = {code for code, test in IN_CODE.items() if test == "test_posts_against_bundles"}
    assert here <= told
