# SPDX-License-Identifier: Apache-2.0
"""Bundles: the same input gives the same bytes, and none says something else than its manifest."""

from __future__ import annotations

import tarfile
from hashlib import sha256
from pathlib import Path

import pytest
from tests.evidence_making import (
    SIGNERS,
    SOLVER,
    SOUND,
    STRANGER,
    bundle_of_folder,
    bundle_of_run,
    evidence_of,
    make_run,
    make_tree,
)

from tallystick.crypto.secp256k1 import read_address
from tallystick.errors import ArtifactRefused, ManifestError, PathTakenError, SigningError
from tallystick.keys.evm_local import LocalEvmSigner
from tallystick.keys.local import LocalSigner
from tallystick.model.manifest_signature import parse_signatures
from tallystick.solver.bundling import make_directory_bundle, sign_manifest, write_bundle
from tallystick.verify.evidence import verify_evidence
from tallystick.verify.manifest_signers import Signers


def test_a_run_becomes_a_bundle_that_verifies(tmp_path: Path) -> None:
    """From the directory of a run to `verified`, with its intent and policy inside."""
    out = tmp_path / "run.tally"
    packed = bundle_of_run(make_run(tmp_path / "run"), out)
    data = out.read_bytes()
    assert (packed.size, packed.sha256) == (len(data), sha256(data).hexdigest())
    report = verify_evidence(data, SIGNERS)
    assert report.ensure().manifest == packed.manifest
    with tarfile.open(out) as archive:
        assert archive.getnames()[-1] == "artifacts/sub/ü.txt"


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    """Files made in another order, with other modes and times, give the same bundle."""
    first = make_run(tmp_path / "first", SOUND)
    second = make_run(tmp_path / "second", dict(reversed(SOUND.items())))
    for path in (second / "artifacts").rglob("*"):
        path.chmod(0o700)
    bundle_of_run(first, tmp_path / "1")
    bundle_of_run(second, tmp_path / "2")
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_what_changed_after_the_manifest_is_not_packed(tmp_path: Path) -> None:
    """Same size or another: no bundle leaves that contradicts its manifest."""
    for number, data in enumerate((b'{"sum":4}\n', b"{}\n")):
        run = make_run(tmp_path / str(number))
        evidence_of(run)
        (run / "artifacts/report.json").write_bytes(data)
        with pytest.raises(ArtifactRefused, match="changed after"):
            write_bundle(run, tmp_path / "out")
        assert not (tmp_path / "out").exists()
    assert not [one for one in tmp_path.iterdir() if one.name.endswith(".tmp")]


