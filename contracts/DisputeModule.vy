# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
# @license Apache-2.0
"""
@title  DisputeModule
@notice The grounds on which a receipt can be disputed. A ground exists because a function here
        decides it: five are proofs that decide at once and cost nothing but gas; availability is
        a question with a time to answer; what is a matter of judgement goes to a panel.
@dev    The module owns no money and no bond: it escrows challengers' bonds, fees and arbitrators'
        stakes in the registry, and can credit no more than it put there. A dispute ends by a call
        that anyone may make, at the latest when its time is over.
"""

from lib import manifests
from lib import merkle
from lib import receipts
from lib import signatures
from lib import stakes

interface Registry:
    def escrow(): payable
    def credit(account: address, amount: uint256): nonpayable
    def runningClock() -> uint256: view
    def isKeyAt(solverId: bytes32, key: address, moment: uint256) -> bool: view
    def operatorOf(solverId: bytes32) -> address: view
    def owner() -> address: view

struct Post:
    status: uint8
    typed: bool
    promised: bool
    settled: bool
    unresolved: bool
    openDisputes: uint256
    solverId: bytes32
    postedAt: uint256
    deadline: uint256
    expiry: uint256
    declaredVolume: uint256
    stake: uint256

interface Hub:
    def getPost(receiptId: bytes32) -> Post: view
    def openDispute(receiptId: bytes32, reason: uint8, challenger: address): nonpayable
    def closeDispute(receiptId: bytes32, unresolved: bool): nonpayable
    def slash(
        receiptId: bytes32,
        reason: uint8,
        challenger: address,
        requester: address,
        immediate: bool,
    ): nonpayable
    def settle(receiptId: bytes32, prover: address): nonpayable

event AvailabilityChallenged:
    disputeId: indexed(uint256)
    receiptId: indexed(bytes32)
    challenger: indexed(address)
    index: uint64
    bond: uint256
    dueAt: uint256

event AvailabilityAnswered:
    disputeId: indexed(uint256)
    receiptId: indexed(bytes32)
    answerer: indexed(address)
    count: uint64
    root: bytes32
    entry: Bytes[merkle.ENTRY_MAX]

event ManifestRevealed:
    disputeId: indexed(uint256)
    receiptId: indexed(bytes32)
    answerer: indexed(address)
    manifest: Bytes[manifests.MANIFEST_MAX]

event SubjectiveChallenged:
    disputeId: indexed(uint256)
    receiptId: indexed(bytes32)
    challenger: indexed(address)
    evidenceHash: bytes32
    bond: uint256
    fee: uint256
    evidenceUntil: uint256
    commitUntil: uint256
    revealUntil: uint256
    seedBlock: uint256

event EvidenceSubmitted:
    disputeId: indexed(uint256)
    party: indexed(address)
    evidenceHash: bytes32
    location: String[256]

event PanelDrawn:
    disputeId: indexed(uint256)
    panel: address[PANEL]

event PanelReseeded:
    disputeId: indexed(uint256)
    seedBlock: uint256

event VoteCommitted:
    disputeId: indexed(uint256)
    arbitrator: indexed(address)
    commitment: bytes32

event VoteRevealed:
    disputeId: indexed(uint256)
    arbitrator: indexed(address)
    fault: bool

event DisputeResolved:
    disputeId: indexed(uint256)
    receiptId: indexed(bytes32)
    state: uint8
    toChallenger: uint256
    toOperator: uint256
    burned: uint256

event ArbitratorApplied:
    arbitrator: indexed(address)
    stake: uint256

event ArbitratorAdmitted:
    arbitrator: indexed(address)
    drawableAt: uint256

event ArbitratorDismissed:
    arbitrator: indexed(address)

event ArbitratorLeft:
    arbitrator: indexed(address)
    stake: uint256

event ArbitratorPaid:
    disputeId: indexed(uint256)
    arbitrator: indexed(address)
    fee: uint256

event ArbitratorPenalised:
    disputeId: indexed(uint256)
    arbitrator: indexed(address)
    penalty: uint256


struct Dispute:
    receiptId: bytes32
    solverId: bytes32
    challenger: address
    requester: address
    kind: uint8
    state: uint8
    bond: uint256
    index: uint64
    dueAt: uint256
    evidenceUntil: uint256
    commitUntil: uint256
    seedBlock: uint256
    drawn: bool
    revealed: uint8

