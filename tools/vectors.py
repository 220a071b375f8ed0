# SPDX-License-Identifier: Apache-2.0
"""Writes vectors/: `python -m tools.vectors`. With `--check`, says what is out of date.

What the vectors are is told in vectors/README.md, how each is made in tools/corpus/.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.corpus import (
    bundle_chains,
    bundle_forms,
    bundle_runs,
    bundles,
    chain_contents,
    chains,
    evidence,
    genuine,
    holdings,
    inputs,
    json_faults,
    logs,
    rotations,
    shapes,
    signatures,
    tampering,
    whole,
)
from tools.corpus.bundle_making import BundleCase
from tools.corpus.evidence import EvidenceCase
from tools.corpus.log_making import LogCase
from tools.corpus.making import Case

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "vectors"
KINDS = ("bundle", "chain", "evidence", "input", "log", "receipt")


def all_cases() -> list[Case | LogCase | EvidenceCase | BundleCase]:
    """Return every case; names are told apart within each kind."""
    made: list[Case | LogCase | EvidenceCase | BundleCase] = [
        case
        for module in (
            genuine, shapes, tampering, signatures, json_faults, chains, chain_contents,
            rotations, inputs, holdings, whole,
        )
        for case in module.cases()
    ]  # fmt: skip
    made += [
        *logs.cases(),
        *evidence.cases(),
        *bundles.cases(),
        *bundle_runs.cases(),
        *bundle_chains.cases(),
        *bundle_forms.cases(),
    ]
    names = [(case.kind, case.name) for case in made]
    twice = {name for name in names if names.count(name) > 1}
    assert not twice, twice
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Write all vectors, or compare them; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    check = parser.parse_args(arguments).check
    cases = all_cases()
    wanted = {
        FOLDER / case.kind / case.name / name: data
        for case in cases
        for name, data in case.contents().items()
    }
    present = {path for kind in KINDS for path in (FOLDER / kind).rglob("*") if path.is_file()}
    stale = [path for path in wanted if path not in present or path.read_bytes() != wanted[path]]
    surplus = sorted(present - set(wanted))
    if check:
        for path in stale + surplus:
            print(f"{path.relative_to(ROOT)}: not what tools/vectors.py makes")
        return 1 if stale or surplus else 0
    for path in surplus:
        path.unlink()
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wanted[path])
    for kind in KINDS:
        for folder in (FOLDER / kind).iterdir():
            if not any(folder.iterdir()):
                folder.rmdir()
    print(f"{len(cases)} vectors: {len(stale)} files written, {len(surplus)} removed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
