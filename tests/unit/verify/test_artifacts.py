# SPDX-License-Identifier: Apache-2.0
"""Files against a list: every difference is named once, for what it is."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tallystick.model.artifact import ArtifactEntry
from tallystick.verify.artifacts import ArtifactJudge, judge_list, listed_entries
from tallystick.verify.report import Findings

FILES = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 3), max_size=8)


def entry(name: str, content: int) -> ArtifactEntry:
    """Return the entry of a file whose content is a number."""
    return ArtifactEntry(
        size=content, content_type="text/plain", path=f"artifacts/{name}", sha256=f"{content:064}"
    )


def judged(listed: dict[str, int], found: dict[str, int]) -> list[tuple[str, str]]:
    """Return code and place of each finding."""
    findings = Findings()
    judge = ArtifactJudge([entry(*one) for one in sorted(listed.items())], findings)
    for name in sorted(found):
        judge.take(f"artifacts/{name}", f"{found[name]:064}", found[name])
    judge.end()
    return [(one.code, one.where[-1]) for one in findings.report((), 0).findings]


@given(listed=FILES, found=FILES)
def test_every_difference_is_found_once(listed: dict[str, int], found: dict[str, int]) -> None:
    """Changed where both have the path; the rest pairs up as renamed, or is missing or extra."""
    told = judged(listed, found)
    changed = {name for name in listed.keys() & found.keys() if listed[name] != found[name]}
    gone = {name: listed[name] for name in listed.keys() - found.keys()}
    new = {name: found[name] for name in found.keys() - listed.keys()}
    pairs = sum(
        min(list(gone.values()).count(content), 1 if content in new.values() else 0)
        for content in range(4)
    )
    by_code = {code: [name for one, name in told if one == code] for code, _ in told}
    assert set(by_code.get("EVIDENCE_ARTIFACT_CHANGED", [])) == changed
    assert len(by_code.get("EVIDENCE_ARTIFACT_RENAMED", [])) == pairs
    assert len(by_code.get("EVIDENCE_ARTIFACT_MISSING", [])) == len(gone) - pairs
    assert len(by_code.get("EVIDENCE_ARTIFACT_EXTRA", [])) == len(new) - pairs
    assert bool(told) is (listed != found)


def test_where_the_list_lies() -> None:
    """A list is needed once: the vectors show each fault; without one there are no entries."""
    from tests.unit.model.test_manifest import sample

    from tallystick.model.manifest import parse_manifest

    manifest = parse_manifest(sample("run-listed"))
    findings = Findings()
    assert listed_entries(manifest, None, findings) is None
    assert listed_entries(manifest, b"junk\n", findings) is None
    assert [one.code for one in findings.report((), 0).findings] == [
        "EVIDENCE_MALFORMED",
        "EVIDENCE_MANIFEST",
    ]
    inside = parse_manifest(sample("run"))
    findings = Findings()
    entries = listed_entries(inside, None, findings)
    assert entries is not None
    judge_list(inside, entries, findings)
    assert not findings.report((), 0).findings


def test_no_path_is_a_file_and_a_folder() -> None:
    """What no run can have left is not verified, however well its list was signed."""
    from tests.unit.model.test_manifest import sample

    from tallystick.model.artifact import artifacts_root
    from tallystick.model.manifest import parse_manifest

    entries = [entry(name, 1) for name in ("a", "a-b", "a/b/c")]
    manifest = msgspec.structs.replace(
        parse_manifest(sample("run-listed")),
        artifact_count=len(entries),
        artifacts_root=f"sha256:{artifacts_root(entries).hex()}",
    )
    findings = Findings()
    judge_list(manifest, entries, findings)
    (found,) = findings.report((), 0).findings
    assert (found.code, found.found) == ("EVIDENCE_MANIFEST", "artifacts/a")