struct Arbitrator:
    stake: uint256
    cases: uint256
    drawableAt: uint256  # 0: not in the pool


TIMEOUT: constant(uint8) = 1
MISMATCH: constant(uint8) = 7
SUBJECTIVE: constant(uint8) = 8
AVAILABILITY: constant(uint8) = 9
EQUIVOCATION: constant(uint8) = 10
REPLAY: constant(uint8) = 11

OPEN: constant(uint8) = 1
UPHELD: constant(uint8) = 2  # the solver was slashed by it
REJECTED: constant(uint8) = 3
MOOT: constant(uint8) = 4  # another dispute ended the receipt first
UNDECIDED: constant(uint8) = 5

SLASHED: constant(uint8) = 3

RESPONSE_TIME: constant(uint256) = 86_400
EVIDENCE_TIME: constant(uint256) = 86_400
COMMIT_TIME: constant(uint256) = 4 * 86_400  # after the evidence
ARBITRATION_TIME: constant(uint256) = 7 * 86_400  # after the evidence: commit, then reveal
MANIFEST_INDEX: constant(uint64) = max_value(uint64)  # below no count: asks for the manifest

PANEL: constant(uint256) = 3
MAJORITY: constant(uint256) = 2
POOL_MAX: constant(uint256) = 64
ARBITRATOR_STAKE: constant(uint256) = 10 ** 17
ARBITRATOR_DELAY: constant(uint256) = 7 * 86_400
FEE: constant(uint256) = 3 * 10 ** 15  # for each arbitrator who votes, whatever the vote
PENALTY: constant(uint256) = 2 * FEE  # for each who was silent
BURN: constant(address) = 0x000000000000000000000000000000000000dEaD

REGISTRY: immutable(Registry)
HUB: immutable(Hub)

totalDisputes: public(uint256)
disputes: public(HashMap[uint256, Dispute])
panels: HashMap[uint256, address[PANEL]]
commitments: public(HashMap[uint256, HashMap[address, bytes32]])
votes: public(HashMap[uint256, HashMap[address, uint8]])  # 1 not at fault, 2 at fault
arbitrators: public(HashMap[address, Arbitrator])
pool: DynArray[address, POOL_MAX]


@deploy
def __init__(registry: address, hub: address):
    """
    @notice A module works for one registry and one hub, for ever.
    """
    if not registry.is_contract or not hub.is_contract:
        raw_revert(method_id("InvalidAddress()"))
    REGISTRY = Registry(registry)
    HUB = Hub(hub)


# --- what all grounds share -------------------------------------------------------------------


@internal
@view
def _claimed(receiptId: bytes32, claim: receipts.TypedReceipt) -> Post:
    """
    @notice The post that a claim tells the members of, or a revert.
    """
    post: Post = staticcall HUB.getPost(receiptId)
    found: bytes32 = empty(bytes32)
    if post.typed:
        found = receipts._typedId(claim, HUB.address)
    elif claim.requester == empty(address):
        found = receipts._legacyId(claim)
    if found != receiptId:
        raw_revert(method_id("InvalidClaim()"))
    return post


@internal
def _slashNow(receiptId: bytes32, reason: uint8, requester: address):
    extcall HUB.slash(receiptId, reason, msg.sender, requester, True)


@internal
@pure
def _committed(
    claim: receipts.TypedReceipt,
    count: uint64,
    root: bytes32,
    index: uint64,
    entry: Bytes[merkle.ENTRY_MAX],
    path: DynArray[bytes32, merkle.PATH_MAX],
):
    if merkle._outcome(count, root) != claim.outcomeHash:
        raw_revert(method_id("InvalidProof()"))
    if not merkle._includes(root, count, index, entry, path):
        raw_revert(method_id("InvalidProof()"))


# --- grounds that are proofs ------------------------------------------------------------------


