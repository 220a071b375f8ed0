# SPDX-License-Identifier: Apache-2.0
"""`tally solver run`, `resume` and `sign`, with their exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from tests.command import tally
from tests.solving import PRIVATE, asked, body, configured
from tests.terminals import is_gone, watched

from tallystick.model.intent import intent_of
from tallystick.model.requester import signature_reason
from tallystick.solver.home import SolverHome
from tallystick.solver.states import FILE

_LATER = "2999-01-01T00:00:00Z"


def _intent(folder: Path, **changes: Any) -> str:
    path = folder / "intent.json"
    path.write_bytes(body(**{"expiresAt": _LATER, **changes}))
    return str(path)


def test_a_run_prints_what_became_of_it(tmp_path: Path) -> None:
    """Success is exit code 0, and a second time is a refusal with its reason, 1."""
    home = str(configured(tmp_path))
    given = _intent(tmp_path)
    first = tally("solver", "run", given, "--home", home)
    assert first.code == 0, first
    assert "status    SUCCESS" in first.out
    bundle = first.out.rpartition("bundle    ")[2].strip()
    assert Path(bundle).is_file()
    second = tally("solver", "run", given, "--home", home)
    assert second.code == 1
    assert "refused   INTENT_REPLAYED" in second.out
    assert second.err.startswith("tally: refused: intent ")


def test_standard_input_and_json(tmp_path: Path) -> None:
    """`-` reads the intent, and --json prints the outcome for programs."""
    home = str(configured(tmp_path))
    done = tally("solver", "run", "-", "--home", home, "--json", stdin=body(expiresAt=_LATER))
    assert done.code == 0, done
    told = json.loads(done.out)
    assert told["status"] == "SUCCESS"
    assert told["decision"] == {"allowed": True, "reasons": []}


@pytest.mark.parametrize(
    ("data", "code", "told"),
    [
        (b'{"a":1,"a":2}', 1, "appears twice"),
        (b"{}", 1, "missing required field"),
        (json.dumps({**asked(), "x": 1}).encode(), 1, "unknown field"),
    ],
)
def test_what_is_no_intent_is_told(tmp_path: Path, data: bytes, code: int, told: str) -> None:
    """One line says why, and nothing is left behind."""
    home = configured(tmp_path)
    done = tally("solver", "run", "-", "--home", str(home), stdin=data)
    assert done.code == code
    assert told in done.err
    assert SolverHome(home).run_ids() == []


def test_faults_of_setting_up_have_their_codes(tmp_path: Path) -> None:
    """Settings and keys are 2, files 3."""
    home = configured(tmp_path)
    given = _intent(tmp_path)
    (home / "solver.toml").write_text("unknown = 1")
    assert tally("solver", "run", given, "--home", str(home)).code == 2
    (home / "solver.toml").write_text('policy_jobtype_allowlist = ["NONE"]')
    assert tally("solver", "run", given, "--home", str(home)).code == 2
    (home / "solver.toml").write_text("")
    (home / "signing.key").unlink()
    assert tally("solver", "run", given, "--home", str(home)).code == 2
    assert tally("solver", "run", str(tmp_path / "none"), "--home", str(home)).code == 3


def test_too_large_an_intent_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a file and from standard input alike."""
    monkeypatch.setattr("tallystick.limits.INTENT_BYTES_MAX", 100)
    home = str(configured(tmp_path))
    for where, stdin in ((_intent(tmp_path), b""), ("-", body())):
        done = tally("solver", "run", where, "--home", home, stdin=stdin)
        assert done.code == 1
        assert "larger than 100 bytes" in done.err


def test_who_interrupts_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C leaves a run that can't be started again, and a line that says how it is ended."""
    home = configured(tmp_path)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tallystick.solver.safe_report.make_report", interrupted)
        done = tally("solver", "run", _intent(tmp_path), "--home", str(home))
    assert done.code == 130
    assert "`tally solver resume`" in done.err
    ended = tally("solver", "resume", "--home", str(home))
    assert (ended.code, "FAILED" in ended.out) == (0, True)


def test_one_damaged_run_is_told_and_passed_over(tmp_path: Path) -> None:
    """The others are finished and listed all the same; the exit code says that one was not."""
    home = configured(tmp_path)
    assert tally("solver", "run", _intent(tmp_path), "--home", str(home)).code == 0
    (run_id,) = SolverHome(home).run_ids()
    states = Path(SolverHome(home).run(run_id)) / FILE
    states.write_bytes(b"".join(states.read_bytes().splitlines(keepends=True)[:3]))
    for damaged in ("00" * 32, "ff" * 32):  # before it, and after it
        folder = Path(SolverHome(home).run(damaged))
        folder.mkdir()
        (folder / FILE).write_bytes(b"garbage\n")
        (folder / "intent.json").write_bytes(b"garbage")
    listed = tally("solver", "list", "--home", str(home))
    assert (listed.code, run_id[:12] in listed.out) == (1, True)
    done = tally("solver", "resume", "--home", str(home))
    assert done.code == 1
    assert f"run {run_id}: SUCCESS" in done.out
    assert done.out.count(": not finished: ") == 2
    assert "states.jsonl holds a line that is not one of ours" in listed.err


