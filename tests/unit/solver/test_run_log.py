# SPDX-License-Identifier: Apache-2.0
"""The receipts of a run are in the log before its bundle is written, or the run waits."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests import solving
from tests.honest_log import SHEET_NOTE
from tests.logs import LOG_KEY, WITNESS_KEY
from tests.promising import PromisingCollector
from tests.solving import NOW_NS, body, manifest_of

from tallystick.errors import EmitError, RefusedInput
from tallystick.model import bundle
from tallystick.model.bundle import BundleReader
from tallystick.model.bundle_head import BundleHead, read_head
from tallystick.solver.resume import resume_run, unfinished
from tallystick.solver.run import RunOutcome, run_intent
from tallystick.solver.run_log import RunLog
from tallystick.solver.setup import Solver
from tallystick.verify.log import verify_logged

KEY = LOG_KEY.verifier


@pytest.fixture
def collector() -> Iterator[PromisingCollector]:
    """Return a collector with a log, which signs a checkpoint after each receipt."""
    with PromisingCollector(lambda: time.time_ns() // 10**6) as running:
        running.signs_at_once = True
        yield running


def logging(folder: Path, collector: PromisingCollector, **changes: Any) -> Solver:
    """Return a solver whose runs are logged; its clock is ours, as the collector's is."""
    started = time.time_ns() - NOW_NS
    times = iter(range(NOW_NS + started, NOW_NS + started + 10**12, 10**6))
    members = {"log": RunLog(collector.url, KEY, None), "clock": lambda: next(times), **changes}
    return solving.solver(folder, **members)


def head_of(result: RunOutcome) -> BundleHead:
    """Return what stands in the bundle of a run."""
    return read_head(BundleReader(io.BytesIO(Path(result.bundle).read_bytes()).read))


def intent(**changes: Any) -> bytes:
    """Return an intent that does not expire."""
    return body(expiresAt=None, **changes)


def test_a_bundle_holds_the_logs_word(tmp_path: Path, collector: PromisingCollector) -> None:
    """Of a run that went well, and of a refusal: proof, promise and sheet, over the last."""
    solver = logging(tmp_path, collector)
    for status in ("SUCCESS", "REFUSED"):
        result = run_intent(solver, intent())
        assert result.status == status
        files = head_of(result).files
        last = files[bundle.RECEIPTS].splitlines()[-1]
        report = verify_logged(
            last,
            KEY,
            proof=files[bundle.LOG_PROOF],
            promise=files[bundle.LOG_PROMISE],
            sheet=files[bundle.LOG_SHEET],
        )
        assert report.verified
        assert set(files[bundle.RECEIPTS].splitlines()) <= set(collector.answers)
    assert not unfinished(solver.home)


def test_a_run_waits_for_its_log(tmp_path: Path, collector: PromisingCollector) -> None:
    """Away, the run stays signed and says so; resumed, it has its bundle, and ran once."""
    collector.sheet = None
    calls: list[object] = []
    runner = solving.Scripted(calls.append)
    solver = logging(tmp_path, collector, runners={"WORK": runner})
    with pytest.raises(EmitError, match="tally solver resume") as caught:
        run_intent(solver, intent(jobType="WORK"))
    assert caught.value.is_transient
    (run_id,) = unfinished(solver.home)
    manifest = manifest_of(solver.home.run(run_id))
    collector.sheet = SHEET_NOTE
    result = resume_run(solver, run_id)
    assert bundle.LOG_PROOF in head_of(result).files
    assert manifest_of(solver.home.run(run_id)) == manifest
    assert runner.calls == 1
    assert not unfinished(solver.home)


def test_evidence_is_no_hostage(tmp_path: Path, collector: PromisingCollector) -> None:
    """Where the log is another one than was named, the run ends without it, once told to."""
    other = RunLog(collector.url, WITNESS_KEY.verifier, None)
    solver = logging(tmp_path, collector, log=other)
    with pytest.raises(EmitError, match="not of the key"):
        run_intent(solver, intent())
    (run_id,) = unfinished(solver.home)
    result = resume_run(msgspec.structs.replace(solver, log=None), run_id)
    assert bundle.LOG_PROOF not in head_of(result).files


def test_a_broken_promise_is_kept_beside_the_run(
    tmp_path: Path, collector: PromisingCollector
) -> None:
    """It is evidence against the log: a monitor takes the folder. Asked again, the log proves."""
    collector.signs_at_once = False
    solver = logging(tmp_path, collector, is_cancelled=lambda: len(collector.answers) == 6)
    with pytest.raises(EmitError, match="stopped before the proof"):
        run_intent(solver, intent())
    (run_id,) = unfinished(solver.home)
    kept = list(Path(solver.home.run(run_id), "promises").iterdir())
    assert [one.suffix for one in kept] == [".json"] * 6  # of each receipt
    collector.sign()
    again = msgspec.structs.replace(solver, is_cancelled=lambda: False)
    assert bundle.LOG_PROOF in head_of(resume_run(again, run_id)).files
    kept = list(Path(solver.home.run(run_id), "promises").iterdir())
    assert [one.suffix for one in kept] == [".tlog-proof"] * 6


def test_without_receipts_there_is_nothing_to_log(
    tmp_path: Path, collector: PromisingCollector
) -> None:
    """A run whose daemon gave none has a bundle without them, and none is made up."""
    result = run_intent(logging(tmp_path, collector), intent())
    manifest = head_of(result).manifest
    (tmp_path / "empty").mkdir()
    members = RunLog(collector.url, KEY, None).members(
        manifest, str(tmp_path / "empty"), is_cancelled=lambda: False
    )
    assert members == {}


def test_addresses_are_checked_at_once() -> None:
    """Before any run: no host, or one to which receipts would travel unprotected."""
    for url in ("collector", "http://collector.example", "https://a:b@c.example"):
        with pytest.raises(RefusedInput):
            RunLog(url, KEY, None)
    assert "s3cret" not in repr(RunLog("https://c.example", KEY, "s3cret"))
