# SPDX-License-Identifier: Apache-2.0
"""Settings of the HTTP emitter; what it does on the wire is tested in tests/systems."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from tests.deliveries import receipts
from tests.leaks import everything_shown_by

from tallystick import (
    ApiKeyAuth,
    BearerAuth,
    Emitter,
    HttpEmitter,
    HttpEmitterConfig,
    MtlsAuth,
    NoAuth,
    RetryConfig,
)
from tallystick.errors import EmitError, RefusedInput
from tallystick.limits import EMIT_WAIT_MS_MAX, QUEUED_RECEIPTS_MAX

SECRET = "s3cr3t-value"
URL = "https://c.example"


def test_defaults() -> None:
    """As the source document states them."""
    config = HttpEmitterConfig(URL)
    assert (config.strategy, config.timeout_ms, config.deadline_ms) == ("sync", 5_000, 30_000)
    assert config.retry == RetryConfig(max_attempts=5, base_delay_ms=100, max_delay_ms=10_000)
    assert isinstance(config.auth, NoAuth)
    assert not config.allow_insecure


def test_the_source_documents_call() -> None:
    """Keywords and positions, as examples in the field write them."""
    by_name = HttpEmitterConfig(endpoint=URL, auth=BearerAuth(token=SECRET), strategy="sync")
    by_place = HttpEmitterConfig(URL, BearerAuth(SECRET), "sync")
    assert repr(by_name) == repr(by_place)
    emitter = HttpEmitter(by_name)
    assert isinstance(emitter, Emitter)
    assert emitter.acknowledges
    assert (emitter.dropped, emitter.failures, emitter.flush()) == (0, (), 0)


def test_what_is_shown() -> None:
    """Where it goes and how, without the credential and without the query."""
    config = HttpEmitterConfig(f"{URL}/in?key={SECRET}", ApiKeyAuth("X-Key", SECRET))
    emitter = HttpEmitter(config)
    assert repr(config) == (
        "HttpEmitterConfig('https://c.example/in', auth=ApiKeyAuth('X-Key', <hidden>), "
        "strategy='sync')"
    )
    assert repr(emitter) == f"HttpEmitter({config!r})"
    assert SECRET not in repr(vars(emitter)).replace(repr(config.endpoint), "")


def test_nothing_is_pickled_with_a_credential() -> None:
    """Neither the emitter nor its settings leave the process."""
    config = HttpEmitterConfig(URL, BearerAuth(SECRET))
    for thing in (config, HttpEmitter(config)):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(thing)
    with pytest.raises(TypeError):
        copy.deepcopy(HttpEmitter(config))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"endpoint": "http://c.example"}, "allow_insecure"),
        ({"endpoint": f"https://u:{SECRET}@c.example"}, "user name or a password"),
        ({"endpoint": ""}, "is empty"),
        ({"strategy": "async"}, "strategy"),
        ({"timeout_ms": 0}, "timeout_ms"),
        ({"timeout_ms": 1.5}, "timeout_ms"),
        ({"deadline_ms": EMIT_WAIT_MS_MAX + 1}, "deadline_ms"),
        ({"queue_size": QUEUED_RECEIPTS_MAX + 1}, "queue_size"),
        ({"auth": SECRET}, "auth must be NoAuth"),
        ({"auth": None}, "auth must be NoAuth"),
        ({"retry": {"max_attempts": 1}}, "retry must be RetryConfig"),
        ({"proxy": "https://p.example"}, "the proxy's URL"),
        ({"proxy_auth": MtlsAuth("c", "k")}, "proxy_auth must be"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], why: str) -> None:
    """Each is refused before there is an emitter, and quotes no secret."""
    with pytest.raises(RefusedInput, match=why) as caught:
        HttpEmitterConfig(**{"endpoint": URL} | settings)
    assert SECRET not in everything_shown_by(caught.value)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"endpoint": "http://127.0.0.1", "auth": MtlsAuth("c", "k")}, "needs an https URL"),
        ({"auth": MtlsAuth("/nowhere/c.pem", "/nowhere/k.pem")}, "can't be used"),
        ({"ca_file": "/nowhere/ca.pem"}, "ca_file /nowhere/ca.pem"),
    ],
)
def test_files_are_looked_at_when_it_is_made(settings: dict[str, Any], why: str) -> None:
    """A certificate that can't be used stops the program at its start."""
    with pytest.raises(RefusedInput, match=why):
        HttpEmitter(HttpEmitterConfig(**{"endpoint": URL} | settings))


def test_only_receipts_are_emitted() -> None:
    """Not drafts, not bytes, not dicts."""
    emitter = HttpEmitter(HttpEmitterConfig(URL))
    (receipt,) = receipts(1)
    others: list[Any] = [receipt.unsigned(), receipt.to_json(), {}, None]
    for thing in others:
        with pytest.raises(TypeError, match="signed Receipt"):
            emitter.emit(thing)


def test_a_pause_is_never_longer_than_what_is_left() -> None:
    """By an injected clock: attempts at 0, 1 and 3 s, the next would be due at 7 s of 6.5."""
    now = [0.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    config = HttpEmitterConfig(
        "http://127.0.0.1:1",
        retry=RetryConfig(max_attempts=50, base_delay_ms=1_000),
        deadline_ms=6_500,
    )
    emitter = HttpEmitter(config, monotonic=lambda: now[0], sleep=sleep, chance=lambda: 1.0)
    with pytest.raises(EmitError, match=r"gave up after 3 attempts: the next is due in 4\.0 s"):
        emitter.emit(receipts(1)[0])
    assert slept == [1.0, 2.0]


def test_attempts_are_counted_in_words() -> None:
    """One attempt, or several."""
    for attempts, words in ((1, "after 1 attempt$"), (2, "after 2 attempts$")):
        config = HttpEmitterConfig("http://127.0.0.1:1", retry=RetryConfig(max_attempts=attempts))
        with pytest.raises(EmitError, match=words) as caught:
            HttpEmitter(config, sleep=lambda _: None).emit(receipts(1)[0])
        assert caught.value.is_transient
        assert "refused the connection" in str(caught.value.__cause__)