@pytest.mark.parametrize(
    ("record", "told", "code"),
    [
        (b'{"at":"2026-01-01T00:00:00.000Z","state":"done"}\n', "an order that no run has", 1),
        (b'{"at":"2026-01-01T00:00:00.000Z","state":"received"}\n', "$.intent_id", 1),
        (None, "could not be read", 3),
    ],
)
def test_whatever_is_wrong_with_a_record(
    record: bytes | None, told: str, code: int, tmp_path: Path
) -> None:
    """Lines that are ours in a wrong order or without their facts, and what can't be read."""
    home = configured(tmp_path)
    assert tally("solver", "run", _intent(tmp_path), "--home", str(home)).code == 0
    (run_id,) = SolverHome(home).run_ids()
    states = Path(SolverHome(home).run(run_id)) / FILE
    states.write_bytes(b"".join(states.read_bytes().splitlines(keepends=True)[:3]))
    folder = Path(SolverHome(home).run("00" * 32))
    folder.mkdir()
    for name in (FILE, "intent.json"):
        if record is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(record)
    listed = tally("solver", "list", "--home", str(home))
    assert (listed.code, run_id[:12] in listed.out) == (code, True)
    assert told in listed.err
    done = tally("solver", "resume", "--home", str(home))
    assert (done.code, f"run {run_id}: SUCCESS" in done.out) == (code, True)
    assert done.out.count(": not finished: ") == 1


def test_cut_off_runs_are_finished(tmp_path: Path) -> None:
    """`resume` finishes all of them, or the one that is named."""
    home = configured(tmp_path)
    assert tally("solver", "resume", "--home", str(home)).out == "nothing to resume\n"
    assert tally("solver", "run", _intent(tmp_path), "--home", str(home)).code == 0
    (run_id,) = SolverHome(home).run_ids()
    states = Path(SolverHome(home).run(run_id)) / FILE
    lines = states.read_bytes().splitlines(keepends=True)
    for kept, wanted in ((5, "SUCCESS"), (3, "SUCCESS")):
        states.write_bytes(b"".join(lines[:kept]))
        done = tally("solver", "resume", run_id[:8], "--home", str(home))
        assert done.code == 0, done
        assert done.out == f"run {run_id}: {wanted}\n"
    for verb in ("resume", "status"):
        assert tally("solver", verb, "dead", "--home", str(home)).code == 1
        wrong = tally("solver", verb, "zz", "--home", str(home))
        assert wrong.code == 2
        assert "4 to 64 hexadecimal digits" in wrong.err


def test_a_requester_signs_an_intent(tmp_path: Path) -> None:
    """The signature is the requester's, and a policy that wants one lets the intent through."""
    home = configured(tmp_path, "policy_require_signature = true\n")
    key = tmp_path / "alice.key"
    key.write_text(PRIVATE)
    key.chmod(0o600)
    given = _intent(tmp_path)
    assert tally("solver", "run", given, "--home", str(home)).code == 1
    signed = tally("solver", "sign", given, "--key", str(key))
    assert signed.code == 0, signed
    found = intent_of(json.loads(signed.out))
    assert signature_reason(found, found.requester) is None
    done = tally("solver", "run", "-", "--home", str(home), stdin=signed.out.encode())
    assert done.code == 0, done


def test_an_evm_account_signs_an_intent(tmp_path: Path) -> None:
    """From a keystore file, as typed data."""
    account: Any = Account.from_key(b"\x07" * 32)
    keystore = tmp_path / "alice.json"
    keystore.write_text(
        json.dumps(Account.encrypt(account.key, "pw", kdf="pbkdf2", iterations=100_000))
    )
    keystore.chmod(0o600)
    password = tmp_path / "pw"
    password.write_text("pw")
    password.chmod(0o600)
    uri = f"keystore:{keystore}?password-file={password}"
    signed = tally(
        "solver", "sign", _intent(tmp_path, requester=account.address), "--key", uri, "--evm"
    )
    assert signed.code == 0, signed
    assert signature_reason(intent_of(json.loads(signed.out)), account.address) is None


def test_who_watches_sees_that_it_runs_and_hashes(tmp_path: Path) -> None:
    """On a terminal, on standard error alone, from the start; and it goes away when it is done."""
    home = str(configured(tmp_path))
    code, out, shown = watched("solver", "run", _intent(tmp_path), "--home", home)
    assert code == 0, shown
    assert "\x1b" not in out
    assert "running" in shown
    assert "hashed 2 files, 0 MB" in shown
    assert is_gone(shown)
