# SPDX-License-Identifier: Apache-2.0
"""What a log gives out about a receipt, or about its history: sound and unsound."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from tools.corpus.log_making import (
    LOG,
    MAX_DELAY_MS,
    ORIGIN,
    START_MS,
    STRANGER,
    LogCase,
    b64,
    between,
    checkpoint,
    consistency,
    entries,
    entry,
    key_text,
    leaves,
    note,
    path,
    promise,
    proof,
    receipts,
    root,
    sha,
    sheet,
)
from tools.corpus.making import Json, put, spell


def cases() -> Iterator[LogCase]:
    """Yield all of them."""
    for module in _PARTS:
        yield from module()


def _case(name: str, why: str, files: dict[str, bytes], *codes: str, **more: Any) -> LogCase:
    return LogCase(name=name, why=why, files=files, codes=codes, **more)


def _files(index: int = 5, /, **files: bytes) -> dict[str, bytes]:
    return {"receipt.json": spell(receipts()[index]) + b"\n", **files}


def _place(index: int, size: int, time_ms: int = START_MS + 1000) -> Json:
    return {"index": index, "size": size, "time_ms": time_ms}


def _included() -> Iterator[LogCase]:
    stated = entries()[5]
    for size in (8, 11):
        yield _case(
            f"included-in-{size}", "The proof states the entry, and leads to the signed root.",
            _files(proof=proof(5, size, extra=stated)), place=_place(5, size),
        )  # fmt: skip
    yield _case(
        "included-in-one", "A tree of one entry needs no path.",
        _files(0, proof=proof(0, 1, extra=entries()[0])), place=_place(0, 1, START_MS),
    )  # fmt: skip
    backward = json.dumps(dict(reversed(receipts()[5].items())), indent=1).encode()
    yield _case(
        "included-spelled-otherwise", "Order and white space are no part of a receipt.",
        {"receipt.json": backward, "proof": proof(5, 8, extra=stated)}, place=_place(5, 8),
    )  # fmt: skip
    yield _case(
        "no-entry", "Without its time the entry can't be computed.",
        _files(proof=proof(5, 8)), "LOG_ENTRY_MISSING",
    )  # fmt: skip
    yield _case("no-proof", "A receipt alone shows nothing.", _files(), "LOG_PROOF_MISSING")


def _of_another() -> Iterator[LogCase]:
    stated = entries()[5]
    altered = put(receipts()[5], "/credentialSubject/action/risk_level", "high")
    yield _case(
        "altered-receipt", "Another receipt under the same id is not what was logged.",
        {"receipt.json": spell(altered), "proof": proof(5, 8, extra=stated)},
        "LOG_ENTRY_MISMATCH",
    )  # fmt: skip
    resigned = put(receipts()[5], "/proof/created", "2030-01-02T05:00:00.000Z")
    yield _case(
        "altered-proof", "The entry commits to the proof of the receipt too.",
        {"receipt.json": spell(resigned), "proof": proof(5, 8, extra=stated)},
        "LOG_ENTRY_MISMATCH",
    )  # fmt: skip
    nulled = put(receipts()[5], "/credentialSubject/intent", None)
    yield _case(
        "null-added", "A null is part of what was received: entries are from before the null rule.",
        {"receipt.json": spell(nulled), "proof": proof(5, 8, extra=stated)},
        "LOG_ENTRY_MISMATCH",
    )  # fmt: skip
    wrong_time = entry(receipts()[5], START_MS + 1001)
    yield _case(
        "stated-at-another-time", "The stated entry is of this receipt, and stands nowhere.",
        _files(proof=proof(5, 8, extra=wrong_time)), "LOG_NOT_INCLUDED",
    )  # fmt: skip
    yield _case(
        "stated-of-another", "The proof states the entry of another receipt, of another time.",
        _files(proof=proof(5, 8, extra=entries()[9])), "LOG_ENTRY_MISMATCH",
    )  # fmt: skip
    yield _case(
        "stated-time-alone", "Of what the proof states, only the time is used: the path decides.",
        _files(proof=proof(5, 8, extra=entries()[6])), place=_place(5, 8),
    )  # fmt: skip


def _by_another_path() -> Iterator[LogCase]:
    stated = entries()[5]
    head = root(leaves()[:7])
    yield _case(
        "path-of-another-size", "Paths pass under claimed sizes too; only the signed one counts.",
        _files(proof=proof(5, 7, extra=stated, hashes=path(leaves()[:8], 5),
                           own=checkpoint(7, head=head))), "LOG_NOT_INCLUDED",
    )  # fmt: skip
    hashes = path(leaves()[:8], 5)
    for name, wrong in (
        ("path-cut", hashes[:-1]),
        ("path-extended", [*hashes, hashes[0]]),
        ("path-reordered", hashes[::-1]),
    ):
        yield _case(
            name, "Not the path from this leaf.",
            _files(proof=proof(5, 8, extra=stated, hashes=wrong)), "LOG_NOT_INCLUDED",
        )  # fmt: skip


def _promised() -> Iterator[LogCase]:
    own = {"promise": promise(5), "sheet": sheet()}
    yield _case(
        "promise-kept", "The entry stands where it was promised.",
        _files(**own, proof=proof(5, 8)), place=_place(5, 8),
    )  # fmt: skip
    yield _case(
        "promise-kept-later", "In every larger tree too.",
        _files(**own, proof=proof(5, 11), checkpoint=checkpoint(11, time_s=START_MS // 1000 + 60)),
        place=_place(5, 11),
    )  # fmt: skip
    yield _case(
        "promise-alone", "Sound, and nothing shows that it was kept.", _files(**own),
        "LOG_PROMISE_PENDING",
    )  # fmt: skip
    early = checkpoint(4, time_s=START_MS // 1000 + 5)
    yield _case(
        "promise-not-due", "A second before `by` a small tree is no broken promise.",
        _files(**own, checkpoint=early), "LOG_PROMISE_PENDING",
    )  # fmt: skip
    yield _case(
        "promise-due-untimed", "Without the log's time nobody knows when this was.",
        _files(**own, checkpoint=checkpoint(4)), "LOG_PROMISE_PENDING",
    )  # fmt: skip
    yield _case(
        "promise-covered", "The tree has grown past the entry: a proof would show it.",
        _files(**own, checkpoint=checkpoint(8, time_s=START_MS // 1000 + 60)), "LOG_PROOF_MISSING",
    )  # fmt: skip
    yield _case(
        "promise-without-sheet", "Without the sheet nobody knows the promise key.",
        _files(promise=promise(5)), "LOG_PROOF_MISSING",
    )  # fmt: skip
    yield _case(
        "promise-for-another", "The promise is for entry 6.",
        _files(promise=promise(6), sheet=sheet(), proof=proof(5, 8, extra=entries()[5])),
        "LOG_PROMISE_MISMATCH", place=_place(5, 8),
    )  # fmt: skip
    yield _case(
        "promise-moved", "The file names another index than the path leads from.",
        _files(promise=promise(5, hole=1), sheet=sheet()), "LOG_PROMISE_MISMATCH",
    )  # fmt: skip
    yield _case(
        "promise-and-proof-of-another-place", "A proof of entry 6 does not show entry 5.",
        _files(**own, proof=proof(6, 8)), "LOG_NOT_INCLUDED",
    )  # fmt: skip


def _broken() -> Iterator[LogCase]:
    own = {"promise": promise(5), "sheet": sheet()}
    late = checkpoint(4, time_s=START_MS // 1000 + 6)
    yield _case(
        "promise-overdue", "At `by` the tree still ends before the promised range does.",
        _files(**own, checkpoint=late), "LOG_PROMISE_BROKEN",
    )  # fmt: skip
    partly = checkpoint(6, time_s=START_MS // 1000 + 6)
    yield _case(
        "promise-overdue-in-part", "The entry is there, and the rest of what was promised is not.",
        _files(**own, checkpoint=partly), "LOG_PROMISE_BROKEN",
    )  # fmt: skip
    other = entry(receipts()[9], START_MS + 1000)
    forged = [*leaves()[:5], sha(b"\0" + other), *leaves()[6:8]]
    swapped = proof(5, 8, extra=other, hashes=path(forged, 5), own=checkpoint(8, head=root(forged)))
    yield _case(
        "promise-replaced", "Another entry stands where this one was promised.",
        _files(**own, proof=swapped), "LOG_PROMISE_BROKEN",
    )  # fmt: skip


def _two(old: bytes, new: bytes, **more: bytes) -> dict[str, bytes]:
    return {"old": old, "new": new, **more}


def _histories() -> Iterator[LogCase]:
    for old, new in ((4, 8), (5, 11), (1, 11), (8, 11)):
        yield _case(
            f"history-{old}-to-{new}", "The larger tree begins with the smaller one.",
            _two(checkpoint(old), checkpoint(new), consistency=consistency(old, new)),
            place={"size": new},
        )  # fmt: skip
    yield _case(
        "history-turned-round", "Which of two is older, their sizes say.",
        _two(checkpoint(8), checkpoint(4), consistency=consistency(4, 8)), place={"size": 8},
    )  # fmt: skip
    yield _case(
        "history-same", "One size, one root, two times: no proof is needed.",
        _two(checkpoint(8, time_s=9), checkpoint(8, time_s=19)), place={"size": 8},
    )  # fmt: skip
    yield _case(
        "history-from-nothing", "Every log begins with the empty one.",
        _two(checkpoint(0), checkpoint(8)), place={"size": 8},
    )  # fmt: skip
    yield _case(
        "history-without-proof", "Two sizes say nothing by themselves.",
        _two(checkpoint(4), checkpoint(8)), "LOG_PROOF_MISSING",
    )  # fmt: skip


def _two_histories() -> Iterator[LogCase]:
    forged = [*leaves()[:3], sha(b"\0evil"), *leaves()[4:8]]
    yield _case(
        "history-forked", "Two roots for one size.",
        _two(checkpoint(8), checkpoint(8, head=root(forged))), "LOG_INCONSISTENT",
    )  # fmt: skip
    yield _case(
        "history-rewritten", "The larger tree begins with another one: its own path shows that.",
        _two(checkpoint(4), checkpoint(8, head=root(forged)),
            consistency=consistency(4, 8, path=[b64(one) for one in between(forged, 4)])),
        "LOG_NOT_CONSISTENT",
    )  # fmt: skip
    yield _case(
        "history-of-other-sizes", "The proof is about other sizes.",
        _two(checkpoint(4), checkpoint(8), consistency=consistency(4, 11)), "LOG_MALFORMED",
    )  # fmt: skip
    shrunk = _two(checkpoint(8, time_s=20), checkpoint(4, time_s=21), sheet=sheet())
    yield _case(
        "history-shrunk", "Later by the log's own time, and smaller.", shrunk, "LOG_INCONSISTENT"
    )  # fmt: skip
    yield _case(
        "history-of-another-origin", "The same key under another origin is another log.",
        _two(checkpoint(4), checkpoint(8, origin="log.example/2"), consistency=consistency(4, 8)),
        "LOG_MALFORMED",
    )  # fmt: skip
    yield _case(
        "history-of-a-stranger", "One of both is not signed by the log.",
        _two(checkpoint(4), checkpoint(8, key=STRANGER), consistency=consistency(4, 8)),
        "LOG_SIGNATURE",
    )  # fmt: skip
    for name, path_text in (("spelled", ["AB=="]), ("too-long", [b64(bytes(32))] * 65)):
        yield _case(
            f"history-path-{name}", "Not a path that any tree has.",
            _two(checkpoint(4), checkpoint(8), consistency=consistency(4, 8, path=path_text)),
            "LOG_MALFORMED",
        )  # fmt: skip


def _not_their_word() -> Iterator[LogCase]:
    stated = entries()[5]
    foreign = proof(5, 8, extra=stated, own=checkpoint(8, key=STRANGER))
    yield _case(
        "proof-of-a-stranger", "The checkpoint is not signed by the log.",
        _files(proof=foreign), "LOG_SIGNATURE",
    )  # fmt: skip
    yield _case(
        "another-log", "The reader trusts another key.", _files(proof=proof(5, 8, extra=stated)),
        "LOG_SIGNATURE", vkey=key_text(ORIGIN, 1, STRANGER),
    )  # fmt: skip
    yield _case(
        "promise-of-a-stranger", "The promise is not signed by the sheet's key.",
        _files(promise=promise(5, key=STRANGER), sheet=sheet()), "LOG_SIGNATURE",
    )  # fmt: skip
    yield _case(
        "sheet-of-a-stranger", "The sheet is not signed by the log.",
        _files(promise=promise(5), sheet=sheet(STRANGER)), "LOG_SIGNATURE",
    )  # fmt: skip
    yield _case(
        "promise-beyond-the-delay", "The sheet allows no such time.",
        _files(promise=promise(5, by_ms=MAX_DELAY_MS + 1), sheet=sheet()), "LOG_MALFORMED",
    )  # fmt: skip
    yield _case(
        "sheet-of-other-entries", "Entries of another format are not ours to read.",
        _files(promise=promise(5), sheet=sheet(**{"entry-format": "tally-entry/v2"})),
        "LOG_MALFORMED",
    )  # fmt: skip
    whole = proof(5, 8, extra=stated)
    for name, wrong in (
        ("proof-with-line-ends-of-two", whole.replace(b"\n", b"\r\n")),
        ("proof-index-spelled", whole.replace(b"index 5", b"index 05")),
        ("proof-cut-off", whole[:-1]),
        ("proof-entry-cut-off", proof(5, 8, extra=stated[:-1])),
        ("proof-note-extended", proof(5, 8, extra=stated, own=_extended())),
    ):
        yield _case(name, "Not in the one form.", _files(proof=wrong), "LOG_MALFORMED")


def _extended() -> bytes:
    text = f"{ORIGIN}\n8\n{b64(root(leaves()[:8]))}\nmore\n"
    return note(text, (ORIGIN, 1, LOG))


def _not_receipts() -> Iterator[LogCase]:
    shown = proof(5, 8, extra=entries()[5])
    whole = spell(receipts()[5])
    for name, data, code in (
        ("receipt-twice", whole + b"\n" + whole, "MALFORMED_TRAILING_DATA"),
        ("receipt-none", b"", "MALFORMED_JSON"),
        ("receipt-in-an-array", b"[" + whole + b"]", "MALFORMED_NOT_OBJECT"),
        ("receipt-without-id", b"{}", "FIELD_MISSING"),
        ("receipt-with-a-number-as-id", b'{"id":5}', "FIELD_TYPE"),
        ("receipt-with-a-key-twice", b'{"id":"a",' + whole[1:], "MALFORMED_DUPLICATE_KEY"),
    ):
        files = {"receipt.json": data, "proof": shown}
        yield _case(name, "Not one receipt.", files, code)


_PARTS: Final = (
    _included, _of_another, _by_another_path, _promised, _broken, _histories, _two_histories,
    _not_their_word, _not_receipts,
)  # fmt: skip
