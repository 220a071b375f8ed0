# SPDX-License-Identifier: Apache-2.0
"""Keys made on the spot: never in production, never silently."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tallystick.config import VARIABLES
from tallystick.errors import ProductionKeyProviderError
from tallystick.keys import generating
from tallystick.keys.generating import GeneratingKeyProvider
from tallystick.ports import KeyProvider

PRODUCTION = "AGENTRECEIPTS_PRODUCTION"
WARNING = "⚠ GeneratingKeyProvider is dev-only"


@pytest.fixture(autouse=True)
def _unwarned() -> Iterator[None]:
    """Let each test begin as a process that was not warned yet."""
    before = dict(generating._warned)
    generating._warned.clear()
    yield
    generating._warned.clear()
    generating._warned.update(before)


def test_production_raises_before_any_key_is_made() -> None:
    """Where the variable is exactly `true`, no randomness is asked for and nothing is printed."""
    asked: list[int] = []
    stderr = io.StringIO()

    def entropy(size: int) -> bytes:
        asked.append(size)
        return bytes(size)

    with pytest.raises(ProductionKeyProviderError, match=PRODUCTION):
        GeneratingKeyProvider(environ={PRODUCTION: "true"}, stderr=stderr, entropy=entropy)
    assert asked == []
    assert stderr.getvalue() == ""


@pytest.mark.parametrize("value", [None, "", "false", "True", "TRUE", "1", "true ", "yes"])
def test_everything_else_works_and_warns(value: str | None) -> None:
    """Only the exact text counts as production; otherwise there is a key and one warning line."""
    stderr = io.StringIO()
    environ = {} if value is None else {PRODUCTION: value}
    provider: KeyProvider = GeneratingKeyProvider(environ=environ, stderr=stderr)
    assert isinstance(provider, KeyProvider)
    assert provider.get_key_pair() is provider.get_key_pair()
    assert stderr.getvalue().startswith(WARNING)
    assert stderr.getvalue().count("\n") == 1


@pytest.mark.parametrize(("value", "near"), [("True", True), ("1", True), ("0", False)])
def test_a_near_miss_is_pointed_out(value: str, near: bool) -> None:
    """Who wrote `True` or `1` meant production: the warning says that it does not count."""
    stderr = io.StringIO()
    GeneratingKeyProvider(environ={PRODUCTION: value}, stderr=stderr)
    assert ("only exactly `true` counts" in stderr.getvalue()) is near


def test_one_warning_per_process() -> None:
    """The second provider is silent, and has another key."""
    stderr = io.StringIO()
    first = GeneratingKeyProvider(environ={}, stderr=stderr)
    second = GeneratingKeyProvider(environ={}, stderr=stderr)
    assert stderr.getvalue().count(WARNING) == 1
    assert first.get_key_pair() != second.get_key_pair()


def test_a_real_process_warns_once_on_its_stderr() -> None:
    """With the defaults: environment and stderr are the process's own, also in plain ASCII."""
    code = "from tallystick.keys.generating import GeneratingKeyProvider as G\nG(); G(); G()\n"
    environ = {key: value for key, value in os.environ.items() if key != PRODUCTION}
    for encoding, start in (("utf-8", WARNING), ("ascii", "\\u26a0 GeneratingKeyProvider is dev")):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environ | {"PYTHONIOENCODING": f"{encoding}:backslashreplace"},
            capture_output=True,
            check=True,
            timeout=60,
        )
        assert done.stdout == b""
        assert done.stderr.decode().startswith(start)
        assert done.stderr.decode().count("dev-only") == 1
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environ | {PRODUCTION: "true"},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert b"ProductionKeyProviderError" in done.stderr
    assert b"dev-only" not in done.stderr


def test_a_process_without_stderr_still_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Services may run without the stream; the provider does not fail on it."""
    monkeypatch.setattr(sys, "stderr", None)
    assert GeneratingKeyProvider(environ={}).get_key_pair().private_key


def test_the_variable_is_in_the_table() -> None:
    """The switch that is read is the documented one."""
    assert PRODUCTION in {variable.environment for variable in VARIABLES}


def test_provider_hides_the_private_key() -> None:
    """repr shows the public key only, and pickling refuses."""
    provider = GeneratingKeyProvider(environ={}, stderr=io.StringIO())
    assert "did:key:z6Mk" in repr(provider)
    assert provider.get_key_pair().private_key.splitlines()[1] not in repr(provider)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(provider)
