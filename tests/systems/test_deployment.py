# SPDX-License-Identifier: Apache-2.0
"""The systemd unit and the Containerfile: what they forbid, and that a collector lives with it."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from tests.command import environment, process
from tests.material import chain_of, wire

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "systemd" / "tally-collector.service"
CONTAINER = ROOT / "deploy" / "container" / "Containerfile"

# Every directive of systemd.exec(5) that takes something from a service which this one can miss.
SANDBOX = {
    "AmbientCapabilities", "CapabilityBoundingSet", "DevicePolicy", "DynamicUser", "KeyringMode",
    "LockPersonality", "MemoryDenyWriteExecute", "NoNewPrivileges", "PrivateDevices",
    "PrivateMounts", "PrivateTmp", "PrivateUsers", "ProcSubset", "ProtectClock",
    "ProtectControlGroups", "ProtectHome", "ProtectHostname", "ProtectKernelLogs",
    "ProtectKernelModules", "ProtectKernelTunables", "ProtectProc", "ProtectSystem", "RemoveIPC",
    "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID",
    "SystemCallArchitectures", "SystemCallFilter", "UMask",
}  # fmt: skip
EXPOSURE_MAX = 1.5


def directives() -> dict[str, list[str]]:
    """Return the values of each directive of the unit's service."""
    found: dict[str, list[str]] = {}
    section = UNIT.read_text().split("[Service]")[1].split("[Install]")[0]
    for line in section.splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def tool(name: str) -> str:
    """Return the path of a tool, or skip and say so."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def test_the_unit_shuts_every_door() -> None:
    """No directive of the sandbox is missing, and no capability is left."""
    given = directives()
    assert not SANDBOX - set(given)
    assert given["CapabilityBoundingSet"] == [""]
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_string(UNIT.read_text())
    assert parser.sections() == ["Unit", "Service", "Install"]


def test_systemd_thinks_so_too() -> None:
    """Its own analysis finds next to no exposure."""
    done = subprocess.run(
        [tool("systemd-analyze"), "security", "--offline=true", "--no-pager", str(UNIT)],
        capture_output=True,
        text=True,
        check=True,
    )
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert level is not None, done.stdout
    assert float(level[1]) <= EXPOSURE_MAX


def allowed_calls(analyze: str) -> set[str]:
    """Return the system calls that the unit's filter lets through."""

    def members(group: str) -> set[str]:
        done = subprocess.run(
            [analyze, "syscall-filter", "--no-pager", group],
            capture_output=True,
            text=True,
            check=True,
        )
        found: set[str] = set()
        for line in done.stdout.splitlines()[1:]:
            word = line.strip()
            if word.startswith("@"):
                found |= members(word)
            elif word and not word.startswith("#"):
                found.add(word)
        return found

    allowed, denied = members("@default"), set[str]()  # which is always allowed
    for value in directives()["SystemCallFilter"]:
        for group in value.removeprefix("~").split():
            (denied if value.startswith("~") else allowed).update(members(group))
    return allowed - denied


def test_a_collector_needs_no_call_that_the_filter_denies(tmp_path: Path) -> None:
    """From start to drain, every system call of a real run is one that the unit allows."""
    analyze, strace = tool("systemd-analyze"), tool("strace")
    trace = tmp_path / "trace"
    command = process("collector", "run", "--addr", "127.0.0.1:0")
    running = subprocess.Popen(
        [strace, "-f", "-qq", "-o", str(trace), *command],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert running.stdout is not None
        url = running.stdout.readline().split()[-1]
        (tmp_path / "one.json").write_bytes(wire(chain_of(1)[0]))
        for target, body in (("/receipts", wire(chain_of(1)[0])), ("/readyz", None)):
            kind = {"Content-Type": "application/json"}
            with urlopen(Request(url + target, body, kind), timeout=30) as answer:
                assert answer.status in (200, 201)
        child = trace.read_text().split(maxsplit=1)[0]
        subprocess.run(["kill", "-TERM", child], check=True)
        assert running.wait(30) == 0
    finally:
        running.kill()
        running.wait()
        if running.stdout is not None:
            running.stdout.close()
    called = set(re.findall(r"^\d+ +([a-z_0-9]+)\(", trace.read_text(), re.MULTILINE))
    assert len(called) > 20
    # SQLite hands its files to their owner where it runs as root, which the unit's user is not.
    called -= {"fchown"}
    assert called - allowed_calls(analyze) == set()


def instructions() -> dict[str, list[str]]:
    """Return the arguments of each instruction of the Containerfile."""
    found: dict[str, list[str]] = {}
    text = CONTAINER.read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, rest = line.partition(" ")
            found.setdefault(name, []).append(" ".join(rest.split()))
    return found


def test_the_image_runs_as_nobody_special() -> None:
    """Not root, one volume, drained on SIGTERM, and built from files that are there."""
    given = instructions()
    assert int(given["USER"][0]) > 1000
    assert given["VOLUME"] == ["/var/lib/tally"]
    assert given["STOPSIGNAL"] == ["SIGTERM"]
    for copied in given["COPY"]:
        if not copied.startswith("--from"):
            for name in copied.split()[:-1]:
                assert (ROOT / name).exists(), name


def test_the_image_s_command_and_settings_are_real(tmp_path: Path) -> None:
    """Entry point, command and environment give the settings that the image promises."""
    given = instructions()
    words = [json_words(given["ENTRYPOINT"][0]), json_words(given["CMD"][-1])]
    assert words[0][0] == "tally"
    variables = dict(pair.split("=", 1) for line in given["ENV"] for pair in shlex.split(line))
    ours = {name: value for name, value in variables.items() if name.startswith("AGENT")}
    done = subprocess.run(
        process(*words[0][1:], *words[1], "--print-config"),
        env=environment(**ours),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert 'addr = "0.0.0.0:8787"' in done.stdout
    assert 'keys = "/var/lib/tally/collector.keys"' in done.stdout


def json_words(text: str) -> list[str]:
    """Return the words of an instruction in its JSON form."""
    words: list[str] = json.loads(text)
    return words


def test_the_health_check_tells_well_from_ill(tmp_path: Path) -> None:
    """Its own line, against a collector that is up and then is not."""
    line = next(one for one in instructions()["HEALTHCHECK"])
    words = json_words(line[line.index("[") :])
    running = subprocess.Popen(
        process("collector", "run", "--addr", "127.0.0.1:0"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert running.stdout is not None
        url = running.stdout.readline().split()[-1]
        program = words[-1].replace("http://127.0.0.1:8787", url)
        check = [process()[0], "-c", program]
        assert subprocess.run(check, check=False).returncode == 0
        running.terminate()
        assert running.wait(30) == 0
        ill = subprocess.run(check, stderr=subprocess.DEVNULL, check=False)
        assert ill.returncode != 0
    finally:
        running.kill()
        running.wait()
        if running.stdout is not None:
            running.stdout.close()
