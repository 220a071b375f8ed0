# SPDX-License-Identifier: Apache-2.0
"""`tally signer`: which key a path or URI stands for, wherever the key lives."""

from __future__ import annotations

import click

from tallystick.cli.output import say

_EPILOG = """\
\b
Examples
  tally signer signing.key
  tally signer 'keystore:evm.json?password-file=evm.password'
  tally signer --evm 'awskms:alias/solver?region=eu-west-1'
  tally signer --evm gcpkms:projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1
  tally signer azurekeyvault:v.vault.azure.net/keys/solver/0123456789abcdef0123456789abcdef
  tally signer --evm 'pkcs11:token=t;object=solver?module-path=/usr/lib/softhsm/libsofthsm2.so'

\b
Exit codes: 0 shown, 1 another key than the one expected, 2 usage, 3 the service gave no key.
"""

# Schemes whose keys are never Ed25519.
_EVM_ONLY = ("azurekeyvault:", "keystore:")


@click.command("signer", short_help="Show which key a signer stands for.", epilog=_EPILOG)
@click.argument("signer")
@click.option("--evm", is_flag=True, help="The key is one for a chain (secp256k1), not Ed25519.")
def command(signer: str, evm: bool) -> None:
    """Look the public key of SIGNER up, and show it with its address or fingerprint.

    SIGNER is the path of a key file or a URI, as every command takes it that signs. Add
    address=0x… to an EVM signer's URI, and it is refused whenever its key is another.
    """
    if evm or signer.startswith(_EVM_ONLY):
        _show_evm(signer)
    else:
        _show_ed25519(signer)


def _show_evm(signer: str) -> None:
    from tallystick.cli.signers import named_evm_signer
    from tallystick.crypto.secp256k1 import write_public_key

    found = named_evm_signer(signer)
    say(f"address  {found.get_address()}")
    for line in write_public_key(found.get_public_key()).splitlines():
        say(line)


def _show_ed25519(signer: str) -> None:
    from tallystick.cli.signers import named_signer
    from tallystick.crypto.multibase import did_key_encode
    from tallystick.crypto.pem import write_public
    from tallystick.verify.trust import fingerprint_of

    raw = named_signer(signer).get_public_key()
    say(f"fingerprint  {fingerprint_of(raw)}")
    say(f"did:key      {did_key_encode(raw)}")
    for line in write_public(raw).splitlines():
        say(line)
