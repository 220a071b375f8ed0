# SPDX-License-Identifier: Apache-2.0
"""`tally daemon init`: makes the key that the daemon signs with, once."""

from __future__ import annotations

from typing import Any, Final

import click

from tallystick.cli.daemon_settings import daemon_settings
from tallystick.cli.output import Exit, Stop, say
from tallystick.cli.settings import setting_options
from tallystick.daemon.variables import DAEMON

_EPILOG: Final = """\
\b
Examples
  tally daemon init
  sudo runuser -u agentreceipts -- tally daemon init --config /etc/agentreceipts/daemon.toml
  tally daemon init --forensic
  tally daemon init --signer 'pkcs11:token=t;object=agent?module-path=/usr/lib/hsm.so'

\b
Exit codes
  0  written
  2  usage
  3  a file that is there already, or that could not be written; a signer that gave no key
"""


@click.command("init", short_help="Make the daemon's key.", epilog=_EPILOG)
@setting_options("key", "signer", "public_key", "db", table=DAEMON)
@click.option(
    "--forensic", is_flag=True, help="Also make forensic.key and its public half beside the key."
)
def command(config: str | None, forensic: bool, **flags: Any) -> None:
    """Make the signing key and its public half, and the folders for them and for the store.

    With a signer no key is made: its public half is looked up and published. Run it as the user
    that the daemon runs as. A file that is there already is never touched.
    """
    # Where the daemon listens is its own affair: a key has no socket.
    settings, _ = daemon_settings(config, {**flags, "unsafe_socket_path": True})
    from tallystick.crypto.multibase import did_key_encode
    from tallystick.daemon.assembly import prepare_key_folder, prepare_store_folder, set_umask
    from tallystick.daemon.key_choice import beside_key
    from tallystick.errors import DurableError, KeyFileError
    from tallystick.verify.trust import fingerprint_of

    set_umask()
    try:
        prepare_key_folder(settings)
        prepare_store_folder(settings)
        raw = _made(settings)
        if forensic:
            _make_forensic(beside_key(settings, ""))
    except (DurableError, KeyFileError) as fault:
        raise Stop(Exit.UNCHECKED, str(fault)) from None
    except OSError as fault:
        raise Stop(Exit.UNCHECKED, f"{fault.filename}: {fault.strerror}") from None
    if settings.signer:
        say(f"{settings.signer}  signs; its key stays there")
    else:
        say(f"{settings.key}  signs; nobody but the daemon's user may read it")
    say(f"{settings.public_key}  verifies; give it to everybody")
    say(f"  fingerprint  {fingerprint_of(raw)}")
    say(f"  did:key      {did_key_encode(raw)}")


def _made(settings: Any) -> bytes:
    """Make the key, or look a signer's up; publish and return its public half."""
    from tallystick.daemon.key_file import make_keys
    from tallystick.daemon.publishing import publish

    if not settings.signer:
        return make_keys(settings.key, settings.public_key)
    from tallystick.cli.signers import named_signer

    raw = named_signer(settings.signer).get_public_key()
    publish(settings.public_key, raw)
    return raw


def _make_forensic(key: str) -> None:
    import os

    from tallystick.durable.file import write_new
    from tallystick.keys.forensic import (
        forensic_key_pem,
        forensic_public_key_pem,
        generate_forensic_key_pair,
    )

    pair = generate_forensic_key_pair()
    path = os.path.join(os.path.dirname(key), "forensic.key")
    write_new(path, forensic_key_pem(pair.private_key).encode(), 0o600)
    try:
        write_new(f"{path}.pub", forensic_public_key_pem(pair.public_key).encode(), 0o644)
    except BaseException:
        os.unlink(path)
        raise
    say(f"{path}  opens what is disclosed: move it to whoever may, away from this host")
    say(f"{path}.pub  seals; set forensic_public_key to it")
