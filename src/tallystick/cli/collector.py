# SPDX-License-Identifier: Apache-2.0
"""`tally collector`: runs a collector, and looks after its keys, its tokens and its store."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from tallystick.cli import collector_reconcile
from tallystick.cli.arguments import as_utf8
from tallystick.cli.groups import VerbGroup
from tallystick.cli.output import Exit, Stop, count, say, say_table
from tallystick.cli.settings import setting_options, settings_of, unusable
from tallystick.errors import how_to_install
from tallystick.limits import PROMISE_DELAY_MS_MAX
from tallystick.serve.tokens import TENANT_PATTERN

_RUN_EPILOG: Final = """\
\b
Examples
  tally collector run
  tally collector run --addr 127.0.0.1:0 --db run.db --log-format text
  tally collector run --config /etc/tally/collector.toml
  tally collector run --config collector.toml --print-config

\b
A configuration file
  addr = "0.0.0.0:8787"
  db = "/var/lib/tally/collector.db"
  tls_cert = "/etc/tally/server.pem"
  tls_key = "/etc/tally/server.key"
  client_ca = "/etc/tally/clients.pem"
  [certificates]
  "uri:spiffe://example.com/agents" = "agents"

\b
Exit codes
  0  ended as told (SIGTERM or SIGINT); nothing that was acknowledged is lost
  1  the store is not what this log has signed, or contradicts itself
  2  usage, also settings that contradict each other, or an address that can't be had
  3  store or keys can't be used
"""

_EPILOG: Final = """\
\b
Examples
  tally collector run
  tally collector keys new --origin collector.example/log1
  tally collector token add --tenant acme --access write
  tally collector fsck --db collector.db

\b
Exit codes: see `tally collector VERB --help`.
"""

_FSCK_EPILOG: Final = """\
\b
Examples
  tally collector fsck
  tally collector fsck --db /var/lib/tally/collector.db
  tally collector fsck --db postgresql://tally@db.example/tally --keys log1.keys

\b
Exit codes
  0  every leaf, tile, edge, head and note is what the receipts make them
  1  something is not; each line says what
  2  usage
  3  the store could not be read, or another process has it
"""


def _epilog(*examples: str) -> str:
    shown = "\n".join(f"  tally collector {one}" for one in examples)
    codes = "Exit codes: 0 done, 2 usage, 3 could not be read or written."
    return f"\b\nExamples\n{shown}\n\n\b\n{codes}\n"


@click.group(
    "collector", cls=VerbGroup, short_help="Run a collector, and look after it.", epilog=_EPILOG
)
def command() -> None:
    """Run a collector: a store of signed receipts that can be held to its word."""


@command.command("run", short_help="Serve until SIGTERM.", epilog=_RUN_EPILOG)
@setting_options()
@click.option("--print-config", is_flag=True, help="Print what would be used, and from where.")
def run(config: str | None, print_config: bool, **flags: Any) -> None:
    """Serve receipts until SIGTERM or SIGINT. Prints the address when it is ready.

    An option beats its environment variable, that beats the file, and that beats the default.
    """
    settings = settings_of(config, flags)
    if print_config:
        from tallystick.collector.settings import print_config as printed

        for line in printed(*settings).splitlines():
            say(line)
        return
    try:
        from tallystick.collector.running import run_collector
    except ImportError as fault:
        raise Stop(
            Exit.UNCHECKED,
            f"a collector needs {fault.name}; {how_to_install('collector')}",
        ) from None
    from tallystick.serve.logs import configure_logs

    is_json = settings[0].log_format == "json"
    configure_logs(sys.stderr, "json" if is_json else "text", settings[0].log_level)
    with unusable():
        run_collector(settings[0], on_ready=_tell_ready)


def _tell_ready(url: str) -> None:
    from tallystick.collector.running import settle_garbage

    settle_garbage()
    say(f"listening on {url}")
    sys.stdout.flush()


@command.group(
    "token",
    short_help="Make, list and revoke tokens.",
    epilog=_epilog(
        "token add --tenant acme --access write", "token list", "token revoke 4aa9e40e1201"
    ),
)
def token() -> None:
    """Make, list and revoke the tokens by which a collector knows its tenants."""


def _check_tenant(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not TENANT_PATTERN.fullmatch(value):
        raise click.BadParameter("letters, digits and . _ @ : -, a letter or digit first.")
    return value


@token.command(
    "add",
    short_help="Make a token, and show it once.",
    epilog=_epilog(
        'token add --tenant acme --access write --note "build agents"',
        "token add --tenant acme --access read --db /var/lib/tally/collector.db",
    ),
)
@click.option(
    "--tenant", required=True, metavar="NAME", callback=_check_tenant, help="Whose token it is."
)
@click.option(
    "--access",
    type=click.Choice(["all", "write", "read", "metrics"]),
    default="all",
    show_default=True,
    help="What it allows: read includes metrics.",
)
@click.option(
    "--note", default="", metavar="TEXT", callback=as_utf8, help="A reminder of who has it."
)
@setting_options("db", "tokens")
def token_add(tenant: str, access: Any, note: str, config: str | None, **flags: Any) -> None:
    """Make a token. It is shown once, here; the file keeps a salted hash of it.

    A running collector knows it within a second; one that started without any token asks for
    none until it starts again.
    """
    from datetime import UTC, datetime

    from tallystick.serve.tokens import add_token

    path = settings_of(config, flags)[0].tokens
    made_at = datetime.now(UTC).isoformat(timespec="seconds")  # noqa: TID251  # the clock comes in
    with unusable():
        text, made = add_token(path, tenant, access=access, note=note, made_at=made_at)
    say(text)
    print(f"token {made.id} of tenant {made.tenant}; it is not shown again", file=sys.stderr)


@token.command(
    "list",
    short_help="List the tokens that are known.",
    epilog=_epilog("token list", "token list --config /etc/tally/collector.toml"),
)
@setting_options("db", "tokens")
def token_list(config: str | None, **flags: Any) -> None:
    """List the tokens that are known, without what would let anybody use them."""
    from tallystick.serve.tokens import read_tokens

    with unusable():
        known = read_tokens(settings_of(config, flags)[0].tokens)
    say_table(
        ("id", "tenant", "access", "made", "note"),
        [(one.id, one.tenant, one.access, one.made_at, one.note) for one in known],
        folding={"note"},
    )


@token.command("revoke", short_help="Forget a token.", epilog=_epilog("token revoke 4aa9e40e1201"))
@click.argument("token_id", metavar="ID")
@setting_options("db", "tokens")
def token_revoke(token_id: str, config: str | None, **flags: Any) -> None:
    """Forget a token, by the id that `list` shows. A running collector does within a second."""
    from tallystick.errors import RefusedInput
    from tallystick.serve.tokens import revoke_token

    path = settings_of(config, flags)[0].tokens
    try:
        with unusable():
            gone = revoke_token(path, token_id)
    except RefusedInput as fault:
        raise Stop(Exit.USAGE, f"{fault}; `tally collector token list` shows them") from None
    say(f"revoked {gone.id} of tenant {gone.tenant}")


@command.group(
    "keys",
    short_help="Make and show the keys of a log.",
    epilog=_epilog("keys new --origin collector.example/log1", "keys show"),
)
def keys() -> None:
    """Make and show the keys by which a collector's log gives its word."""


