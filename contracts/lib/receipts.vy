# pragma version 0.4.3
# @license Apache-2.0
"""
@title  Receipts
@notice The two forms of a receipt, and the identifiers and digests made of them.
@dev    A receipt's identifier commits to all of its members; so the chain keeps the identifier and
        one packed word, and whoever disputes brings the members along.
"""

from lib import signatures

# As in the source; the signature is no part of the identifier.
struct IntentReceipt:
    intentHash: bytes32
    constraintsHash: bytes32
    routeHash: bytes32
    outcomeHash: bytes32
    evidenceHash: bytes32
    createdAt: uint64
    expiry: uint64
    solverId: bytes32
    solverSig: Bytes[65]


# What EIP-712 signs. A claim about a receipt of the first form leaves the last three members empty.
struct TypedReceipt:
    intentHash: bytes32
    constraintsHash: bytes32
    routeHash: bytes32
    outcomeHash: bytes32
    evidenceHash: bytes32
    createdAt: uint64
    expiry: uint64
    solverId: bytes32
    requester: address
    declaredVolume: uint256
    locationHash: bytes32


DOMAIN_TYPEHASH: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
DOMAIN_NAME: constant(bytes32) = keccak256("Tallystick IntentReceiptHub")
DOMAIN_VERSION: constant(bytes32) = keccak256("1")
RECEIPT_TYPEHASH: constant(bytes32) = keccak256(
    "TypedReceipt(bytes32 intentHash,bytes32 constraintsHash,bytes32 routeHash,bytes32 outcomeHash,bytes32 evidenceHash,uint64 createdAt,uint64 expiry,bytes32 solverId,address requester,uint256 declaredVolume,bytes32 locationHash)"
)


@internal
@pure
def _legacyId(r: TypedReceipt) -> bytes32:
    """
    @notice The identifier of the source: eight words, no chain, no contract.
    """
    return keccak256(
        abi_encode(
            r.intentHash,
            r.constraintsHash,
            r.routeHash,
            r.outcomeHash,
            r.evidenceHash,
            r.createdAt,
            r.expiry,
            r.solverId,
        )
    )


@internal
@view
def _legacyDigest(r: TypedReceipt, hub: address, nonce: uint256) -> bytes32:
    """
    @notice The eleven words of the source under EIP-191: what a solver signs for postReceipt.
    """
    return signatures._personal(
        keccak256(
            abi_encode(
                chain.id,
                hub,
                nonce,
                r.intentHash,
                r.constraintsHash,
                r.routeHash,
                r.outcomeHash,
                r.evidenceHash,
                r.createdAt,
                r.expiry,
                r.solverId,
            )
        )
    )


@internal
@view
def _separator(hub: address) -> bytes32:
    """
    @notice The EIP-712 domain of a hub, made anew each time: a fork changes the chain's number.
    """
    return keccak256(
        abi_encode(DOMAIN_TYPEHASH, DOMAIN_NAME, DOMAIN_VERSION, chain.id, hub)
    )


@internal
@view
def _typedId(r: TypedReceipt, hub: address) -> bytes32:
    """
    @notice The EIP-712 digest: what a solver signs for postReceiptTyped, and that receipt's
            identifier.
    """
    return signatures._typed(
        self._separator(hub), keccak256(abi_encode(RECEIPT_TYPEHASH, r))
    )
