# SPDX-License-Identifier: Apache-2.0
"""Evidence against a log: each kind as it convicts, and as it is tried against an honest log."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tools.corpus.log_making import (
    LOG,
    MAX_DELAY_MS,
    ORIGIN,
    START_MS,
    STRANGER,
    b64,
    between,
    checkpoint,
    entries,
    entry,
    key_text,
    leaves,
    path,
    promise,
    receipts,
    root,
    sha,
    sheet,
)
from tools.corpus.making import Json

START_S = START_MS // 1000
# The log with another sixth entry, and the log with a lie about time at its end.
OTHER = entry(receipts()[9], START_MS + 1000)
FORKED = [*leaves()[:5], sha(b"\0" + OTHER), *leaves()[6:11]]


@dataclass(frozen=True, kw_only=True)
class EvidenceCase:
    """One piece of evidence, and what a judge finds."""

    kind: str = "evidence"
    name: str
    why: str
    outcome: str
    told: Json

    def contents(self) -> dict[str, bytes]:
        """Return both files of the case's folder."""
        expected = {"why": self.why, "outcome": self.outcome, "vkey": key_text(ORIGIN, 1, LOG)}
        files = {"expect.json": expected, "evidence.json": self.told}
        return {
            name: json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
            for name, value in files.items()
        }


def cases() -> Iterator[EvidenceCase]:
    """Yield all of them."""
    for part in (_forks, _promises, _times, _orders, _malformed):
        yield from part()


def _told(kind: str, **parts: Any) -> Json:
    return {"type": "tally-fraud/v1", "kind": kind, "sheet": sheet().decode(), **parts}


def _notes(*notes: bytes) -> list[str]:
    return [one.decode() for one in notes]


def _proven(name: str, why: str, told: Json) -> EvidenceCase:
    return EvidenceCase(name=name, why=why, outcome="proven", told=told)


def _not_proven(name: str, why: str, told: Json) -> EvidenceCase:
    return EvidenceCase(name=name, why=why, outcome="not proven", told=told)


def _bad(name: str, why: str, told: Json) -> EvidenceCase:
    return EvidenceCase(name=name, why=why, outcome="malformed", told=told)


def _leaf(at: int, index: int, tree: Sequence[bytes], data: bytes | None = None) -> Json:
    what = {"hash": b64(tree[index])} if data is None else {"entry": b64(data)}
    return {
        "checkpoint": at,
        "index": index,
        "path": [b64(one) for one in path(tree, index)],
    } | what


def _forks() -> Iterator[EvidenceCase]:
    honest, forked = leaves(), FORKED
    two = _notes(checkpoint(8), checkpoint(8, head=root(forked[:8])))
    yield _proven("same-size", "Two roots for one size.", _told("fork/same-size", checkpoints=two))
    same = _notes(checkpoint(8, time_s=START_S), checkpoint(8, time_s=START_S + 9))
    yield _not_proven(
        "same-size-signed-twice", "A log signs one size again when it is idle.",
        _told("fork/same-size", checkpoints=same),
    )  # fmt: skip
    larger = _notes(checkpoint(7), checkpoint(11, head=root(forked)))
    prefix = {"root": b64(root(forked[:7])), "path": [b64(one) for one in between(forked, 7)]}
    yield _proven(
        "prefix", "The larger tree begins with another one.",
        _told("fork/prefix", checkpoints=larger, prefix=prefix),
    )  # fmt: skip
    prefix = {"root": b64(root(honest[:7])), "path": [b64(one) for one in between(honest, 7)]}
    true = _notes(checkpoint(7), checkpoint(11))
    yield _not_proven(
        "prefix-of-an-honest-log", "It begins with the one that was signed.",
        _told("fork/prefix", checkpoints=true, prefix=prefix),
    )  # fmt: skip
    both = [_leaf(0, 5, honest[:8]), _leaf(1, 5, forked)]
    pair = _notes(checkpoint(8), checkpoint(11, head=root(forked)))
    yield _proven(
        "leaf", "Two leaves at one index.", _told("fork/leaf", checkpoints=pair, leaves=both)
    )
    both = [_leaf(0, 5, honest[:8]), _leaf(1, 6, honest)]
    yield _not_proven(
        "leaf-at-another-index", "Two leaves at two indexes.",
        _told("fork/leaf", checkpoints=_notes(checkpoint(8), checkpoint(11)), leaves=both),
    )  # fmt: skip


def _promises() -> Iterator[EvidenceCase]:
    own = {"promises": _notes(promise(5)), "promised": [b64(leaves()[5])]}
    replaced = _notes(checkpoint(8, head=root(FORKED[:8])))
    yield _proven(
        "position", "Another leaf stands where one was promised.",
        _told("broken/position", **own, checkpoints=replaced, leaves=[_leaf(0, 5, FORKED[:8])]),
    )  # fmt: skip
    kept = _notes(checkpoint(8))
    yield _not_proven(
        "position-kept", "The promised leaf stands there.",
        _told("broken/position", **own, checkpoints=kept, leaves=[_leaf(0, 5, leaves()[:8])]),
    )  # fmt: skip
    invented = own | {"promised": [b64(FORKED[5])]}
    yield _not_proven(
        "position-invented", "Nobody promised that leaf.",
        _told("broken/position", **invented, checkpoints=kept, leaves=[_leaf(0, 5, leaves()[:8])]),
    )  # fmt: skip
    files = {"promises": own["promises"]}
    due_s = START_S + 1 + MAX_DELAY_MS // 1000
    for name, size, time_s, outcome in (
        ("overdue", 7, due_s, "proven"),
        ("overdue-a-second-early", 7, due_s - 1, "not proven"),
        ("overdue-and-there", 8, due_s, "not proven"),
        ("overdue-untimed", 7, 0, "not proven"),
    ):
        note = _notes(checkpoint(size, time_s=time_s))
        told = _told("broken/overdue", **files, checkpoints=note)
        why = "A promise is due when its time has come, by the log's own clock."
        yield EvidenceCase(name=name, why=why, outcome=outcome, told=told)
    both = _notes(promise(5), promise(5, tree=FORKED))
    leaf_hashes = [b64(leaves()[5]), b64(FORKED[5])]
    yield _proven(
        "double-promise", "One index was promised to two leaves.",
        _told("double-promise", promises=both, promised=leaf_hashes),
    )  # fmt: skip
    twice = {"promises": own["promises"] * 2, "promised": own["promised"] * 2}
    yield _not_proven(
        "promise-shown-twice", "One promise is not two.", _told("double-promise", **twice)
    )


