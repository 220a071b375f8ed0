# SPDX-License-Identifier: Apache-2.0
"""What all runs of one solver share: home, keys, policy, runners and the clock."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from functools import cache

import msgspec

from tallystick.chain.issue import Clock, Ids, default_clock, random_uuid
from tallystick.config import read
from tallystick.crypto.multibase import did_key_encode
from tallystick.errors import RefusedInput, SettingError, UnreadableError
from tallystick.keys.log_key import read_log_key
from tallystick.keys.signer_uri import open_evm_signer, open_signer, secret_files_of
from tallystick.model.policy import Policy
from tallystick.ports import EvmSigner, Signer
from tallystick.solver.home import SolverHome
from tallystick.solver.posting import Poster, open_chain
from tallystick.solver.run_log import RunLog
from tallystick.solver.runner import Runner
from tallystick.solver.settings import SolverSettings, make_runners


class Solver(msgspec.Struct, frozen=True, kw_only=True):
    """One solver, ready to decide and to run."""

    home: SolverHome
    signer: Signer
    issuer: str
    policy: Policy
    runners: Mapping[str, Runner]
    evm_signer: EvmSigner | None = None
    # Posts runs that succeed; without one a run that is signed is done.
    poster: Poster | None = None
    git_commit: str | None = None
    # Socket of the daemon that signs the receipts of runs, and its store; without them we do.
    daemon: str = ""
    store: str = ""
    # Has the receipts of runs logged, whose bundles then hold the proof.
    log: RunLog | None = None
    # Files that a confined runner must not see, besides the home.
    hidden: tuple[str, ...] = ()
    clock: Clock = default_clock
    ids: Ids = random_uuid
    # Told of each state that a run has reached, once that is on stable storage.
    on_state: Callable[[str, str], None] = lambda _run_id, _state: None
    # Whether a run has to end because the solver does.
    is_cancelled: Callable[[], bool] = lambda: False


def open_solver(
    settings: SolverSettings,
    *,
    signer_of: Callable[[str], Signer] = open_signer,
    evm_signer_of: Callable[[str], EvmSigner] = open_evm_signer,
) -> Solver:
    """Return the solver of these settings; its keys are read, and its home is made."""
    runners = make_runners(settings)
    signer = signer_of(settings.key)
    evm_signer = evm_signer_of(settings.evm_key) if settings.evm_key else None
    home = SolverHome(settings.home)
    home.make()
    hidden = [home.path]
    for path in _secret_files(settings):
        if os.path.exists(path) and os.path.realpath(path) not in hidden:
            hidden.append(os.path.realpath(path))
    return Solver(
        home=home,
        signer=signer,
        issuer=settings.issuer or did_key_encode(signer.get_public_key()),
        policy=settings.policy,
        runners=runners,
        evm_signer=evm_signer,
        poster=_poster(settings, home, evm_signer),
        git_commit=_git_commit(),
        daemon=settings.daemon,
        store=settings.store,
        log=_run_log(settings),
        hidden=tuple(hidden),
    )


def _poster(
    settings: SolverSettings, home: SolverHome, operator: EvmSigner | None
) -> Poster | None:
    if not settings.rpc or operator is None:
        return None
    directory = os.path.abspath(settings.onchain_home)
    return Poster(
        home,
        operator,
        lambda: open_chain(settings.rpc, directory),
        onchain_home=directory,
        contracts=settings.contracts,
    )


def _run_log(settings: SolverSettings) -> RunLog | None:
    if not settings.collector:
        return None
    try:
        log_key = read_log_key(settings.vkey)
    except (RefusedInput, UnreadableError) as fault:
        raise SettingError(f"vkey: {fault}") from None
    try:
        token = read("AGENTRECEIPTS_COLLECTOR_TOKEN")
        return RunLog(settings.collector, log_key, token or None)
    except RefusedInput as fault:
        raise SettingError(f"collector: {fault}") from None


def _secret_files(settings: SolverSettings) -> list[str]:
    """Return what programs must not reach: secrets, wherever they lie, and the daemon's door."""
    found = [*secret_files_of(settings.key), settings.tokens, settings.tls_key, settings.tls_cert]
    if settings.evm_key:
        found += secret_files_of(settings.evm_key)
    found += [settings.daemon, settings.store]
    if settings.rpc:
        found.append(settings.onchain_home)
    return [path for path in found if path]


@cache
def _git_commit() -> str | None:
    """Return the commit of the clone that this code runs from, or None where it is installed."""
    folder = os.path.dirname(os.path.abspath(__file__))
    if not os.path.exists(os.path.join(folder, "..", "..", "..", ".git")):
        return None
    try:
        done = subprocess.run(  # noqa: S603  # nothing of it comes from outside
            ["git", "-C", folder, "rev-parse", "HEAD"],  # noqa: S607  # as people have it
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
