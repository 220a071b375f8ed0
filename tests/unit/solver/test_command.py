# SPDX-License-Identifier: Apache-2.0
"""The command runner: what the operator may say, and what a program gets and leaves."""

from __future__ import annotations

import json
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

import pytest
from tests.solving import intent

from tallystick.errors import RunnerError
from tallystick.limits import RUNNER_ARGUMENTS_MAX
from tallystick.solver import command
from tallystick.solver.command import CommandRunner
from tallystick.solver.confinement import _works
from tallystick.solver.runner import Ran, Work
from tallystick.solver.sandbox import Kind

_KINDS: tuple[Kind, ...] = ("bubblewrap", "namespaces")
_CONFINED = [kind for kind in _KINDS if sys.platform.startswith("linux") and _works(kind)]


class _Call:
    def __init__(self, told: list[Any]) -> None:
        self.told = told
        self.error: str | None = None
        self.result: object = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.told.append((self.error, self.result))


class _Records:
    def __init__(self) -> None:
        self.told: list[Any] = []

    def action(self, action: str, **members: Any) -> Any:
        self.told.append((action, members["target"]["resource"]))
        return _Call(self.told)


def _run(
    folder: Path, environ: dict[str, str] | None = None, **settings: Any
) -> tuple[Ran, list[Any]]:
    records = _Records()
    work = Work(
        intent=intent(inputs={"b": 2, "a": [1]}),
        run_id="ab" * 32,
        artifacts=str(folder.resolve()),
        bytes_max=100_000,
    )
    runner = CommandRunner(settings, environ=lambda: environ or {})
    return runner.run(work, records), records.told


def test_inputs_come_as_canonical_json(tmp_path: Path) -> None:
    """The program reads the inputs, and what it writes lies there as files."""
    ran, told = _run(tmp_path, argv=["sh", "-c", "cat; echo oops >&2"])
    assert ran.status == "SUCCESS"
    assert (tmp_path / "stdout.txt").read_bytes() == b'{"a":[1],"b":2}\n'
    assert (tmp_path / "stderr.txt").read_bytes() == b"oops\n"
    assert told == [
        ("system.command.execute", "sh"),
        (None, {"exit_code": 0, "fault": None}),
    ]
    assert ran.facts["exitCode"] == 0
    assert ran.sandbox["kind"] in ("bubblewrap", "namespaces", "none")


def test_only_named_variables_are_given(tmp_path: Path) -> None:
    """A program gets fixed ones, its intent and run, and those that the operator names."""
    ran, _ = _run(
        tmp_path,
        environ={"WANTED": "w", "OTHER": "o"},
        argv=["env"],
        environment=["WANTED", "ABSENT"],
    )
    lines = (tmp_path / "stdout.txt").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines)
    given.pop("PWD", None)
    assert set(given) == {
        "HOME", "LANG", "PATH", "TALLY_INTENT_ID", "TALLY_RUN_ID", "TZ", "WANTED",
    }  # fmt: skip
    assert given["TALLY_RUN_ID"] == "ab" * 32
    assert ran.status == "SUCCESS"


def test_a_failing_program_is_a_failure(tmp_path: Path) -> None:
    """Its exit code is told, in the receipt too, and what it left stays."""
    ran, told = _run(tmp_path, argv=["sh", "-c", "echo part > part.txt; exit 9"])
    assert (ran.status, ran.error) == ("FAILED", "the program ended with exit code 9")
    assert told[1][0] == ran.error
    assert (tmp_path / "part.txt").exists()


def test_a_timeout_is_a_failure(tmp_path: Path) -> None:
    """So is a program that takes too long."""
    ran, _ = _run(tmp_path, argv=["sleep", "60"], timeout="300ms")
    assert ran.error == "the program was not run to its end: it ran longer than 300 ms"


def test_a_program_can_not_be_given_a_file_to_write_into(tmp_path: Path) -> None:
    """A file that is there already under an output's name is never opened."""
    (tmp_path / "stdout.txt").symlink_to("/etc/passwd")
    with pytest.raises(FileExistsError):
        _run(tmp_path, argv=["true"])


