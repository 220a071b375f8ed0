# SPDX-License-Identifier: Apache-2.0
"""The report on a bundle. Most cases are vectors: `tests/vectors/test_bundle_vectors.py`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence_making import SIGNERS, SOUND, STRANGER, bundle_of_run, make_run

from tallystick.verify.evidence import EvidenceQuestion, Predecessor, verify_evidence
from tallystick.verify.manifest_signers import Signers
from tallystick.verify.report import VerificationError
from tallystick.verify.trust import trust_of


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the bundle of a run."""
    folder = tmp_path_factory.mktemp("evidence")
    bundle_of_run(make_run(folder / "run"), folder / "run.tally")
    return (folder / "run.tally").read_bytes()


def test_a_report_says_what_the_manifest_says(bundle: bytes) -> None:
    """Ids, root and signers, also as a dict; it is a report like any other."""
    report = verify_evidence(bundle, SIGNERS)
    assert report.ensure() is report
    told = report.to_dict()
    assert told["verdict"] == "verified"
    assert (told["origin"], told["artifacts"]) == ("run", len(SOUND))
    assert told["signers"] == list(report.signers)
    assert told["manifest_sha256"] == report.manifest_sha256
    assert verify_evidence(b"", SIGNERS).to_dict()["origin"] is None


def test_a_stream_is_read_once_from_its_beginning(bundle: bytes) -> None:
    """A pipe that gives a few bytes at a time is judged like the bytes."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 1000))

    assert verify_evidence(Pipe(bundle), SIGNERS) == verify_evidence(bundle, SIGNERS)


@given(data=st.data())
def test_any_flipped_bit_is_refused(bundle: bytes, data: st.DataObject) -> None:
    """Whichever bit of a bundle is turned: it is not verified."""
    at = data.draw(st.integers(0, len(bundle) - 1))
    wrong = bytearray(bundle)
    wrong[at] ^= 1 << data.draw(st.integers(0, 7))
    report = verify_evidence(bytes(wrong), SIGNERS)
    assert report.verdict == "refused"
    with pytest.raises(VerificationError):
        report.ensure()


@given(st.binary(max_size=3000))
def test_any_bytes_get_a_report(data: bytes) -> None:
    """Junk is refused, never with a traceback."""
    assert verify_evidence(data, SIGNERS).verdict == "refused"


def test_who_counts_is_the_callers_word(bundle: bytes) -> None:
    """Another key refuses; no key leaves it unchecked."""
    stranger = Signers(trust=trust_of(STRANGER.public_key))
    assert verify_evidence(bundle, stranger).codes() == [
        "EVIDENCE_SIGNER",
        *["SIGNATURE_INVALID"] * 2,
    ]
    # Once for the manifest, once for its receipts.
    assert verify_evidence(bundle, Signers()).codes() == ["KEY_MISSING"] * 2
    unusable = Signers(trust=trust_of(b"x" * 31))
    assert set(verify_evidence(bundle, unusable).codes()) == {"KEY_UNUSABLE"}


def test_progress_counts_artifacts_and_bytes(bundle: bytes) -> None:
    """Who watches sees all artefacts go by."""
    seen: list[tuple[int, int]] = []
    question = EvidenceQuestion(progress=lambda files, size: seen.append((files, size)))
    verify_evidence(bundle, SIGNERS, question)
    assert seen[-1] == (len(SOUND), sum(map(len, SOUND.values())))


def test_a_predecessor_by_what_it_says() -> None:
    """Number and time of the one before are compared where they are known."""
    path = Path(__file__).resolve().parents[3] / "vectors" / "bundle" / "second"
    data = (path / "input.tally").read_bytes()
    before = verify_evidence(data, Signers()).manifest
    assert before is not None
    assert before.previous_manifest_hash is not None
    digest = before.previous_manifest_hash.removeprefix("sha256:")
    for changes, code in (
        ({"number": 1}, None),
        ({"number": 2}, "EVIDENCE_PREVIOUS"),
        ({"created_at": "2026-01-02T03:00:04.001Z"}, "EVIDENCE_TIMES"),
        ({"created_at": "2026-01-02T03:00:03.999Z"}, None),
    ):
        previous = Predecessor(sha256=digest, **changes)
        codes = verify_evidence(data, Signers(), EvidenceQuestion(previous=previous)).codes()
        assert [one for one in codes if one.startswith("EVIDENCE_")] == ([code] if code else [])