@external
def proveEquivocation(
    receiptId: bytes32,
    claim: receipts.TypedReceipt,
    other: receipts.TypedReceipt,
    otherTyped: bool,
    nonce: uint256,
    signer: address,
    signature: Bytes[signatures.SIGNATURE_MAX],
):
    """
    @notice The solver signed another receipt for the same intent, with another outcome. The signer
            spoke for the solver when this one was posted, or does so now.
    """
    post: Post = self._claimed(receiptId, claim)
    if (
        other.solverId != claim.solverId
        or other.intentHash != claim.intentHash
        or other.outcomeHash == claim.outcomeHash
    ):
        raw_revert(method_id("NoContradiction()"))
    if signer != staticcall REGISTRY.operatorOf(claim.solverId):
        if not staticcall REGISTRY.isKeyAt(claim.solverId, signer, post.postedAt):
            raw_revert(method_id("InvalidReceiptSignature()"))
    digest: bytes32 = empty(bytes32)
    if otherTyped:
        digest = receipts._typedId(other, HUB.address)
    else:
        digest = receipts._legacyDigest(other, HUB.address, nonce)
    if not signatures._isSignedBy(signer, digest, signature):
        raw_revert(method_id("InvalidReceiptSignature()"))
    self._slashNow(receiptId, EQUIVOCATION, claim.requester)


@external
def proveReplay(
    receiptId: bytes32,
    claim: receipts.TypedReceipt,
    earlierId: bytes32,
    earlier: receipts.TypedReceipt,
):
    """
    @notice The same solver posted the same evidence before, for another intent. The later post
            is at fault; of two in one block, the one with the greater identifier.
    """
    post: Post = self._claimed(receiptId, claim)
    before: Post = self._claimed(earlierId, earlier)
    if (
        earlier.solverId != claim.solverId
        or earlier.evidenceHash != claim.evidenceHash
        or earlier.intentHash == claim.intentHash
    ):
        raw_revert(method_id("NoContradiction()"))
    if before.postedAt > post.postedAt or (
        before.postedAt == post.postedAt
        and convert(earlierId, uint256) > convert(receiptId, uint256)
    ):
        raw_revert(method_id("NoContradiction()"))
    self._slashNow(receiptId, REPLAY, claim.requester)


@external
def proveArtifactMismatch(
    receiptId: bytes32,
    claim: receipts.TypedReceipt,
    count: uint64,
    root: bytes32,
    index: uint64,
    entry: Bytes[merkle.ENTRY_MAX],
    path: DynArray[bytes32, merkle.PATH_MAX],
    artifact: Bytes[manifests.MANIFEST_MAX],
):
    """
    @notice A committed entry has not the form of one, or names a size that the bytes with its hash
            do not have.
    """
    self._claimed(receiptId, claim)
    self._committed(claim, count, root, index, entry, path)
    formed: bool = False
    size: uint256 = 0
    digits: Bytes[64] = b""
    formed, size, digits = manifests._entry(entry)
    if formed and (manifests._hex(sha256(artifact)) != digits or size == len(artifact)):
        raw_revert(method_id("NoContradiction()"))
    self._slashNow(receiptId, MISMATCH, claim.requester)


@external
def proveManifestMismatch(
    receiptId: bytes32,
    claim: receipts.TypedReceipt,
    manifest: Bytes[manifests.MANIFEST_MAX],
    member: uint8,
    count: uint64,
    root: bytes32,
):
    """
    @notice The manifest that the receipt commits to contradicts the receipt: 1 in the intent, 2 in
            the policy, 3 in the head of the receipt chain, 4 in the artefacts, 5 in any of them
            (for the last two: `count` and `root` are what outcomeHash is made of).
    """
    self._claimed(receiptId, claim)
    if sha256(manifest) != claim.evidenceHash:
        raw_revert(method_id("InvalidProof()"))
    if member > 3 and merkle._outcome(count, root) != claim.outcomeHash:
        raw_revert(method_id("InvalidProof()"))
    if not manifests._contradicts(
        manifest,
        member,
        claim.intentHash,
        claim.constraintsHash,
        claim.routeHash,
        count,
        root,
    ):
        raw_revert(method_id("NoContradiction()"))
    self._slashNow(receiptId, MISMATCH, claim.requester)


