# SPDX-License-Identifier: Apache-2.0
"""A monitor: an honest log is in order, whatever its clock does; each lie becomes evidence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from tests import logs
from tests.served_log import KEYS, SHEET, START_S, VKEY, ServedLog

from tallystick.crypto.note import sign_note
from tallystick.errors import LogFormatError, NoteSignatureError
from tallystick.model.tile import encode_bundle
from tallystick.verify.fraud import judge
from tallystick.watch.monitor import Look, Monitor
from tallystick.watch.seen import Seen
from tallystick.watch.watched import promise_in_answer

BUNDLE: Final = "tile/entries/000.p/13"


def another_bundle(log: ServedLog) -> bytes:
    """Return a bundle that is not that of the log's tree."""
    return encode_bundle([*log.entries[:11], log.entry("x"), log.entries[12]])


class Watch:
    """A monitor of a test, with what it saved, and a clock that is the log's."""

    def __init__(self, log: ServedLog, seen: Seen | None = None) -> None:
        self.log = log
        self.saved: list[Seen] = []
        self.monitor = Monitor(
            self,
            VKEY,
            seen,
            save=self.saved.append,
            clock_s=lambda: self.log.now_s,
            silent_after_s=60,
        )

    def get(self, path: str, /) -> bytes | None:
        """Read whichever log is shown now."""
        return self.log.get(path)

    def hold(self, *receipt_ids: str) -> None:
        """Give the promises of these receipts to the monitor."""
        answers = [self.log.answers[one] for one in receipt_ids]
        self.monitor.watch([promise_in_answer(one, SHEET) for one in answers])

    def in_order(self) -> Look:
        """Look, and expect nothing wrong."""
        look = self.monitor.look()
        assert not look.frauds
        assert not look.alarms
        return look

    def convicts(self, kind: str) -> None:
        """Look, and expect evidence of one kind that anybody's judge calls proven."""
        look = self.monitor.look()
        assert [one.kind for one in look.frauds] == [kind], look.alarms
        judgement = judge(look.frauds[0].evidence, VKEY)
        assert judgement.is_proven
        assert judgement.kind == kind

    def alarmed(self, words: str) -> None:
        """Look, and expect no evidence, but a word of warning."""
        look = self.monitor.look()
        assert not look.frauds
        assert any(words in one for one in look.alarms), look.alarms


@pytest.mark.parametrize("steps", [(0,), (1,), (1, 1, 1), (255, 1, 1), (256, 300), (700, 0, 5)])
def test_an_honest_log_is_in_order(steps: tuple[int, ...]) -> None:
    """However a log grows, each look ends at its size, and the memory is that of the tree."""
    log = ServedLog()
    watch = Watch(log)
    for count in steps:
        log.passes(1).fill(count).release()
        look = watch.in_order()
        assert look.grown == count
    assert watch.saved[-1].spoken.size == sum(steps)
    assert watch.saved[-1].tree().root() == log.root()


def test_a_monitor_goes_on_where_it_was() -> None:
    """With the memory of another run, only what is new is read."""
    log = ServedLog().fill(300)
    log.release()
    first = Watch(log)
    first.in_order()
    log.passes(1).fill(20).release()
    log.missing.add("tile/entries/000")
    assert Watch(log, first.saved[-1]).in_order().grown == 20


def test_kept_promises_are_forgotten() -> None:
    """A promise is watched until the log has kept it; then it is counted and forgotten."""
    log = ServedLog().fill(3)
    log.take("a", "b", "c")
    watch = Watch(log)
    watch.hold("a", "c")
    assert watch.in_order().kept == 0
    log.passes(1).release()
    assert watch.in_order().kept == 2
    assert watch.in_order().kept == 0


def test_a_dropped_receipt_convicts_when_the_log_grows() -> None:
    """A promised receipt is left out and another takes its place: broken/position."""
    log = ServedLog().fill(9)
    log.promise("dropped")
    watch = Watch(log)
    watch.hold("dropped")
    log.passes(1).fill(4).release()
    watch.convicts("broken/position")


def test_a_dropped_receipt_convicts_when_the_log_stands_still() -> None:
    """A promised receipt never comes, nor does any other: broken/overdue, from its time on."""
    log = ServedLog().fill(9)
    log.release()
    log.promise("dropped")
    watch = Watch(log)
    watch.hold("dropped")
    log.passes(4).release()
    watch.in_order()
    log.passes(1).release()
    watch.convicts("broken/overdue")


