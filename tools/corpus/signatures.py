# SPDX-License-Identifier: Apache-2.0
"""Spellings of a signature, signatures that only some verifiers accept, and keys of all kinds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_scalar_add,
    crypto_core_ed25519_scalar_mul,
    crypto_core_ed25519_scalar_reduce,
    crypto_scalarmult_ed25519_base_noclamp,
)
from tools.corpus.making import (
    FIRST,
    ISSUER_ID,
    SECOND,
    Case,
    Json,
    Key,
    b64u,
    body,
    did_key,
    draft,
    pem,
    prove,
    sign,
    spell,
    verdict_of,
)
from tools.corpus.shapes import refused

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
IDENTITY = (1).to_bytes(32, "little")
ORDER_2 = (P - 1).to_bytes(32, "little")
ORDER_4 = bytes(32)
ORDER_8 = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
# The identity, spelled with y = p + 1.
IDENTITY_AGAIN = (P + 1).to_bytes(32, "little")
NOT_ON_CURVE = (2).to_bytes(32, "little")


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from _spellings()
    yield from _values()
    yield from _weak_keys()
    yield from _unusable_keys()
    yield from _trust_files()


def _spellings() -> Iterator[Case]:
    def padded(text: str) -> str:
        return text + "=="

    def flipped(text: str) -> str:
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        return text[:-1] + alphabet[alphabet.index(text[-1]) + 1]

    def standard(text: str) -> str:
        return text.replace("-", "+").replace("_", "/")

    table: tuple[tuple[str, str, Callable[[str], str], str], ...] = (
        ("padded", "padded with ==", padded, "SIGNATURE_PADDED"),
        ("space", "a space inside", lambda text: f"{text[:40]} {text[40:]}", "_WHITESPACE"),
        ("line-feed", "a line feed at the end", lambda text: text + "\n", "_WHITESPACE"),
        ("no-break-space", "a no-break space", lambda text: text[:9] + "\xa0" + text[9:],
         "_WHITESPACE"),
        ("standard-alphabet", "+ and / for - and _", standard, "_ALPHABET"),
        ("junk", "four characters of junk, which lax decoders skip",
         lambda text: text[:20] + "!!!!" + text[20:], "_ALPHABET"),
        ("umlaut", "a letter that is not ASCII", lambda text: text[:-1] + "ä", "_ALPHABET"),
        ("trailing-bits", "unused bits that are set", flipped, "_TRAILING_BITS"),
        ("prefix-z", "the prefix of base58", lambda text: "z" + text[1:], "_PREFIX"),
        ("prefix-capital", "the prefix in upper case", lambda text: "U" + text[1:], "_PREFIX"),
        ("prefix-missing", "no prefix", lambda text: text[1:].replace("u", "v"), "_PREFIX"),
        ("empty", "nothing at all", lambda _: "", "_PREFIX"),
        ("prefix-only", "nothing but the prefix", lambda text: text[:1], "_LENGTH"),
        ("short", "63 bytes", lambda text: text[:-1], "_LENGTH"),
        ("long", "66 bytes", lambda text: text + "AA", "_LENGTH"),
        ("doubled", "the signature twice", lambda text: text + text[1:], "_LENGTH"),
    )  # fmt: skip
    for what, told, change, code in table:
        name = f"signature-{what}"
        made = sign(draft(name))
        # Another spelling needs a signature that has one: ids change until it has.
        number = 1
        while change(made["proof"]["proofValue"]) == made["proof"]["proofValue"]:
            number += 1
            made = sign(draft(name, number))
        made["proof"]["proofValue"] = change(made["proof"]["proofValue"])
        yield refused(
            name, f"proofValue: {told}.", made, f"SIGNATURE{code.removeprefix('SIGNATURE')}"
        )


def _values() -> Iterator[Case]:
    def flip(signature: bytes, at: int) -> bytes:
        return signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1 :]

    def plus_order(signature: bytes) -> bytes:
        s = int.from_bytes(signature[32:], "little") + L
        return signature[:32] + s.to_bytes(32, "little")

    made = draft("s-plus-order")
    why = "S + L: a second signature that anyone makes from the first."
    signature = plus_order(FIRST.sign(body(made)))
    yield refused("s-plus-order", why, prove(made, signature), "SIGNATURE_S_RANGE")
    made = draft("s-all-ones")
    why = "S is 2^256 - 1."
    signature = FIRST.sign(body(made))[:32] + b"\xff" * 32
    yield refused("s-all-ones", why, prove(made, signature), "SIGNATURE_S_RANGE")
    for what, told, point in (
        ("identity", "the identity", IDENTITY),
        ("identity-respelled", "the identity, not in canonical form", IDENTITY_AGAIN),
    ):
        name = f"r-{what}"
        made = draft(name)
        why = f"R is {told}; the equation S·B = R + k·A holds, made by the key's own holder."
        signature = _with_nonce_zero(FIRST, body(made), point)
        yield refused(name, why, prove(made, signature), "SIGNATURE_R_SMALL_ORDER")
    made = draft("signature-of-zeros")
    why = "64 zero bytes: R has order 4."
    yield refused(made["credentialSubject"]["chain"]["chain_id"].removeprefix("chain-"), why,
                  prove(made, bytes(64)), "SIGNATURE_R_SMALL_ORDER")  # fmt: skip
    wrong = "SIGNATURE_INVALID"
    made = draft("bit-in-r")
    yield refused("bit-in-r", "One bit of R.", prove(made, flip(FIRST.sign(body(made)), 3)), wrong)
    made = draft("bit-in-s")
    yield refused("bit-in-s", "One bit of S.", prove(made, flip(FIRST.sign(body(made)), 40)), wrong)
    made = draft("by-another-key")
    yield refused("by-another-key", "Signed with another key.", sign(made, SECOND), wrong)
    made = draft("of-another-receipt")
    other = FIRST.sign(body(draft("of-another-receipt", 2)))
    yield refused("of-another-receipt", "Another receipt's signature.", prove(made, other), wrong)
    made = draft("over-the-digest")
    signature = FIRST.sign(hashlib.sha256(body(made)).digest())
    yield refused("over-the-digest", "Signed is the SHA-256.", prove(made, signature), wrong)
    made = draft("over-the-proof-too")
    signature = FIRST.sign(spell(sign(made)))
    yield refused("over-the-proof-too", "Signed with the proof.", prove(made, signature), wrong)
    made = draft("over-pretty-bytes")
    signature = FIRST.sign(body(made) + b"\n")
    yield refused("over-pretty-bytes", "Signed with a line feed.", prove(made, signature), wrong)


def _scalar(*parts: bytes) -> bytes:
    return crypto_core_ed25519_scalar_reduce(hashlib.sha512(b"".join(parts)).digest())


def _secret_scalar(key: Key) -> bytes:
    clamped = bytearray(hashlib.sha512(key.seed).digest()[:32])
    clamped[0] &= 248
    clamped[31] = clamped[31] & 127 | 64
    return crypto_core_ed25519_scalar_reduce(bytes(clamped) + bytes(32))


def _with_nonce_zero(key: Key, message: bytes, point: bytes) -> bytes:
    k = _scalar(point, key.raw, message)
    return point + crypto_core_ed25519_scalar_mul(k, _secret_scalar(key))


def _weak_keys() -> Iterator[Case]:
    for what, told, key in (
        ("identity", "the identity", IDENTITY),
        ("order-2", "a point of order 2", ORDER_2),
        ("order-4", "a point of order 4", ORDER_4),
        ("order-8", "a point of order 8", ORDER_8),
        ("identity-respelled", "the identity, not in canonical form", IDENTITY_AGAIN),
    ):
        name = f"key-{what}"
        made = _signed_by_nobody(name, key)
        why = f"The public key is {told}: R = identity and S = 0 fit without any private key."
        yield refused(name, why, made, "KEY_WEAK", keys=(did_key(key),))
    name = "key-mixed-order"
    key, made = _mixed(name)
    why = "The public key has a part of order 8: verifiers differ on what it signed."
    yield refused(name, why, made, "KEY_WEAK", keys=(did_key(key),))
    name = "key-weak-beside-sound"
    made = sign(draft(name))
    why = "One of the keys is weak, and another fits: a weak key is not passed over."
    yield refused(name, why, made, "KEY_WEAK", keys=(did_key(IDENTITY), FIRST.did))


def _signed_by_nobody(name: str, key: bytes) -> Json:
    """Return a receipt whose forged signature satisfies S·B = R + k·A for a small-order A."""
    signature = IDENTITY + bytes(32)
    order = {ORDER_2: 2, ORDER_4: 4, ORDER_8: 8}.get(key, 1)
    number = 1
    while True:
        made = draft(name, number)
        k = _scalar(IDENTITY, key, body(made))
        if int.from_bytes(k, "little") % order == 0:
            return prove(made, signature)
        number += 1


def _mixed(name: str) -> tuple[bytes, Json]:
    """Return the key A + T with T of order 8, and a receipt that satisfies the equation."""
    key = crypto_core_ed25519_add(FIRST.raw, ORDER_8)
    number = 1
    while True:
        made = draft(name, number)
        r = _scalar(b"nonce", body(made))
        point = crypto_scalarmult_ed25519_base_noclamp(r)
        k = _scalar(point, key, body(made))
        if int.from_bytes(k, "little") % 8 == 0:
            product = crypto_core_ed25519_scalar_mul(k, _secret_scalar(FIRST))
            return key, prove(made, point + crypto_core_ed25519_scalar_add(r, product))
        number += 1


def _unusable_keys() -> Iterator[Case]:
    def unchecked(name: str, why: str, code: str, *keys: str) -> Case:
        data = spell(sign(draft(name)))
        return Case(kind="receipt", name=name, why=why, data=data, codes=(code,), keys=keys,
                    verdict="unchecked")  # fmt: skip

    secp256k1 = did_key(b"\x02" + bytes(range(32)), b"\xe7\x01")
    table = (
        ("garbage", "is not a key at all", "garbage"),
        ("empty", "is empty", ""),
        ("did-web", "is a DID that has to be looked up", "did:web:example.com"),
        ("did-secp256k1", "is of another algorithm", secp256k1),
        ("did-short", "has 31 bytes", did_key(FIRST.raw[:31])),
        ("did-typo", "has a letter outside base58", FIRST.did[:-1] + "0"),
        ("pem-cut", "is a PEM that was cut off", FIRST.pem[:60]),
        ("pem-x25519", "is a PEM of an encryption key", _x25519_pem()),
        ("pem-private", "is the private key", FIRST.private_pem),
        ("multibase", "is bare multibase", b64u(FIRST.raw)),
    )
    for what, told, key in table:
        why = f"What was given as the key {told}: nothing was checked, and nothing is broken."
        yield unchecked(f"key-{what}", why, "KEY_UNUSABLE", key)
    why = "The 32 bytes are no point of the curve: nothing was checked, and nothing is broken."
    yield unchecked("key-not-on-curve", why, "KEY_UNUSABLE", did_key(NOT_ON_CURVE))
    why = "One of the keys can't be read, and another fits: not all was checked that was asked."
    yield unchecked("key-garbage-beside-sound", why, "KEY_UNUSABLE", "garbage", FIRST.did)
    yield unchecked("key-none", "No key was given.", "KEY_MISSING")


def _x25519_pem() -> str:
    return pem("PUBLIC KEY", bytes.fromhex("302a300506032b656e032100") + FIRST.raw)


def trust_file(*entries: tuple[str, str, str | None, str | None]) -> str:
    """Return a trust file; each entry is issuer, key, valid from, valid until."""
    text, before = "# SPDX-License-Identifier: Apache-2.0\n", ""
    for issuer, key, start, end in entries:
        if issuer != before:
            text += f'[[issuer]]\nid = "{issuer}"\n'
        before = issuer
        text += f'[[issuer.key]]\nkey = "{key}"\n'
        text += f'valid_from = "{start}"\n' if start else ""
        text += f'valid_until = "{end}"\n' if end else ""
    return text


def _trust_files() -> Iterator[Case]:
    own = (ISSUER_ID, FIRST.did)
    day = "2026-01-02T{}Z".format
    open_, stranger = (*own, None, None), ("did:agent:other", FIRST.did, None, None)
    past = (*own, None, day("03:00:00.999"))
    table = (
        ("trusted-issuer", "The trust file has the issuer's key.", (open_,), ()),
        ("trusted-then", "It was valid then.", ((*own, day("00:00:00"), day("23:59:59")),), ()),
        ("trusted-on-the-dot", "Both ends count.", ((*own, day("03:00:01"), day("03:00:01")),), ()),
        ("trusted-no-more", "The key was not valid any more.", (past,), ("KEY_NOT_VALID_THEN",)),
        ("trusted-not-yet", "The key was not valid yet.", ((*own, day("03:00:02"), None),),
         ("KEY_NOT_VALID_THEN",)),
        ("trusted-again", "Valid in the second of two stretches.",
         (past, (*own, day("03:00:01"), None)), ()),
        ("trusted-other-issuer", "The trust file has no key for this issuer, only for another.",
         (stranger,), ("KEY_UNKNOWN_ISSUER",)),
        ("trusted-by-prefix", "An issuer's id is compared whole.",
         ((ISSUER_ID + "-2", FIRST.did, None, None),), ("KEY_UNKNOWN_ISSUER",)),
    )  # fmt: skip
    for name, why, entries, codes in table:
        data = spell(sign(draft(name)))
        yield Case(kind="receipt", name=name, why=why, data=data, codes=codes,
                   verdict=verdict_of(codes), trust=trust_file(*entries))  # fmt: skip