@external
def proveTimeout(receiptId: bytes32, claim: receipts.TypedReceipt):
    """
    @notice A settlement was promised by the expiry and has not been proven.
    """
    post: Post = self._claimed(receiptId, claim)
    if not post.promised or post.settled:
        raw_revert(method_id("NoContradiction()"))
    if staticcall REGISTRY.runningClock() <= post.expiry:
        raw_revert(method_id("SettlementWindowActive()"))
    self._slashNow(receiptId, TIMEOUT, claim.requester)


@external
def proveSettlement(
    receiptId: bytes32,
    claim: receipts.TypedReceipt,
    count: uint64,
    root: bytes32,
    index: uint64,
    entry: Bytes[merkle.ENTRY_MAX],
    path: DynArray[bytes32, merkle.PATH_MAX],
):
    """
    @notice Show that the outcome holds a `settlement.json`, by the expiry. Anyone may.
    """
    self._claimed(receiptId, claim)
    self._committed(claim, count, root, index, entry, path)
    if not manifests._isSettlement(entry):
        raw_revert(method_id("InvalidProof()"))
    extcall HUB.settle(receiptId, msg.sender)


# --- availability -----------------------------------------------------------------------------


@internal
def _open(
    receiptId: bytes32,
    claim: receipts.TypedReceipt,
    kind: uint8,
    bond: uint256,
    paid: uint256,
) -> uint256:
    self.totalDisputes += 1
    disputeId: uint256 = self.totalDisputes
    self.disputes[disputeId].receiptId = receiptId
    self.disputes[disputeId].solverId = claim.solverId
    self.disputes[disputeId].challenger = msg.sender
    self.disputes[disputeId].requester = claim.requester
    self.disputes[disputeId].kind = kind
    self.disputes[disputeId].state = OPEN
    self.disputes[disputeId].bond = bond
    extcall HUB.openDispute(receiptId, kind, msg.sender)
    extcall REGISTRY.escrow(value=paid)
    return disputeId


@external
@payable
def challengeAvailability(
    receiptId: bytes32, claim: receipts.TypedReceipt, index: uint64
) -> uint256:
    """
    @notice Ask for the entry of an index, or with 2**64 - 1 for the manifest; the challenger's
            bond is the value. Unanswered in time, it costs the solver the stake.
    """
    post: Post = self._claimed(receiptId, claim)
    bond: uint256 = stakes._challengerBond(post.stake)
    if msg.value != bond:
        raw_revert(method_id("InsufficientChallengerBond()"))
    disputeId: uint256 = self._open(receiptId, claim, AVAILABILITY, bond, msg.value)
    dueAt: uint256 = staticcall REGISTRY.runningClock() + RESPONSE_TIME
    self.disputes[disputeId].index = index
    self.disputes[disputeId].dueAt = dueAt
    log AvailabilityChallenged(
        disputeId=disputeId,
        receiptId=receiptId,
        challenger=msg.sender,
        index=index,
        bond=bond,
        dueAt=dueAt,
    )
    return disputeId


@internal
@view
def _pending(disputeId: uint256) -> Dispute:
    dispute: Dispute = self.disputes[disputeId]
    if dispute.state == 0:
        raw_revert(method_id("DisputeNotFound()"))
    if dispute.state != OPEN:
        raw_revert(method_id("DisputeAlreadyResolved()"))
    return dispute


@internal
@view
def _answerable(
    disputeId: uint256, claim: receipts.TypedReceipt, manifest: bool
) -> Dispute:
    dispute: Dispute = self._pending(disputeId)
    if dispute.kind != AVAILABILITY or (dispute.index == MANIFEST_INDEX) != manifest:
        raw_revert(method_id("InvalidDisputeReason()"))
    if staticcall REGISTRY.runningClock() > dispute.dueAt:
        raw_revert(method_id("ResponseWindowClosed()"))
    self._claimed(dispute.receiptId, claim)
    return dispute


@external
def answerEntry(
    disputeId: uint256,
    claim: receipts.TypedReceipt,
    count: uint64,
    root: bytes32,
    entry: Bytes[merkle.ENTRY_MAX],
    path: DynArray[bytes32, merkle.PATH_MAX],
):
    """
    @notice Show the entry that was asked for, or that there are fewer. Anyone may. What has not
            the form of an entry is no answer: shown after the deadline, nobody could prove it wrong.
    """
    dispute: Dispute = self._answerable(disputeId, claim, False)
    if dispute.index < count:
        self._committed(claim, count, root, dispute.index, entry, path)
        if not manifests._entry(entry)[0]:
            raw_revert(method_id("InvalidProof()"))
    elif merkle._outcome(count, root) != claim.outcomeHash:
        raw_revert(method_id("InvalidProof()"))
    log AvailabilityAnswered(
        disputeId=disputeId,
        receiptId=dispute.receiptId,
        answerer=msg.sender,
        count=count,
        root=root,
        entry=entry,
    )
    self._reject(disputeId, dispute, 0)


