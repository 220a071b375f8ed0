# SPDX-License-Identifier: Apache-2.0
"""How a solver is set up: flags, then environment, then `solver.toml`, then defaults.

What contradicts itself does not start: a job type that the policy allows and nobody can run, a list
that names something twice, a number that is none.

    home = "/var/lib/tally/solver"
    policy_jobtype_allowlist = ["SAFE_REPORT", "BUILD"]
    policy_max_horizon = "24h"
    [requesters]                       # keys of requesters whose name is no key itself
    "build@example.com" = "did:key:z6Mk…"
    [jobs.BUILD]
    runner = "command"
    argv = ["/usr/local/bin/build"]
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tallystick.durable.file import FilePath
from tallystick.errors import ReceiptError, RunnerError, SettingError
from tallystick.limits import (
    DRAIN_MS_MAX,
    SERVED_CONNECTIONS_MAX,
    SOLVER_CONCURRENCY_MAX,
    SOLVER_QUEUE_MAX,
)
from tallystick.model.policy import Policy, policy_of
from tallystick.serve.given import Flags, given_values, read_duration_ms, told_duration
from tallystick.solver.runner import Runner, make_runner
from tallystick.solver.variables import SOLVER

FILE: Final = "solver.toml"
_DEFAULTS: Final = {one.name: one.default for one in SOLVER}
_SAFE_REPORT: Final[Mapping[str, Any]] = {"runner": "safe-report"}


class SolverSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of a solver, checked."""

    home: str
    key: str
    evm_key: str
    rpc: str = ""
    contracts: str = ""
    onchain_home: str = "onchain"
    issuer: str
    daemon: str
    store: str
    collector: str = ""
    vkey: str = ""
    policy: Policy
    jobs: dict[str, dict[str, Any]]
    addr: str
    tokens: str
    allow_anonymous: bool
    tls_cert: str
    tls_key: str
    concurrency: int
    queue: int
    drain_ms: int
    max_connections: int = SERVED_CONNECTIONS_MAX
    log_format: str
    log_level: str


def load_settings(
    flags: Flags, *, file: FilePath | None = None, environ: Mapping[str, str] | None = None
) -> SolverSettings:
    """Return the settings, or raise `SettingError`."""
    home = _home(flags, file, environ)
    if file is None and os.path.lexists(os.path.join(home, FILE)):
        file = os.path.join(home, FILE)
    values, _ = given_values(
        SOLVER,
        flags,
        file=file,
        environ=environ,
        extra=["requesters", "jobs"],
        readers={
            "policy_jobtype_allowlist": read_list,
            "policy_requester_allowlist": read_list,
            "policy_max_horizon": _read_horizon,
        },
    )
    values["home"] = home
    return _checked(values)


def make_runners(settings: SolverSettings) -> dict[str, Runner]:
    """Return the runner of each job type; what can't be set up is told here, and not later."""
    runners = {}
    for job_type, given in settings.jobs.items():
        rest = dict(given)
        name = rest.pop("runner", None)
        if not isinstance(name, str):
            raise SettingError(f'[jobs.{job_type}] names no runner: runner = "command"')
        try:
            runners[job_type] = make_runner(name, rest)
        except RunnerError as fault:
            raise SettingError(f"[jobs.{job_type}] {fault}") from None
    missing = sorted(set(settings.policy.jobTypeAllowlist) - set(runners))
    if missing:
        raise SettingError(
            f"the policy allows {missing[0]!r}, and no [jobs.{missing[0]}] says what runs it"
        )
    return runners


def read_list(given: Any) -> tuple[str, ...] | None:
    """Return the names of a list, or None where nothing is set."""
    if given == "":
        return None
    listed = given.split(",") if isinstance(given, str) else given
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise ValueError("must be a list of names, or names with commas between them")
    for one in listed:
        if not one or one != one.strip() or not one.isprintable():
            raise ValueError(f"holds {one!r}: a name is not empty, and has no space around it")
    if len(set(listed)) != len(listed):
        raise ValueError("names something twice")
    return tuple(listed)


def _read_horizon(given: Any) -> int | None:
    if given == "":
        return None
    seconds = read_duration_ms(given) // 1000
    if seconds < 1:
        raise ValueError("must be 1s at least")
    return seconds


def _home(flags: Flags, file: FilePath | None, environ: Mapping[str, str] | None) -> str:
    table = [one for one in SOLVER if one.name == "home"]
    if file is None:
        values, _ = given_values(table, flags, environ=environ)
    else:
        others = [one.name for one in SOLVER if one.name != "home"]
        extra = [*others, "requesters", "jobs"]
        values, _ = given_values(table, flags, file=file, environ=environ, extra=extra)
    if not values["home"]:
        raise SettingError("home must name a directory")
    return os.path.abspath(str(values["home"]))


def _checked(values: dict[str, Any]) -> SolverSettings:
    home, drain_ms = values["home"], values.pop("drain_timeout")
    if values["key"] == _DEFAULTS["key"]:
        values["key"] = os.path.join(home, "signing.key")
    if values["tokens"] == _DEFAULTS["tokens"]:
        values["tokens"] = os.path.join(home, "tokens")
    if values["store"] and not values["daemon"]:
        raise SettingError("store is the daemon's, and no daemon is named")
    if bool(values["collector"]) is not bool(values["vkey"]):
        raise SettingError("collector and vkey go together: a log, and the key that it is known by")
    if values["collector"] and values["daemon"] and not values["store"]:
        raise SettingError("collector needs the receipts of runs: store must name the daemon's")
    if values["rpc"] and not values["evm_key"]:
        raise SettingError("rpc needs evm_key: the operator that posts")
    if values["issuer"] == _DEFAULTS["issuer"]:
        values["issuer"] = ""
    for name, most in (("concurrency", SOLVER_CONCURRENCY_MAX), ("queue", SOLVER_QUEUE_MAX)):
        if not 1 <= values[name] <= most:
            raise SettingError(f"{name} must be from 1 to {most}")
    if drain_ms > DRAIN_MS_MAX:
        raise SettingError(f"drain_timeout must be {told_duration(DRAIN_MS_MAX)} at most")
    if values["log_format"] not in ("json", "text"):
        raise SettingError("log_format must be json or text")
    if values["log_level"] not in ("debug", "info", "warning", "error"):
        raise SettingError("log_level must be debug, info, warning or error")
    if values["tls_key"] and not values["tls_cert"]:
        raise SettingError("tls_key needs tls_cert")
    jobs = _jobs(values.pop("jobs", {}))
    policy = _policy(values, values.pop("requesters", {}))
    rest = {name: value for name, value in values.items() if not name.startswith("policy_")}
    return SolverSettings(policy=policy, jobs=jobs, drain_ms=drain_ms, **rest)


def _jobs(given: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(given, dict) or not all(isinstance(one, dict) for one in given.values()):
        raise SettingError("[jobs] must be tables, one for each job type: [jobs.BUILD]")
    return {"SAFE_REPORT": dict(_SAFE_REPORT), **given}


def _policy(values: Mapping[str, Any], requesters: Any) -> Policy:
    members = {
        "jobTypeAllowlist": list(values["policy_jobtype_allowlist"] or ()),
        "requesterAllowlist": values["policy_requester_allowlist"],
        "maxArtifactMb": values["policy_max_artifact_mb"],
        "maxHorizonSeconds": values["policy_max_horizon"],
        "requireSignature": values["policy_require_signature"],
        "requesterKeys": requesters,
    }
    try:
        return policy_of({name: one for name, one in members.items() if one is not None})
    except ReceiptError as fault:
        raise SettingError(f"policy: {fault}") from None
