# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
# @license Apache-2.0
"""
@title  SolverRegistry
@notice Who the solvers are, their keys and bonds, and all money of the three contracts.
@dev    balance == totalBonded + totalEscrowed + totalClaimable, always. Money leaves by `claim` and
        by nothing else. The owner can pause (bounded) and hand over; no function of the owner's
        moves, locks or frees anything. What is reserved for a receipt when it is posted is what
        disputes about it can cost, so no dispute lives on another receipt's money.
"""

from lib import signatures
from lib import stakes

event SolverRegistered:
    solverId: indexed(bytes32)
    operator: indexed(address)
    metadataHash: bytes32

event BondDeposited:
    solverId: indexed(bytes32)
    payer: indexed(address)
    amount: uint256
    bond: uint256

event WithdrawalRequested:
    solverId: indexed(bytes32)
    amount: uint256
    readyAt: uint256
    expiresAt: uint256

event WithdrawalCancelled:
    solverId: indexed(bytes32)
    amount: uint256

event BondWithdrawn:
    solverId: indexed(bytes32)
    operator: indexed(address)
    amount: uint256
    bond: uint256

event RotationRequested:
    solverId: indexed(bytes32)
    operator: indexed(address)
    readyAt: uint256

event RotationCancelled:
    solverId: indexed(bytes32)
    operator: indexed(address)

event OperatorKeyRotated:
    solverId: indexed(bytes32)
    oldOperator: indexed(address)
    newOperator: indexed(address)

event StakeReleased:
    solverId: indexed(bytes32)
    receiptId: indexed(bytes32)
    stake: uint256
    raised: bool

event SolverSlashed:
    solverId: indexed(bytes32)
    receiptId: indexed(bytes32)
    challenger: indexed(address)
    stake: uint256
    burned: uint256
    requesterShare: uint256
    challengerShare: uint256
    treasuryShare: uint256

event SolverStatusChanged:
    solverId: indexed(bytes32)
    status: uint8
    strikes: uint256
    jailedUntil: uint256

event Escrowed:
    amount: uint256

event Credited:
    account: indexed(address)
    amount: uint256

event Claimed:
    account: indexed(address)
    amount: uint256

event Paused:
    until: uint256

event Unpaused:
    frozen: uint256

event ModulesWired:
    hub: indexed(address)
    disputes: indexed(address)

event OwnershipOffered:
    owner: indexed(address)
    heir: indexed(address)

event OwnershipTransferred:
    previous: indexed(address)
    owner: indexed(address)


# The interval in which an address speaks for a solver, in chain time; `until` 0 is open. An address
# speaks for one solver, once: so intervals are never ambiguous.
struct KeyInterval:
    solver: uint256
    since: uint256
    until: uint256

struct Withdrawal:
    amount: uint256
    readyAt: uint256
    expiresAt: uint256

struct Rotation:
    operator: address
    readyAt: uint256

struct Solver:
    operator: address
    status: uint8
    strikes: uint256
    registeredAt: uint256
    jailedUntil: uint256
    bond: uint256
    reserved: uint256
    finalized: uint256
    lost: uint256


INACTIVE: constant(uint8) = 0
ACTIVE: constant(uint8) = 1
JAILED: constant(uint8) = 2
BANNED: constant(uint8) = 3

WITHDRAWAL_COOLDOWN: constant(uint256) = 7 * 86_400
WITHDRAWAL_EXPIRY: constant(uint256) = 7 * 86_400  # after it became ready
ROTATION_DELAY: constant(uint256) = 2 * 86_400
JAIL_TIME: constant(uint256) = 7 * 86_400
STRIKES_MAX: constant(uint256) = 3
PAUSE_MAX: constant(uint256) = 7 * 86_400
PAUSE_SPACING: constant(uint256) = 30 * 86_400  # from the beginning of one pause to the next

BURN_BPS: constant(uint256) = 2000  # of the slashed stake; the other shares are of what is left
REQUESTER_BPS: constant(uint256) = 8000
CHALLENGER_BPS: constant(uint256) = 1500
TREASURY_BPS: constant(uint256) = 500
BURN: constant(address) = 0x000000000000000000000000000000000000dEaD

REGISTER_TYPEHASH: constant(bytes32) = keccak256(
    "Register(address operator,bytes32 metadataHash)"
)
ROTATE_TYPEHASH: constant(bytes32) = keccak256("Rotate(bytes32 solverId,address operator)")
DOMAIN_TYPEHASH: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)