@external
def answerManifest(
    disputeId: uint256,
    claim: receipts.TypedReceipt,
    manifest: Bytes[manifests.MANIFEST_MAX],
    count: uint64,
    root: bytes32,
):
    """
    @notice Show the manifest that was asked for, and what outcomeHash is made of. Anyone may. One
            that contradicts the receipt is no answer: shown after the deadline, nobody could prove
            it wrong.
    """
    dispute: Dispute = self._answerable(disputeId, claim, True)
    if sha256(manifest) != claim.evidenceHash or merkle._outcome(count, root) != claim.outcomeHash:
        raw_revert(method_id("InvalidProof()"))
    if manifests._contradicts(
        manifest,
        manifests.ANY,
        claim.intentHash,
        claim.constraintsHash,
        claim.routeHash,
        count,
        root,
    ):
        raw_revert(method_id("InvalidProof()"))
    log ManifestRevealed(
        disputeId=disputeId,
        receiptId=dispute.receiptId,
        answerer=msg.sender,
        manifest=manifest,
    )
    self._reject(disputeId, dispute, 0)


# --- how disputes end -------------------------------------------------------------------------


@internal
def _tell(
    disputeId: uint256,
    dispute: Dispute,
    state: uint8,
    toChallenger: uint256,
    toOperator: uint256,
    burned: uint256,
):
    """
    @notice The only place where a dispute's state becomes final and its escrow is given out.
    """
    self.disputes[disputeId].state = state
    if toChallenger > 0:
        extcall REGISTRY.credit(dispute.challenger, toChallenger)
    if toOperator > 0:
        extcall REGISTRY.credit(staticcall REGISTRY.operatorOf(dispute.solverId), toOperator)
    if burned > 0:
        extcall REGISTRY.credit(BURN, burned)
    log DisputeResolved(
        disputeId=disputeId,
        receiptId=dispute.receiptId,
        state=state,
        toChallenger=toChallenger,
        toOperator=toOperator,
        burned=burned,
    )


@internal
def _reject(disputeId: uint256, dispute: Dispute, refund: uint256):
    """
    @notice For the solver: half of the bond pays for the answer, half is burned, so that neither
            a solver who baits challengers nor one who challenges itself has a gain.
    """
    if (staticcall HUB.getPost(dispute.receiptId)).status == SLASHED:
        self._tell(disputeId, dispute, MOOT, dispute.bond + refund, 0, 0)
        return
    half: uint256 = dispute.bond // 2
    self._tell(disputeId, dispute, REJECTED, refund, half, dispute.bond - half)
    extcall HUB.closeDispute(dispute.receiptId, False)


@internal
def _uphold(disputeId: uint256, dispute: Dispute, refund: uint256):
    self._tell(disputeId, dispute, UPHELD, dispute.bond + refund, 0, 0)
    extcall HUB.slash(
        dispute.receiptId, dispute.kind, dispute.challenger, dispute.requester, False
    )


@external
def resolve(disputeId: uint256):
    """
    @notice End a dispute that is decided, or whose time is over. Anyone may call.
    """
    now: uint256 = staticcall REGISTRY.runningClock()
    dispute: Dispute = self._pending(disputeId)
    moot: bool = (staticcall HUB.getPost(dispute.receiptId)).status == SLASHED
    if dispute.kind == AVAILABILITY:
        if moot:
            self._tell(disputeId, dispute, MOOT, dispute.bond, 0, 0)
            return
        if now <= dispute.dueAt:
            raw_revert(method_id("ResponseWindowActive()"))
        self._uphold(disputeId, dispute, 0)
        return
    if not moot and now <= dispute.dueAt and dispute.revealed < convert(PANEL, uint8):
        raw_revert(method_id("ArbitrationActive()"))
    self._decide(disputeId, dispute, moot)


