# SPDX-License-Identifier: Apache-2.0
"""The verifier can't phone home: at run time it opens nothing and starts nothing.

The linter proves that no room below imports a wire or a disk. This is the same, seen from outside:
Python's own audit events, in a fresh process, while all kinds of input are verified.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import sys
from tests.material import OTHER_KEY, PUBLIC, chain_of, array, full_statement, lines, signed
from tests.material import statement, with_member
from tallystick.crypto.multibase import did_key_encode
from tallystick.verify.source import Source
from tallystick.verify.trust import parse_trust
from tallystick.verify.verification import verify_chain, verify_input, verify_receipt

sound = chain_of(70)
floats = signed(with_member(statement(), "/issuer/runtime", {"n": [0.5, 2.0**60]}))
full = signed(full_statement())
toml = f'[[issuer]]\\nid = "did:agent:a"\\n[[issuer.key]]\\nkey = "{did_key_encode(PUBLIC)}"\\n'

def sure(fact):
    if not fact:
        sys.exit("a verdict is wrong")

def verify_everything():
    sure(verify_chain(lines(sound), PUBLIC, workers=3).verified)
    sure(verify_chain(array(sound), PUBLIC).verified)
    sure(verify_receipt(floats, PUBLIC).verified)
    sure(verify_receipt(full, parse_trust(toml.encode()), accept_nulls=True).verified)
    sure(not verify_receipt(full, PUBLIC, response_body={"a": 1.5}))
    sure(not verify_chain([*sound, sound[0]], PUBLIC))
    sure(not verify_chain(lines(sound[1:]) + b"{", [PUBLIC, "garbage"]))
    sure(not verify_input([Source([signed(sound[0], OTHER_KEY)])], None))

verify_everything()  # what is imported late, is imported now
noticed = []
allowed = ("_thread.", "threading.", "sys._getframe", "object.__", "array.__new__")
sys.addaudithook(lambda event, _: event.startswith(allowed) or noticed.append(event))
verify_everything()
seen = sorted(set(noticed))
print(*seen)
"""


@pytest.mark.parametrize("flags", [[], ["-O"]], ids=["plain", "optimised"])
def test_verifying_opens_nothing(flags: list[str]) -> None:
    """No socket, file, process or import: verifying has no event but the start of its threads."""
    done = subprocess.run(
        [sys.executable, *flags, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == []


SAME = """
import hashlib, json, random, sys
from tests.fuzz.fuzz_verify import PUBLIC, mutated
from tallystick.verify.verification import verify_chain, verify_receipt
dice = random.Random(11)
digest = hashlib.sha256()
for _ in range(300):
    data = mutated(dice)
    for report in (verify_chain(data, PUBLIC), verify_receipt(data, PUBLIC, accept_nulls=True)):
        digest.update(json.dumps(report.to_dict()).encode())
print(sys.flags.optimize, digest.hexdigest())
"""


def test_without_assertions_the_verifier_says_the_same() -> None:
    """Run with `-O`, the reports on damaged input are the same: no check is an `assert`."""
    told = [
        subprocess.run(
            [sys.executable, *flags, "-c", SAME, "--runs"],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        ).stdout.split()
        for flags in ([], ["-O"])
    ]
    assert [one[0] for one in told] == ["0", "1"]
    assert told[0][1] == told[1][1]