# A core word: operator | jailedUntil << 160 | registeredAt << 200 | strikes << 240
MASK_160: constant(uint256) = 2 ** 160 - 1
MASK_40: constant(uint256) = 2 ** 40 - 1
MASK_8: constant(uint256) = 255
# A money word: bond | reserved << 96 | finalized << 192 | lost << 224
MASK_96: constant(uint256) = 2 ** 96 - 1
MASK_32: constant(uint256) = 2 ** 32 - 1
# The clock word: frozen | pausedAt << 64 | pausedUntil << 128 | lastPause << 192
MASK_64: constant(uint256) = 2 ** 64 - 1

TREASURY: public(immutable(address))

owner: public(address)
heir: public(address)
hub: public(address)
disputes: public(address)
clockWord: uint256
totalSolvers: public(uint256)
totalBonded: public(uint256)
totalEscrowed: public(uint256)
totalClaimable: public(uint256)
claimable: public(HashMap[address, uint256])
keys: public(HashMap[address, KeyInterval])
cores: HashMap[uint256, uint256]
monies: HashMap[uint256, uint256]
withdrawals: public(HashMap[bytes32, Withdrawal])
rotations: public(HashMap[bytes32, Rotation])


@deploy
def __init__(treasury: address):
    """
    @notice The treasury is fixed here, for ever.
    """
    if treasury == empty(address):
        raw_revert(method_id("InvalidAddress()"))
    TREASURY = treasury
    self.owner = msg.sender
    log OwnershipTransferred(previous=empty(address), owner=msg.sender)


@external
def wire(hub: address, disputes: address):
    """
    @notice Name the two contracts that may reserve, release, slash and escrow. Once.
    """
    self._onlyOwner()
    if self.hub != empty(address):
        raw_revert(method_id("AlreadyWired()"))
    if hub == empty(address) or disputes == empty(address) or hub == disputes:
        raw_revert(method_id("InvalidAddress()"))
    self.hub = hub
    self.disputes = disputes
    log ModulesWired(hub=hub, disputes=disputes)


# --- the clock --------------------------------------------------------------------------------


@internal
@view
def _clock() -> (uint256, bool):
    """
    @notice Chain time less all time that was paused, and whether it stands still now.
    """
    word: uint256 = self.clockWord
    frozen: uint256 = word & MASK_64
    pausedAt: uint256 = (word >> 64) & MASK_64
    if pausedAt == 0:
        return block.timestamp - frozen, False
    until: uint256 = (word >> 128) & MASK_64
    ended: uint256 = min(block.timestamp, until)
    return block.timestamp - frozen - (ended - pausedAt), block.timestamp < until


@internal
@view
def _running() -> uint256:
    now: uint256 = 0
    paused: bool = False
    now, paused = self._clock()
    if paused:
        raw_revert(method_id("EnforcedPause()"))
    return now


@external
@view
def clock() -> uint256:
    """
    @notice The time that all deadlines count in: it stands still while paused.
    """
    return self._clock()[0]


@external
@view
def runningClock() -> uint256:
    """
    @notice The same, for whoever may act only while it runs.
    """
    return self._running()


@external
@view
def paused() -> bool:
    """
    @notice Whether the clock stands still.
    """
    return self._clock()[1]


@external
def pause():
    """
    @notice Stop the clock and every action but `claim`, for at most seven days, and not again
            before thirty days have passed: no lock depends on the owner's good will.
    """
    self._onlyOwner()
    word: uint256 = self.clockWord
    now: uint256 = 0
    paused: bool = False
    now, paused = self._clock()
    lastPause: uint256 = word >> 192
    if paused or (lastPause != 0 and block.timestamp < lastPause + PAUSE_SPACING):
        raw_revert(method_id("PausedTooOften()"))
    until: uint256 = block.timestamp + PAUSE_MAX
    self.clockWord = (
        (block.timestamp - now)
        | (block.timestamp << 64)
        | (until << 128)
        | (block.timestamp << 192)
    )
    log Paused(until=until)


@external
def unpause():
    """
    @notice Let the clock run on. After seven days it does so by itself.
    """
    self._onlyOwner()
    now: uint256 = 0
    paused: bool = False
    now, paused = self._clock()
    if not paused:
        raw_revert(method_id("ExpectedPause()"))
    frozen: uint256 = block.timestamp - now
    self.clockWord = frozen | ((self.clockWord >> 192) << 192)
    log Unpaused(frozen=frozen)