@internal
def _decide(disputeId: uint256, dispute: Dispute, moot: bool):
    """
    @notice Count the votes, pay whoever voted, and fine whoever was silent. Two of three decide;
            otherwise everybody gets everything back, and the silent ones pay for the votes there
            were.
    """
    atFault: uint256 = 0
    notAtFault: uint256 = 0
    silent: uint256 = 0
    if dispute.drawn:
        for arbitrator: address in self.panels[disputeId]:
            self.arbitrators[arbitrator].cases -= 1
            vote: uint8 = self.votes[disputeId][arbitrator]
            if vote == 0:
                silent += 1
                # A dispute that another one ended gave nobody the time to vote.
                if not moot:
                    self.arbitrators[arbitrator].stake -= PENALTY
                    log ArbitratorPenalised(
                        disputeId=disputeId, arbitrator=arbitrator, penalty=PENALTY
                    )
                continue
            if vote == 2:
                atFault += 1
            else:
                notAtFault += 1
            extcall REGISTRY.credit(arbitrator, FEE)
            log ArbitratorPaid(disputeId=disputeId, arbitrator=arbitrator, fee=FEE)
    else:
        silent = PANEL
    refund: uint256 = silent * FEE
    fines: uint256 = 0
    if dispute.drawn and not moot:
        fines = silent * PENALTY
    if moot:
        self._tell(disputeId, dispute, MOOT, dispute.bond + refund, 0, 0)
    elif atFault >= MAJORITY:
        if fines > 0:
            extcall REGISTRY.credit(BURN, fines)
        self._uphold(disputeId, dispute, refund)
    elif notAtFault >= MAJORITY:
        if fines > 0:
            extcall REGISTRY.credit(BURN, fines)
        self._reject(disputeId, dispute, refund)
    else:
        spent: uint256 = (PANEL - silent) * FEE  # at most two fees, and then one fine of two
        self._tell(
            disputeId, dispute, UNDECIDED, dispute.bond + PANEL * FEE, 0, fines - spent
        )
        extcall HUB.closeDispute(dispute.receiptId, True)


# --- arbitration ------------------------------------------------------------------------------


@external
@payable
def applyAsArbitrator():
    """
    @notice Put down the stake of an arbitrator. The owner admits, never moves the stake.
    """
    if self.arbitrators[msg.sender].stake != 0:
        raw_revert(method_id("AlreadyApplied()"))
    if msg.value != ARBITRATOR_STAKE:
        raw_revert(method_id("InvalidStake()"))
    self.arbitrators[msg.sender].stake = msg.value
    extcall REGISTRY.escrow(value=msg.value)
    log ArbitratorApplied(arbitrator=msg.sender, stake=msg.value)


@external
def admitArbitrator(arbitrator: address):
    """
    @notice Let an applicant be drawn, seven days from now. Owner only.
    """
    if msg.sender != staticcall REGISTRY.owner():
        raw_revert(method_id("NotOwner()"))
    found: Arbitrator = self.arbitrators[arbitrator]
    if found.stake < PENALTY or found.drawableAt != 0:
        raw_revert(method_id("InvalidArbitrator()"))
    if len(self.pool) == POOL_MAX:
        raw_revert(method_id("PoolFull()"))
    drawableAt: uint256 = staticcall REGISTRY.runningClock() + ARBITRATOR_DELAY
    self.arbitrators[arbitrator].drawableAt = drawableAt
    self.pool.append(arbitrator)
    log ArbitratorAdmitted(arbitrator=arbitrator, drawableAt=drawableAt)


@internal
def _unpool(arbitrator: address):
    self.arbitrators[arbitrator].drawableAt = 0
    last: address = self.pool.pop()
    if last == arbitrator:
        return
    for at: uint256 in range(len(self.pool), bound=POOL_MAX):
        if self.pool[at] == arbitrator:
            self.pool[at] = last
            break


@external
def dismissArbitrator(arbitrator: address):
    """
    @notice Draw somebody no more. Panels that were drawn stay as they are. Owner only.
    """
    if msg.sender != staticcall REGISTRY.owner():
        raw_revert(method_id("NotOwner()"))
    if self.arbitrators[arbitrator].drawableAt == 0:
        raw_revert(method_id("InvalidArbitrator()"))
    self._unpool(arbitrator)
    log ArbitratorDismissed(arbitrator=arbitrator)


