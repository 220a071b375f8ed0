# SPDX-License-Identifier: Apache-2.0
"""`tally keygen`: a new key pair as two files, or nothing at all."""

from __future__ import annotations

import os
from typing import Final

import click

from tallystick.cli.arguments import refuse_dash
from tallystick.cli.output import Exit, Stop, say

_PRIVATE_MODE: Final = 0o600
_PUBLIC_MODE: Final = 0o644
_OTHER: Final = "choose another directory with --out"

_EPILOG = """\
\b
Examples
  tally keygen
  tally keygen --out keys
  tally keygen --forensic --out /media/offline
  tally keygen --evm --password-file evm.password

\b
Exit codes: 0 written, 2 usage, also a file that is there already, 3 could not be written.
"""


@click.command(
    "keygen", short_help="Make a key pair that signs, or one that opens.", epilog=_EPILOG
)
@click.option(
    "--out",
    default=".",
    metavar="DIR",
    callback=refuse_dash,
    help="Where to write; made when it is not there.",
)
@click.option(
    "--forensic", is_flag=True, help="Make a key that opens disclosures, not one that signs."
)
@click.option("--evm", is_flag=True, help="Make a key for a chain (secp256k1), encrypted.")
@click.option(
    "--password-file",
    metavar="FILE",
    help="File with the password of an --evm key; else asked for.",
)
def command(out: str, forensic: bool, evm: bool, password_file: str | None) -> None:
    """Make a key pair: signing.key for the agent, signing.key.pub for whoever verifies.

    With --forensic: forensic.key.pub for the agent, which seals with it, and forensic.key for
    whoever may open what was sealed. With --evm: evm.json, a keystore file as Ethereum's tools
    read it, and evm.json.pub. A file that is there already is never touched.
    """
    if not out:
        raise click.BadParameter("an empty path names no directory.", param_hint="'--out'")
    if forensic and evm:
        raise click.UsageError("--forensic and --evm are two kinds of keys: give one.")
    if password_file is not None and not evm:
        raise click.UsageError("--password-file is for --evm: the other keys have no password.")
    if evm:
        _make_evm(out, password_file)
    elif forensic:
        _make_forensic(out)
    else:
        _make_signing(out)


def _make_signing(out: str) -> None:
    from tallystick.crypto.multibase import did_key_encode
    from tallystick.keys.local import generate_key_pair
    from tallystick.verify.trust import fingerprint_of

    pair = generate_key_pair()
    raw = pair.signing_key().public_key
    private, public = _write(out, "signing.key", pair.private_key, pair.public_key)
    say(f"{private}  signs; keep it with the agent, readable by nobody else")
    say(f"{public}  verifies; give it to everybody")
    say(f"  fingerprint  {fingerprint_of(raw)}")
    say(f"  did:key      {did_key_encode(raw)}")


def _make_forensic(out: str) -> None:
    from tallystick.keys.forensic import (
        forensic_key_pem,
        forensic_public_key_pem,
        generate_forensic_key_pair,
    )

    pair = generate_forensic_key_pair()
    private, public = _write(
        out,
        "forensic.key",
        forensic_key_pem(pair.private_key),
        forensic_public_key_pem(pair.public_key),
    )
    say(f"{private}  opens disclosures; keep it offline, away from the agent")
    say(f"{public}  seals them; give it to the agent")
    say(f"  kid  {pair.kid}")


def _make_evm(out: str, password_file: str | None) -> None:
    from tallystick.cli.signers import new_password
    from tallystick.crypto.secp256k1 import address_of, public_key_of, write_public_key
    from tallystick.keys.evm_keystore import write_keystore
    from tallystick.keys.evm_local import generate_evm_secret

    password = new_password(password_file)
    secret = generate_evm_secret()
    raw = public_key_of(secret)
    private, public = _write(
        out, "evm.json", write_keystore(secret, password), write_public_key(raw)
    )
    say(f"{private}  signs for a chain, with its password; readable by nobody else")
    say(f"{public}  verifies")
    say(f"  address  {address_of(raw)}")


def _write(out: str, name: str, private: str, public: str) -> tuple[str, str]:
    """Write both files or none, and return their paths."""
    from tallystick.durable.file import make_directory, shown, write_new
    from tallystick.errors import DurableError, PathTakenError

    paths = os.path.join(out, name), os.path.join(out, f"{name}.pub")
    for path in paths:
        if os.path.lexists(path):
            raise Stop(Exit.USAGE, _taken(shown(path)))
    try:
        is_new = make_directory(out, 0o700)
    except DurableError as fault:
        raise Stop(Exit.UNCHECKED, f"{fault}; {_OTHER}") from None
    written: list[str] = []
    try:
        for path, text, mode in zip(
            paths, (private, public), (_PRIVATE_MODE, _PUBLIC_MODE), strict=True
        ):
            write_new(path, text.encode("ascii"), mode)
            written.append(path)
    except BaseException as fault:
        for path in written:
            os.unlink(path)
        if is_new:
            os.rmdir(out)
        if isinstance(fault, PathTakenError):
            raise Stop(Exit.USAGE, _taken(shown(paths[len(written)]))) from None
        if isinstance(fault, DurableError):
            raise Stop(Exit.UNCHECKED, f"{fault}; {_OTHER}") from None
        raise
    return os.path.normpath(paths[0]), os.path.normpath(paths[1])


def _taken(path: str) -> str:
    return f"{path} is there already and was not touched; {_OTHER}"
