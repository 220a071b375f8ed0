# SPDX-License-Identifier: Apache-2.0
"""What remote signers have in common: pauses, faults, the pinned key, the check of each answer."""

from __future__ import annotations

import os
import random
import re
import signal
from itertools import count
from threading import Event, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.leaks import everything_shown_by

from tallystick.crypto.ed25519 import KeyPair
from tallystick.errors import (
    KeyMismatchError,
    KeySecretError,
    LimitError,
    MissingExtraError,
    SignerUnavailable,
    SigningError,
    how_to_install,
)
from tallystick.keys.remote import (
    Fault,
    Line,
    NamedKey,
    RemoteSigner,
    Retry,
    Unusable,
    fault_of,
    is_open_http,
    sound_key,
    sound_signature,
    vendor,
)
from tallystick.limits import REMOTE_ATTEMPTS_MAX, REMOTE_DEADLINE_MS_MAX
from tallystick.ports import Signer

PAIR = KeyPair.from_seed(bytes(range(32)))
OTHER = KeyPair.from_seed(bytes(range(1, 33)))
PUBLIC = PAIR.signing_key().public_key
TOKEN = "tok-9f31c2"


class Busy(Exception):
    """What a client might raise: it may help to ask again."""


class Denied(Exception):
    """What a client might raise: it won't."""


FAULTS = {"Busy": Fault("busy", is_transient=True), "Denied": Fault("denied")}


def judge(error: Exception) -> Fault:
    return fault_of(error, FAULTS)


class Time:
    """Time that passes only by sleeping, and dice that always show their highest."""

    def __init__(self, step_ms: int = 0) -> None:
        self.now_ns = 0
        self.step_ms = step_ms
        self.pauses: list[float] = []

    def clock(self) -> int:
        self.now_ns += self.step_ms * 1_000_000
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now_ns += round(seconds * 1e9)

    def retry(self, **settings: int) -> Retry:
        return Retry(sleep=self.sleep, clock=self.clock, dice=lambda: 1.0, **settings)


class Scripted:
    """A request that plays exceptions one after the other, and then answers."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.faults:
            raise self.faults.pop(0)
        return "answer"


def test_an_answer_is_returned() -> None:
    """Without a fault nothing waits."""
    time = Time()
    assert Line("S", judge, time.retry()).ask("thing", Scripted()) == "answer"
    assert time.pauses == []


def test_transient_faults_are_asked_again_with_growing_pauses() -> None:
    """Pauses double from the base up to the cap."""
    time = Time()
    request = Scripted(*[Busy()] * 6)
    line = Line("S", judge, time.retry(attempts=7, base_ms=50, cap_ms=400))
    assert line.ask("thing", request) == "answer"
    assert time.pauses == [0.05, 0.1, 0.2, 0.4, 0.4, 0.4]
    assert request.calls == 7


def test_attempts_end() -> None:
    """After the last attempt the fault is raised, and says how often was tried."""
    time = Time()
    request = Scripted(*[Busy()] * 9)
    with pytest.raises(SignerUnavailable, match=r"^S gave no thing: busy \(3 attempts\)$"):
        Line("S", judge, time.retry(attempts=3)).ask("thing", request)
    assert request.calls == 3


def test_the_deadline_ends_attempts() -> None:
    """No pause begins that would end after the deadline, however many attempts are left."""
    time = Time(step_ms=300)
    request = Scripted(*[Busy()] * 9)
    line = Line("S", judge, time.retry(attempts=9, base_ms=100, cap_ms=100, deadline_ms=1000))
    with pytest.raises(SignerUnavailable):
        line.ask("thing", request)
    assert request.calls == 3
    time, request = Time(), Scripted(*[Busy()] * 9)
    line = Line("S", judge, time.retry(attempts=9, base_ms=600, cap_ms=600, deadline_ms=1000))
    with pytest.raises(SignerUnavailable):
        line.ask("thing", request)
    assert time.pauses == [0.6]  # a second one would end at 1.2 seconds
    assert time.now_ns <= 1_600_000_000


def test_permanent_faults_are_not_asked_again() -> None:
    """One attempt, a SigningError that is not transient, no pause."""
    time = Time()
    request = Scripted(Denied())
    with pytest.raises(SigningError, match=r"^S gave no thing: denied$") as caught:
        Line("S", judge, time.retry()).ask("thing", request)
    assert not isinstance(caught.value, SignerUnavailable)
    assert (request.calls, time.pauses) == (1, [])


def test_unusable_answers() -> None:
    """An answer is judged by who reads it: damaged in transit, or simply wrong."""
    line = Line("S", judge, Time().retry())
    assert line.ask("thing", Scripted(Unusable("damaged", is_transient=True))) == "answer"
    with pytest.raises(SigningError, match="gave no thing: wrong"):
        line.ask("thing", Scripted(Unusable("wrong")))


def test_our_own_errors_pass() -> None:
    """An error of ours, raised while reading an answer, is neither judged nor repeated."""
    request = Scripted(KeyMismatchError("moved"))
    with pytest.raises(KeyMismatchError, match="moved"):
        Line("S", judge, Time().retry()).ask("thing", request)
    assert request.calls == 1


def test_other_errors_by_the_callers_choice() -> None:
    """Who asks for something that is no signature names the error."""

    def failure(text: str, is_transient: bool) -> KeySecretError:
        return KeySecretError(text, is_transient=is_transient)

    with pytest.raises(KeySecretError, match="busy") as caught:
        Line("S", judge, Time().retry(attempts=1)).ask("thing", Scripted(Busy()), failure)
    assert caught.value.is_transient


def test_nothing_foreign_gets_out() -> None:
    """Texts, arguments and chains of a client's exceptions may hold a credential: none is shown."""

    class Client(Exception):
        pass

    def request() -> str:
        try:
            raise Client(f"Authorization: Bearer {TOKEN}")
        except Client as error:
            raise Denied(f"said {TOKEN}") from error

    with pytest.raises(SigningError) as caught:
        Line("S", judge, Time().retry()).ask("thing", request)
    assert TOKEN not in everything_shown_by(caught.value)
    assert caught.value.__context__ is None