# --- the owner --------------------------------------------------------------------------------


@internal
@view
def _onlyOwner():
    if msg.sender != self.owner:
        raw_revert(method_id("NotOwner()"))


@external
def offerOwnership(heir: address):
    """
    @notice Offer the ownership; it passes when the heir accepts.
    """
    self._onlyOwner()
    self.heir = heir
    log OwnershipOffered(owner=msg.sender, heir=heir)


@external
def acceptOwnership():
    """
    @notice Take the ownership over.
    """
    if msg.sender != self.heir or msg.sender == empty(address):
        raw_revert(method_id("NotOwner()"))
    log OwnershipTransferred(previous=self.owner, owner=msg.sender)
    self.owner = msg.sender
    self.heir = empty(address)


# --- solvers and their keys -------------------------------------------------------------------


@internal
@view
def _separator() -> bytes32:
    return keccak256(
        abi_encode(
            DOMAIN_TYPEHASH,
            keccak256("Tallystick SolverRegistry"),
            keccak256("1"),
            chain.id,
            self,
        )
    )


@internal
@view
def _known(solverId: bytes32) -> uint256:
    index: uint256 = convert(solverId, uint256)
    if self.cores[index] == 0:
        raw_revert(method_id("SolverNotFound()"))
    return index


@internal
@view
def _operated(solverId: bytes32) -> uint256:
    index: uint256 = self._known(solverId)
    if convert(self.cores[index] & MASK_160, address) != msg.sender:
        raw_revert(method_id("NotSolverOperator()"))
    return index


@internal
@pure
def _status(core: uint256, money: uint256, now: uint256) -> uint8:
    """
    @notice Made of strikes, time and bond: it cannot disagree with them.
    """
    if core >> 240 >= STRIKES_MAX:
        return BANNED
    if now < (core >> 160) & MASK_40:
        return JAILED
    if money & MASK_96 >= stakes.MINIMUM_BOND:
        return ACTIVE
    return INACTIVE


@external
def registerSolver(
    operator: address, metadataHash: bytes32, signature: Bytes[signatures.SIGNATURE_MAX]
) -> bytes32:
    """
    @notice Register an operator who signed for it. Anyone may send it.
    @return The solver's identifier: its number.
    """
    self._running()
    if self.keys[operator].solver != 0:
        raw_revert(method_id("SolverAlreadyRegistered()"))
    consent: bytes32 = signatures._typed(
        self._separator(), keccak256(abi_encode(REGISTER_TYPEHASH, operator, metadataHash))
    )
    if not signatures._isSignedBy(operator, consent, signature):
        raw_revert(method_id("InvalidConsent()"))
    index: uint256 = self.totalSolvers + 1
    assert index <= MASK_32
    self.totalSolvers = index
    self.cores[index] = convert(operator, uint256) | (block.timestamp << 200)
    self.keys[operator] = KeyInterval(solver=index, since=block.timestamp, until=0)
    solverId: bytes32 = convert(index, bytes32)
    log SolverRegistered(solverId=solverId, operator=operator, metadataHash=metadataHash)
    return solverId


@external
def requestRotation(
    solverId: bytes32, operator: address, signature: Bytes[signatures.SIGNATURE_MAX]
):
    """
    @notice Ask to be followed by another key, which signed for it. A later request replaces an
            earlier one.
    """
    self._running()
    self._operated(solverId)
    if self.keys[operator].solver != 0:
        raw_revert(method_id("SolverAlreadyRegistered()"))
    consent: bytes32 = signatures._typed(
        self._separator(), keccak256(abi_encode(ROTATE_TYPEHASH, solverId, operator))
    )
    if not signatures._isSignedBy(operator, consent, signature):
        raw_revert(method_id("InvalidConsent()"))
    readyAt: uint256 = self._clock()[0] + ROTATION_DELAY
    self.rotations[solverId] = Rotation(operator=operator, readyAt=readyAt)
    log RotationRequested(solverId=solverId, operator=operator, readyAt=readyAt)


@external
def cancelRotation(solverId: bytes32):
    """
    @notice Take a request back.
    """
    self._operated(solverId)
    operator: address = self.rotations[solverId].operator
    if operator == empty(address):
        raw_revert(method_id("NoRotation()"))
    self.rotations[solverId] = empty(Rotation)
    log RotationCancelled(solverId=solverId, operator=operator)