def _times() -> Iterator[EvidenceCase]:
    early, late = START_S + 10, START_S + 20
    for name, sizes, times, outcome in (
        ("rollback", (8, 7), (early, late), "proven"),
        ("rollback-in-one-second", (8, 7), (early, early), "not proven"),
        ("rollback-shown-backward", (8, 7), (late, early), "not proven"),
        ("rollback-untimed", (8, 7), (early, 0), "not proven"),
        ("rollback-that-grew", (7, 8), (early, late), "not proven"),
    ):
        pairs = zip(sizes, times, strict=True)
        notes = _notes(*(checkpoint(size, time_s=time_s) for size, time_s in pairs))
        why = "Only a later and smaller checkpoint goes back."
        told = _told("rollback", checkpoints=notes)
        yield EvidenceCase(name=name, why=why, outcome=outcome, told=told)
    said = entries()[8]  # of START_MS + 2000
    end = checkpoint(11)
    shown = [_leaf(1, 8, leaves(), said)]
    for name, time_s, outcome in (
        ("backdated", START_S + 7, "proven"),
        ("backdated-within-the-delay", START_S + 6, "not proven"),
    ):
        notes = _notes(checkpoint(8, time_s=time_s), end)
        told = _told("backdated", checkpoints=notes, leaves=shown)
        why = "An entry that was not there yet says that it was taken before."
        yield EvidenceCase(name=name, why=why, outcome=outcome, told=told)
    for name, time_s, outcome in (
        ("postdated", START_S + 1, "proven"),
        ("postdated-in-one-second", START_S + 2, "not proven"),
    ):
        told = _told(
            "postdated",
            checkpoints=_notes(checkpoint(11, time_s=time_s)),
            leaves=[_leaf(0, 8, leaves(), said)],
        )
        why = "An entry says a time that had not come when the log signed it."
        yield EvidenceCase(name=name, why=why, outcome=outcome, told=told)


def _orders() -> Iterator[EvidenceCase]:
    mixed = [*entries()[:3], entry(receipts()[3], START_MS + 1), *entries()[4:7]]
    mixed = [*mixed, entry(receipts()[7], START_MS)]
    tree = [sha(b"\0" + one) for one in mixed]
    note = _notes(checkpoint(8, head=root(tree)))
    for name, order, outcome in (
        ("disorder", (3, 7), "proven"),
        ("disorder-shown-backward", (7, 3), "not proven"),
        ("disorder-of-one-time", (4, 5), "not proven"),
    ):
        shown = [_leaf(0, index, tree, mixed[index]) for index in order]
        told = _told("disorder", checkpoints=note, leaves=shown)
        why = "Times of entries never run backward."
        yield EvidenceCase(name=name, why=why, outcome=outcome, told=told)


def _malformed() -> Iterator[EvidenceCase]:
    two = _notes(checkpoint(8), checkpoint(8, head=root(FORKED[:8])))
    good = _told("fork/same-size", checkpoints=two)
    foreign = checkpoint(8, head=root(FORKED[:8]), key=STRANGER)
    elsewhere = checkpoint(8, head=root(FORKED[:8]), origin="log.example/2")
    for name, why, told in (
        ("unknown-kind", "No kind that has a rule.", good | {"kind": "fork"}),
        ("unknown-member", "The schema is closed.", good | {"note": "trust me"}),
        ("own-key", "A file can't say whom to trust.", good | {"vkey": key_text(ORIGIN, 1, LOG)}),
        ("one-checkpoint", "One is missing.", good | {"checkpoints": two[:1]}),
        ("a-part-too-much", "Other kinds have promises.", good | {"promises": []}),
        (
            "stranger",
            "One is not the log's word.",
            good | {"checkpoints": [two[0], foreign.decode()]},
        ),
        ("another-origin", "Another log.", good | {"checkpoints": [two[0], elsewhere.decode()]}),
        ("sheet-of-a-stranger", "Another sheet.", good | {"sheet": sheet(STRANGER).decode()}),
    ):
        yield _bad(name, why, told)
    inner = [_leaf(0, 0, leaves()[:8]), _leaf(1, 0, leaves())]
    inner[0] |= {"hash": b64(root(leaves()[:2])), "path": inner[0]["path"][1:]}
    pair = _notes(checkpoint(8), checkpoint(11))
    yield _bad(
        "inner-node-as-leaf", "A path of another length leads from no leaf.",
        _told("fork/leaf", checkpoints=pair, leaves=inner),
    )  # fmt: skip