def test_interrupts_pass() -> None:
    """Control-C is no fault of the service."""

    def request() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Line("S", judge, Time().retry()).ask("thing", request)


@given(attempt=st.integers(1, REMOTE_ATTEMPTS_MAX), dice=st.floats(0, 1))
def test_pauses_are_jittered_and_bounded(attempt: int, dice: float) -> None:
    """A pause lies between nothing and the smaller of cap and doubled base."""
    retry = Retry(base_ms=50, cap_ms=1000, dice=lambda: dice)
    assert 0 <= retry.pause_ms(attempt) <= min(1000, 50 * 2 ** (attempt - 1))


def test_real_dice_differ() -> None:
    """By default the jitter comes from Python's random numbers."""
    assert Retry().dice == random.random
    assert len({Retry().pause_ms(4) for _ in range(50)}) > 40


@pytest.mark.parametrize(
    "settings",
    [
        {"attempts": 0},
        {"attempts": REMOTE_ATTEMPTS_MAX + 1},
        {"base_ms": -1},
        {"base_ms": 2000},
        {"cap_ms": 20_000},
        {"deadline_ms": REMOTE_DEADLINE_MS_MAX + 1},
    ],
)
def test_schedules_have_an_end(settings: dict[str, int]) -> None:
    """A schedule without bounds, or in disorder, is refused."""
    with pytest.raises(LimitError, match=r"is not 1 to|wanted: 0 <= base_ms"):
        Retry(**settings)  # type: ignore[arg-type]  # numbers, all of them


def test_the_nearest_class_counts() -> None:
    """A table names classes; the nearest ancestor that it names decides."""

    class BusyTwice(Busy):
        pass

    assert fault_of(BusyTwice(), FAULTS) == FAULTS["Busy"]
    unknown = fault_of(ZeroDivisionError(TOKEN), FAULTS)
    assert unknown == Fault("the client failed with ZeroDivisionError")


class Service(RemoteSigner):
    """A signer whose service is this test."""

    __slots__ = ("lookups", "pair", "signs_with")

    message_bytes_max = 100

    def __init__(self, pair: KeyPair = PAIR) -> None:
        super().__init__(Line("S", judge, Time().retry()))
        self.pair = self.signs_with = pair
        self.lookups = count(1)

    def _request_key(self) -> NamedKey:
        return NamedKey(f"key {next(self.lookups)}", self.pair.signing_key().public_key)

    def _request_signature(self, message: bytes, key: NamedKey) -> bytes:
        return self.signs_with.signing_key().sign(message)