@external
def completeRotation(solverId: bytes32):
    """
    @notice Let the new key follow, once the delay is over. Anyone may call.
    """
    now: uint256 = self._running()
    index: uint256 = self._known(solverId)
    rotation: Rotation = self.rotations[solverId]
    if rotation.operator == empty(address):
        raw_revert(method_id("NoRotation()"))
    if now < rotation.readyAt:
        raw_revert(method_id("RotationNotReady()"))
    if self.keys[rotation.operator].solver != 0:  # it registered by itself meanwhile
        raw_revert(method_id("SolverAlreadyRegistered()"))
    core: uint256 = self.cores[index]
    old: address = convert(core & MASK_160, address)
    self.keys[old].until = block.timestamp
    self.keys[rotation.operator] = KeyInterval(solver=index, since=block.timestamp, until=0)
    self.cores[index] = ((core >> 160) << 160) | convert(rotation.operator, uint256)
    self.rotations[solverId] = empty(Rotation)
    log OperatorKeyRotated(
        solverId=solverId, oldOperator=old, newOperator=rotation.operator
    )


@external
@view
def isKeyAt(solverId: bytes32, key: address, moment: uint256) -> bool:
    """
    @notice Whether a key spoke for a solver at a moment of chain time.
    """
    interval: KeyInterval = self.keys[key]
    return (
        interval.solver != 0
        and interval.solver == convert(solverId, uint256)
        and interval.since <= moment
        and (interval.until == 0 or moment <= interval.until)
    )


# --- bonds ------------------------------------------------------------------------------------


@external
@payable
def depositBond(solverId: bytes32):
    """
    @notice Add to a solver's bond. Anyone may; it is the solver's from then on.
    """
    self._deposit(solverId)


@external
@payable
def depositOwnBond():
    """
    @notice Add to the bond of the solver for whom the sender speaks: which one that is, the sender
            need not learn from a node that could name another's.
    """
    interval: KeyInterval = self.keys[msg.sender]
    if interval.solver == 0 or interval.until != 0:
        raw_revert(method_id("NotSolverOperator()"))
    self._deposit(convert(interval.solver, bytes32))


@internal
@payable
def _deposit(solverId: bytes32):
    now: uint256 = self._running()
    index: uint256 = self._known(solverId)
    if msg.value == 0:
        raw_revert(method_id("ZeroAmount()"))
    core: uint256 = self.cores[index]
    money: uint256 = self.monies[index]
    assert (money & MASK_96) + msg.value <= MASK_96
    self.monies[index] = money + msg.value
    self.totalBonded += msg.value
    log BondDeposited(
        solverId=solverId,
        payer=msg.sender,
        amount=msg.value,
        bond=(money & MASK_96) + msg.value,
    )
    self._tellStatus(solverId, core, self._status(core, money, now), money + msg.value, now)


@internal
def _tellStatus(
    solverId: bytes32, core: uint256, before: uint8, money: uint256, now: uint256
):
    after: uint8 = self._status(core, money, now)
    if after != before:
        log SolverStatusChanged(
            solverId=solverId,
            status=after,
            strikes=core >> 240,
            jailedUntil=(core >> 160) & MASK_40,
        )


@external
def requestWithdrawal(solverId: bytes32, amount: uint256):
    """
    @notice Ask for a part of the bond that stands behind no receipt. It can back no new receipt
            from now on; what backs posted ones stays untouched.
    """
    now: uint256 = self._running()
    index: uint256 = self._operated(solverId)
    if amount == 0:
        raw_revert(method_id("ZeroAmount()"))
    if self.withdrawals[solverId].amount != 0:
        raw_revert(method_id("WithdrawalPending()"))
    money: uint256 = self.monies[index]
    if amount > (money & MASK_96) - ((money >> 96) & MASK_96):
        raw_revert(method_id("BondLocked()"))
    self.monies[index] = money + (amount << 96)
    readyAt: uint256 = now + WITHDRAWAL_COOLDOWN
    self.withdrawals[solverId] = Withdrawal(
        amount=amount, readyAt=readyAt, expiresAt=readyAt + WITHDRAWAL_EXPIRY
    )
    log WithdrawalRequested(
        solverId=solverId, amount=amount, readyAt=readyAt, expiresAt=readyAt + WITHDRAWAL_EXPIRY
    )


