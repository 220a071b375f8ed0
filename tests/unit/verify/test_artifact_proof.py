# SPDX-License-Identifier: Apache-2.0
"""The report on one artefact. Most cases are vectors: `tests/vectors/test_bundle_vectors.py`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence_making import SIGNERS, bundle_of_list, bundle_of_run, listed, make_run
from tests.logs import LOG_KEY

from tallystick.model.artifact import artifacts_root, entry_leaf
from tallystick.model.artifact_proof import ArtifactProof, prove
from tallystick.model.bundle import MANIFEST, SIGNATURES, BundleReader, exactly
from tallystick.model.bundle_head import read_head
from tallystick.model.manifest_signature import parse_signatures
from tallystick.verify.artifact_proof import verify_artifact_proof
from tallystick.verify.evidence import Predecessor


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a proof out of the bundle of a run."""
    folder = tmp_path_factory.mktemp("proof")
    bundle_of_run(make_run(folder / "run"), folder / "out")
    stream = io.BytesIO(Path(folder / "out").read_bytes())
    return prove(read_head(BundleReader(exactly(stream.read))), "artifacts/report.json").encode()


def test_a_proof_stands_by_itself(proof: bytes) -> None:
    """Path, hash and size are told, and compared with the file where there is one."""
    report = verify_artifact_proof(proof, SIGNERS)
    assert report.verified
    told = report.to_dict()["artifact"]
    assert told["path"] == "artifacts/report.json"
    assert verify_artifact_proof(proof, SIGNERS, found=(told["sha256"], told["bytes"])).verified
    wrong = verify_artifact_proof(proof, SIGNERS, found=("0" * 64, told["bytes"]))
    assert wrong.codes() == ["EVIDENCE_ARTIFACT_CHANGED"]


def test_what_else_was_asked_is_answered(proof: bytes) -> None:
    """A proof shows which manifest comes before, and nothing of a log: neither is passed over."""
    other = verify_artifact_proof(proof, SIGNERS, previous=Predecessor(sha256="0" * 64))
    assert (other.verdict, other.codes()) == ("refused", ["EVIDENCE_PREVIOUS"])
    logged = verify_artifact_proof(proof, SIGNERS, log_key=LOG_KEY.verifier)
    assert (logged.verdict, logged.codes()) == ("unchecked", ["LOG_PROOF_MISSING"])


@pytest.mark.parametrize(
    ("entries", "root", "code"),
    [
        ([("a", b"1")], [("a", b"2")], "EVIDENCE_ROOT"),
        ([("a", b"1"), ("a", b"2")], [("a", b"1"), ("a", b"2")], "EVIDENCE_ARTIFACT_ORDER"),
    ],
)
def test_a_manifest_that_contradicts_itself_proves_nothing(
    entries: list[tuple[str, bytes]], root: list[tuple[str, bytes]], code: str
) -> None:
    """Its signer could otherwise show two files under one path, each with a proof."""
    committed = [listed(*one) for one in root]
    text = f"sha256:{artifacts_root(committed).hex()}"
    made = bundle_of_list([listed(*one) for one in entries], {}, artifacts_root=text)
    files = BundleReader(exactly(io.BytesIO(made).read))
    content = {}
    while (member := files.next()) is not None:
        content[member.name] = files.content()
    lie = ArtifactProof(
        entry=committed[0],
        format="tally-artifact-proof/v1",
        index=0,
        manifest=content[MANIFEST].decode().rstrip(),
        path=tuple(entry_leaf(one).hex() for one in committed[1:]),
        signatures=parse_signatures(content[SIGNATURES]),
    )
    report = verify_artifact_proof(lie.encode(), SIGNERS)
    assert (report.verdict, report.codes()) == ("refused", [code, "evidence_no_decision"])


@given(data=st.data())
def test_any_flipped_bit_is_refused(proof: bytes, data: st.DataObject) -> None:
    """Whichever bit of a proof is turned: it is not verified."""
    at = data.draw(st.integers(0, len(proof) - 2))
    wrong = bytearray(proof)
    wrong[at] ^= 1 << data.draw(st.integers(0, 7))
    assert verify_artifact_proof(bytes(wrong), SIGNERS).verdict == "refused"


def test_junk_gets_a_report() -> None:
    """What is no proof is refused, and the report can be printed."""
    report = verify_artifact_proof(b"{}", SIGNERS)
    assert report.codes() == ["EVIDENCE_MANIFEST"]
    assert report.to_dict()["artifact"] is None