def test_a_remote_signer_is_a_signer() -> None:
    """It keeps the port, looks its key up once, and keeps it."""
    signer = Service()
    assert isinstance(signer, Signer)
    assert signer.pinned_name is None
    signer.warm_up()
    assert signer.get_public_key() == PUBLIC
    assert signer.sign(b"x") == PAIR.signing_key().sign(b"x")
    signer.pair = OTHER
    assert signer.get_public_key() == PUBLIC
    assert signer.pinned_name == "key 1"


def test_another_keys_signature_is_refused() -> None:
    """A signature that is not by the pinned key is never returned."""
    signer = Service()
    signer.signs_with = OTHER
    with pytest.raises(SigningError, match="not by the key key 1"):
        signer.sign(b"x")


def test_anew_looks_up_again() -> None:
    """The new signer has the key of now; the old one keeps its own."""
    signer = Service()
    signer.warm_up()
    signer.pair = OTHER
    following = signer.anew()
    following.pair = following.signs_with = OTHER
    assert type(following) is Service
    assert following.get_public_key() == OTHER.signing_key().public_key
    assert signer.get_public_key() == PUBLIC


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # what the test is about
def test_a_child_that_forks_during_a_look_up() -> None:
    """The thread that holds the lock is not in the child, which asks for itself."""
    parent, began, may_end = os.getpid(), Event(), Event()

    class Slow(Service):
        __slots__ = ()

        def _request_key(self) -> NamedKey:
            if os.getpid() == parent:
                began.set()
                may_end.wait(20)
            return super()._request_key()

    signer = Slow()
    thread = Thread(target=signer.warm_up)
    thread.start()
    assert began.wait(20)
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        os._exit(0 if signer.get_public_key() == PUBLIC else 1)
    may_end.set()
    assert os.waitpid(child, 0)[1] == 0
    thread.join(20)


def test_size_is_judged_first() -> None:
    """A message over the service's limit is not sent; the error says what to do."""
    signer = Service()
    assert len(signer.sign(b"x" * 100)) == 64
    with pytest.raises(LimitError, match=r"at most 100 bytes.*SessionSigner"):
        signer.sign(b"x" * 101)


def test_repr_names_the_key() -> None:
    """Its name and fingerprint, once they are known."""
    signer = Service()
    assert repr(signer) == "Service(None, fingerprint=None)"
    signer.warm_up()
    assert repr(signer).startswith("Service('key 1', fingerprint='sha256:")


@pytest.mark.parametrize("key", [PUBLIC, PAIR.public_key])
def test_sound_keys(key: object) -> None:
    """Raw bytes and PEM are read; DER is what AWS sends, and is tried there."""
    assert sound_key(key) == PUBLIC


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (None, "no public key"),
        (7, "no public key"),
        (b"", "no Ed25519 key"),
        ("", "no Ed25519 key"),
        (PAIR.private_key, "no Ed25519 key"),
        (bytes(32), "small order"),
        (b"\xff" * 32, "not canonical"),
    ],
)
def test_unsound_keys(key: object, words: str) -> None:
    """What is no key, or proves nothing, is refused and not shown."""
    with pytest.raises(Unusable, match=words) as caught:
        sound_key(key)
    assert PAIR.private_key.splitlines()[1] not in str(caught.value)


@pytest.mark.parametrize("signature", [None, "x" * 64, b"", b"x" * 63, b"x" * 65, bytearray(64)])
def test_unsound_signatures(signature: object) -> None:
    """A signature is 64 bytes, and bytes."""
    with pytest.raises(Unusable, match="no Ed25519 signature"):
        sound_signature(signature)


def test_a_missing_client_names_its_extra() -> None:
    """Who has not installed a vendor's client reads what to install."""
    with pytest.raises(MissingExtraError, match=re.escape(how_to_install("aws"))) as caught:
        vendor("no_such_vendor", "aws")
    assert isinstance(caught.value, ImportError)
    assert vendor("json", "aws").dumps


@pytest.mark.parametrize(
    ("url", "is_open"),
    [
        ("http://example", True),
        (" HTTP://10.0.0.1:1/x", True),
        ("http://localhost@127.0.0.1", True),
        ("http://example\\@127.0.0.1", True),
        ("http://", True),
        ("http://127.0.0.1:8200", False),
        ("http://[::1]", False),
        ("https://example", False),
        ("example", False),
    ],
)
def test_plain_http_is_open_beyond_this_machine(url: str, is_open: bool) -> None:
    """Also where its host can be read in two ways."""
    assert is_open_http(url) == is_open