@external
def leave():
    """
    @notice Stop being an arbitrator, with what is left of the stake; not during a case.
    """
    found: Arbitrator = self.arbitrators[msg.sender]
    if found.stake == 0:
        raw_revert(method_id("InvalidArbitrator()"))
    if found.cases != 0:
        raw_revert(method_id("ArbitrationActive()"))
    if found.drawableAt != 0:
        self._unpool(msg.sender)
    self.arbitrators[msg.sender] = empty(Arbitrator)
    extcall REGISTRY.credit(msg.sender, found.stake)
    log ArbitratorLeft(arbitrator=msg.sender, stake=found.stake)


@external
@payable
def challengeSubjective(
    receiptId: bytes32, claim: receipts.TypedReceipt, evidenceHash: bytes32
) -> uint256:
    """
    @notice Ask a panel whether the solver is at fault. The value is the challenger's bond and
            three fees.
    """
    post: Post = self._claimed(receiptId, claim)
    bond: uint256 = stakes._challengerBond(post.stake)
    if msg.value != bond + PANEL * FEE:
        raw_revert(method_id("InsufficientChallengerBond()"))
    if len(self.pool) < PANEL:
        raw_revert(method_id("NoPanel()"))
    disputeId: uint256 = self._open(receiptId, claim, SUBJECTIVE, bond, msg.value)
    evidenceUntil: uint256 = staticcall REGISTRY.runningClock() + EVIDENCE_TIME
    commitUntil: uint256 = evidenceUntil + COMMIT_TIME
    dueAt: uint256 = evidenceUntil + ARBITRATION_TIME
    self.disputes[disputeId].evidenceUntil = evidenceUntil
    self.disputes[disputeId].commitUntil = commitUntil
    self.disputes[disputeId].dueAt = dueAt
    self.disputes[disputeId].seedBlock = block.number + 1
    log SubjectiveChallenged(
        disputeId=disputeId,
        receiptId=receiptId,
        challenger=msg.sender,
        evidenceHash=evidenceHash,
        bond=bond,
        fee=PANEL * FEE,
        evidenceUntil=evidenceUntil,
        commitUntil=commitUntil,
        revealUntil=dueAt,
        seedBlock=block.number + 1,
    )
    return disputeId


@internal
@view
def _arbitrated(disputeId: uint256) -> Dispute:
    dispute: Dispute = self._pending(disputeId)
    if dispute.kind != SUBJECTIVE:
        raw_revert(method_id("InvalidDisputeReason()"))
    return dispute


@external
def submitEvidence(disputeId: uint256, evidenceHash: bytes32, location: String[256]):
    """
    @notice Tell the panel where evidence lies. The parties only, in the first day.
    """
    dispute: Dispute = self._arbitrated(disputeId)
    if staticcall REGISTRY.runningClock() > dispute.evidenceUntil:
        raw_revert(method_id("EvidenceWindowClosed()"))
    if (
        msg.sender != dispute.challenger
        and msg.sender != dispute.requester
        and msg.sender != staticcall REGISTRY.operatorOf(dispute.solverId)
    ):
        raw_revert(method_id("NotDisputeParty()"))
    log EvidenceSubmitted(
        disputeId=disputeId, party=msg.sender, evidenceHash=evidenceHash, location=location
    )


