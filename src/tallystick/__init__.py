# SPDX-License-Identifier: Apache-2.0
"""Tallystick proves what AI agents actually did.

Importing this opens nothing and stays fast: each public name is loaded when it is first used.

    from tallystick import create_receipt, sign_receipt, verify_chain
"""

from __future__ import annotations

__version__ = "0.1.0"

_HOME = {
    "Acknowledged": "deliver.daemon",
    "Action": "model.action",
    "ApiKeyAuth": "deliver.auth",
    "Authorization": "model.action",
    "BearerAuth": "deliver.auth",
    "BufferingEmitter": "deliver.buffering",
    "ChainClosedError": "errors",
    "ChainReport": "verify.report",
    "CompositeEmitError": "errors",
    "CompositeEmitter": "deliver.composite",
    "DaemonEmitter": "deliver.daemon",
    "DaemonRecorder": "recorder",
    "DeadLetter": "ports",
    "Delegation": "model.chain",
    "Delegator": "model.chain",
    "DisclosureEnvelope": "model.disclosure",
    "EmitError": "errors",
    "EmitTransportError": "errors",
    "Emitter": "ports",
    "EnvVarKeyProvider": "keys.env",
    "Error": "errors",
    "Expectations": "verify.verification",
    "FileEmitter": "deliver.local_file",
    "FileKeyProvider": "keys.file",
    "FileWal": "deliver.file_wal",
    "Finding": "verify.report",
    "ForensicKeyPair": "model.disclosure",
    "FrameRefused": "errors",
    "GeneratingKeyProvider": "keys.generating",
    "Head": "model.chain",
    "HttpEmitter": "deliver.http",
    "HttpEmitterConfig": "deliver.http",
    "InMemoryEmitter": "deliver.memory",
    "InMemoryKeyProvider": "keys.memory",
    "Intent": "model.action",
    "Issuer": "model.receipt",
    "KeyMismatchError": "errors",
    "KeyPair": "crypto.ed25519",
    "KeyProvider": "ports",
    "KeyRotation": "model.rotation",
    "LeaseExpired": "errors",
    "LimitError": "errors",
    "Link": "model.chain",
    "LocalSigner": "keys.local",
    "LogReport": "verify.log",
    "LogTrust": "deliver.promises",
    "MemoryWal": "deliver.memory_wal",
    "MtlsAuth": "deliver.auth",
    "NoAuth": "deliver.auth",
    "Operator": "model.receipt",
    "Outcome": "model.action",
    "Principal": "model.receipt",
    "ProductionKeyProviderError": "errors",
    "Receipt": "model.receipt",
    "ReceiptChain": "chain.receipt_chain",
    "ReceiptError": "errors",
    "RecordedAction": "chain.recorded",
    "Recorder": "chain.recorder",
    "RefusedInput": "errors",
    "Replay": "deliver.wal",
    "Report": "verify.report",
    "RetryConfig": "deliver.retry",
    "SessionSigner": "keys.lease",
    "SettingError": "errors",
    "Signer": "ports",
    "SignerUnavailable": "errors",
    "SigningError": "errors",
    "Source": "verify.source",
    "StateChange": "model.action",
    "Target": "model.action",
    "Trust": "verify.trust",
    "TrustedKey": "verify.trust",
    "UnsignedReceipt": "model.receipt",
    "Verdict": "verify.report",
    "VerificationError": "verify.report",
    "VerifierKey": "crypto.note",
    "Wal": "ports",
    "WalCorruptError": "errors",
    "WalEmitter": "deliver.wal",
    "WalError": "errors",
    "WalFullError": "errors",
    "WalLockedError": "errors",
    "canonicalize": "crypto.canonical",
    "connect": "recorder",
    "create_receipt": "chain.issue",
    "decrypt_disclosure": "model.disclosure",
    "decrypt_response": "model.disclosure",
    "did_key_decode": "crypto.multibase",
    "did_key_encode": "crypto.multibase",
    "encrypt_disclosure": "model.disclosure",
    "encrypt_response": "model.disclosure",
    "forensic_public_key_from": "keys.forensic",
    "generate_forensic_key_pair": "keys.forensic",
    "generate_key_pair": "keys.local",
    "hash_receipt": "chain.issue",
    "install_sigterm_flush": "deliver.sigterm",
    "issue": "chain.issue",
    "parse_trust": "verify.trust",
    "rotation_between": "model.rotation",
    "sign_receipt": "chain.issue",
    "verify_chain": "verify.verification",
    "verify_checkpoints": "verify.log",
    "verify_input": "verify.verification",
    "verify_logged": "verify.log",
    "verify_receipt": "verify.verification",
}

__all__ = sorted(_HOME)  # noqa: PLE0605  # a list of the table's names


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'tallystick' has no attribute {name!r}")
    # Not `importlib`: it costs a process that sends one frame a thirtieth of its time.
    value = getattr(__import__(f"tallystick.{home}", fromlist=[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