@keys.command(
    "new",
    short_help="Make the keys of a new log.",
    epilog=_epilog(
        "keys new --origin collector.example/log1",
        "keys new --origin collector.example/log2 --keys log2.keys --after last.note",
    ),
)
@click.option(
    "--origin", required=True, metavar="NAME", help="The log's name for ever, as HOST/LOG."
)
@click.option(
    "--max-delay-ms",
    type=click.IntRange(1, PROMISE_DELAY_MS_MAX),
    default=60_000,
    show_default=True,
    metavar="N",
    help="How long after its promise an entry appears at the latest.",
)
@click.option(
    "--after",
    metavar="FILE",
    help="The last checkpoint of the log before this one: entry 0 commits to it.",
)
@setting_options("db", "keys")
def keys_new(
    origin: str, max_delay_ms: int, after: str | None, config: str | None, **flags: Any
) -> None:
    """Make three keys and the sheet that binds them. Keep a copy: a lost key ends the log."""
    from tallystick.cli.log_files import read_file
    from tallystick.collector.log_keys import create_log_keys
    from tallystick.errors import PathTakenError, RefusedInput
    from tallystick.limits import NOTE_BYTES_MAX

    directory = settings_of(config, flags)[0].keys
    try:
        made = create_log_keys(
            directory,
            origin,
            max_delay_ms=max_delay_ms,
            predecessor=None if after is None else read_file(after, NOTE_BYTES_MAX),
        )
    except (PathTakenError, RefusedInput) as fault:
        raise Stop(Exit.USAGE, str(fault)) from None
    say(f"{directory}  signs; keep it with the collector, readable by nobody else")
    say(f"  vkey  {made.vkey}")


@keys.command(
    "show",
    short_help="Show a log's public key and sheet.",
    epilog=_epilog("keys show", "keys show --keys log1.keys"),
)
@setting_options("db", "keys")
def keys_show(config: str | None, **flags: Any) -> None:
    """Print the log's public key, to hand out, and the sheet that it signed."""
    from tallystick.collector.log_keys import load_log_keys

    with unusable():
        known = load_log_keys(settings_of(config, flags)[0].keys)
    say(known.vkey)
    say("")
    for line in known.sheet.decode().splitlines():
        say(line)


@command.command("fsck", short_help="Check a store from end to end.", epilog=_FSCK_EPILOG)
@setting_options("db", "keys")
def fsck(config: str | None, **flags: Any) -> None:
    """Compute every leaf, tile, edge, head and note again from the receipts, and compare.

    With the log's keys at hand the signatures of its notes are checked, too. The collector must not
    run meanwhile where the store is a file.
    """
    import os

    from tallystick.collector.log_keys import load_log_keys
    from tallystick.collector.settings import is_postgres
    from tallystick.durable.file import shown
    from tallystick.store.fsck import check_store

    settings = settings_of(config, flags)[0]
    if not is_postgres(settings.db) and not os.path.isfile(settings.db):
        raise Stop(Exit.UNCHECKED, f"{shown(settings.db)} is no store; --db names another")
    with unusable():
        keys = None
        if os.path.isdir(settings.keys):
            known = load_log_keys(settings.keys)
            keys = (known.log.verifier, known.time.verifier)
        report = check_store(settings.db, keys=keys)
    for line in report.faults:
        say((line, "bad"))
    if report.faults:
        raise Stop(Exit.REFUSED, f"{count(len(report.faults), 'fault')} in {shown(settings.db)}")
    receipts, checkpoints = (
        count(report.entries, "receipt"),
        count(report.checkpoints, "checkpoint"),
    )
    say(("sound", "good"), f"  {receipts}, {checkpoints}")


command.add_command(collector_reconcile.command)
