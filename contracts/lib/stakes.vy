# pragma version 0.4.3
# @license Apache-2.0
"""
@title  Stakes
@notice What stands behind one receipt, and how a slashed stake is shared out. Constants: nobody
        can change what a live receipt is worth.
"""

MINIMUM_BOND: constant(uint256) = 10 ** 17  # 0.1 ether
BOND_RATIO_BPS: constant(uint256) = 500  # 5 % of the declared volume
CHALLENGER_BOND_BPS: constant(uint256) = 1000  # 10 % of the stake
BPS: constant(uint256) = 10_000
VOLUME_MAX: constant(uint256) = 2 ** 96 - 1


@internal
@pure
def _stakeFor(volume: uint256) -> uint256:
    """
    @notice The bond that a receipt requires, and the most that disputes about it can cost.
    @dev    Rounded up, so that stakes never cover less than 5 % of what was declared.
    """
    return max(MINIMUM_BOND, (volume * BOND_RATIO_BPS + BPS - 1) // BPS)


@internal
@pure
def _challengerBond(stake: uint256) -> uint256:
    """
    @notice What a challenger whose ground takes time puts down.
    """
    return stake * CHALLENGER_BOND_BPS // BPS
