# SPDX-License-Identifier: Apache-2.0
"""Judges receipts in the order of their chains: what no receipt can prove by itself.

For each receipt, in order:

1. what was wrong with it by itself;
2. its place: the chain begins at 1, goes on by one, and has not been closed;
3. its link: it names the hash of the one before it;
4. its issuer is the chain's issuer;
5. its signature, under the key that the chain stands on at this point;
6. a hand-over to another key, when its own signature holds;
7. advisories: session, principal, time, unsigned metadata, calls without a result.

At the end: what the caller expects, delegation between chains, and repeated ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tallystick.limits import CHAIN_STATE_BYTES_MAX, OPEN_ROUNDTRIPS_MAX
from tallystick.model.chain import Link
from tallystick.model.receipt import Receipt
from tallystick.model.shapes import is_before
from tallystick.model.taxonomy import DAEMON_ISSUER
from tallystick.verify.fingerprints import Fingerprints, fingerprint, in_chain
from tallystick.verify.receipt import Examined
from tallystick.verify.report import Findings
from tallystick.verify.signature import SignatureJudge
from tallystick.verify.state import KEY_USE_BYTES_EACH, ChainState, bytes_of
from tallystick.verify.trust import Trust

_CHAIN = "/credentialSubject/chain"


class Judge:
    """Takes examined receipts in input order; notes findings. Used by one thread."""

    def __init__(
        self,
        trust: Trust,
        findings: Findings,
        where: Callable[[int], str],
        *,
        sole_chain: bool,
        method: str | None,
    ) -> None:
        self.chains: dict[str, ChainState] = {}
        self.ids = Fingerprints()
        self.idempotency_keys = Fingerprints()
        self.receipts = 0
        # A keyed fingerprint over all receipts in order: does a second pass read the same?
        self.trail = 0
        self._signatures = SignatureJudge(trust, findings, where)
        self._findings = findings
        self._where = where
        self._sole_chain = sole_chain
        self._method = method
        self._open_calls: dict[int, int] = {}
        self._calls_forgotten = 0
        self._bytes_kept = 0
        self._is_over_limit = False

    def guess_key(self, receipt: Receipt) -> bytes | None:
        """Return the key that will probably be asked for; another thread may call this."""
        subject = receipt.credentialSubject
        if subject is not None and subject.chain is not None:
            state = self.chains.get(subject.chain.chain_id)
            if state is not None and state.active_key is not None:
                return state.active_key
        return self._signatures.first_key(receipt)

    def take(self, examined: Examined, at: int) -> None:
        """Judge the next receipt, which stands at that index of the input."""
        if self._is_ordinary_next(examined):
            return
        if examined.faults:
            for fault in examined.faults:
                self._findings.add(
                    fault.code,
                    self._where(at) + fault.where,
                    fault.message,
                    expected=fault.expected,
                    found=fault.found,
                )
            if examined.faults[0].code == "SOURCE_UNREADABLE":
                return
        receipt = examined.receipt
        self.receipts += 1
        self.trail = hash((self.trail, examined.digest))
        if receipt is None or receipt.credentialSubject is None:
            return
        if receipt.id is not None:
            self.ids.add(receipt.id)
        link = receipt.credentialSubject.chain
        state = self._state_of(receipt, link, at)
        if state is None:
            return
        in_place = self._judge_place(state, link, at)
        if state.issuer is None and receipt.issuer is not None:
            if self.has_room(bytes_of(receipt.issuer.id), at):
                state.issuer = receipt.issuer.id
        elif receipt.issuer is not None and receipt.issuer.id != state.issuer:
            self._findings.add(
                "ISSUER_CHANGED",
                f"{self._where(at)}/issuer/id",
                "is not the issuer of the chain",
                expected=state.issuer,
                found=receipt.issuer.id,
            )
        signed = self._signatures.judge(state, examined, receipt, at)
        if signed and link.sequence is not None:
            state.note_signed(link.sequence)
        if receipt.credentialSubject.keyRotation is not None:
            self._signatures.judge_rotation(state, examined, receipt, at, signed=bool(signed))
            if not self.has_room(KEY_USE_BYTES_EACH, at):
                state.key_uses.clear()  # a report without them is better than no bound
        if in_place:
            state.sequence = link.sequence or state.sequence + 1
            state.head = examined.digest
            # A forged terminal closes nothing. One that nobody could check is taken at its word:
            # that receipts follow it is wrong, whoever signed.
            if link.terminal and signed is not False:
                state.is_closed = True
                if signed:
                    state.status = link.status or "complete"
        self._advise(state, receipt, at, in_place=in_place)

    def has_room(self, more: int, at: int) -> bool:
        """Count memory that is to be kept, unless it goes over the limit; then say so, once."""
        if self._bytes_kept + more <= CHAIN_STATE_BYTES_MAX:
            self._bytes_kept += more
            return True
        if not self._is_over_limit:
            self._is_over_limit = True
            message = "brings more chains, names or keys than fit into the memory limit"
            self._findings.add("CHAINS_OVER_LIMIT", self._where(at), message)
        return False

    def _is_ordinary_next(self, examined: Examined) -> bool:
        """Take a receipt about which there is nothing to say, as most are; else change nothing.

        What follows is what the long way does with such a receipt, in half of the time.
        """
        receipt = examined.receipt
        if receipt is None or examined.faults or not examined.fits_tried_key:
            return False
        subject, issuer, issued = receipt.credentialSubject, receipt.issuer, receipt.issuanceDate
        link = subject.chain
        state = self.chains.get(link.chain_id)
        if (
            state is None
            or link.previous_receipt_hash != state.head
            or link.sequence != state.sequence + 1
            or examined.tried_key != state.active_key
            or state.windows
            or state.is_closed
            or link.terminal is not None
            or issuer.id != state.issuer
            or issuer.session_id != state.session
            or subject.principal.id != state.principal
            or receipt.proof.verificationMethod != state.method
            or subject.keyRotation is not None
            or subject.delegation is not None
            or subject.action.idempotency_key is not None
            or subject.outcome.status == "pending"
            or state.issued is None
            or is_before(issued, state.issued)
        ):
            return False
        self.receipts += 1
        self.trail = hash((self.trail, examined.digest))
        self.ids.add(receipt.id)
        state.length += 1
        state.sequence = link.sequence
        state.head = examined.digest
        state.issued = issued
        state.note_signed(link.sequence)
        if self._open_calls and subject.correlation_id is not None:
            self._close_call(state, subject.correlation_id)
        return True

    def _state_of(self, receipt: Receipt, link: Link | None, at: int) -> ChainState | None:
        if link is None or link.chain_id is None:
            return None
        state = self.chains.get(link.chain_id)
        if state is None:
            if self._sole_chain and self.chains:
                expected = next(iter(self.chains))
                self._findings.add(
                    "CHAIN_MIXED",
                    f"{self._where(at)}{_CHAIN}/chain_id",
                    "is another chain",
                    expected=expected,
                    found=link.chain_id,
                )
                return None
            state = ChainState(link.chain_id, receipt, self._where(at))
            if not self.has_room(state.bytes_kept(), at):
                return None
            self.chains[link.chain_id] = state
        state.length += 1
        return state

    def _judge_place(self, state: ChainState, link: Link, at: int) -> bool:
        """Check sequence, link and closing; return whether the chain goes on from here."""
        expected = state.sequence + 1
        if (
            link.sequence == expected
            and link.previous_receipt_hash == state.head
            and not state.is_closed
        ):
            return True
        place = f"{self._where(at)}{_CHAIN}"
        if state.is_closed:
            self._findings.add(
                "CHAIN_AFTER_TERMINAL",
                self._where(at),
                "follows the receipt that closed the chain",
            )
        sequence = link.sequence
        if sequence is None:  # refused already
            return True
        if state.length == 1:
            if sequence != 1:
                self._findings.add(
                    "CHAIN_GENESIS_SEQUENCE",
                    f"{place}/sequence",
                    "is where the chain begins",
                    expected=1,
                    found=sequence,
                )
            return True
        if sequence > expected:
            missing = sequence - expected
            self._findings.add(
                "CHAIN_GAP",
                f"{place}/sequence",
                f"{missing} receipt{'s are' if missing > 1 else ' is'} missing before this one",
                expected=expected,
                found=sequence,
            )
        elif sequence < expected:
            self._findings.add(
                "CHAIN_REPEAT",
                f"{place}/sequence",
                "comes again or out of order",
                expected=expected,
                found=sequence,
            )
            return False
        elif link.previous_receipt_hash is not None and link.previous_receipt_hash != state.head:
            self._findings.add(
                "CHAIN_LINK_BROKEN",
                f"{place}/previous_receipt_hash",
                "does not name the receipt before this one",
                expected=state.head,
                found=link.previous_receipt_hash,
            )
        return True

    def _advise(self, state: ChainState, receipt: Receipt, at: int, *, in_place: bool) -> None:
        subject, proof = receipt.credentialSubject, receipt.proof
        if in_place:  # a receipt out of order has another one before it
            self._advise_of_changes(state, receipt, at)
        if proof is not None and proof.verificationMethod != state.method:
            self._judge_method(state, receipt, at)
        if subject.delegation is not None and subject.delegation != state.delegation:
            self._findings.add(
                "DELEGATION_CHANGED",
                f"{self._where(at)}/credentialSubject/delegation",
                "is not the one of the chain's first receipt",
            )
        if subject.action is not None and subject.action.idempotency_key is not None:
            self.idempotency_keys.add(in_chain(state.chain_id, subject.action.idempotency_key))
        if subject.outcome is not None:
            self._follow_call(state, subject.outcome.status, subject.correlation_id, at)

    def _advise_of_changes(self, state: ChainState, receipt: Receipt, at: int) -> None:
        subject, issuer, issued = receipt.credentialSubject, receipt.issuer, receipt.issuanceDate
        is_shared = _is_of_shared_chain(receipt)
        if issuer is not None and issuer.session_id != state.session:
            if not is_shared:
                place = f"{self._where(at)}/issuer/session_id"
                self._note_change("session_changed", place, state.session, issuer.session_id)
            if self.has_room(bytes_of(issuer.session_id) - bytes_of(state.session), at):
                state.session = issuer.session_id
        principal = subject.principal.id if subject.principal is not None else None
        if principal is not None and principal != state.principal:
            # Where it is not known, the one before it was refused.
            if state.principal is not None and not is_shared:
                place = f"{self._where(at)}/credentialSubject/principal/id"
                self._note_change("principal_changed", place, state.principal, principal)
            if self.has_room(bytes_of(principal) - bytes_of(state.principal), at):
                state.principal = principal
        if issued is not None:
            if state.issued is not None and is_before(issued, state.issued):
                self._findings.add(
                    "time_backwards",
                    f"{self._where(at)}/issuanceDate",
                    "is earlier than the receipt before it",
                    expected=f"{state.issued} or later",
                    found=issued,
                )
            state.issued = issued

    def _note_change(self, code: str, place: str, before: str | None, after: str | None) -> None:
        self._findings.add(
            code,
            place,
            "changes within the chain",
            expected=before or "none",
            found=after or "none",
        )

    def _judge_method(self, state: ChainState, receipt: Receipt, at: int) -> None:
        method = receipt.proof.verificationMethod
        if method is None or (state.issuer is None and self._method is None):
            return  # refused already, or the name to compare with is
        place = f"{self._where(at)}/proof/verificationMethod"
        if self._method is not None and method != self._method:
            self._findings.add(
                "PROOF_METHOD_UNEXPECTED",
                place,
                "is not the expected one",
                expected=self._method,
                found=method,
            )
        elif self._method is None and (
            state.method is not None or not method.startswith(f"{state.issuer}#")
        ):
            self._findings.add(
                "proof_metadata_unsigned",
                place,
                "is not covered by the signature, and not the issuer's usual one",
                expected=state.method or f"{state.issuer}#…",
                found=method,
            )
        if self.has_room(bytes_of(method) - bytes_of(state.method), at):
            state.method = method

    def _follow_call(
        self, state: ChainState, status: str | None, correlation: str | None, at: int
    ) -> None:
        if status != "pending":
            if correlation is not None and self._open_calls:
                self._close_call(state, correlation)
            return
        if len(self._open_calls) >= OPEN_ROUNDTRIPS_MAX:
            self._calls_forgotten += 1
            return
        key = (
            -self.receipts
            if correlation is None
            else fingerprint(in_chain(state.chain_id, correlation))
        )
        self._open_calls[key] = at

    def _close_call(self, state: ChainState, correlation: str) -> None:
        """Take a call off the list: one of this chain, or of the chain that this one goes on from.

        A call may outlast the key that its chain stands on; its result is then in the next chain.
        """
        at = self._open_calls.pop(fingerprint(in_chain(state.chain_id, correlation)), None)
        before = self.chains.get(state.previous) if state.previous is not None else None
        if at is None and before is not None and before.issuer == state.issuer:
            self._open_calls.pop(fingerprint(in_chain(before.chain_id, correlation)), None)

    def open_calls(self) -> Iterator[tuple[str, str]]:
        """Yield (where, message) of every call that has no result."""
        for at in self._open_calls.values():
            yield (
                self._where(at),
                "is pending, and no receipt with its correlation_id gives a result",
            )
        if self._calls_forgotten:
            yield "input", f"{self._calls_forgotten} further pending calls could not be followed"


def _is_of_shared_chain(receipt: Receipt) -> bool:
    """Whether a daemon issued this, whose chain is that of all emitters of a host by design.

    It says of each receipt which process sent it, as the system told, or speaks for itself.
    """
    issuer, subject = receipt.issuer, receipt.credentialSubject
    if issuer is None or issuer.type != DAEMON_ISSUER or subject.action is None:
        return False
    is_own = subject.principal is not None and subject.principal.id == issuer.id
    return is_own or subject.action.peer_credential is not None
