# SPDX-License-Identifier: Apache-2.0
"""`tally verify`: the verdict on all receipts of the input, for people and for scripts."""

from __future__ import annotations

import re
from typing import Any, Final

import click

from tallystick.cli.arguments import INPUT_FOLDER, as_utf8, paths_or_store, workers_option

_HASH: Final = re.compile("sha256:[0-9a-f]{64}")

_EPILOG: Final = """\
\b
Examples
  tally verify run.jsonl --key signing.key.pub
  tally verify a.json b.json --trust issuers.toml --json
  curl -s https://example.com/run.jsonl | tally verify - --key did:key:z6Mk...
  tally verify https://collector.example/chains/run-1 --key signing.key.pub
  tally verify run.jsonl --key signing.key.pub --require-terminal --expect-length 12
  tally verify run.jsonl --key signing.key.pub --log exported.jsonl
  tally verify run.tally --post 0x… --rpc https://node.example --key signing.key.pub
  tally verify --store /var/lib/agentreceipts/receipts.db --key signing.key.pub
  tally verify all.jsonl --key signing.key.pub --proof all.proof

\b
A trust file
  [[issuer]]
  id = "did:example:agent"
  [[issuer.key]]
  key = "did:key:z6Mk..."               (or the text of a PEM file)
  valid_from = "2026-01-01T00:00:00Z"   (optional, as is valid_until)

\b
Exit codes
  0  verified    all that was asked for was checked and holds
  1  refused     something is wrong; beats 3 when both are found
  2  usage       also a key or trust file that can't be used; no receipt was read
  3  unchecked   unreadable, nothing to verify, or no key for that issuer
"""


def _check_hash(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> str | None:
    if value is not None and not _HASH.fullmatch(value):
        raise click.BadParameter("a hash is sha256: and 64 lower-case hex digits.")
    return value


def _check_filled(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> str | None:
    if value == "":
        raise click.BadParameter("is empty.")
    return value


def _check_name(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    return as_utf8(context, parameter, _check_filled(context, parameter, value))


@click.command(
    "verify", short_help="Say whether receipts are genuine, and why not.", epilog=_EPILOG
)
@paths_or_store
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="FILE|DID",
    help="A public key, as a file or as did:key:…; counts for any issuer. May be repeated.",
)
@click.option(
    "--trust",
    metavar="FILE",
    help="A TOML file of issuers and their keys: each counts for its issuer and time only.",
)
@click.option(
    "--chain",
    metavar="ID",
    callback=_check_name,
    help="The chain that must be there, and that the expectations are about.",
)
@click.option(
    "--expect-length",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many receipts the chain must have.",
)
@click.option(
    "--expect-head",
    metavar="HASH",
    callback=_check_hash,
    help="The hash (sha256:…) at which the chain must end.",
)
@click.option("--require-terminal", is_flag=True, help="Refuse a chain that is not closed.")
@click.option(
    "--method",
    metavar="DID_URL",
    callback=_check_name,
    help="The verificationMethod that every proof must name.",
)
@click.option(
    "--responses",
    metavar="DIR",
    type=INPUT_FOLDER,
    help="Response bodies to check against their hashes: the body of urn:receipt:<uuid> "
    "is DIR/<uuid>.json.",
)
@click.option(
    "--log",
    metavar="FILE|URL",
    callback=_check_filled,
    help="What a log holds, as `tally export` writes it, or the collector to ask: shows what the "
    "input lacks.",
)
@click.option(
    "--proof",
    metavar="FILE",
    callback=_check_filled,
    help="What `tally export --proof` wrote: every chain of it must be there, as it was.",
)
@click.option(
    "--accept-nulls",
    is_flag=True,
    help="Read optional members that are null as absent, which the protocol allows.",
)
@workers_option
@click.option(
    "--post",
    metavar="ID",
    help="A post on chain: verify it with the bundle in PATH, or fetch that.",
)
@click.option("--rpc", metavar="URL|embedded", help="The node that knows the post.")
@click.option("--contracts", metavar="FILE", help="Where the contracts are, for --post.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def command(paths: tuple[str, ...], store: str | None, **options: Any) -> None:
    """Verify receipts: a receipt, an array, or JSON Lines; `-` is standard input.

    A PATH may be a collector's URL, for all its chains or for one (URL/chains/ID). It is asked
    with the token in AGENTRECEIPTS_COLLECTOR_TOKEN, if there is one. It may also be a daemon's
    store, whether the daemon runs or not: all that its chains speak of has to be there, and
    earlier keys beside a --key FILE (FILE.rotated-*) count up to the hand-over that it holds.

    All chains of all PATHs are verified together. What an open chain has lost at its end shows
    with --proof, --log, --require-terminal, --expect-length or --expect-head only.

    With --post, PATH is a bundle (.tally): the post on chain, the manifest that it commits to, the
    artefacts and the receipts are verified as one. The post's operator counts as a signer; where
    it has not signed the bundle, --key is needed.
    """
    if options["post"] is not None:
        from tallystick.cli.verify_post import verify_post_of

        verify_post_of(paths, options)
        return
    if options["rpc"] is not None or options["contracts"] is not None:
        raise click.UsageError("--rpc and --contracts are for --post.")
    from tallystick.cli.inputs import paths_of

    paths = paths_of(paths, store)
    if not options["keys"] and options["trust"] is None:
        raise click.UsageError(
            "whose signatures count? Give the issuer's public key with --key, or --trust."
        )
    from tallystick.cli.verification import (
        answer,
        export_proof_in,
        trust_in,
        verify_paths,
        with_earlier_keys,
    )

    trust = trust_in(options["keys"], options["trust"])
    proof = export_proof_in(options["proof"])
    trust = with_earlier_keys(trust, options["keys"], paths, proof)
    report = verify_paths(paths, trust, options, proof)
    answer(report, as_json=options["as_json"])
