# SPDX-License-Identifier: Apache-2.0
"""`tally solver run`, `sign` and `resume`: an intent from its bytes to its bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from tallystick.cli.arguments import STDIN, read_standard_input
from tallystick.cli.output import (
    Exit,
    Span,
    Stop,
    complain,
    error_is_terminal,
    say,
    say_bytes,
    say_json,
)
from tallystick.cli.settings import setting_options
from tallystick.cli.solver_settings import ready_solver, run_beginning, settings_of, unusable
from tallystick.solver.variables import RUN

_RUN_EPILOG = """\
\b
Examples
  tally solver run intent.json
  tally solver run intent.json --home /var/lib/tally/solver --key solver.key
  tally solver run intent.json --evm-key keystore:evm.json --rpc https://node.example
  tally solver run intent.json --evm-key awskms:alias/solver --issuer did:web:solver.example
  tally solver run intent.json --collector https://log.example --vkey log.vkey
  cat intent.json | tally solver run - --config solver.toml

\b
Exit codes
  0  it was allowed, ran, and its bundle is signed
  1  it was refused or failed (its bundle says why), or it is no intent
  2  usage, also a key that can't be read, or settings that contradict each other
  3  signer, home or collector can't be used just now, or another process is at it
"""
_RESUME_EPILOG = """\
\b
Examples
  tally solver resume
  tally solver resume 3f9a
  tally solver resume --home /var/lib/tally/solver

\b
Exit codes: 0 all are done, 1 a run can't be finished, 2 usage or key, 3 signer, home or collector
is away.
"""
_SIGN_EPILOG = """\
\b
Examples
  tally solver sign intent.json --key alice.key > signed.json
  tally solver sign intent.json --key keystore:alice.json?password-file=pw --evm > signed.json

