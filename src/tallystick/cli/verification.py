# SPDX-License-Identifier: Apache-2.0
"""What `tally verify` does: reads keys, then receipts, and tells the report."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from tallystick.cli.inputs import Reads, opened_sources
from tallystick.cli.log_holdings import holdings_of
from tallystick.cli.output import Exit, Span, Stop, Style, count, error_is_terminal, say
from tallystick.cli.responses import ResponseFolder
from tallystick.crypto.ed25519 import NOT_ON_CURVE, key_weakness, public_key_from
from tallystick.durable.file import read_bounded
from tallystick.errors import KeyFormatError, LimitError, UnreadableError
from tallystick.limits import (
    EXPORT_PROOF_BYTES_MAX,
    KEY_FILE_BYTES_MAX,
    KEYS_PER_ISSUER_MAX,
    TRUST_FILE_BYTES_MAX,
)
from tallystick.model.export_proof import ExportedChain, ExportProof, read_export_proof
from tallystick.verify.findings import CODES, Severity
from tallystick.verify.report import ChainReport, Finding, Report, Verdict
from tallystick.verify.trust import Trust, TrustFileError, parse_trust, trust_of
from tallystick.verify.verification import Expectations, verify_input

EXIT_OF: Final = {
    Verdict.VERIFIED: Exit.OK,
    Verdict.REFUSED: Exit.REFUSED,
    Verdict.UNCHECKED: Exit.UNCHECKED,
}
_STYLE: Final[dict[Severity, Style]] = {"refused": "bad", "unchecked": "unsure", "advisory": "dim"}

_WANTED_KEY: Final = "give the issuer's public key, as a PEM file or as did:key:…"
_WANTED_TRUST: Final = "`tally verify --help` shows the form of a trust file"

# A bar that comes and goes within a second is only noise.
_PROGRESS_AFTER_SECONDS: Final = 1.0
_PROGRESS_EVERY_RECEIPTS: Final = 256


def trust_in(keys: Sequence[str], trust_path: str | None) -> Trust:
    """Return the trust that the options name, or stop: keys are read before any receipt."""
    if len(keys) > KEYS_PER_ISSUER_MAX:
        raise Stop(
            Exit.USAGE, f"--key: at most {KEYS_PER_ISSUER_MAX}; --trust takes keys by issuer"
        )
    raw_keys = [_public_key(key) for key in keys]
    for key, raw in zip(keys, raw_keys, strict=True):
        # A weak key is a finding: receipts under it prove nothing. What is no key is wrong usage.
        if key_weakness(raw) == NOT_ON_CURVE:
            raise Stop(Exit.USAGE, f"--key: {key}: the key is no point of the curve; {_WANTED_KEY}")
    trust = trust_of(raw_keys)
    if trust_path is None:
        return trust
    try:
        return trust.with_issuers(parse_trust(read_bounded(trust_path, TRUST_FILE_BYTES_MAX)))
    except TrustFileError as fault:
        raise Stop(Exit.USAGE, f"--trust: {trust_path}: {fault}; {_WANTED_TRUST}") from None
    except (LimitError, UnreadableError) as fault:
        raise Stop(Exit.USAGE, f"--trust: {fault}") from None


def with_earlier_keys(
    trust: Trust, keys: Sequence[str], paths: Sequence[str], proof: ExportProof | None
) -> Trust:
    """Return the trust, and the keys for which those that were given vouch.

    A daemon that went on to another key left the earlier one beside the new one, and an export
    names it. Whoever may write there could add some: those count that have a hand-over of their
    own, in a store among the paths or in the proof of an export, and no longer than up to it.
    """
    from tallystick.cli.ledger_input import is_store

    stores = [path for path in paths if is_store(path)]
    if not stores and proof is None:
        return trust
    from tallystick.daemon.publishing import archived
    from tallystick.daemon.vouching import hand_overs, vouched_keys
    from tallystick.errors import KeyFileError, StoreError
    from tallystick.store.ledger_reads import LedgerReader

    named, given = ([], []) if proof is None else _proven(proof)
    for path in stores:
        try:
            with LedgerReader(path) as reader:
                given += hand_overs(reader)
        except StoreError:
            continue  # whoever reads the receipts will find out, and say so
    found = {one.public_key: one for one in trust.anyone}
    for key in keys:
        try:
            beside = [] if key.startswith("did:") else archived(key)
        except KeyFileError:
            beside = []
        for one in vouched_keys(_public_key(key), [*named, *beside], given):
            found.setdefault(one.public_key, one)
    return msgspec.structs.replace(trust, anyone=tuple(found.values()))


def export_proof_in(path: str | None) -> ExportProof | None:
    """Return the proof of an export, or stop where the file is none."""
    if path is None:
        return None
    from tallystick.errors import RefusedInput

    try:
        return read_export_proof(read_bounded(path, EXPORT_PROOF_BYTES_MAX))
    except UnreadableError as fault:
        raise Stop(Exit.UNCHECKED, f"--proof: {fault}") from None
    except RefusedInput as fault:
        raise Stop(Exit.USAGE, f"--proof: {path}: {fault}") from None


def _proven(proof: ExportProof) -> tuple[list[bytes], list[tuple[bytes, bytes]]]:
    named = []
    for key in proof.keys:
        try:
            named.append(public_key_from(key))
        except KeyFormatError:
            continue  # what is no key stops nobody from reading the others
    return named, [(one.outgoing.encode(), one.behind.encode()) for one in proof.hand_overs]


def verify_paths(
    paths: Sequence[str],
    trust: Trust,
    options: Mapping[str, Any],
    proof: ExportProof | None = None,
    called: Callable[[str], str] = str,
) -> Report:
    """Return the report on all receipts of the paths; with a proof, they must be those of it.

    `called`: how the report names a path.
    """
    folder = options["responses"]
    expectations = Expectations(
        chain_id=options["chain"],
        length=options["expect_length"],
        head=options["expect_head"],
        terminal=options["require_terminal"],
        verification_method=options["method"],
        ends={} if proof is None else {one.chain_id: _end_of(one) for one in proof.chains},
        responses=ResponseFolder(folder) if folder is not None else {},
    )
    with (
        opened_sources(paths, is_judged=True, called=called) as (sources, files),
        holdings_of(options["log"]) as holdings,
        _progress(files) as progress,
    ):
        if proof is not None:
            for source in sources:
                source.whole = source.whole or proof.stored()
        return verify_input(
            sources,
            trust,
            expectations,
            accept_nulls=options["accept_nulls"],
            workers=options["workers"],
            progress=progress,
            holdings=holdings,
        )


def _end_of(chain: ExportedChain) -> tuple[int, str]:
    return chain.length, chain.head


def answer(report: Report, *, as_json: bool) -> None:
    """Tell the report; stop with its exit code unless it is verified."""
    if as_json:
        say(json.dumps(report.to_dict(), separators=(",", ":")))
    else:
        # Where memory was short, the keys of a chain were not kept.
        knows_keys = "CHAINS_OVER_LIMIT" not in report.codes()
        for chain in report.chains:
            nobody = not chain.keys and knows_keys
            say(*_chain_line(chain), ", signed with no key that was given" if nobody else "")
        say_verdict(report)
    if not report.verified:
        raise Stop(EXIT_OF[report.verdict], first_reason(report))


def say_verdict(report: Report) -> None:
    """Tell what was found, and the verdict."""
    for finding in report.findings:
        say(*finding_line(finding))
    if report.unlisted:
        say(f"and {count(report.unlisted, 'further finding')}, not listed")
    say(*_verdict_line(report))


def _public_key(text: str) -> bytes:
    if text.startswith("did:"):
        try:
            return public_key_from(text)
        except KeyFormatError as fault:
            raise Stop(Exit.USAGE, f"--key: {fault}; {_WANTED_KEY}") from None
    try:
        data = read_bounded(text, KEY_FILE_BYTES_MAX)
    except (LimitError, UnreadableError) as fault:
        from tallystick.keys.file import GIVE_A_PATH, is_key_itself

        why = GIVE_A_PATH if is_key_itself(text) else f"{fault}; {_WANTED_KEY}"
        raise Stop(Exit.USAGE, f"--key: {why}") from None
    try:
        return public_key_from(data)
    except KeyFormatError as fault:
        raise Stop(Exit.USAGE, f"--key: {text}: {fault}; {_WANTED_KEY}") from None


def _chain_line(chain: ChainReport) -> Iterator[Span]:
    yield "chain "
    yield chain.chain_id, "strong"
    end = "open" if chain.termination == "unknown" else f"closed ({chain.termination})"
    yield f": {count(chain.length, 'receipt')} by {chain.issuer or 'nobody'}, {end}"
    if chain.head:
        yield f", head {chain.head}"
    for use in chain.keys:
        yield f", key {use.fingerprint}"
        if len(chain.keys) > 1:
            yield f" ({use.first_sequence} to {use.last_sequence})"


def finding_line(finding: Finding) -> Iterator[Span]:
    """Yield a finding's line."""
    yield finding.code, _STYLE[finding.severity]
    yield f" {finding.where}: {finding.message}"
    details = [
        f"{word} {text}"
        for word, text in (("expected", finding.expected), ("found", finding.found))
        if text
    ]
    if details:
        yield f" ({', '.join(details)})"