@external
def drawPanel(disputeId: uint256):
    """
    @notice Draw three arbitrators by the hash of the block after the challenge. Anyone may; a seed
            that is too old is replaced by a block to come.
    """
    dispute: Dispute = self._arbitrated(disputeId)
    now: uint256 = staticcall REGISTRY.runningClock()
    if dispute.drawn:
        raw_revert(method_id("PanelAlreadyDrawn()"))
    if now > dispute.commitUntil:
        raw_revert(method_id("CommitWindowClosed()"))
    if block.number <= dispute.seedBlock:
        raw_revert(method_id("SeedNotReady()"))
    if block.number - dispute.seedBlock > 255:
        self.disputes[disputeId].seedBlock = block.number + 1
        log PanelReseeded(disputeId=disputeId, seedBlock=block.number + 1)
        return
    seed: bytes32 = keccak256(abi_encode(blockhash(dispute.seedBlock), disputeId))
    operator: address = staticcall REGISTRY.operatorOf(dispute.solverId)
    left: DynArray[address, POOL_MAX] = self.pool
    panel: address[PANEL] = empty(address[PANEL])
    found: uint256 = 0
    for turn: uint256 in range(POOL_MAX):
        if found == PANEL or len(left) == 0:
            break
        seed = keccak256(seed)
        at: uint256 = convert(seed, uint256) % len(left)
        candidate: address = left[at]
        last: address = left.pop()
        if at < len(left):
            left[at] = last
        who: Arbitrator = self.arbitrators[candidate]
        if (
            who.drawableAt > now
            or who.stake < (who.cases + 1) * PENALTY
            or candidate == dispute.challenger
            or candidate == dispute.requester
            or candidate == operator
        ):
            continue
        panel[found] = candidate
        found += 1
    if found < PANEL:
        raw_revert(method_id("NoPanel()"))
    for arbitrator: address in panel:
        self.arbitrators[arbitrator].cases += 1
    self.panels[disputeId] = panel
    self.disputes[disputeId].drawn = True
    log PanelDrawn(disputeId=disputeId, panel=panel)


@internal
@view
def _onPanel(disputeId: uint256):
    if msg.sender not in self.panels[disputeId]:
        raw_revert(method_id("NotAuthorizedArbitrator()"))


@external
def commitVote(disputeId: uint256, commitment: bytes32):
    """
    @notice Commit to a vote: keccak256(abi.encode(disputeId, arbitrator, fault, salt)). Once.
    """
    dispute: Dispute = self._arbitrated(disputeId)
    self._onPanel(disputeId)
    now: uint256 = staticcall REGISTRY.runningClock()
    if now <= dispute.evidenceUntil:
        raw_revert(method_id("EvidenceWindowActive()"))
    if now > dispute.commitUntil:
        raw_revert(method_id("CommitWindowClosed()"))
    if commitment == empty(bytes32) or self.commitments[disputeId][msg.sender] != empty(bytes32):
        raw_revert(method_id("InvalidVote()"))
    self.commitments[disputeId][msg.sender] = commitment
    log VoteCommitted(disputeId=disputeId, arbitrator=msg.sender, commitment=commitment)


@external
def revealVote(disputeId: uint256, fault: bool, salt: bytes32):
    """
    @notice Open a vote, when no more can be committed.
    """
    dispute: Dispute = self._arbitrated(disputeId)
    self._onPanel(disputeId)
    now: uint256 = staticcall REGISTRY.runningClock()
    if now <= dispute.commitUntil:
        raw_revert(method_id("CommitWindowActive()"))
    if now > dispute.dueAt:
        raw_revert(method_id("RevealWindowClosed()"))
    if (
        self.votes[disputeId][msg.sender] != 0
        or keccak256(abi_encode(disputeId, msg.sender, fault, salt))
        != self.commitments[disputeId][msg.sender]
    ):
        raw_revert(method_id("InvalidVote()"))
    self.votes[disputeId][msg.sender] = 2 if fault else 1
    self.disputes[disputeId].revealed += 1
    log VoteRevealed(disputeId=disputeId, arbitrator=msg.sender, fault=fault)


# --- views ------------------------------------------------------------------------------------


@external
@view
def panelOf(disputeId: uint256) -> address[PANEL]:
    """
    @notice Who decides a dispute; empty before the draw.
    """
    return self.panels[disputeId]


@external
@view
def arbitratorPool() -> DynArray[address, POOL_MAX]:
    """
    @notice Who can be drawn, now or in some days.
    """
    return self.pool


@external
@view
def arbitrationCost(receiptId: bytes32) -> uint256:
    """
    @notice The value that `challengeSubjective` asks for.
    """
    return stakes._challengerBond((staticcall HUB.getPost(receiptId)).stake) + PANEL * FEE


@external
@view
def solverRegistry() -> address:
    """
    @notice Where the money is.
    """
    return REGISTRY.address


@external
@view
def receiptHub() -> address:
    """
    @notice Where the receipts are.
    """
    return HUB.address
