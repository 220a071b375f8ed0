# SPDX-License-Identifier: Apache-2.0
"""Chains: whole ones, and every way in which one can be cut, mixed, reordered or rewritten."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tools.corpus.making import (
    FIRST,
    ISSUER_ID,
    SECOND,
    Case,
    Json,
    Key,
    digest,
    draft,
    lines,
    put,
    sha256,
    sign,
    spell,
    verdict_of,
)
from tools.corpus.shapes import CHAIN, OUTCOME
from tools.corpus.signatures import trust_file

Edit = Callable[[Json], Json]


def chain(
    name: str,
    length: int,
    edits: dict[int, Edit] | None = None,
    *,
    keys: dict[int, Key] | None = None,
    chain_id: str | None = None,
    issuer: str = ISSUER_ID,
) -> list[Json]:
    """Return a chain of signed receipts; each edit is applied before its receipt is signed."""
    receipts: list[Json] = []
    for number in range(1, length + 1):
        made = draft(chain_id or name, number, issuer=issuer)
        made = put(made, f"{CHAIN}/sequence", number)
        if receipts:
            made = put(made, f"{CHAIN}/previous_receipt_hash", digest(receipts[-1]))
        if edits and number in edits:
            made = edits[number](made)
        receipts.append(sign(made, (keys or {}).get(number, FIRST)))
    return receipts


def setting(pointer: str, value: Any) -> Edit:
    """Return the edit that sets one member."""
    return lambda receipt: put(receipt, pointer, value)


def closing(status: str | None = None) -> Edit:
    """Return the edit that makes a receipt terminal."""

    def edit(receipt: Json) -> Json:
        made = put(receipt, f"{CHAIN}/terminal", True)
        return put(made, f"{CHAIN}/status", status) if status else made

    return edit


def facts(
    receipts: Sequence[Json], termination: str = "unknown", *stretches: tuple[Key, int, int]
) -> Json:
    """Return what the report has to say of a chain; by default, one key signed all of it."""
    last = receipts[-1]["credentialSubject"]["chain"]["sequence"]
    return {
        "chain_id": receipts[0]["credentialSubject"]["chain"]["chain_id"],
        "issuer": receipts[0]["issuer"]["id"],
        "length": len(receipts),
        "head": digest(receipts[-1]),
        "termination": termination,
        "keys": [
            {"fingerprint": key.fingerprint, "first_sequence": start, "last_sequence": end}
            for key, start, end in stretches or ((FIRST, 1, last),)
        ],
    }


def case(name: str, why: str, receipts: Sequence[Json] | bytes, *codes: str, **more: Any) -> Case:
    """Return a chain case; it is refused when a code decides, unless told otherwise."""
    more = {"verdict": verdict_of(codes), "suffix": "jsonl"} | more
    data = receipts if isinstance(receipts, bytes) else lines(list(receipts))
    return Case(kind="chain", name=name, why=why, data=data, codes=codes, **more)


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from _whole()
    yield from _forms()
    yield from _nothing()
    yield from _order()
    yield from _links()
    yield from _ends()
    yield from _changed()
    yield from _mixed()


def _whole() -> Iterator[Case]:
    for name, why, length, last, termination in (
        ("one", "A chain of one receipt.", 1, None, "unknown"),
        ("three", "A chain that is still open.", 3, None, "unknown"),
        ("closed", "Terminal without a status means complete.", 3, closing(), "complete"),
        ("complete", "Closed as complete.", 3, closing("complete"), "complete"),
        ("interrupted", "Closed as interrupted.", 3, closing("interrupted"), "interrupted"),
        ("closed-at-once", "The first receipt is the last.", 1, closing("complete"), "complete"),
        ("seventy", "Longer than one batch of any worker.", 70, None, "unknown"),
    ):
        made = chain(name, length, {length: last} if last else None)
        yield case(name, why, made, chains=[facts(made, termination)])


def _forms() -> Iterator[Case]:
    made = chain("as-array", 3)
    data = b"[" + b",".join(map(spell, made)) + b"]"
    yield case("as-array", "An array.", data, suffix="json", chains=[facts(made)])
    made = chain("as-pretty-array", 3)
    data = json.dumps(made, indent=2).encode() + b"\n"
    yield case("as-pretty-array", "An array over many lines.", data, suffix="json",
               chains=[facts(made)])  # fmt: skip
    made = chain("as-lines-with-blanks", 3)
    data = b"\n \n" + lines(made).replace(b"\n", b" \r\n\r\n\t\n")
    why = "JSON Lines with blank lines, and line ends of Windows."
    yield case("as-lines-with-blanks", why, data, chains=[facts(made)])
    made = chain("last-line-open", 3)
    yield case("last-line-open", "The last line has no end.", lines(made)[:-1],
               chains=[facts(made)])  # fmt: skip


def _nothing() -> Iterator[Case]:
    for name, why, data in (
        ("no-bytes", "An empty file.", b""),
        ("no-lines", "Blank lines.", b"\n\n \n"),
        ("no-elements", "An empty array.", b"[]"),
    ):
        told = why + " Nothing is not a proof."
        yield case(name, told, data, "NOTHING_TO_VERIFY", suffix="bin",
                   chains=[])  # fmt: skip
    why = "Nothing is there, and a length and a head were expected: that is refused."
    options = {"expected_length": 3, "expected_head": sha256(b""), "require_terminal": True}
    codes = ("NOTHING_TO_VERIFY", "EXPECTED_LENGTH", "EXPECTED_HEAD", "EXPECTED_TERMINAL")
    yield case("nothing-of-what-was-expected", why, b"", *codes, options=options, suffix="bin")
    why = "Nothing is there, and no receipts were expected."
    options = {"expected_length": 0}
    yield case("nothing-as-expected", why, b"", "NOTHING_TO_VERIFY", options=options, suffix="bin")


def _order() -> Iterator[Case]:
    made = chain("gap", 3)
    yield case("gap", "The second of three is missing.", [made[0], made[2]], "CHAIN_GAP")
    made = chain("gap-of-two", 4)
    yield case("gap-of-two", "Two are missing.", [made[0], made[3]], "CHAIN_GAP")
    made = chain("two-gaps", 5)
    yield case("two-gaps", "Every other one.", made[::2], "CHAIN_GAP", "CHAIN_GAP")
    made = chain("swapped", 4)
    why = "The second and the third change places: a gap, then one that comes too late."
    swapped = [made[0], made[2], made[1], made[3]]
    yield case("swapped", why, swapped, "CHAIN_GAP", "CHAIN_REPEAT")
    made = chain("backward", 3)
    codes = ("CHAIN_GENESIS_SEQUENCE", "CHAIN_REPEAT", "CHAIN_REPEAT")
    yield case("backward", "From the last to the first.", made[::-1], *codes)
    made = chain("repeated", 3)
    why = "The second comes twice: its sequence and its id do."
    repeated = [made[0], made[1], made[1], made[2]]
    yield case("repeated", why, repeated, "CHAIN_REPEAT", "ID_DUPLICATE")
    made = chain("repeated-elsewhere", 3)
    why = "The first comes again at the end."
    yield case("repeated-elsewhere", why, [*made, made[0]], "CHAIN_REPEAT", "ID_DUPLICATE")
    made = chain("forked", 3)
    other = chain(
        "forked", 3, {2: setting("/id", "urn:receipt:" + "0" * 8 + "-0000" * 3 + "-" + "0" * 12)}
    )
    why = "Two genuine receipts have sequence 2 and the same predecessor."
    yield case("forked", why, [made[0], made[1], other[1], made[2]], "CHAIN_REPEAT")
    why = "The same, and the chain goes on from the second of the two."
    forked = [made[0], made[1], other[1], other[2]]
    yield case("forked-and-followed", why, forked, "CHAIN_REPEAT", "CHAIN_LINK_BROKEN")
    made = chain("beginning-cut-off", 4)
    why = "It begins at 3: what was before is not here."
    yield case("beginning-cut-off", why, made[2:], "CHAIN_GENESIS_SEQUENCE")
    name = "beginning-rewritten"
    made = chain(name, 1, {1: setting(f"{CHAIN}/sequence", 7)})
    why = "It begins at 7 and says that there is nothing before."
    yield case(name, why, made, "CHAIN_GENESIS_SEQUENCE", "CHAIN_LINK_MISSING")
    made = chain("same-id", 3)
    made = chain("same-id", 3, {3: setting("/id", made[0]["id"])})
    yield case("same-id", "Two receipts have one id.", made, "ID_DUPLICATE")
    same = setting("/id", made[0]["id"])
    made = chain("same-id-thrice", 3, dict.fromkeys((1, 2, 3), same))
    yield case("same-id-thrice", "Three have one id.", made, "ID_DUPLICATE", "ID_DUPLICATE")


def _links() -> Iterator[Case]:
    link = f"{CHAIN}/previous_receipt_hash"
    name = "link-broken"
    made = chain(name, 3, {2: setting(link, sha256(b"another receipt"))})
    yield case(name, "The second names no receipt here.", made, "CHAIN_LINK_BROKEN")
    name = "link-to-the-first"
    first = chain(name, 1)
    made = chain(name, 3, {3: setting(link, digest(first[0]))})
    yield case(name, "The third names the first.", made, "CHAIN_LINK_BROKEN")
    name = "link-with-proof"
    first = chain(name, 1)
    made = chain(name, 2, {2: setting(link, sha256(spell(first[0])))})
    why = "The link is the hash of the whole receipt: the proof is not part of what is hashed."
    yield case(name, why, made, "CHAIN_LINK_BROKEN")
    name = "link-null"
    made = chain(name, 3, {2: setting(link, None)})
    yield case(name, "The second names no predecessor.", made, "CHAIN_LINK_MISSING")
    name = "link-in-genesis"
    made = chain(name, 2, {1: setting(link, sha256(b"before"))})
    yield case(name, "The first names a predecessor.", made, "CHAIN_GENESIS_HASH")
    name = "link-over-proof-swap"
    made = chain(name, 2)
    again = sign({key: made[0][key] for key in made[0] if key != "proof"})
    again = put(again, "/proof/created", "2026-01-02T05:00:00Z")
    why = "Another date of signing does not break the link: the proof is not hashed."
    yield case(name, why, [again, made[1]], chains=[facts(made)])


def _ends() -> Iterator[Case]:
    for name, why, at, codes in (
        ("after-the-end", "A receipt after the terminal one.", {2: closing()}, 1),
        ("two-after-the-end", "Two receipts after it.", {1: closing("complete")}, 2),
        ("after-an-interruption", "One after an interruption.", {2: closing("interrupted")}, 1),
        ("closed-twice", "Closed, and closed again.", {2: closing(), 3: closing()}, 1),
    ):
        made = chain(name, 3, at)
        yield case(name, why, made, *["CHAIN_AFTER_TERMINAL"] * codes)
    name = "status-open"
    made = chain(name, 2, {2: setting(f"{CHAIN}/status", "interrupted")})
    why = "A status without terminal closes nothing."
    code = "CHAIN_STATUS_WITHOUT_TERMINAL"
    yield case(name, why, made, code, chains=[facts(made)])
    name = "terminal-false"
    made = chain(name, 2, {2: setting(f"{CHAIN}/terminal", False)})
    yield case(name, "terminal is true or absent.", made, "FIELD_VALUE", chains=[facts(made)])


def _changed() -> Iterator[Case]:
    made = chain("altered", 3)
    made[1] = put(made[1], f"{OUTCOME}/status", "failure")
    why = "The second was altered: its signature does not fit, nor does the link to it."
    yield case("altered", why, made, "SIGNATURE_INVALID", "CHAIN_LINK_BROKEN")
    made = chain("altered-last", 3)
    made[2] = put(made[2], f"{OUTCOME}/status", "failure")
    yield case("altered-last", "The last was altered.", made, "SIGNATURE_INVALID")
    made = chain("proofs-swapped", 3)
    made[0]["proof"], made[1]["proof"] = made[1]["proof"], made[0]["proof"]
    why = "Two receipts changed proofs."
    yield case("proofs-swapped", why, made, "SIGNATURE_INVALID", "SIGNATURE_INVALID")
    name = "replaced-by-outsider"
    made = chain(name, 3, keys={2: SECOND})
    why = "The second was made with a key that is not trusted."
    yield case(name, why, made, "SIGNATURE_INVALID")
    made = chain("unsigned-in-between", 3)
    del made[1]["proof"]
    yield case("unsigned-in-between", "The second has no proof.", made, "PROOF_MISSING")
    made = chain("line-of-junk", 3)
    data = spell(made[0]) + b"\n}{\n" + spell(made[1]) + b"\n" + spell(made[2]) + b"\n"
    yield case("line-of-junk", "A line that is no JSON.", data, "MALFORMED_JSON")
    made = chain("line-cut-off", 3)
    data = lines(made)[:-20]
    yield case("line-cut-off", "The file ends in mid-receipt.", data, "MALFORMED_JSON")
    made = chain("line-joined", 2)
    data = spell(made[0]) + spell(made[1]) + b"\n"
    why = "Two receipts on one line: neither can be trusted to be the one."
    yield case("line-joined", why, data, "MALFORMED_TRAILING_DATA")
    made = chain("array-with-junk", 2)
    data = b"[" + spell(made[0]) + b",7," + spell(made[1]) + b"]"
    why = "An element that is no object."
    yield case("array-with-junk", why, data, "MALFORMED_NOT_OBJECT", suffix="json")
    why = "A comma with nothing on either side of it."
    codes = ("MALFORMED_JSON", "MALFORMED_JSON")
    yield case("array-of-a-comma", why, b"[,]", *codes, suffix="bin")
    made = chain("array-cut-off", 2)
    data = b"[" + spell(made[0]) + b"," + spell(made[1])
    yield case("array-cut-off", "The array is not closed.", data, "MALFORMED_JSON", suffix="bin")
    made = chain("array-and-more", 3)
    data = b"[" + spell(made[0]) + b"," + spell(made[1]) + b"]\n" + spell(made[2])
    why = "A receipt after the array."
    yield case("array-and-more", why, data, "MALFORMED_TRAILING_DATA", suffix="bin")


def _mixed() -> Iterator[Case]:
    name = "another-chain-inside"
    made, other = chain(name, 3), chain(name, 1, chain_id=name + "-2")
    why = "A genuine receipt of another chain stands among those of this one."
    mixed = [made[0], other[0], *made[1:]]
    yield case(name, why, mixed, "CHAIN_MIXED", chains=[facts(made)])
    name = "spliced"
    made = chain(name, 2)
    splice = chain(name, 3, {3: setting(f"{CHAIN}/chain_id", "chain-elsewhere")})
    why = "The third links to the second, and says that it belongs to another chain."
    yield case(name, why, [*made, splice[2]], "CHAIN_MIXED")
    name = "several-issuers"
    edits = {number: setting("/issuer/id", f"did:agent:{number}") for number in (2, 3)}
    made = [put(one, "/proof/verificationMethod", f"{ISSUER_ID}#key-1")
            for one in chain(name, 3, edits)]  # fmt: skip
    why = "One chain, three issuers, one key."
    yield case(name, why, made, "ISSUER_CHANGED", "ISSUER_CHANGED")
    name = "issuer-changes"
    made = chain(name, 2, {2: setting("/issuer/id", "did:agent:other")})
    made[1] = put(made[1], "/proof/verificationMethod", f"{ISSUER_ID}#key-1")
    yield case(name, "Another issuer goes on, under the same key.", made, "ISSUER_CHANGED")
    name = "issuer-changes-with-key"
    made = chain(name, 2, {2: setting("/issuer/id", "did:agent:other")}, keys={2: SECOND})
    made[1] = put(made[1], "/proof/verificationMethod", f"{ISSUER_ID}#key-1")
    why = "Another trusted issuer goes on with the chain, under its own key."
    trust = trust_file((ISSUER_ID, FIRST.did, None, None),
                       ("did:agent:other", SECOND.did, None, None))  # fmt: skip
    yield case(name, why, made, "ISSUER_CHANGED", "KEY_CHANGED", trust=trust)