\b
Exit codes: 0 signed, 1 no intent, 2 usage or key, 3 signer or file can't be used.
"""


@click.command("run", short_help="Decide on an intent, and run it.", epilog=_RUN_EPILOG)
@click.argument("intent", metavar="INTENT.json")
@setting_options(table=RUN)
@click.option("--json", "as_json", is_flag=True, help="Print what became of it as JSON.")
def run(intent: str, as_json: bool, config: str | None, **flags: Any) -> None:
    """Decide on an intent, run it at most once, and leave a signed bundle. - reads standard input.

    A refusal leaves a bundle, too, with every reason. The policy stands in solver.toml, or in
    POLICY_JOBTYPE_ALLOWLIST, POLICY_REQUESTER_ALLOWLIST and POLICY_MAX_ARTIFACT_MB.
    """
    data = read_intent(intent)
    settings = settings_of(config, flags)
    with unusable():
        from tallystick.solver.run import run_intent

        solver = ready_solver(settings)
        with naming(intent), progress_bar() as progress:
            try:
                result = run_intent(solver, data, progress=progress)
            except KeyboardInterrupt:
                complain("interrupted; a run that had begun is ended by `tally solver resume`")
                raise
    tell(result, as_json=as_json)
    if result.status != "SUCCESS":
        raise Stop(Exit.REFUSED, result.error or result.status)


@click.command("resume", short_help="Finish runs that were cut off.", epilog=_RESUME_EPILOG)
@click.argument("run_id", metavar="[RUN]", required=False, callback=run_beginning)
@setting_options(table=RUN)
def resume(run_id: str | None, config: str | None, **flags: Any) -> None:
    """Bring runs that a crash cut off to their end: all, or the one whose id begins like RUN.

    Nothing is executed: a run that was cut off before its manifest ends as a signed failure, and
    one that has its manifest gets its signature and its bundle. Where runs are posted, so is this,
    and its post is made final once the window is over.
    """
    from tallystick.errors import Error, RefusedInput, RunError, UnreadableError

    settings = settings_of(config, flags)
    faults: list[Error] = []
    with unusable():
        from tallystick.solver.resume import resume_run, unfinished

        solver = ready_solver(settings)
        chosen = [solver.home.find(run_id)] if run_id is not None else unfinished(solver.home)
        for one in chosen:
            try:
                with progress_bar() as progress:
                    result = resume_run(solver, one, progress=progress)
            except (RefusedInput, RunError, UnreadableError) as fault:
                # It is about this run; what is away is away for all of them, and ends the command.
                say(f"run {one}: not finished: {fault}")
                faults.append(fault)
                continue
            say(f"run {one}: ", *_status(result.status, result.error))
            if result.post is not None:
                say(f"post {result.post.post_id}: {_standing(result.post)}")
        if faults:
            raise faults[0]
    if not chosen:
        say("nothing to resume")


@click.command("sign", short_help="Sign an intent as its requester.", epilog=_SIGN_EPILOG)
@click.argument("intent", metavar="INTENT.json")
@click.option("--key", required=True, metavar="KEY", help="A PEM file, or a signer's URI.")
@click.option("--evm", is_flag=True, help="KEY is of an EVM account: sign as EIP-712 typed data.")
def sign(intent: str, key: str, evm: bool) -> None:
    """Print the intent with its requester's signature. - reads standard input.

    The intent's id stays the same: the signature is a proof around it, and no part of it.
    """
    from tallystick.crypto.canonical import canonicalize
    from tallystick.crypto.strict import parse_json
    from tallystick.limits import INTENT_BYTES_MAX, INTENT_VALUES_MAX
    from tallystick.model.intent import parse_intent, with_signature

    data = read_intent(intent)
    with naming(intent):
        parsed = parse_intent(data)
    with unusable():
        scheme, signature = _signature(parsed, key, is_evm=evm)
    value = parse_json(data, INTENT_BYTES_MAX, INTENT_VALUES_MAX)
    say_bytes(canonicalize(with_signature(value, scheme, signature)) + b"\n")


def read_intent(path: str) -> bytes:
    """Return the bytes of an intent's file, or of standard input."""
    from tallystick.durable.file import read_bounded
    from tallystick.errors import LimitError
    from tallystick.limits import INTENT_BYTES_MAX

    try:
        if path == STDIN:
            data = read_standard_input(INTENT_BYTES_MAX + 1)
            if len(data) > INTENT_BYTES_MAX:
                raise LimitError(f"standard input is larger than {INTENT_BYTES_MAX} bytes")
            return data
        return read_bounded(path, INTENT_BYTES_MAX)
    except LimitError as fault:
        raise Stop(Exit.REFUSED, str(fault)) from None


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Say of what is no intent where it came from."""
    from tallystick.durable.file import shown
    from tallystick.errors import CanonicalError, IntentError, MalformedInput

    try:
        yield
    except (CanonicalError, IntentError, MalformedInput) as fault:
        name = "standard input" if path == STDIN else shown(path)
        raise Stop(Exit.REFUSED, f"{name} is no intent: {fault}") from None


def tell(result: Any, *, as_json: bool) -> None:
    """Print what became of an intent."""
    if as_json:
        say_json(result, indent=2)
        return
    say(f"intent    {result.intent_id}")
    say(f"run       {result.run_id}")
    if not result.decision.allowed:
        for reason in result.decision.reasons:
            say("refused   ", (reason.code, "bad"), f"  {reason.text}")
    say("status    ", *_status(result.status, None))
    say(f"manifest  sha256:{result.manifest_sha256}")
    say(f"bundle    {result.bundle}")
    if result.post is not None:
        say(f"post      {result.post.post_id}  {_standing(result.post)}")


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int], None] | None]:
    """Yield what shows files and bytes that were hashed, where somebody watches."""
    if not error_is_terminal():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("running")
        yield lambda files, size: bar.update(
            task, description=f"hashed {files} files, {size / 1e6:.0f} MB"
        )


def _status(status: str, error: str | None) -> list[Span]:
    spans: list[Span] = [(status, "good" if status == "SUCCESS" else "bad")]
    return [*spans, f"  {error}"] if error else spans


def _standing(post: Any) -> str:
    left = f", can be final in {post.seconds_left} s" if post.seconds_left else ""
    return f"{post.status}{left}"


def _signature(intent: Any, key: str, *, is_evm: bool) -> tuple[str, str]:
    from tallystick.cli.signers import named_evm_signer, named_signer

    if is_evm:
        from tallystick.model.requester import typed_statement

        signed = named_evm_signer(key).sign(typed_statement(intent))
        return "eip712", "0x" + signed.to_bytes().hex()
    from tallystick.crypto.multibase import b64u_encode
    from tallystick.model.intent import signing_bytes

    return "ed25519", b64u_encode(named_signer(key).sign(signing_bytes(intent)))