@external
def cancelWithdrawal(solverId: bytes32):
    """
    @notice Take a request back; one that expired, too.
    """
    index: uint256 = self._operated(solverId)
    amount: uint256 = self.withdrawals[solverId].amount
    if amount == 0:
        raw_revert(method_id("NoWithdrawal()"))
    self.monies[index] -= amount << 96
    self.withdrawals[solverId] = empty(Withdrawal)
    log WithdrawalCancelled(solverId=solverId, amount=amount)


@external
def withdrawBond(solverId: bytes32):
    """
    @notice Make the requested amount claimable, between cooldown and expiry.
    """
    now: uint256 = self._running()
    index: uint256 = self._operated(solverId)
    asked: Withdrawal = self.withdrawals[solverId]
    if asked.amount == 0:
        raw_revert(method_id("NoWithdrawal()"))
    if now < asked.readyAt:
        raw_revert(method_id("WithdrawalCooldownActive()"))
    if now > asked.expiresAt:
        raw_revert(method_id("WithdrawalExpired()"))
    core: uint256 = self.cores[index]
    money: uint256 = self.monies[index]
    left: uint256 = money - asked.amount - (asked.amount << 96)
    self.monies[index] = left
    self.withdrawals[solverId] = empty(Withdrawal)
    self.totalBonded -= asked.amount
    self._credit(msg.sender, asked.amount)
    log BondWithdrawn(
        solverId=solverId, operator=msg.sender, amount=asked.amount, bond=left & MASK_96
    )
    self._tellStatus(solverId, core, self._status(core, money, now), left, now)


# --- money out --------------------------------------------------------------------------------


@internal
def _credit(account: address, amount: uint256):
    if amount == 0:
        return
    self.claimable[account] += amount
    self.totalClaimable += amount
    log Credited(account=account, amount=amount)


@external
@nonreentrant
def claim(account: address) -> uint256:
    """
    @notice Pay an account what is its own. Anyone may call; no pause and nobody else's state can
            stand in the way.
    """
    amount: uint256 = self.claimable[account]
    if amount == 0:
        raw_revert(method_id("NothingToClaim()"))
    self.claimable[account] = 0
    self.totalClaimable -= amount
    log Claimed(account=account, amount=amount)
    raw_call(account, b"", value=amount)
    return amount


# --- for the hub ------------------------------------------------------------------------------


@external
def reserve(solverId: bytes32, volume: uint256) -> (address, uint256):
    """
    @notice Put the stake of a new receipt aside. Only the hub.
    @return The operator, who must have signed, and the clock.
    """
    if msg.sender != self.hub:
        raw_revert(method_id("NotAuthorized()"))
    now: uint256 = self._running()
    index: uint256 = convert(solverId, uint256)
    core: uint256 = self.cores[index]
    if core == 0:
        raw_revert(method_id("SolverNotFound()"))
    money: uint256 = self.monies[index]
    if self._status(core, money, now) != ACTIVE:
        raw_revert(method_id("InvalidSolver()"))
    stake: uint256 = stakes._stakeFor(volume)
    if stake > (money & MASK_96) - ((money >> 96) & MASK_96):
        raw_revert(method_id("InsufficientBondForVolume()"))
    self.monies[index] = money + (stake << 96)
    return convert(core & MASK_160, address), now


@external
def release(solverId: bytes32, receiptId: bytes32, stake: uint256, raised: bool):
    """
    @notice Free the stake of a receipt that ended unslashed. Only the hub.
    """
    if msg.sender != self.hub:
        raw_revert(method_id("NotAuthorized()"))
    money: uint256 = self.monies[convert(solverId, uint256)] - (stake << 96)
    if raised:
        money += 1 << 192
    self.monies[convert(solverId, uint256)] = money
    log StakeReleased(solverId=solverId, receiptId=receiptId, stake=stake, raised=raised)


