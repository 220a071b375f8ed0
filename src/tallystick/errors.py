# SPDX-License-Identifier: Apache-2.0
"""Every error that this library raises, named by the fault and not by the module.

    Error
    ├── RefusedInput (ValueError)     bytes or values that we will not accept
    │   ├── MalformedInput            not strict JSON; carries a finding code and a place
    │   ├── CanonicalError            a value without an RFC 8785 form
    │   ├── ReceiptError              values that make no receipt; carries a place
    │   ├── KeyFormatError            bytes or text that are no usable key
    │   ├── SignatureFormatError      bytes that are no signature in its one form
    │   ├── StatementError            values that make nothing that an EVM key signs
    │   ├── EncodingError             text that is not strict base64url or base58btc
    │   ├── EnvelopeError             not a disclosure envelope
    │   ├── LogFormatError            a file of a log that is not in its one form
    │   │   └── NoteSignatureError    a note without the signatures that were asked for
    │   ├── ManifestError             bytes or values that make no manifest; carries a place
    │   ├── BundleError               bytes that are no bundle in its one form; carries a place
    │   ├── ArtifactRefused           a file that no manifest takes in; names it
    │   ├── TrustFileError            a trust file of another form (in verify/trust.py)
    │   ├── IntentError               what is asked of a solver is no intent; carries a code
    │   ├── FrameRefused              a frame that makes no receipt; carries a code and a place
    │   ├── MessageRefused            a JSON-RPC message that is not passed on; carries its code
    │   ├── RulesError                a rules file that can't be used; says where
    │   ├── PatternError              a pattern for secrets that can't be used; says which
    │   ├── ClientConfigError         another program's configuration, of a form we leave alone
    │   └── LimitError                larger, longer or deeper than a stated limit
    ├── KeyFileError                  a key file that we will not read or write; says why
    ├── KeyEnvError                   an environment variable that holds no key
    ├── KeySecretError                a secret manager gave no key; says whether to try again
    ├── ProductionKeyProviderError    a generated key was asked for in production
    ├── SigningError                  the signer gave no signature, and asking again won't help
    │   ├── LeaseExpired              the session key is used up; a new chain takes a new one
    │   ├── PinRefused                a token does not take the PIN; asked again, it would lock
    │   └── SignerUnavailable         the signer could not be asked just now; asking again may help
    ├── NodeError                     a node of a chain did not do what it was asked
    │   ├── RevertError               a contract refuses; `name` is its error
    │   └── UnminedError              sent, and not final yet
    ├── SpendRefused                  a transaction over the cap on costs
    ├── PostingError                  what is asked of the contracts makes no sense there
    ├── MissingExtraError             a vendor's client is not installed; names the extra
    ├── EmitError                     a receipt was not delivered; says whether to try again
    │   ├── CompositeEmitError        some of several emitters failed; carries each one's error
    │   └── EmitTransportError        a frame did not reach the daemon; trying again may help
    ├── WalError                      the write-ahead log can't be used
    │   ├── WalFullError              it has reached its stated size
    │   ├── WalLockedError            another process writes to it
    │   └── WalCorruptError           its bytes are damaged where no crash could have done it
    ├── SettingError                  settings that contradict each other, or that can't be served
    │   └── SocketPathError           a path that no socket may have; carries a code
    ├── ApprovalError                 a proxy's approval API did not do what it was asked
    ├── RunError                      a run can't be begun, gone on with or found
    │   ├── RunBusyError              another process has the run, the intent or the solver's home
    │   ├── AttemptsError             an intent has had as many runs as it may
    │   └── RunnerError               what would execute an intent can't be used as it is set up
    ├── PeerError                     the system did not say who is at the other end of a socket
    ├── ChainClosedError              the chain has its terminal receipt; nothing can follow
    ├── KeyMismatchError              the signer's key is not the one that the chain stands on
    ├── DecryptionError               right shape, wrong key or altered ciphertext
    ├── UnreadableError               a file that could not be opened or read
    ├── StoreError                    a store of receipts did not do what it was asked
    │   ├── StoreBusyError            too much waits to be stored; asking again soon may help
    │   ├── StoreLockedError          another process holds it
    │   ├── StoreCorruptError         its content contradicts itself
    │   ├── LogRolledBackError        it lacks what its log has already signed
    │   └── StoreStoppedError         an earlier write failed; it takes no more until reopened
    ├── DurableError                  bytes could not be put on stable storage
    │   └── PathTakenError            something is already there, and was left as it is
    └── VerificationError             a report that is not `verified` (in verify/report.py)

An error that carries a value lives beside that value; all others live here.
"""

