# SPDX-License-Identifier: Apache-2.0
"""`tally verify`: keys in, report out."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from tests.command import process, tally
from tests.sessions.stage import AGENT, Scribe
from tests.terminals import on_a_terminal

from tallystick import LocalSigner, generate_key_pair
from tallystick.cli.output import Exit, Stop
from tallystick.cli.verification import answer as tell
from tallystick.cli.verification import trust_in
from tallystick.limits import FINDINGS_MAX, KEYS_PER_ISSUER_MAX
from tallystick.verify.report import Findings

HOSTILE = "\x1b[2J\u202e\nverified: 3 receipts, 1 chain\n\x07[bold]\ud7ff\u200b"


def test_json_is_one_object() -> None:
    """With --json, standard output is the report and nothing else, whatever the verdict."""
    for paths, code, verdict in (
        (["run.jsonl", "other.jsonl"], 1, "refused"),
        (["run.jsonl"], 0, "verified"),
        (["run.jsonl", "nowhere"], 3, "unchecked"),
        (["empty.jsonl"], 3, "unchecked"),
        (["garbage.json"], 1, "refused"),
    ):
        done = tally("verify", *paths, "--key", "agent.pub", "--json")
        report = json.loads(done.out)
        assert (done.code, report["verdict"]) == (code, verdict)
        assert done.out.count("\n") == 1
        assert {"verdict", "chains", "findings", "receipts"} <= report.keys()
        for chain in report["chains"]:
            assert {"chain_id", "issuer", "length", "head", "termination"} <= chain.keys()
        for finding in report["findings"]:
            assert {"code", "severity", "where", "message"} <= finding.keys()
        assert done.err.count("\n") == (1 if code else 0)


@pytest.mark.parametrize("verb", ["verify", "disclose"])
def test_a_key_in_place_of_its_path_is_not_echoed(verb: str) -> None:
    """A private key that was given as text, by mistake, does not reach the log of the shell."""
    pair = generate_key_pair()
    done = tally(verb, "run.jsonl", "--key", pair.private_key)
    assert (done.code, done.out) == (2, "")
    assert "a key itself" in done.err
    assert pair.private_key.splitlines()[1] not in done.err


def test_both_forms_tell_the_same() -> None:
    """Each finding of the object is a line for people, in the same order."""
    arguments = ["verify", "run.jsonl", "other.jsonl", "nulls.json", "--key", "agent.pub"]
    findings = json.loads(tally(*arguments, "--json").out)["findings"]
    lines = tally(*arguments).out.splitlines()
    told = [line.split(": ")[0] for line in lines[2:-1]]
    assert told == [f"{one['code']} {one['where']}" for one in findings]
    assert len(told) > 3


@pytest.mark.parametrize("workers", ["2", "5"])
def test_workers_change_nothing(workers: str) -> None:
    """The answer is the same byte for byte."""
    arguments = ["verify", "run.jsonl", "garbage.json", "other.jsonl", "--key", "agent.pub"]
    assert tally(*arguments, "--workers", workers) == tally(*arguments)


def test_findings_beyond_the_limit_are_counted() -> None:
    """The report says how many findings it does not list."""
    lines = b"x\n" * (FINDINGS_MAX + 5)
    Path("many.jsonl").write_bytes(lines)
    done = tally("verify", "many.jsonl", "--key", "agent.pub")
    assert done.code == 1
    assert "and 5 further findings, not listed" in done.out
    assert done.out.splitlines()[-1].startswith(f"refused: {FINDINGS_MAX + 5} findings in ")
    assert (
        json.loads(tally("verify", "many.jsonl", "--key", "agent.pub", "--json").out)["unlisted"]
        == 5
    )


def test_a_verdict_whose_reason_is_not_listed() -> None:
    """Also then there is one line that says what decided."""
    findings = Findings()
    for number in range(FINDINGS_MAX):
        findings.add("KEY_UNKNOWN_ISSUER", f"receipt[{number}]", "has no key")
    findings.add("SIGNATURE_INVALID", "receipt[9999]", "does not fit")
    report = findings.report((), 1)
    with pytest.raises(Stop) as stop:
        tell(report, as_json=False)
    assert stop.value.code == Exit.REFUSED
    assert stop.value.line


def test_trust_joins_keys_and_file(place: Path) -> None:
    """--key counts for anyone, --trust for the issuers that it names."""
    (place / "trust.toml").write_text(
        f'[[issuer]]\nid = "did:example:other"\n[[issuer.key]]\nkey = """{AGENT.public_key}"""\n'
    )
    trust = trust_in(["other.pub", Path("agent.did").read_text()], "trust.toml")
    assert len(trust.anyone) == 2
    assert list(trust.issuers) == ["did:example:other"]


def test_keys_have_a_number() -> None:
    """Each key costs a signature check, so there is a limit."""
    assert trust_in(["agent.pub"] * KEYS_PER_ISSUER_MAX, None).anyone
    with pytest.raises(Stop, match="at most") as stop:
        trust_in(["agent.pub"] * (KEYS_PER_ISSUER_MAX + 1), None)
    assert stop.value.code == Exit.USAGE


A_KEY = f'''[[issuer]]
id = "a"
[[issuer.key]]
key = """{AGENT.public_key}"""
'''


@pytest.mark.parametrize(
    "text",
    [
        "issuer = 1",
        "[[issuer]]",
        '[[issuer]]\nid = ""',
        "issuer = [[1]]",
        "[issuer]\nid = 1",
        '[[issuer]]\nid = "a"\nkey = 1',
        "a = " + "[" * 5000,
        "\x00",
        'x = "\ud7ff',
        "[[issuer.key]]",
        '[[issuer]]\nid = "a"\n[[issuer.key]]\nkey = "did:key:z"',
        '[[issuer]]\nid = "a"\n[[issuer.key]]\nkey = 1',
        A_KEY + "valid_from = 2026-01-01",
        A_KEY + "valid_from = 07:00:00",
        A_KEY + "valid_until = 2026-01-01T00:00:00",
        A_KEY + "\n" + A_KEY,
    ],
)
def test_trust_files_that_are_not_clear(place: Path, text: str) -> None:
    """They are wrong usage, told in one line."""
    (place / "trust.toml").write_text(text)
    done = tally("verify", "run.jsonl", "--trust", "trust.toml")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("tally: --trust: trust.toml: ")
    assert done.err.count("\n") == 1


def spoiled(value: Any) -> list[Any]:
    """Return copies of a JSON value, each with one member, name or text made hostile."""
    if isinstance(value, dict):
        copies: list[Any] = [{**value, HOSTILE: HOSTILE}]
        for name, member in value.items():
            copies += [{**value, name: copy} for copy in spoiled(member)]
        return copies
    if isinstance(value, list):
        return [
            [*value[:at], copy, *value[at + 1 :]]
            for at, item in enumerate(value)
            for copy in spoiled(item)
        ]
    return [HOSTILE + str(value), f"{value}{HOSTILE}"] if isinstance(value, str) else [HOSTILE]


def test_no_field_reaches_the_terminal_raw(place: Path) -> None:
    """Hostile text in any member or name of a receipt, in a path or a chain id, stays text."""
    scribe = Scribe("chain", "did:example:agent", 9)
    receipt = scribe.write(
        "data.api.read",
        "rows",
        AGENT,
        correlation_id="call",
        intent={"prompt_preview": "why"},
        authorization={"granted_at": "2026-01-01T00:00:00Z", "scopes": ["all"]},
        action={"tool_name": "tool", "idempotency_key": "key", "parameters_disclosure": {"a": "b"}},
        outcome={"status": "failure", "error": "no"},
    ).to_dict()
    path = place / f"{HOSTILE.replace('/', '')}.jsonl"
    hostile_receipts = spoiled(receipt)
    assert len(hostile_receipts) > 60
    path.write_text("".join(json.dumps(one) + "\n" for one in hostile_receipts), encoding="utf-8")
    name = path.name
    for arguments in (
        ["verify", name, "--key", "agent.pub", "--chain", HOSTILE, "--method", HOSTILE],
        ["verify", name, "--key", "agent.pub", "--json"],
        ["show", name],
        ["hash", name],
        ["disclose", name, "--key", "forensic.key"],
        ["verify", name, "--key", HOSTILE],
        ["verify", HOSTILE + "gone", "--key", "agent.pub"],
        ["keygen", "--out", HOSTILE + "/gone"],
    ):
        done = tally(*arguments)
        told = done.out + done.err
        assert told.replace("\n", "").isprintable(), arguments
        assert done.code != 0 or arguments[0] in ("show", "hash"), arguments
        assert not [line for line in told.splitlines() if line.startswith("verified")], arguments
        assert done.err.count("\n") <= 1


def test_unsigned_hostile_receipts_are_signed_and_shown(place: Path) -> None:
    """Also a genuine issuer's text is escaped: a signature makes nothing harmless."""
    scribe = Scribe(f"chain{HOSTILE}", f"did:{HOSTILE}", 9)
    receipt = scribe.write("filesystem.file.read", HOSTILE, AGENT)
    (place / "signed.json").write_bytes(receipt.to_json())
    for verb in (["verify", "signed.json", "--key", "agent.pub"], ["show", "signed.json"]):
        done = tally(*verb)
        assert done.code == 0
        assert done.out.replace("\n", "").isprintable()