@external
def slash(
    solverId: bytes32,
    receiptId: bytes32,
    stake: uint256,
    requester: address,
    challenger: address,
):
    """
    @notice Share out the stake of one receipt, and give one strike. Only the hub, once a receipt.
    """
    if msg.sender != self.hub:
        raw_revert(method_id("NotAuthorized()"))
    now: uint256 = self._running()
    index: uint256 = convert(solverId, uint256)
    money: uint256 = self.monies[index] - stake - (stake << 96) + (1 << 224)
    self.monies[index] = money
    self.totalBonded -= stake
    rest: uint256 = stake - stake * BURN_BPS // stakes.BPS
    toRequester: uint256 = 0
    if requester != empty(address):
        toRequester = rest * REQUESTER_BPS // stakes.BPS
    toChallenger: uint256 = rest * CHALLENGER_BPS // stakes.BPS
    toTreasury: uint256 = rest * TREASURY_BPS // stakes.BPS
    burned: uint256 = stake - toRequester - toChallenger - toTreasury
    self._credit(requester, toRequester)
    self._credit(challenger, toChallenger)
    self._credit(TREASURY, toTreasury)
    self._credit(BURN, burned)
    log SolverSlashed(
        solverId=solverId,
        receiptId=receiptId,
        challenger=challenger,
        stake=stake,
        burned=burned,
        requesterShare=toRequester,
        challengerShare=toChallenger,
        treasuryShare=toTreasury,
    )
    core: uint256 = self.cores[index]
    strikes: uint256 = min((core >> 240) + 1, STRIKES_MAX)
    jailedUntil: uint256 = now + JAIL_TIME
    self.cores[index] = (
        (core & (MASK_160 | (MASK_40 << 200))) | (jailedUntil << 160) | (strikes << 240)
    )
    log SolverStatusChanged(
        solverId=solverId,
        status=self._status(self.cores[index], money, now),
        strikes=strikes,
        jailedUntil=jailedUntil,
    )


# --- for the dispute module -------------------------------------------------------------------


@external
@payable
def escrow():
    """
    @notice Take money into keeping. Only the dispute module, which keeps the books on it.
    """
    if msg.sender != self.disputes:
        raw_revert(method_id("NotAuthorized()"))
    self.totalEscrowed += msg.value
    log Escrowed(amount=msg.value)


@external
def credit(account: address, amount: uint256):
    """
    @notice Make money in keeping claimable. Only the dispute module; bonds are out of its reach.
    """
    if msg.sender != self.disputes:
        raw_revert(method_id("NotAuthorized()"))
    self.totalEscrowed -= amount
    self._credit(account, amount)


# --- views ------------------------------------------------------------------------------------


@external
@view
def getSolver(solverId: bytes32) -> Solver:
    """
    @notice All that is kept about a solver.
    """
    index: uint256 = self._known(solverId)
    core: uint256 = self.cores[index]
    money: uint256 = self.monies[index]
    return Solver(
        operator=convert(core & MASK_160, address),
        status=self._status(core, money, self._clock()[0]),
        strikes=core >> 240,
        registeredAt=(core >> 200) & MASK_40,
        jailedUntil=(core >> 160) & MASK_40,
        bond=money & MASK_96,
        reserved=(money >> 96) & MASK_96,
        finalized=(money >> 192) & MASK_32,
        lost=money >> 224,
    )


@external
@view
def operatorOf(solverId: bytes32) -> address:
    """
    @notice The key that speaks for a solver now.
    """
    return convert(self.cores[self._known(solverId)] & MASK_160, address)


@external
@view
def getSolverByOperator(operator: address) -> bytes32:
    """
    @notice The solver for whom an address speaks now, or zero.
    """
    interval: KeyInterval = self.keys[operator]
    if interval.until != 0:
        return empty(bytes32)
    return convert(interval.solver, bytes32)


@external
@view
def freeBond(solverId: bytes32) -> uint256:
    """
    @notice What can still back receipts, or be asked for.
    """
    money: uint256 = self.monies[self._known(solverId)]
    return (money & MASK_96) - ((money >> 96) & MASK_96)


@external
@pure
def requiredBondForVolume(volume: uint256) -> uint256:
    """
    @notice The stake of a receipt that declares a volume.
    """
    return stakes._stakeFor(volume)


@external
@view
def reputation(solverId: bytes32) -> uint256:
    """
    @notice From 0 to 10**18. Each finalised receipt raises it, each lost one lowers it; one loss
            outweighs fifty finalised ones. It says nothing about volume, which solvers declare
            themselves.
    """
    money: uint256 = self.monies[self._known(solverId)]
    finalized: uint256 = (money >> 192) & MASK_32
    return 10 ** 18 * (finalized + 1) // (finalized + 10 + 50 * (money >> 224))