from __future__ import annotations


class Error(Exception):
    """The root: `except tallystick.Error` catches all that we raise on purpose."""


class RefusedInput(Error, ValueError):
    """Bytes or values that we will not accept."""


class MalformedInput(RefusedInput):
    """Input that is not strict JSON; `code` is a finding code, `where` a JSON Pointer."""

    def __init__(self, code: str, message: str, where: str = "") -> None:
        super().__init__(f"{message} (at {where})" if where else message)
        self.code = code
        self.where = where
        self.message = message


class CanonicalError(RefusedInput):
    """A value without an RFC 8785 form."""


class ReceiptError(RefusedInput):
    """Values that make no receipt; `where` is the JSON Pointer of the first fault."""

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where
        self.message = message


class KeyFormatError(RefusedInput):
    """Bytes or text that are no usable key. Never echoes what it was given."""


class SignatureFormatError(RefusedInput):
    """Bytes that are no signature in its one form: cut off, malleable or out of range."""


class StatementError(RefusedInput):
    """Values that make no manifest, message, typed data or transaction to be signed."""


class EncodingError(RefusedInput):
    """Text that is not strict base64url or base58btc. Never echoes what it was given."""


class EnvelopeError(RefusedInput):
    """Not a disclosure envelope of version 1."""


class FrameRefused(RefusedInput):
    """A frame that makes no receipt. `code` is stable; the text quotes nothing of the frame."""

    def __init__(self, code: str, message: str, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.code = code
        self.where = where
        self.message = message


class MessageRefused(RefusedInput):
    """A JSON-RPC message that is not passed on; `code` is the error's number, `id` the request's.

    The text quotes nothing of the message.
    """

    def __init__(self, code: int, message: str, id: str | int | None = None) -> None:  # noqa: A002
        super().__init__(message)
        self.code = code
        self.id = id
        self.message = message


class RulesError(RefusedInput):
    """A rules file that can't be used; says which rule, and why."""


class IntentError(RefusedInput):
    """What is asked of a solver is no intent of ours. `code` is stable, `where` a JSON Pointer."""

    def __init__(self, code: str, message: str, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.code = code
        self.where = where
        self.message = message


class PatternError(RefusedInput):
    """A pattern for secrets, or a file of them, that can't be used; says which and why."""


class ClientConfigError(RefusedInput):
    """Another program's configuration that can't be read beyond doubt: it is left as it is."""


class LogFormatError(RefusedInput):
    """A note, checkpoint, promise, proof, entry or sheet of a log that is not in its one form."""


class NoteSignatureError(LogFormatError):
    """A well-formed note that lacks a signature that was asked for, or has a wrong one."""


class ManifestError(RefusedInput):
    """Bytes or values that make no manifest; `where` is the JSON Pointer of the first fault."""

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where
        self.message = message


class BundleError(RefusedInput):
    """Bytes that are no bundle in its one form; `where` is the member that they are in."""

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where
        self.message = message


class ArtifactRefused(RefusedInput):
    """A file that no manifest takes in: a link, a device, a name that is ambiguous, one that
    changes while it is read. `path` is its name as far as it can be shown.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


class LimitError(RefusedInput):
    """Larger, longer or deeper than a stated limit."""


class KeyFileError(Error):
    """A key file that we will not read or write; the message says why and what to do."""


class KeyEnvError(Error):
    """An environment variable that holds no key. Never echoes its value."""


class KeySecretError(Error):
    """A secret manager gave no key. Never echoes the secret.

    `is_transient` tells whether trying again later may help.
    """

    def __init__(self, message: str, *, is_transient: bool = False) -> None:
        super().__init__(message)
        self.is_transient = is_transient


class ProductionKeyProviderError(Error):
    """A generated key was asked for where AGENTRECEIPTS_PRODUCTION is `true`."""


class SigningError(Error):
    """The signer gave no signature, and asking again won't help."""


class LeaseExpired(SigningError):
    """The session key reached its age or its count; the answer is a new chain with a new lease."""


class PinRefused(SigningError):
    """A token does not take the PIN, or would lock at the next wrong one: somebody has to look."""


class SignerUnavailable(SigningError):
    """The signer could not be asked just now; asking again may help."""


class NodeError(Error):
    """A node of a chain did not do what it was asked; `is_transient` says whether to ask again."""

    def __init__(self, message: str, *, is_transient: bool = False) -> None:
        super().__init__(message)
        self.is_transient = is_transient


class RevertError(NodeError):
    """A contract refuses a call; `name` is the error that it gives, or empty."""

    name = ""


class UnminedError(NodeError):
    """A transaction was sent and is not final yet; doing the same again goes on where it stands."""


class PostingError(Error):
    """What is asked of the contracts makes no sense there; says why."""


class SpendRefused(Error):
    """A transaction would cost more than the cap that was set."""


class MissingExtraError(Error, ImportError):
    """A vendor's client is not installed; the message names the extra to install."""


def how_to_install(extra: str) -> str:
    """Return how an extra is installed: said here, and nowhere else."""
    return (
        f"install the extra: pip install 'tallystick[{extra}]', "
        f"or in a clone pip install -e '.[{extra}]'"
    )


def _none_yet():  # type: ignore[no-untyped-def]  # `Any` without `typing`, which starts slowly
    return None


class EmitError(Error):
    """A receipt was not delivered. `status` is the HTTP status, if there was one.

    `is_transient` tells whether trying again later may help. The text never holds a credential.
    """

    def __init__(
        self, message: str, *, status: int | None = None, is_transient: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.is_transient = is_transient
        # The signed receipt that was not delivered, where a chain raises.
        self.receipt = _none_yet()  # type: ignore[no-untyped-call]  # of any type, see there


def _told(error: Exception) -> str:
    # The words of others may hold anything; ours hold no secret.
    return str(error) if isinstance(error, Error) else type(error).__name__


class CompositeEmitError(EmitError):
    """Some of several emitters failed; `errors` holds what each one raised."""

    def __init__(self, errors: list[Exception]) -> None:
        # What is no EmitError says nothing about the receipt: the next try may do better.
        transient = not all(isinstance(e, EmitError) and not e.is_transient for e in errors)
        super().__init__(
            f"{len(errors)} of the emitters failed: {'; '.join(map(_told, errors))}",
            is_transient=transient,
        )
        self.errors = errors


class EmitTransportError(EmitError):
    """A frame did not reach the daemon, or its answer did not reach us.

    `may_be_stored` is True where only the answer is missing. Never raised for what the caller got
    wrong: that is `FrameRefused`.
    """

    def __init__(self, message: str, *, may_be_stored: bool = False) -> None:
        super().__init__(message, is_transient=True)
        self.may_be_stored = may_be_stored


class WalError(Error):
    """The write-ahead log can't be used."""


class WalFullError(WalError):
    """The write-ahead log has reached its stated size."""


class WalLockedError(WalError):
    """Another process writes to this write-ahead log."""


class WalCorruptError(WalError):
    """The write-ahead log is damaged where no crash could have done it."""


class SettingError(Error):
    """Settings that contradict each other, or that can't be served."""


class SocketPathError(SettingError):
    """A path that no socket may have, or where another daemon listens; `code` is stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ApprovalError(Error):
    """A proxy's approval API did not answer, or refused; the text says which and why."""


class RunError(Error):
    """A run can't be begun, gone on with or found."""


class RunBusyError(RunError):
    """Another process has the run, the intent or the solver's home; asking again may help."""


class AttemptsError(RunError):
    """An intent has had as many runs as it may, and is not received again."""


class RunnerError(RunError):
    """What would execute an intent can't be used as it is set up."""


class PeerError(Error):
    """The operating system did not say who is at the other end of a socket."""


class ChainClosedError(Error):
    """The chain has its terminal receipt; nothing can follow."""


class KeyMismatchError(Error):
    """The signer's key is not the expected one: that of the chain, or of the address given."""


class DecryptionError(Error):
    """The envelope has the right shape, but this key does not open it."""


class UnreadableError(Error):
    """A file that could not be opened or read."""


class DurableError(Error):
    """Bytes could not be put on stable storage."""


class PathTakenError(DurableError):
    """Something is already there, and was left as it is."""


class StoreError(Error):
    """A store of receipts did not do what it was asked.

    `is_transient` tells whether trying again later may help.
    """

    def __init__(self, message: str, *, is_transient: bool = False) -> None:
        super().__init__(message)
        self.is_transient = is_transient


class StoreBusyError(StoreError):
    """Too much waits to be stored already; nothing was taken, and asking again soon may help."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_transient=True)


class StoreLockedError(StoreError):
    """Another process holds this store."""


class StoreCorruptError(StoreError):
    """The content of a store contradicts itself, or its schema is not ours."""


class LogRolledBackError(StoreError):
    """The store lacks what its log has already signed: it must not sign anything more."""


class StoreStoppedError(StoreError):
    """An earlier write failed, so what is on disk is unknown: no more until reopened."""
