# SPDX-License-Identifier: Apache-2.0
"""What executes an intent: a runner, found by its name, set up by the operator.

An intent says what is wanted, never how: which program runs for a job type, and with what, stands
in the solver's own settings. Runners of other packages are found by the entry point group
`tallystick.runners`: a function that takes the settings of one job type and returns a `Runner`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final, Literal, Protocol, runtime_checkable

import msgspec

from tallystick.errors import RunnerError
from tallystick.model.intent import Intent

GROUP: Final = "tallystick.runners"
_BUILT_IN: Final = {
    "command": "tallystick.solver.command:CommandRunner",
    "python": "tallystick.solver.python_runner:PythonRunner",
    "safe-report": "tallystick.solver.safe_report:SafeReportRunner",
}

Facts = dict[str, str | int | bool]


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One intent to execute, and where what it leaves has to lie."""

    intent: Intent
    run_id: str
    artifacts: str  # an empty directory, readable by its owner alone
    hidden: tuple[str, ...] = ()  # what a confined runner must not see: the solver's own state
    bytes_max: int  # of all artefacts together
    is_cancelled: Callable[[], bool] = lambda: False  # whether the solver stops


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """How an execution ended."""

    status: Literal["SUCCESS", "FAILED"]
    error: str | None = None
    facts: Facts = {}  # msgspec copies it
    sandbox: Facts = {}  # what was in force while it ran


class Records(Protocol):
    """Where a runner's own actions become receipts: a `ReceiptChain`, or a daemon's recorder."""

    def action(
        self,
        action: str,
        *,
        target: Mapping[str, str] | None = None,
        parameters: object = None,
        correlation_id: str | None = None,
    ) -> Any:
        """Return a context manager that records one action as two receipts."""
        ...


@runtime_checkable
class Runner(Protocol):
    """Executes intents of one job type."""

    @property
    def name(self) -> str:
        """What the manifest calls it."""
        ...

    def run(self, work: Work, records: Records, /) -> Ran:
        """Execute; whatever goes wrong with the work is a `Ran`, and raising is a bug's way."""
        ...


def make_runner(name: str, settings: Mapping[str, Any]) -> Runner:
    """Return the runner of this name with the settings of one job type."""
    factory = _factory(name)
    runner = factory(settings)
    if not isinstance(runner, Runner):
        raise RunnerError(f"what runner {name!r} gives is no runner: wanted are `name` and `run`")
    return runner


def runner_names() -> list[str]:
    """Return the names of all runners that are installed."""
    return sorted({*_BUILT_IN, *(one.name for one in entry_points(group=GROUP))})


def _factory(name: str) -> Callable[[Mapping[str, Any]], Any]:
    place = _BUILT_IN.get(name)
    if place is not None:  # ours can't be replaced by a package that happens to be installed
        module, _, member = place.partition(":")
        found: Callable[[Mapping[str, Any]], Any] = getattr(import_module(module), member)
        return found
    points = [one for one in entry_points(group=GROUP) if one.name == name]
    if len(points) > 1:
        raise RunnerError(f"several packages bring a runner {name!r}")
    if not points:
        raise RunnerError(f"there is no runner {name!r}; known are {', '.join(runner_names())}")
    try:
        loaded: Callable[[Mapping[str, Any]], Any] = points[0].load()
    except (ImportError, AttributeError) as fault:
        raise RunnerError(f"runner {name!r} can't be loaded: {fault}") from fault
    return loaded
