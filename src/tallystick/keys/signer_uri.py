# SPDX-License-Identifier: Apache-2.0
"""One line of text that names a signer: where its key lives, and what to expect of it.

    PATH                                       a PEM file (Ed25519) or a keystore file (EVM)
    awskms:KEY[?region=…][&endpoint=URL]       id, ARN or alias of a key in AWS KMS
    gcpkms:projects/…/cryptoKeyVersions/1[?endpoint=URL]
                                               a key version in Google Cloud KMS
    azurekeyvault:VAULT-HOST/keys/NAME/VERSION a key version in Azure Key Vault (EVM only)
    vault:NAME[?mount=…]                       a transit key in Vault or OpenBao (Ed25519 only)
    pkcs11:token=…;object=…?module-path=…      a key pair on a token (RFC 7512)
    keystore:PATH?password-file=PATH           an encrypted keystore file (EVM only)
    keystore:PATH?password-fd=N

For an EVM key, `address=0x…` among the parameters pins the address. No URI holds a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import unquote

import msgspec

from tallystick.errors import SettingError
from tallystick.keys.file import is_key_itself
from tallystick.limits import SIGNER_URI_CHARS_MAX
from tallystick.ports import EvmSigner, Signer

# They would end a line in a log, or a text in C.
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

# Scheme → the parameters that it takes, besides `address`.
_SCHEMES: Final[Mapping[str, frozenset[str]]] = {
    "awskms": frozenset({"region", "endpoint"}),
    "azurekeyvault": frozenset(),
    "gcpkms": frozenset({"endpoint"}),
    "keystore": frozenset({"password-file", "password-fd"}),
    "pkcs11": frozenset({"module-path"}),
    "vault": frozenset({"mount"}),
}


class SignerUri(msgspec.Struct, frozen=True, kw_only=True):
    """A signer's URI in its parts; `scheme` is empty for a plain path."""

    scheme: str
    name: str
    parameters: Mapping[str, str]

    def get(self, name: str) -> str | None:
        """Return a parameter, or None."""
        return self.parameters.get(name)


def parse_signer_uri(text: str) -> SignerUri:
    """Return the parts of a signer's URI; refuse what would be ignored."""
    if len(text) > SIGNER_URI_CHARS_MAX:
        raise SettingError(f"the signer's URI has over {SIGNER_URI_CHARS_MAX} characters")
    if is_key_itself(text):
        del text  # out of the frame that a traceback shows
        raise SettingError("that is a key itself, or looks like one; give its file or its URI")
    scheme, colon, rest = text.partition(":")
    if not colon or scheme not in _SCHEMES:
        if not text or "://" in text or _is_mistyped(scheme, text):
            raise SettingError(f"a signer is a path, or one of {', '.join(sorted(_SCHEMES))}: …")
        return SignerUri(scheme="", name=text, parameters={})
    name, _, query = rest.partition("?")
    parameters: dict[str, str] = {}
    for part in query.split("&") if query else ():
        key, _, value = part.partition("=")
        if key not in _SCHEMES[scheme] | {"address"} or key in parameters or not value:
            raise SettingError(f"{scheme}: takes no parameter {key[:32]!r} of that form")
        parameters[key] = _decoded(scheme, value)
    if not name:
        raise SettingError(f"{scheme}: names no key")
    if scheme != "pkcs11":  # whose name has parts of its own
        name = _decoded(scheme, name)
    return SignerUri(scheme=scheme, name=name, parameters=parameters)


def _decoded(scheme: str, text: str) -> str:
    """Return what percent-encoded text stands for; refuse what others would read otherwise."""
    try:
        found = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise SettingError(f"{scheme}: what is percent-encoded is no UTF-8") from None
    if _CONTROLS.search(found):
        raise SettingError(f"{scheme}: holds control characters")
    return found


def _is_mistyped(scheme: str, text: str) -> bool:
    """Whether somebody probably meant a scheme, and no file has that name."""
    is_word = re.fullmatch("[A-Za-z][A-Za-z0-9+.-]*", scheme) is not None
    return is_word and scheme != text and not os.path.lexists(text)


def secret_files_of(text: str) -> tuple[str, ...]:
    """Return the files that a signer's URI names and nobody else is to read: key and password."""
    uri = parse_signer_uri(text)
    if uri.scheme not in ("", "keystore"):
        return ()
    password = uri.get("password-file")
    return (uri.name,) if password is None else (uri.name, password)


def receipt_signer_uri(text: str) -> SignerUri:
    """Return the parts of a URI whose signer can sign receipts: with an Ed25519 key."""
    uri = parse_signer_uri(text)
    if uri.get("address") is not None:
        raise SettingError("address: is for EVM keys; an Ed25519 key has none")
    if uri.scheme and uri.scheme not in _ED25519:
        raise SettingError(f"{uri.scheme}: signs no receipts: it has no Ed25519 keys")
    if uri.scheme == "pkcs11":
        _token_of(uri)
    return uri