def test_a_bundle_is_never_written_over(tmp_path: Path) -> None:
    """What is there stays as it is."""
    (tmp_path / "out").write_bytes(b"mine")
    with pytest.raises(PathTakenError):
        bundle_of_run(make_run(tmp_path / "run"), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"mine"


def test_who_has_signed_does_not_sign_again(tmp_path: Path) -> None:
    """A run that is taken up again gets no second signature, and keeps those of others."""
    run = make_run(tmp_path / "run")
    evidence_of(run)
    first = sign_manifest(run, LocalSigner(SOLVER))
    assert sign_manifest(run, LocalSigner(SOLVER)) == first
    both = sign_manifest(run, LocalSigner(STRANGER))
    assert both[:1] == first
    assert parse_signatures((run / "evidence/signatures.json").read_bytes()) == both


def test_a_wrong_signature_is_replaced(tmp_path: Path) -> None:
    """What a crash or a hand has spoiled is made anew by the same signer."""
    run, other = make_run(tmp_path / "run"), make_run(tmp_path / "other", {"x": b""})
    evidence_of(run)
    evidence_of(other)
    right = sign_manifest(run, LocalSigner(SOLVER))
    sign_manifest(other, LocalSigner(SOLVER))
    wrong = (other / "evidence/signatures.json").read_bytes()
    (run / "evidence/signatures.json").write_bytes(wrong)
    assert sign_manifest(run, LocalSigner(SOLVER)) == right


def test_a_signer_that_errs_is_found_out(tmp_path: Path) -> None:
    """A signature counts only after it was checked under the signer's own key."""

    class Wrong(LocalSigner):
        def sign(self, message: bytes, /) -> bytes:
            return super().sign(message + b"!")

    run = make_run(tmp_path / "run")
    evidence_of(run)
    with pytest.raises(SigningError):
        sign_manifest(run, Wrong(SOLVER))
    assert not (run / "evidence/signatures.json").exists()


def test_directories_of_runs_are_not_made_into_bundles(tmp_path: Path) -> None:
    """Laundering a run as a folder is refused: the run itself, and its artefacts alone."""
    run = make_run(tmp_path / "run")
    evidence_of(run)
    for folder in (run, run / "artifacts", run / "evidence"):
        with pytest.raises(ArtifactRefused):
            bundle_of_folder(folder, tmp_path / "out")
    for name in ("manifest.json", "evidence/x", "states.jsonl"):
        folder = make_tree(tmp_path / name.replace("/", "-"), {name: b""})
        with pytest.raises(ArtifactRefused, match="run's directory"):
            bundle_of_folder(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_says_that_it_is_no_run(tmp_path: Path) -> None:
    """Intent, decision and run are null, and the report says so."""
    bundle_of_folder(make_tree(tmp_path / "f", SOUND), tmp_path / "out")
    report = verify_evidence((tmp_path / "out").read_bytes(), SIGNERS)
    assert report.verified
    assert report.codes() == ["evidence_no_decision"]
    manifest = report.manifest
    assert manifest is not None
    assert manifest.origin == "directory"
    assert (manifest.intent_id, manifest.policy_decision, manifest.run_id) == (None, None, None)


def test_a_bundle_may_leave_the_files_out(tmp_path: Path) -> None:
    """Detached, the list alone is there; an empty folder needs no files."""
    folder = make_tree(tmp_path / "f", SOUND)
    bundle_of_folder(folder, tmp_path / "out", artifacts=False)
    report = verify_evidence((tmp_path / "out").read_bytes(), SIGNERS)
    assert report.codes() == ["evidence_no_decision", "EVIDENCE_ARTIFACTS_ABSENT"]
    bundle_of_folder(make_tree(tmp_path / "empty", {}), tmp_path / "none", artifacts=False)
    assert verify_evidence((tmp_path / "none").read_bytes(), SIGNERS).verified


def test_a_list_that_is_not_the_manifests_is_refused(tmp_path: Path) -> None:
    """The list beside a manifest is held against its root before anything is packed."""
    run = make_run(tmp_path / "run", {f"{number:04}": b"" for number in range(300)})
    evidence_of(run)
    path = run / "evidence/artifacts.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    with pytest.raises(ManifestError, match="commits to"):
        write_bundle(run, tmp_path / "out")


def test_nobody_signs_needs_no_signature_file(tmp_path: Path) -> None:
    """Without a signer the bundle has no signatures, and is refused for it."""
    folder = make_tree(tmp_path / "f", SOUND)
    make_directory_bundle(folder, tmp_path / "out", None, created_at="2026-01-02T03:00:04.000Z")
    report = verify_evidence((tmp_path / "out").read_bytes(), SIGNERS)
    assert "EVIDENCE_SIGNER" in report.codes()


def test_both_kinds_of_signatures_stand_side_by_side(tmp_path: Path) -> None:
    """An EVM account signs the same manifest, and either signer is enough for who knows it."""
    run, account = make_run(tmp_path / "run"), LocalEvmSigner(b"\1" * 32)
    evidence_of(run)
    both = sign_manifest(run, LocalSigner(SOLVER), evm_signer=account)
    assert sign_manifest(run, None, evm_signer=account) == both
    assert [one.signer for one in both][1] == account.get_address()
    write_bundle(run, tmp_path / "out")
    data = (tmp_path / "out").read_bytes()
    only_account = Signers(addresses=(read_address(account.get_address()),))
    report = verify_evidence(data, only_account)
    assert report.signers == (account.get_address(),)
    # Receipts have a key of their own: without it they are the one thing that is open.
    assert set(report.codes()) == {"evidence_signer_unlisted", "KEY_MISSING"}
    both_known = Signers(trust=SIGNERS.trust, addresses=only_account.addresses)
    assert verify_evidence(data, both_known).codes() == []
    assert verify_evidence(data, SIGNERS).codes() == ["evidence_signer_unlisted"]


def test_an_account_that_errs_is_found_out(tmp_path: Path) -> None:
    """A signature that leads to another address does not count."""

    class Wrong(LocalEvmSigner):
        def get_address(self) -> str:
            return LocalEvmSigner(b"\2" * 32).get_address()

    run = make_run(tmp_path / "run")
    evidence_of(run)
    with pytest.raises(SigningError, match="address"):
        sign_manifest(run, evm_signer=Wrong(b"\1" * 32))