def test_swapped_receipts_convict() -> None:
    """Two receipts change their places before they are shown: broken/position for each."""
    log = ServedLog().fill(5)
    log.take("a", "b", "c", "d")
    watch = Watch(log)
    watch.hold("b", "d")
    log.entries[6], log.entries[8] = log.entries[8], log.entries[6]
    log.passes(1).release()
    look = watch.monitor.look()
    assert [one.kind for one in look.frauds] == ["broken/position"] * 2


def test_one_index_promised_twice_convicts() -> None:
    """Two clients hold promises of one index for two receipts: double-promise."""
    log = ServedLog().fill(5)
    log.promise("a", "b")
    log.promise("c")
    watch = Watch(log)
    watch.in_order()
    watch.hold("a", "c")
    watch.convicts("double-promise")


@pytest.mark.parametrize(("old", "more"), [(1, 1), (8, 4), (200, 100), (256, 1), (257, 300)])
def test_a_rewritten_past_convicts(old: int, more: int) -> None:
    """A log that grew from another past than it has shown: fork/prefix."""
    log = ServedLog().fill(old)
    log.release()
    watch = Watch(log)
    watch.in_order()
    log.entries[old // 2] = log.entry("another", START_S)
    log.passes(1).fill(more).release()
    watch.convicts("fork/prefix")


def test_two_trees_of_one_size_convict() -> None:
    """The same size is shown with another root: fork/same-size."""
    log = ServedLog().fill(10)
    log.release()
    watch = Watch(log)
    watch.in_order()
    log.entries[3] = log.entry("another", START_S)
    log.passes(1).release()
    watch.convicts("fork/same-size")


@pytest.mark.parametrize(("ours", "theirs"), [(20, 9), (9, 9), (9, 20)])
def test_what_others_were_shown_is_compared(ours: int, theirs: int) -> None:
    """A log with one face for us and one for others is convicted, whichever grew faster."""
    log = ServedLog().fill(5)
    log.release()
    other = log.copy()
    watch = Watch(log)
    watch.in_order()
    log.passes(1).fill(ours - 5, "ours").release()
    heard = other.passes(1).fill(theirs - 5, "theirs").release()
    watch.monitor.hear(heard)
    if theirs > ours:
        watch.in_order()  # it may be that the log just grew on: ours has to catch up
        log.passes(1).fill(30, "ours").release()
    watch.convicts("fork/same-size" if ours == theirs else "fork/prefix")


def test_what_others_were_shown_agrees() -> None:
    """Checkpoints of one honest log convict nobody, older or newer."""
    log = ServedLog().fill(5)
    early = log.release()
    watch = Watch(log)
    watch.in_order()
    log.passes(1).fill(9).release()
    late = log.copy().passes(1).fill(9).release()
    watch.monitor.hear(early)
    watch.monitor.hear(late)
    watch.in_order()
    log.passes(1).fill(9).release()
    assert watch.in_order().grown == 9


def test_a_log_that_forgot_convicts() -> None:
    """A smaller tree with a later time: rollback."""
    log = ServedLog().fill(10)
    log.release()
    watch = Watch(log)
    watch.in_order()
    del log.entries[6:]
    log.passes(1).release()
    watch.convicts("rollback")


def test_an_old_checkpoint_convicts_nobody() -> None:
    """What a cache shows late is told, and is no evidence."""
    log = ServedLog().fill(10)
    log.release()
    old = log.copy()
    watch = Watch(log)
    watch.in_order()
    log.passes(1).fill(3).release()
    watch.in_order()
    watch.log = old
    watch.alarmed("earlier time")


def test_a_backdated_receipt_convicts() -> None:
    """An entry claims a time at which the log had already said that it was smaller: backdated."""
    log = ServedLog().fill(10).passes(10)
    log.release()
    watch = Watch(log)
    watch.in_order()
    log.entries.append(log.entry("late", log.now_s - 5))
    log.passes(1).release()
    watch.convicts("backdated")


def test_a_slow_but_honest_log_is_not_backdated() -> None:
    """Within its delay a log may show an entry later than it took it."""
    log = ServedLog().fill(10).passes(10)
    log.release()
    watch = Watch(log)
    watch.in_order()
    log.entries.append(log.entry("late", log.now_s - 4.5))
    log.passes(1).release()
    watch.in_order()


def test_a_receipt_from_the_future_convicts() -> None:
    """An entry claims a time after its checkpoint: postdated."""
    log = ServedLog().fill(10)
    log.entries.append(log.entry("early", log.now_s + 1))
    log.release()
    Watch(log).convicts("postdated")


@pytest.mark.parametrize("looks_before", [False, True])
def test_times_out_of_order_convict(looks_before: bool) -> None:
    """An entry is older than the one before it: disorder, also where a look came in between."""
    log = ServedLog().fill(10)
    watch = Watch(log)
    if looks_before:
        log.release()
        watch.in_order()
    log.entries.append(log.entry("late", log.now_s - 0.5))
    log.release()
    watch.convicts("disorder")


def test_evidence_needs_no_tiles_of_new_leaves() -> None:
    """A log that hides its tiles is convicted of what its entries say, all the same."""
    log = ServedLog().fill(300).passes(10)
    log.release()
    watch = Watch(log)
    watch.in_order()
    log.fill(3)
    log.entries.append(log.entry("late", log.now_s - 5))
    log.passes(1).fill(3).release()
    log.missing |= {"tile/0/000", "tile/0/001.p/51", "tile/1/000.p/1", "tile/0/001"}
    look = watch.monitor.look()
    assert {one.kind for one in look.frauds} == {"backdated", "disorder"}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda log: log.missing.add("checkpoint"), "no checkpoint"),
        (lambda log: log.missing.add(BUNDLE), "does not serve"),
        (lambda log: log.entries.pop(2), "does not serve"),
        (lambda log: log.entries.__setitem__(11, log.entry("x")), "do not lead to the root"),
        (lambda log: log.instead.update({BUNDLE: another_bundle(log)}), "are not those of its"),
        (lambda log: log.instead.update({BUNDLE: b"\0\1"}), "bundle"),
        (lambda log: log.passes(61), "silent"),
        (lambda log: log.passes(-61), "ahead"),
        (lambda log: setattr(log, "checkpoint", b"gone"), "note"),
    ],
)
def test_what_proves_nothing_is_an_alarm(spoil: Callable[[ServedLog], object], words: str) -> None:
    """A log that is silent, broken or partly gone is no fraud, and is not in order either."""
    log = ServedLog().fill(10)
    log.release()
    watch = Watch(log)
    watch.in_order()
    log.passes(1).fill(3).release()
    spoil(log)
    watch.alarmed(words)
    if words not in ("silent", "ahead"):
        assert watch.saved[-1].spoken.size == 10  # nothing of it is remembered


