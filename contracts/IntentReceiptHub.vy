# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
# @license Apache-2.0
"""
@title  IntentReceiptHub
@notice Receipts, posted with a stake behind each and final when nobody disputed them in time.
@dev    A receipt's identifier commits to its members, so the hub keeps one packed word for each and
        whoever needs the members brings them. All times are chain time: what a solver says about
        time is compared, never used. The hub holds no money and knows no ground for a dispute;
        statuses are 0 Pending, 1 Disputed, 2 Finalized, 3 Slashed, 4 Unresolved.
"""

from lib import receipts
from lib import signatures
from lib import stakes

interface Registry:
    def reserve(solverId: bytes32, volume: uint256) -> (address, uint256): nonpayable
    def release(solverId: bytes32, receiptId: bytes32, stake: uint256, raised: bool): nonpayable
    def slash(
        solverId: bytes32,
        receiptId: bytes32,
        stake: uint256,
        requester: address,
        challenger: address,
    ): nonpayable
    def runningClock() -> uint256: view
    def clock() -> uint256: view
    def disputes() -> address: view
    def owner() -> address: view

event ReceiptPosted:
    receiptId: indexed(bytes32)
    intentHash: indexed(bytes32)
    solverId: indexed(bytes32)
    expiry: uint64

event ReceiptRecorded:
    receiptId: indexed(bytes32)
    nonce: uint256
    declaredVolume: uint256
    deadline: uint256
    constraintsHash: bytes32
    routeHash: bytes32
    outcomeHash: bytes32
    evidenceHash: bytes32
    createdAt: uint64

event TypedReceiptRecorded:
    receiptId: indexed(bytes32)
    requester: indexed(address)
    declaredVolume: uint256
    deadline: uint256
    constraintsHash: bytes32
    routeHash: bytes32
    outcomeHash: bytes32
    evidenceHash: bytes32
    createdAt: uint64
    location: String[LOCATION_MAX]

event DisputeOpened:
    receiptId: indexed(bytes32)
    solverId: indexed(bytes32)
    challenger: indexed(address)
    reason: uint8

event DisputeClosed:
    receiptId: indexed(bytes32)
    status: uint8
    unresolved: bool
    openDisputes: uint256

event ReceiptFinalized:
    receiptId: indexed(bytes32)
    solverId: indexed(bytes32)

event ReceiptUnresolved:
    receiptId: indexed(bytes32)
    solverId: indexed(bytes32)

event ReceiptSlashed:
    receiptId: indexed(bytes32)
    solverId: indexed(bytes32)
    challenger: indexed(address)
    reason: uint8
    stake: uint256

event SettlementProven:
    receiptId: indexed(bytes32)
    prover: indexed(address)

event ChallengeWindowChanged:
    window: uint256


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


PENDING: constant(uint256) = 0
DISPUTED: constant(uint256) = 1
FINALIZED: constant(uint256) = 2
SLASHED: constant(uint256) = 3
UNRESOLVED: constant(uint256) = 4

BATCH_MAX: constant(uint256) = 50
LOCATION_MAX: constant(uint256) = 256
WINDOW_DEFAULT: constant(uint256) = 3600
WINDOW_MIN: constant(uint256) = 900
WINDOW_MAX: constant(uint256) = 86_400
CREATED_AT_TOLERANCE: constant(uint256) = 600
EXPIRY_MAX: constant(uint256) = 30 * 86_400
OPEN_DISPUTES_MAX: constant(uint256) = 65_535

# A header: status | flags << 8 | openDisputes << 16 | solver << 32 | postedAt << 64
#           | deadline << 104 | volume << 144 | window in minutes << 240
FLAG_TYPED: constant(uint256) = 1 << 8
FLAG_PROMISED: constant(uint256) = 1 << 9  # a settlement, by the expiry
FLAG_SETTLED: constant(uint256) = 1 << 10
FLAG_UNRESOLVED: constant(uint256) = 1 << 11
ONE_DISPUTE: constant(uint256) = 1 << 16
MASK_8: constant(uint256) = 255
MASK_16: constant(uint256) = 2 ** 16 - 1
MASK_32: constant(uint256) = 2 ** 32 - 1
MASK_40: constant(uint256) = 2 ** 40 - 1
MASK_96: constant(uint256) = 2 ** 96 - 1

