# pragma version 0.4.3
# @license Apache-2.0
"""
@title  Signatures
@notice secp256k1 signatures in their one accepted form (65 bytes, low s, v 27 or 28), and accounts
        that are contracts (EIP-1271).
"""

SIGNATURE_MAX: constant(uint256) = 512
# Half of the order of secp256k1
HALF_ORDER: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168
# isValidSignature(bytes32,bytes), and what it returns, left-aligned
EIP1271_MAGIC: constant(bytes32) = 0x1626ba7e00000000000000000000000000000000000000000000000000000000


@internal
@pure
def _recovered(digest: bytes32, signature: Bytes[SIGNATURE_MAX]) -> address:
    """
    @notice Who signed, or the empty address for whatever is not a signature in its one form.
    """
    if len(signature) != 65:
        return empty(address)
    s: uint256 = convert(slice(signature, 32, 32), uint256)
    v: uint256 = convert(slice(signature, 64, 1), uint256)
    if s > HALF_ORDER or (v != 27 and v != 28):
        return empty(address)
    return ecrecover(digest, v, convert(slice(signature, 0, 32), uint256), s)


@internal
@view
def _isSignedBy(
    signer: address, digest: bytes32, signature: Bytes[SIGNATURE_MAX]
) -> bool:
    """
    @notice Whether an account vouches for a digest: by its key, or by its code (EIP-1271).
    """
    if signer == empty(address):
        return False
    if self._recovered(digest, signature) == signer:
        return True
    if not signer.is_contract:
        return False
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        signer,
        abi_encode(digest, signature, method_id=method_id("isValidSignature(bytes32,bytes)")),
        max_outsize=32,
        is_static_call=True,
        revert_on_failure=False,
    )
    return success and len(answer) == 32 and convert(answer, bytes32) == EIP1271_MAGIC


@internal
@pure
def _personal(digest: bytes32) -> bytes32:
    """
    @notice The EIP-191 form of a digest: what wallets call a personal message.
    """
    return keccak256(concat(b"\x19Ethereum Signed Message:\n32", digest))


@internal
@pure
def _typed(separator: bytes32, structHash: bytes32) -> bytes32:
    """
    @notice The EIP-712 digest of a struct under a domain.
    """
    return keccak256(concat(b"\x19\x01", separator, structHash))
