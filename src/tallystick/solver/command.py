# SPDX-License-Identifier: Apache-2.0
"""Runs a program for a job type: argv by the operator, inputs on standard input as canonical JSON.

    [jobs.BUILD]
    runner = "command"
    argv = ["/usr/local/bin/build"]
    environment = ["LANG"]        # names that the program gets from the solver's own environment
    timeout = "5m"
    sandbox = "required"          # auto (the default): the best that this machine has; or none
    network = false
    readable = ["/tmp/models"]    # what it needs although it lies in /tmp, where it sees its own

The program's working directory is where artefacts lie: all that it leaves there is evidence. What
it writes to its outputs lies beside, as `stdout.txt` and `stderr.txt`.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any, BinaryIO, Final, Literal

import msgspec

from tallystick.config import VARIABLES, process_environment
from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.digest import sha256_tagged
from tallystick.errors import RunnerError
from tallystick.limits import (
    RUNNER_ARGUMENTS_MAX,
    RUNNER_MS_MAX,
    RUNNER_OUTPUT_BYTES_MAX,
    RUNNER_UNTOLD_MS_MAX,
)
from tallystick.serve.given import read_duration_ms
from tallystick.solver.confinement import best_kind
from tallystick.solver.execution import Executed, execute
from tallystick.solver.runner import Facts, Ran, Records, Work
from tallystick.solver.sandbox import PROGRAMS, Cell, Kind, open_sockets

_SECRETS: Final = frozenset(one.environment for one in VARIABLES if one.secret)
# Sockets of D-Bus, containers, daemons: a file system that can only be read lets connect to them.
_SERVICES: Final = "/run"
# The program has a new one, with what it needs in it.
_NEW: Final = "/tmp"  # noqa: S108  # not to write into
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class CommandSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the operator says of a program."""

    argv: tuple[str, ...]
    environment: tuple[str, ...] = ()
    timeout: str | None = None
    output_bytes: int = RUNNER_OUTPUT_BYTES_MAX
    memory_mb: int = 0
    sandbox: Literal["auto", "required", "none"] = "auto"
    network: bool = False
    readable: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what can't be run, or would give a program what it must not have."""
        if not self.argv or not all(self.argv[:1]) or len(self.argv) > RUNNER_ARGUMENTS_MAX:
            raise ValueError(f"argv: wanted are 1 to {RUNNER_ARGUMENTS_MAX} texts, a program first")
        if any("\0" in one for one in (*self.argv, *self.environment)):
            raise ValueError("argv and environment can't hold a NUL")
        if len(self.environment) > RUNNER_ARGUMENTS_MAX:
            raise ValueError(f"environment names over {RUNNER_ARGUMENTS_MAX} variables")
        for name in self.environment:
            if name in _SECRETS or not name or "=" in name:
                raise ValueError(f"environment: {name!r} is not given to programs")
        if not 1 <= self.output_bytes <= RUNNER_OUTPUT_BYTES_MAX:
            raise ValueError(f"output_bytes must be from 1 to {RUNNER_OUTPUT_BYTES_MAX}")
        if self.memory_mb < 0:
            raise ValueError("memory_mb must be 0 or more; 0 sets no limit")
        if not 1 <= self.timeout_ms <= RUNNER_MS_MAX:
            raise ValueError(f"timeout must be from 1ms to {RUNNER_MS_MAX // 3_600_000}h")

    @property
    def timeout_ms(self) -> int:
        """How long the program may run."""
        return RUNNER_UNTOLD_MS_MAX if self.timeout is None else read_duration_ms(self.timeout)