REGISTRY: immutable(Registry)

challengeWindow: public(uint256)
solverNonces: public(HashMap[bytes32, uint256])
receiptOf: public(HashMap[bytes32, HashMap[bytes32, bytes32]])
headers: HashMap[bytes32, uint256]


@deploy
def __init__(registry: address):
    """
    @notice A hub works for one registry, for ever.
    """
    if not registry.is_contract:
        raw_revert(method_id("InvalidAddress()"))
    REGISTRY = Registry(registry)
    self.challengeWindow = WINDOW_DEFAULT
    log ChallengeWindowChanged(window=WINDOW_DEFAULT)


@external
@view
def solverRegistry() -> address:
    """
    @notice Where the bonds are.
    """
    return REGISTRY.address


@external
def setChallengeWindow(window: uint256):
    """
    @notice Set the window of receipts that will be posted; posted ones keep theirs. Owner only.
    """
    if msg.sender != staticcall REGISTRY.owner():
        raw_revert(method_id("NotOwner()"))
    if window < WINDOW_MIN or window > WINDOW_MAX or window % 60 != 0:
        raw_revert(method_id("InvalidWindow()"))
    self.challengeWindow = window
    log ChallengeWindowChanged(window=window)


# --- posting ----------------------------------------------------------------------------------


@internal
@pure
def _asTyped(r: receipts.IntentReceipt) -> receipts.TypedReceipt:
    return receipts.TypedReceipt(
        intentHash=r.intentHash,
        constraintsHash=r.constraintsHash,
        routeHash=r.routeHash,
        outcomeHash=r.outcomeHash,
        evidenceHash=r.evidenceHash,
        createdAt=r.createdAt,
        expiry=r.expiry,
        solverId=r.solverId,
        requester=empty(address),
        declaredVolume=0,
        locationHash=empty(bytes32),
    )