def test_many_chains_and_keys(place: Path) -> None:
    """Every chain has its line, in the order in which the input has them."""
    with open(place / "many.jsonl", "wb") as out:
        for number in range(5):
            key = generate_key_pair()
            (place / f"{number}.pub").write_text(key.public_key)
            receipt = Scribe(f"chain-{number}", "did:example:a", number).write(
                "filesystem.file.read", "a", key
            )
            out.write(receipt.to_json() + b"\n")
            assert LocalSigner(key).get_public_key()
    keys = [part for number in range(5) for part in ("--key", f"{number}.pub")]
    done = tally("verify", "many.jsonl", *keys)
    lines = done.out.splitlines()
    assert [line.split(":")[0] for line in lines[:5]] == [f"chain chain-{n}" for n in range(5)]
    assert lines[5] == "verified: 5 receipts, 5 chains"


def on_watched_errors(*arguments: str, slowly: bytes) -> tuple[int, str, str]:
    """Run a command that reads a slow pipe; its standard error is a terminal."""
    seen: list[bytes] = []
    with on_a_terminal(process(*arguments), seen) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        # More than a pipe holds: once it is written, the command is up and reading.
        running.stdin.write(slowly[: len(slowly) // 2])
        running.stdin.flush()
        time.sleep(1.3)  # longer than work may take without a bar
        running.stdin.write(slowly[len(slowly) // 2 :])
        running.stdin.close()
        out = running.stdout.read().decode()
        code = running.wait()
    return code, out, b"".join(seen).decode()


def test_long_work_shows_a_bar() -> None:
    """On a terminal, and only on standard error; it goes away when the work is done."""
    scribe = Scribe("long", "did:example:agent", 9)
    receipts = b"".join(
        scribe.write("filesystem.file.read", "a", AGENT).to_json() + b"\n" for _ in range(600)
    )
    code, out, shown = on_watched_errors("verify", "-", "--key", "agent.pub", slowly=receipts)
    assert code == 0
    assert out.splitlines()[-1] == "verified: 600 receipts, 1 chain"
    assert "\x1b" not in out
    assert "receipts" in shown
    assert shown.rstrip().endswith(("\x1b[?25h", "\x1b[2K"))


def test_short_work_shows_no_bar() -> None:
    """What is over at once needs no bar."""
    code, _, shown = on_watched_errors("verify", "run.jsonl", "--key", "agent.pub", slowly=b"")
    assert (code, shown) == (0, "")