class CommandRunner:
    """Runs one program for each intent."""

    name = "command"
    action = "system.command.execute"

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        environ: Callable[[], Mapping[str, str]] = process_environment,
    ) -> None:
        try:
            self._settings = msgspec.convert(dict(settings), CommandSettings)
        except (msgspec.ValidationError, ValueError) as fault:
            raise RunnerError(f"runner {self.name}: {fault}") from None
        self._environ = environ

    def run(self, work: Work, records: Records, /) -> Ran:
        """Execute the program; a failure of any kind is told in what comes back."""
        chosen = self._settings
        kind: Kind = "none" if chosen.sandbox == "none" else best_kind()
        if chosen.sandbox == "required" and kind == "none":
            fault = "this machine has no confinement that works, and the job type requires one"
            return Ran(status="FAILED", error=fault, facts=self.facts(), sandbox={"kind": "none"})
        cell = Cell(
            cwd=work.artifacts,
            hidden=(*work.hidden, *(self._doors(work.hidden) if kind != "none" else ())),
            shown=self.needed(),
            network=chosen.network,
            limits=self._limits(work.bytes_max),
        )
        target = {"system": "local", "resource": self.shown()}
        given = canonicalize(work.intent.inputs) + b"\n"
        with records.action(
            self.action, target=target, parameters={"argv": list(self.argv(work))}
        ) as call:
            done = self._execute(work, cell, kind, given)
            call.result = {"exit_code": done.exit_code, "fault": done.fault}
            error = self._error(done)
            call.error = error
        return Ran(
            status="SUCCESS" if error is None else "FAILED",
            error=error,
            facts=self.facts() | ({} if done.exit_code is None else {"exitCode": done.exit_code}),
            sandbox=done.sandbox,
        )

    def argv(self, work: Work) -> tuple[str, ...]:  # noqa: ARG002  # who calls Python needs it
        """Return the program's command line."""
        return self._settings.argv

    def shown(self) -> str:
        """Return what receipts call the program."""
        return self._settings.argv[0]

    def needed(self) -> tuple[str, ...]:
        """Return what the program can't run without, wherever it lies."""
        program = self._settings.argv[0]
        return (*self._settings.readable, *((program,) if os.path.isabs(program) else ()))

    def _doors(self, hidden: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return where services of the machine listen: no network is to mean these, too.

        A socket that is told to be readable is meant to be there; what is made later is not seen.
        """
        if self._settings.network:
            return ()
        needed = [os.path.realpath(path) for path in self.needed()]
        is_needed = any(path.startswith(f"{_SERVICES}/") for path in needed)
        folders = () if is_needed else (_SERVICES,)
        doors = []
        for path in open_sockets():
            real = os.path.realpath(path)
            is_gone = _is_within(real, (*hidden, *folders)) or (
                _is_within(real, (_NEW,)) and not _is_within(real, needed)
            )
            if not is_gone and real not in needed:
                doors.append(real)
        return (*folders, *doors)

    def _execute(self, work: Work, cell: Cell, kind: Kind, given: bytes) -> Executed:
        with (
            _created(work.artifacts, "stdout.txt") as stdout,
            _created(work.artifacts, "stderr.txt") as stderr,
        ):
            return execute(
                list(self.argv(work)),
                self._environment(work, kind),
                cell,
                kind=kind,
                stdin=given,
                timeout_ms=self._settings.timeout_ms,
                stdout=stdout,
                stderr=stderr,
                output_bytes=self._settings.output_bytes,
                is_cancelled=work.is_cancelled,
            )

    def _environment(self, work: Work, kind: Kind) -> dict[str, str]:
        ours = self._environ()
        kept = {name: ours[name] for name in self._settings.environment if name in ours}
        return {
            "PATH": PROGRAMS,
            "HOME": "/nonexistent" if kind == "none" else "/tmp",  # noqa: S108  # its own
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            **kept,
            "TALLY_INTENT_ID": work.intent.intent_id,
            "TALLY_RUN_ID": work.run_id,
        }

    def _limits(self, bytes_max: int) -> dict[str, int]:
        limits = {"CORE": 0, "FSIZE": bytes_max}
        if self._settings.memory_mb:
            limits["AS"] = self._settings.memory_mb * 1024 * 1024
        return limits

    def facts(self) -> Facts:
        """Return what the manifest says of the program."""
        line = shlex.join(self._settings.argv)
        return {
            "program": self._settings.argv[0][:128],
            "argvHash": sha256_tagged(canonicalize(list(self._settings.argv))),
            "argumentsBytes": len(line.encode("utf-8", "replace")),
            "timeoutMs": self._settings.timeout_ms,
            "environment": " ".join(sorted(self._settings.environment))[:200],
        }

    @staticmethod
    def _error(done: Executed) -> str | None:
        if done.fault is not None:
            return f"the program was not run to its end: {done.fault}"
        if done.exit_code != 0:
            return f"the program ended with exit code {done.exit_code}"
        return None


def _is_within(path: str, folders: Iterable[str]) -> bool:
    return any(path.startswith(f"{one}/") for one in folders)


def _created(folder: str, name: str) -> BinaryIO:
    return os.fdopen(os.open(os.path.join(folder, name), _CREATE, 0o600), "wb")