def _verdict_line(report: Report) -> Iterator[Span]:
    amount = f"{count(report.receipts, 'receipt')}, {count(len(report.chains), 'chain')}"
    if report.verdict is Verdict.VERIFIED:
        yield "verified", "good"
        yield f": {amount}"
        return
    is_refused = report.verdict is Verdict.REFUSED
    yield ("refused", "bad") if is_refused else ("could not check", "unsure")
    yield f": {count(report.decisive, 'finding')} in {amount}"


def first_reason(report: Report) -> str:
    """Return what decided the verdict, where, and what to do about it."""
    severity = "refused" if report.verdict is Verdict.REFUSED else "unchecked"
    first = next((one for one in report.findings if one.severity == severity), None)
    if first is None:
        return f"{report.verdict} by a finding beyond those that are listed; verify less at once"
    return f"{first.where}: {first.message}. {CODES[first.code].remedy}"


@contextmanager
def _progress(files: Sequence[Reads]) -> Iterator[Callable[[int], None] | None]:
    """Yield what shows a bar on standard error, once the work has proved to be long."""
    if not error_is_terminal():
        yield None
        return
    total = sum(one.size() for one in files)
    started = time.monotonic()
    bar: Any = None

    def show(receipts: int) -> None:
        nonlocal bar
        if receipts % _PROGRESS_EVERY_RECEIPTS:
            return
        if bar is None:
            if time.monotonic() - started < _PROGRESS_AFTER_SECONDS:
                return
            bar = _new_bar(total)
        done = sum(one.bytes_read for one in files)
        bar.update(bar.task_ids[0], completed=done, receipts=receipts)

    try:
        yield show
    finally:
        if bar is not None:
            bar.stop()


def _new_bar(total: int) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        BarColumn(),
        TextColumn("{task.fields[receipts]} receipts", markup=False),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    bar.add_task("", total=total or None, receipts=0)
    bar.start()
    return bar