def test_another_sheet_is_an_alarm() -> None:
    """One origin has one sheet for ever: the first one counts, and the change is told."""
    log = ServedLog().fill(3)
    log.release()
    first = Watch(log)
    first.in_order()
    other = SHEET.encode().replace("max-delay-ms 5000", "max-delay-ms 9000")
    log.sheet = sign_note(other, [logs.LOG_KEY])
    Watch(log, first.saved[-1]).alarmed("another sheet")
    first.alarmed("another sheet")  # also of a monitor that has run since


def test_a_checkpoint_without_time_is_refused() -> None:
    """A log that does not sign its time can't be held to it."""
    log = ServedLog()
    text = log.release().decode().partition("\n\n")[0] + "\n"
    log.checkpoint = sign_note(text, [logs.LOG_KEY])
    Watch(log).alarmed("without the time")


def test_strangers_are_not_heard() -> None:
    """A checkpoint or promise that this log did not sign is refused at once."""
    log = ServedLog().fill(3)
    watch = Watch(log)
    text = log.release().decode().partition("\n\n")[0] + "\n"
    with pytest.raises(NoteSignatureError):
        watch.monitor.hear(sign_note(text, [logs.WITNESS_KEY], time_s=START_S))
    answer = log.take("a")[0].replace(b"range 3 4", b"range 3 5")
    with pytest.raises((LogFormatError, NoteSignatureError)):
        promise_in_answer(answer, SHEET)


def test_clock_steps_of_an_honest_log_convict_nobody() -> None:
    """An honest log whose clock jumps back keeps its time line: monitors see nothing wrong."""
    log = ServedLog()
    watch = Watch(log)
    for step in (1, -30, 2, -1, 40, 0):
        # What a collector does: neither entries nor checkpoints go back.
        log.now_s = max(log.now_s, log.now_s + step)
        log.fill(7).release()
        watch.in_order()


def test_the_sheet_binds_keys_of_this_log() -> None:
    """The keys that tests sign with are those that a collector would have made."""
    assert KEYS.vkey == VKEY.encode()
    assert KEYS.origin == SHEET.origin
