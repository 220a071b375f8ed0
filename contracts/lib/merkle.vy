# pragma version 0.4.3
# @license Apache-2.0
"""
@title  Merkle
@notice Inclusion in the trees of RFC 6962 (verification after RFC 9162, 2.1.3.2), with SHA-256.
"""

PATH_MAX: constant(uint256) = 64
ENTRY_MAX: constant(uint256) = 1024


@internal
@pure
def _outcome(count: uint64, root: bytes32) -> bytes32:
    """
    @notice What a receipt commits to as outcomeHash. A path authenticates neither index nor size,
            so the number of the leaves is hashed with the root.
    """
    return sha256(concat(b"\x02", convert(count, bytes8), root))


@internal
@pure
def _includes(
    root: bytes32,
    count: uint64,
    index: uint64,
    entry: Bytes[ENTRY_MAX],
    path: DynArray[bytes32, PATH_MAX],
) -> bool:
    """
    @notice Whether an entry is the leaf of that index.
    """
    if index >= count:
        return False
    node: bytes32 = sha256(concat(b"\x00", entry))
    at: uint256 = convert(index, uint256)
    last: uint256 = convert(count, uint256) - 1
    for beside: bytes32 in path:
        if last == 0:
            return False
        if at & 1 == 1 or at == last:
            node = sha256(concat(b"\x01", beside, node))
            for _: uint256 in range(64):
                if at & 1 == 1 or at == 0:
                    break
                at >>= 1
                last >>= 1
        else:
            node = sha256(concat(b"\x01", node, beside))
        at >>= 1
        last >>= 1
    return last == 0 and node == root