@internal
def _store(
    receiptId: bytes32, r: receipts.TypedReceipt, volume: uint256, flags: uint256, now: uint256
) -> uint256:
    """
    @notice Write a receipt's header. Returns the deadline.
    @dev    The deadline is fixed here: one window after posting, or after the promised settlement.
    """
    createdAt: uint256 = convert(r.createdAt, uint256)
    if (
        createdAt + CREATED_AT_TOLERANCE < block.timestamp
        or createdAt > block.timestamp + CREATED_AT_TOLERANCE
    ):
        raw_revert(method_id("CreatedAtOutOfRange()"))
    if volume > stakes.VOLUME_MAX:
        raw_revert(method_id("InsufficientBondForVolume()"))
    if self.receiptOf[r.solverId][r.intentHash] != empty(bytes32):
        raw_revert(method_id("ReceiptAlreadyExists()"))
    window: uint256 = self.challengeWindow
    deadline: uint256 = now + window
    marks: uint256 = flags
    if r.expiry != 0:
        expiry: uint256 = convert(r.expiry, uint256)
        if expiry <= block.timestamp:
            raw_revert(method_id("ReceiptExpired()"))
        if expiry > block.timestamp + EXPIRY_MAX:
            raw_revert(method_id("ExpiryTooFar()"))
        deadline += expiry - block.timestamp
        marks |= FLAG_PROMISED
    self.receiptOf[r.solverId][r.intentHash] = receiptId
    self.headers[receiptId] = (
        marks
        | (convert(r.solverId, uint256) << 32)
        | (block.timestamp << 64)
        | (deadline << 104)
        | (volume << 144)
        | ((window // 60) << 240)
    )
    log ReceiptPosted(
        receiptId=receiptId, intentHash=r.intentHash, solverId=r.solverId, expiry=r.expiry
    )
    return deadline


@internal
def _post(r: receipts.IntentReceipt, declaredVolume: uint256) -> bytes32:
    operator: address = empty(address)
    now: uint256 = 0
    operator, now = extcall REGISTRY.reserve(r.solverId, declaredVolume)
    # The volume is not signed in this form: so only the operator may say it.
    if msg.sender != operator:
        raw_revert(method_id("InvalidSolver()"))
    receipt: receipts.TypedReceipt = self._asTyped(r)
    nonce: uint256 = self.solverNonces[r.solverId]
    if not signatures._isSignedBy(
        operator, receipts._legacyDigest(receipt, self, nonce), r.solverSig
    ):
        raw_revert(method_id("InvalidReceiptSignature()"))
    self.solverNonces[r.solverId] = nonce + 1
    receiptId: bytes32 = receipts._legacyId(receipt)
    deadline: uint256 = self._store(receiptId, receipt, declaredVolume, 0, now)
    log ReceiptRecorded(
        receiptId=receiptId,
        nonce=nonce,
        declaredVolume=declaredVolume,
        deadline=deadline,
        constraintsHash=r.constraintsHash,
        routeHash=r.routeHash,
        outcomeHash=r.outcomeHash,
        evidenceHash=r.evidenceHash,
        createdAt=r.createdAt,
    )
    return receiptId


@external
def postReceipt(receipt: receipts.IntentReceipt, declaredVolume: uint256) -> bytes32:
    """
    @notice Post a receipt in the source's form. Sent and signed by the operator.
    """
    return self._post(receipt, declaredVolume)


@external
def batchPostReceipts(
    batch: DynArray[receipts.IntentReceipt, BATCH_MAX],
    declaredVolumes: DynArray[uint256, BATCH_MAX],
) -> DynArray[bytes32, BATCH_MAX]:
    """
    @notice Post up to fifty, all or none: a skipped one would leave the nonces that were signed
            for the others behind.
    """
    if len(batch) != len(declaredVolumes) or len(batch) == 0:
        raw_revert(method_id("InvalidBatch()"))
    ids: DynArray[bytes32, BATCH_MAX] = []
    for at: uint256 in range(len(batch), bound=BATCH_MAX):
        ids.append(self._post(batch[at], declaredVolumes[at]))
    return ids


@external
def postReceiptTyped(
    receipt: receipts.TypedReceipt,
    location: String[LOCATION_MAX],
    signature: Bytes[signatures.SIGNATURE_MAX],
) -> bytes32:
    """
    @notice Post a receipt in the EIP-712 form: it names requester, volume and where the evidence
            lies. Signed by the operator (a key or a contract), sent by anyone.
    """
    if keccak256(location) != receipt.locationHash:
        raw_revert(method_id("InvalidLocation()"))
    operator: address = empty(address)
    now: uint256 = 0
    operator, now = extcall REGISTRY.reserve(receipt.solverId, receipt.declaredVolume)
    receiptId: bytes32 = receipts._typedId(receipt, self)
    if not signatures._isSignedBy(operator, receiptId, signature):
        raw_revert(method_id("InvalidReceiptSignature()"))
    deadline: uint256 = self._store(
        receiptId, receipt, receipt.declaredVolume, FLAG_TYPED, now
    )
    log TypedReceiptRecorded(
        receiptId=receiptId,
        requester=receipt.requester,
        declaredVolume=receipt.declaredVolume,
        deadline=deadline,
        constraintsHash=receipt.constraintsHash,
        routeHash=receipt.routeHash,
        outcomeHash=receipt.outcomeHash,
        evidenceHash=receipt.evidenceHash,
        createdAt=receipt.createdAt,
        location=location,
    )
    return receiptId


# --- the end of a receipt ---------------------------------------------------------------------


@internal
@view
def _found(receiptId: bytes32) -> uint256:
    header: uint256 = self.headers[receiptId]
    if header == 0:
        raw_revert(method_id("ReceiptNotFound()"))
    return header


@internal
@pure
def _stake(header: uint256) -> uint256:
    return stakes._stakeFor((header >> 144) & MASK_96)


@internal
@pure
def _solver(header: uint256) -> bytes32:
    return convert((header >> 32) & MASK_32, bytes32)


@internal
def _end(receiptId: bytes32, header: uint256):
    """
    @notice Free the stake: final, or unresolved if arbitrators were silent about it.
    """
    solverId: bytes32 = self._solver(header)
    unresolved: bool = header & FLAG_UNRESOLVED != 0
    cleared: uint256 = (header >> 8) << 8
    if unresolved:
        self.headers[receiptId] = cleared | UNRESOLVED
        log ReceiptUnresolved(receiptId=receiptId, solverId=solverId)
    else:
        self.headers[receiptId] = cleared | FINALIZED
        log ReceiptFinalized(receiptId=receiptId, solverId=solverId)
    extcall REGISTRY.release(solverId, receiptId, self._stake(header), not unresolved)


@external
def finalize(receiptId: bytes32):
    """
    @notice End a receipt whose deadline has passed with no dispute open. Anyone may call.
    """
    header: uint256 = self._found(receiptId)
    if header & MASK_8 != PENDING:
        raw_revert(method_id("ReceiptNotPending()"))
    if staticcall REGISTRY.runningClock() <= (header >> 104) & MASK_40:
        raw_revert(method_id("ChallengeWindowActive()"))
    self._end(receiptId, header)


# --- for the dispute module -------------------------------------------------------------------


@internal
@view
def _onlyDisputes():
    if msg.sender != staticcall REGISTRY.disputes():
        raw_revert(method_id("NotAuthorized()"))


@internal
@view
def _challengeable(receiptId: bytes32) -> uint256:
    header: uint256 = self._found(receiptId)
    if header & MASK_8 > DISPUTED:
        raw_revert(method_id("ReceiptNotPending()"))
    if staticcall REGISTRY.runningClock() > (header >> 104) & MASK_40:
        raw_revert(method_id("ChallengeWindowExpired()"))
    return header


@external
def openDispute(receiptId: bytes32, reason: uint8, challenger: address):
    """
    @notice Note a dispute whose decision takes time. Only the dispute module.
    """
    self._onlyDisputes()
    header: uint256 = self._challengeable(receiptId)
    if (header >> 16) & MASK_16 == OPEN_DISPUTES_MAX:
        raw_revert(method_id("TooManyDisputes()"))
    self.headers[receiptId] = (((header >> 8) << 8) | DISPUTED) + ONE_DISPUTE
    log DisputeOpened(
        receiptId=receiptId,
        solverId=self._solver(header),
        challenger=challenger,
        reason=reason,
    )


@external
def closeDispute(receiptId: bytes32, unresolved: bool):
    """
    @notice Note that a dispute ended for the solver, or undecided. Only the dispute module.
    """
    self._onlyDisputes()
    header: uint256 = self._found(receiptId)
    if header & MASK_8 != DISPUTED:
        raw_revert(method_id("DisputeNotFound()"))
    header -= ONE_DISPUTE
    if unresolved:
        header |= FLAG_UNRESOLVED
    left: uint256 = (header >> 16) & MASK_16
    if left == 0:
        header = (header >> 8) << 8  # Pending
    self.headers[receiptId] = header
    if (
        left == 0
        and header & FLAG_UNRESOLVED != 0
        and staticcall REGISTRY.runningClock() > (header >> 104) & MASK_40
    ):
        self._end(receiptId, header)
    log DisputeClosed(
        receiptId=receiptId,
        status=convert(self.headers[receiptId] & MASK_8, uint8),
        unresolved=unresolved,
        openDisputes=left,
    )


@external
def slash(
    receiptId: bytes32, reason: uint8, challenger: address, requester: address, immediate: bool
):
    """
    @notice End a receipt against its solver, once. Only the dispute module, which proved a ground
            (`immediate`, within the window) or decided a dispute that was opened within it.
    """
    self._onlyDisputes()
    header: uint256 = 0
    if immediate:
        header = self._challengeable(receiptId)
        log DisputeOpened(
            receiptId=receiptId,
            solverId=self._solver(header),
            challenger=challenger,
            reason=reason,
        )
    else:
        header = self._found(receiptId)
        if header & MASK_8 != DISPUTED:
            raw_revert(method_id("DisputeNotFound()"))
    self.headers[receiptId] = ((header >> 8) << 8) | SLASHED
    stake: uint256 = self._stake(header)
    log ReceiptSlashed(
        receiptId=receiptId,
        solverId=self._solver(header),
        challenger=challenger,
        reason=reason,
        stake=stake,
    )
    extcall REGISTRY.slash(self._solver(header), receiptId, stake, requester, challenger)


@external
def settle(receiptId: bytes32, prover: address):
    """
    @notice Note that the promised settlement was proven. Only the dispute module.
    """
    self._onlyDisputes()
    header: uint256 = self._found(receiptId)
    if header & FLAG_PROMISED == 0 or header & FLAG_SETTLED != 0:
        raw_revert(method_id("NothingToSettle()"))
    if staticcall REGISTRY.runningClock() > self._expiry(header):
        raw_revert(method_id("ReceiptExpired()"))
    self.headers[receiptId] = header | FLAG_SETTLED
    log SettlementProven(receiptId=receiptId, prover=prover)


# --- views ------------------------------------------------------------------------------------


@internal
@pure
def _expiry(header: uint256) -> uint256:
    """
    @notice The promised time, on the clock that stands still while paused.
    """
    if header & FLAG_PROMISED == 0:
        return 0
    return ((header >> 104) & MASK_40) - (header >> 240) * 60


@external
@view
def getPost(receiptId: bytes32) -> Post:
    """
    @notice All that is kept about a receipt. Its members are in the events of its posting.
    """
    header: uint256 = self._found(receiptId)
    return Post(
        status=convert(header & MASK_8, uint8),
        typed=header & FLAG_TYPED != 0,
        promised=header & FLAG_PROMISED != 0,
        settled=header & FLAG_SETTLED != 0,
        unresolved=header & FLAG_UNRESOLVED != 0,
        openDisputes=(header >> 16) & MASK_16,
        solverId=self._solver(header),
        postedAt=(header >> 64) & MASK_40,
        deadline=(header >> 104) & MASK_40,
        expiry=self._expiry(header),
        declaredVolume=(header >> 144) & MASK_96,
        stake=self._stake(header),
    )


@external
@view
def canFinalize(receiptId: bytes32) -> bool:
    """
    @notice Whether `finalize` would succeed now, were the clock running.
    """
    header: uint256 = self.headers[receiptId]
    return (
        header != 0
        and header & MASK_8 == PENDING
        and staticcall REGISTRY.clock() > (header >> 104) & MASK_40
    )


@external
@view
def lockOf(receiptId: bytes32) -> uint256:
    """
    @notice What of the solver's bond is bound by this receipt: its stake until it ended.
    """
    header: uint256 = self.headers[receiptId]
    if header == 0 or header & MASK_8 > DISPUTED:
        return 0
    return self._stake(header)


@external
@view
def getChallengeWindow() -> uint256:
    """
    @notice The window of receipts posted from now on, in seconds.
    """
    return self.challengeWindow


@external
@pure
def challengerBondMin() -> uint256:
    """
    @notice The least that a challenger puts down: that for the least stake.
    """
    return stakes._challengerBond(stakes.MINIMUM_BOND)


@external
@view
def challengerBond(receiptId: bytes32) -> uint256:
    """
    @notice What a challenger of this receipt puts down, for grounds that take time.
    """
    return stakes._challengerBond(self._stake(self._found(receiptId)))


@external
@pure
def computeReceiptId(receipt: receipts.IntentReceipt) -> bytes32:
    """
    @notice The identifier of a receipt in the source's form.
    """
    return receipts._legacyId(self._asTyped(receipt))


@external
@view
def computeTypedReceiptId(receipt: receipts.TypedReceipt) -> bytes32:
    """
    @notice The identifier of a receipt in the EIP-712 form: the digest that its solver signs.
    """
    return receipts._typedId(receipt, self)


@external
@view
def getMessageHash(receipt: receipts.IntentReceipt, nonce: uint256) -> bytes32:
    """
    @notice What the operator signs for `postReceipt`, the EIP-191 prefix applied.
    """
    return receipts._legacyDigest(self._asTyped(receipt), self, nonce)


@external
@view
def DOMAIN_SEPARATOR() -> bytes32:
    """
    @notice The EIP-712 domain of this hub.
    """
    return receipts._separator(self)