def test_required_confinement_is_required(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where this machine has none, nothing is started."""
    monkeypatch.setattr(command, "best_kind", lambda: "none")
    ran, told = _run(tmp_path, argv=["touch", "made"], sandbox="required")
    assert ran.status == "FAILED"
    assert "no confinement" in (ran.error or "")
    assert told == []
    assert list(tmp_path.iterdir()) == []


def test_none_is_said_in_the_manifest(tmp_path: Path) -> None:
    """A program that runs unconfined says so."""
    ran, _ = _run(tmp_path, argv=["true"], sandbox="none", memory_mb=512)
    assert ran.sandbox["kind"] == "none"
    assert ran.sandbox["limitAs"] == 512 * 1024 * 1024


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "argv"),
        ({"argv": []}, "argv"),
        ({"argv": [""]}, "argv"),
        ({"argv": "ls"}, "argv"),
        ({"argv": ["a\0b"]}, "NUL"),
        ({"argv": ["a"] * (RUNNER_ARGUMENTS_MAX + 1)}, "argv"),
        ({"argv": ["a"], "environment": ["A"] * (RUNNER_ARGUMENTS_MAX + 1)}, "environment"),
        ({"argv": ["a"], "environment": ["AGENTRECEIPTS_KEY"]}, "AGENTRECEIPTS_KEY"),
        ({"argv": ["a"], "environment": ["A=b"]}, "A=b"),
        ({"argv": ["a"], "timeout": "soon"}, "duration"),
        ({"argv": ["a"], "timeout": "0s"}, "timeout"),
        ({"argv": ["a"], "timeout": "48h"}, "timeout"),
        ({"argv": ["a"], "output_bytes": 0}, "output_bytes"),
        ({"argv": ["a"], "memory_mb": -1}, "memory_mb"),
        ({"argv": ["a"], "sandbox": "maybe"}, "sandbox"),
        ({"argv": ["a"], "network": "no"}, "network"),
        ({"argv": ["a"], "shell": True}, "shell"),
    ],
)
def test_settings_are_strict(settings: dict[str, Any], told: str) -> None:
    """What can't be run, or is no setting, is refused before any intent comes."""
    with pytest.raises(RunnerError, match=told):
        CommandRunner(settings)


def test_facts_name_the_program_by_hash(tmp_path: Path) -> None:
    """The whole command line is in the manifest as a hash, its first word as text."""
    ran, _ = _run(tmp_path, argv=["true", "--secretless"])
    assert ran.facts["program"] == "true"
    assert str(ran.facts["argvHash"]).startswith("sha256:")
    assert "--secretless" not in json.dumps(ran.facts)


@pytest.mark.parametrize(
    ("settings", "hidden"),
    [
        ({"argv": ["sh"]}, ("/run",)),
        ({"argv": ["sh"], "network": True}, ()),
        ({"argv": ["sh"], "readable": ["/run/current-system/sw"]}, ()),
    ],
)
def test_services_of_the_machine_are_no_network(
    settings: dict[str, Any], hidden: tuple[str, ...]
) -> None:
    """Where sockets lie is hidden, unless network is granted or the program itself lies there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "open_sockets", list)
        assert CommandRunner(settings)._doors() == hidden


def test_other_sockets_are_hidden_one_by_one(tmp_path: Path) -> None:
    """Wherever they lie, but for what is hidden or new anyway, and what is told to be readable."""
    with pytest.MonkeyPatch.context() as patch:
        sockets = ["/home/a/agent", "/run/bus", "/solver/s", "/srv/wanted", "/tmp/x", "/tmp/in/x"]
        patch.setattr(command, "open_sockets", lambda: sockets)
        runner = CommandRunner({"argv": ["sh"], "readable": ["/srv/wanted", "/tmp/in"]})
        assert runner._doors(("/solver",)) == ("/run", "/home/a/agent", "/tmp/in/x")
        within = CommandRunner({"argv": ["/run/system/sh"]})
        assert "/run/bus" in within._doors()


@pytest.mark.parametrize("kind", _CONFINED)
def test_a_service_elsewhere_is_out_of_reach(kind: Kind) -> None:
    """Without network no confined program connects to a socket, wherever that lies."""
    script = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    with (
        tempfile.TemporaryDirectory(dir="/var/tmp") as name,
        socket.socket(socket.AF_UNIX) as listener,
        pytest.MonkeyPatch.context() as patch,
    ):
        path = f"{name}/service"
        listener.bind(path)
        listener.listen()
        patch.setattr(command, "best_kind", lambda: kind)
        argv, needed = [sys.executable, "-c", script, path], [sys.prefix, sys.base_prefix]
        for number, (more, wanted) in enumerate([([], "FAILED"), ([path], "SUCCESS")]):
            folder = Path(name, str(number))
            folder.mkdir()
            ran, _ = _run(folder, argv=argv, readable=needed + more)
            assert (ran.status, ran.sandbox["kind"]) == (wanted, kind)
        folder = Path(name, "network")
        folder.mkdir()
        assert _run(folder, argv=argv, readable=needed, network=True)[0].status == "SUCCESS"


def test_nothing_below_run_is_seen(tmp_path: Path) -> None:
    """A confined program without network finds no socket there, in every kind there is."""
    for kind in _CONFINED:
        folder = tmp_path / kind
        folder.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(command, "best_kind", lambda kind=kind: kind)
            ran, _ = _run(folder, argv=["sh", "-c", "ls -A /run; ls -A /var/run/"])
        assert (ran.status, ran.sandbox["kind"]) == ("SUCCESS", kind)
        assert (folder / "stdout.txt").read_bytes() == b""
