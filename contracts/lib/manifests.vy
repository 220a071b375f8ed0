# pragma version 0.4.3
# @license Apache-2.0
"""
@title  Manifests
@notice Reads, in canonical JSON (RFC 8785), the few members that contradict a commitment: of a
        manifest and of an artefact's entry. It decides nothing about anything else in them.
"""

from lib import merkle

MANIFEST_MAX: constant(uint256) = 16_384
MISSING: constant(uint256) = max_value(uint256)

# `{"bytes":`, `,"contentType":"`, `","sha256":"` + 64 digits + `"}`
ENTRY_HEAD: constant(Bytes[9]) = b'{"bytes":'
ENTRY_TYPE: constant(Bytes[16]) = b',"contentType":"'
ENTRY_HASH: constant(Bytes[12]) = b'","sha256":"'
ENTRY_TAIL: constant(Bytes[2]) = b'"}'
ENTRY_TAIL_BYTES: constant(uint256) = 78
ANY: constant(uint8) = 5  # of the members that a manifest can contradict
SETTLEMENT: constant(Bytes[16]) = b"/settlement.json"

# The members that are looked for, with quotes and colon, as numbers
INTENT: constant(uint256) = 2726386983021978549954179244602  # "intentHash":
POLICY: constant(uint256) = 2728554549310611467242570261050  # "policyHash":
CHAIN: constant(uint256) = 178858320691029773484395227824136762  # "receiptChain":
COUNT: constant(uint256) = 45699726069746382272784477357958505018  # "artifactCount":
ROOT: constant(uint256) = 45699726069746382272797956245250384442  # "artifactsRoot":
HEAD: constant(uint256) = 9684933843100218  # "head":