def open_signer(text: str) -> Signer:
    """Return the Ed25519 signer that a path or URI names; a service is not asked yet."""
    uri = receipt_signer_uri(text)
    if uri.scheme == "":
        from tallystick.keys.file import FileKeyProvider
        from tallystick.keys.local import LocalSigner

        return LocalSigner(FileKeyProvider(uri.name).get_key_pair())
    try:
        return _ED25519[uri.scheme](uri)
    except ValueError as fault:
        raise SettingError(f"{uri.scheme}: {fault}") from None


def open_evm_signer(text: str, *, password: Callable[[], bytes] | None = None) -> EvmSigner:
    """Return the EVM signer that a path or URI names; a service is not asked yet.

    `password` is asked for where a keystore's URI says nothing of one: a prompt, say.
    """
    uri = parse_signer_uri(text)
    if uri.scheme in ("", "keystore"):
        return _keystore(uri, password)
    make = _EVM.get(uri.scheme)
    if make is None:
        raise SettingError(f"{uri.scheme}: has no keys of secp256k1")
    try:
        return make(uri)
    except ValueError as fault:
        raise SettingError(f"{uri.scheme}: {fault}") from None


def _keystore(uri: SignerUri, password: Callable[[], bytes] | None) -> EvmSigner:
    from tallystick.keys.evm_keystore import (
        KeystoreSigner,
        password_from_descriptor,
        password_from_file,
    )

    file, number = uri.get("password-file"), uri.get("password-fd")
    if file is not None and number is not None:
        raise SettingError("keystore: takes password-file or password-fd, not both")
    if file is not None:
        ask: Callable[[], bytes] | None = lambda: password_from_file(file)  # noqa: E731
    elif number is not None:
        if not (number.isascii() and number.isdigit() and len(number) < 6):
            raise SettingError("keystore: password-fd is no number of a descriptor")
        ask = lambda: password_from_descriptor(int(number))  # noqa: E731
    else:
        ask = password
    if ask is None:
        raise SettingError(
            "a keystore wants its password: keystore:PATH?password-file=PATH or …?password-fd=N"
        )
    return KeystoreSigner(uri.name, ask, address=uri.get("address"))


def _aws(uri: SignerUri) -> Signer:
    from tallystick.keys.aws import KMSSigner

    return KMSSigner(uri.name, region=uri.get("region"), endpoint_url=uri.get("endpoint"))


def _aws_evm(uri: SignerUri) -> EvmSigner:
    from tallystick.keys.evm_aws import KMSEvmSigner

    return KMSEvmSigner(
        uri.name,
        address=uri.get("address"),
        region=uri.get("region"),
        endpoint_url=uri.get("endpoint"),
    )


def _gcp(uri: SignerUri) -> Signer:
    from tallystick.keys.gcp import CloudKMSSigner

    return CloudKMSSigner(uri.name, endpoint_url=uri.get("endpoint"))


def _gcp_evm(uri: SignerUri) -> EvmSigner:
    from tallystick.keys.evm_gcp import CloudKMSEvmSigner

    return CloudKMSEvmSigner(uri.name, address=uri.get("address"), endpoint_url=uri.get("endpoint"))


def _azure_evm(uri: SignerUri) -> EvmSigner:
    from tallystick.keys.evm_azure import KeyVaultEvmSigner

    return KeyVaultEvmSigner(f"https://{uri.name.lstrip('/')}", address=uri.get("address"))


def _vault(uri: SignerUri) -> Signer:
    from tallystick.keys.vault import TransitSigner

    mount = uri.get("mount")
    return TransitSigner(uri.name) if mount is None else TransitSigner(uri.name, mount_point=mount)


def _pkcs11(uri: SignerUri) -> Signer:
    from tallystick.keys.pkcs11 import Pkcs11Signer

    module, token, label = _token_of(uri)
    return Pkcs11Signer(module, token, label)


def _pkcs11_evm(uri: SignerUri) -> EvmSigner:
    from tallystick.keys.evm_pkcs11 import Pkcs11EvmSigner

    module, token, label = _token_of(uri)
    return Pkcs11EvmSigner(module, token, label, address=uri.get("address"))


def _token_of(uri: SignerUri) -> tuple[str, str, str]:
    parts: dict[str, str] = {}
    for part in uri.name.split(";"):
        key, _, value = part.partition("=")
        if key not in ("token", "object") or key in parts or not value:
            raise SettingError("pkcs11: wanted is pkcs11:token=…;object=…?module-path=…")
        parts[key] = _decoded("pkcs11", value)
    module = uri.get("module-path")
    if module is None or len(parts) != 2:
        raise SettingError("pkcs11: wanted is pkcs11:token=…;object=…?module-path=…")
    return module, parts["token"], parts["object"]


_ED25519: Final[Mapping[str, Callable[[SignerUri], Signer]]] = {
    "awskms": _aws,
    "gcpkms": _gcp,
    "pkcs11": _pkcs11,
    "vault": _vault,
}
_EVM: Final[Mapping[str, Callable[[SignerUri], EvmSigner]]] = {
    "awskms": _aws_evm,
    "azurekeyvault": _azure_evm,
    "gcpkms": _gcp_evm,
    "pkcs11": _pkcs11_evm,
}