# Each of 16, then 8, 4, 2 and 1 bytes, then each half byte, alone in twice the room
SPREAD_8: constant(uint256) = (2 ** 64 - 1) * (1 + 2 ** 128)
SPREAD_4: constant(uint256) = (2 ** 32 - 1) * (max_value(uint256) // (2 ** 64 - 1))
SPREAD_2: constant(uint256) = (2 ** 16 - 1) * (max_value(uint256) // (2 ** 32 - 1))
SPREAD_1: constant(uint256) = (2 ** 8 - 1) * (max_value(uint256) // (2 ** 16 - 1))
EACH_BYTE: constant(uint256) = max_value(uint256) // 255
EACH_LOW: constant(uint256) = EACH_BYTE * 127


@internal
@pure
def _hexHalf(half: uint256) -> bytes32:
    """
    @notice The 32 lower-case digits of 16 bytes.
    """
    x: uint256 = (half | (half << 64)) & SPREAD_8
    x = (x | (x << 32)) & SPREAD_4
    x = (x | (x << 16)) & SPREAD_2
    x = (x | (x << 8)) & SPREAD_1
    x = (x | (x << 4)) & (EACH_BYTE * 15)
    letters: uint256 = ((x + EACH_BYTE * 6) >> 4) & EACH_BYTE
    return convert(x + EACH_BYTE * 48 + letters * 39, bytes32)


@internal
@pure
def _hex(digest: bytes32) -> Bytes[64]:
    """
    @notice The 64 lower-case digits of a hash.
    """
    word: uint256 = convert(digest, uint256)
    return concat(self._hexHalf(word >> 128), self._hexHalf(word & (2 ** 128 - 1)))


@internal
@pure
def _isHex(text: Bytes[64]) -> bool:
    for at: uint256 in range(64):
        c: uint256 = convert(slice(text, at, 1), uint256)
        if not ((c >= 48 and c <= 57) or (c >= 97 and c <= 102)):
            return False
    return True


@internal
@pure
def _entry(entry: Bytes[merkle.ENTRY_MAX]) -> (bool, uint256, Bytes[64]):
    """
    @notice Whether an entry has its one form, and the size and hash that it names.
    """
    length: uint256 = len(entry)
    nothing: Bytes[64] = b""
    if length < 9 + 1 + 16 + ENTRY_TAIL_BYTES:
        return False, 0, nothing
    if slice(entry, 0, 9) != ENTRY_HEAD:
        return False, 0, nothing
    at: uint256 = 9
    size: uint256 = 0
    for _: uint256 in range(20):
        c: uint256 = convert(slice(entry, at, 1), uint256)
        if c < 48 or c > 57:
            break
        if at > 9 and size == 0:  # a leading zero
            return False, 0, nothing
        size = size * 10 + (c - 48)
        at += 1
    if at == 9 or at + 16 + ENTRY_TAIL_BYTES > length:
        return False, 0, nothing
    if slice(entry, at, 16) != ENTRY_TYPE:
        return False, 0, nothing
    tail: uint256 = length - ENTRY_TAIL_BYTES
    if slice(entry, tail, 12) != ENTRY_HASH or slice(entry, length - 2, 2) != ENTRY_TAIL:
        return False, 0, nothing
    digits: Bytes[64] = slice(entry, tail + 12, 64)
    if not self._isHex(digits):
        return False, 0, nothing
    return True, size, digits


@internal
@pure
def _isSettlement(entry: Bytes[merkle.ENTRY_MAX]) -> bool:
    """
    @notice Whether an entry of the one form has a path that ends in `/settlement.json`.
    """
    formed: bool = False
    size: uint256 = 0
    digits: Bytes[64] = b""
    formed, size, digits = self._entry(entry)
    tail: uint256 = len(entry) - ENTRY_TAIL_BYTES
    return formed and slice(entry, tail - 16, 16) == SETTLEMENT


@internal
@pure
def _isZero(word: uint256) -> uint256:
    """
    @notice A word with the high bit of each byte set that is zero here, and no other bit.
    """
    return ~(((word & EACH_LOW) + EACH_LOW) | word | EACH_LOW)


@internal
@pure
def _closed(text: Bytes[MANIFEST_MAX + 32], length: uint256, start: uint256) -> uint256:
    """
    @notice Where a string ends that began before `start`: 32 bytes at a time, as strings are most
            of a manifest.
    """
    at: uint256 = start
    for _: uint256 in range(MANIFEST_MAX):
        if at >= length:
            break
        word: uint256 = extract32(text, at, output_type=uint256)
        marks: uint256 = self._isZero(word ^ (EACH_BYTE * 34)) | self._isZero(word ^ (EACH_BYTE * 92))
        if marks == 0:
            at += 32
            continue
        skipped: uint256 = 0  # bytes before the first mark
        if marks >> 128 == 0:
            skipped = 16
            marks = marks << 128
        if marks >> 192 == 0:
            skipped += 8
            marks = marks << 64
        if marks >> 224 == 0:
            skipped += 4
            marks = marks << 32
        if marks >> 240 == 0:
            skipped += 2
            marks = marks << 16
        if marks >> 248 == 0:
            skipped += 1
        if (word >> (248 - 8 * skipped)) & 255 == 34:  # "
            return at + skipped + 1
        at += skipped + 2  # a backslash, and what it escapes
    return at


@internal
@pure
def _members(text: Bytes[MANIFEST_MAX + 32], length: uint256, start: uint256) -> uint256[6]:
    """
    @notice Where the values of members of the object at `start` begin, or MISSING: of intentHash,
            policyHash, receiptChain, artifactCount, artifactsRoot, and head.
    @dev    `text` ends with 32 bytes that are not part of it.
    """
    places: uint256[6] = [MISSING, MISSING, MISSING, MISSING, MISSING, MISSING]
    depth: uint256 = 0
    at: uint256 = start
    for _: uint256 in range(MANIFEST_MAX):
        if at >= length:
            break
        word: uint256 = extract32(text, at, output_type=uint256)
        c: uint256 = word >> 248
        at += 1
        if c == 34:  # "
            if depth == 1:
                which: uint256 = 6
                size: uint256 = 13
                if word >> 152 == INTENT:
                    which = 0
                elif word >> 152 == POLICY:
                    which = 1
                elif word >> 136 == CHAIN:
                    which = 2
                    size = 15
                elif word >> 128 == COUNT:
                    which = 3
                    size = 16
                elif word >> 128 == ROOT:
                    which = 4
                    size = 16
                elif word >> 200 == HEAD:
                    which = 5
                    size = 7
                if which < 6 and places[which] == MISSING:
                    places[which] = at - 1 + size
            at = self._closed(text, length, at)
        elif c == 123 or c == 91:  # { [
            depth += 1
        elif c == 125 or c == 93:  # } ]
            if depth <= 1:
                break
            depth -= 1
        elif depth == 0:
            break
    return places


@internal
@pure
def _holdsHash(text: Bytes[MANIFEST_MAX + 32], length: uint256, at: uint256, digest: bytes32) -> bool:
    """
    @notice Whether the value at a place is that hash, as manifests spell it.
    """
    if at == MISSING or at + 73 > length:
        return False
    return slice(text, at, 73) == concat(b'"sha256:', self._hex(digest), b'"')


@internal
@pure
def _holdsNull(text: Bytes[MANIFEST_MAX + 32], length: uint256, at: uint256) -> bool:
    if at == MISSING or at + 4 > length:
        return False
    return slice(text, at, 4) == b"null"


@internal
@pure
def _holdsNumber(text: Bytes[MANIFEST_MAX + 32], length: uint256, at: uint256, number: uint64) -> bool:
    if at == MISSING:
        return False
    digits: Bytes[20] = convert(uint2str(number), Bytes[20])
    end: uint256 = at + len(digits)
    if end >= length:
        return False
    after: uint256 = convert(slice(text, end, 1), uint256)
    return slice(text, at, len(digits)) == digits and (after == 44 or after == 125)


@internal
@pure
def _contradicts(
    manifest: Bytes[MANIFEST_MAX],
    member: uint8,
    intentHash: bytes32,
    constraintsHash: bytes32,
    routeHash: bytes32,
    count: uint64,
    root: bytes32,
) -> bool:
    """
    @notice Whether a manifest says something else than the receipt that commits to it: 1 the
            intent, 2 the policy, 3 the head of the receipt chain, 4 the artefacts, 5 any of them.
    """
    text: Bytes[MANIFEST_MAX + 32] = concat(manifest, empty(bytes32))
    length: uint256 = len(manifest)
    places: uint256[6] = self._members(text, length, 0)
    wrong: bool = False
    if member == 1 or member == ANY:
        wrong = not self._holdsHash(text, length, places[0], intentHash)
    if member == 2 or (member == ANY and not wrong):
        wrong = not self._holdsHash(text, length, places[1], constraintsHash)
    if member == 3 or (member == ANY and not wrong):
        if self._holdsNull(text, length, places[2]):
            wrong = routeHash != empty(bytes32)
        elif places[2] == MISSING:
            wrong = True
        else:
            head: uint256 = self._members(text, length, places[2])[5]
            wrong = not self._holdsHash(text, length, head, routeHash)
    if member == 4 or (member == ANY and not wrong):
        wrong = not (
            self._holdsNumber(text, length, places[3], count)
            and self._holdsHash(text, length, places[4], root)
        )
    return wrong
