# SPDX-License-Identifier: Apache-2.0
"""What all tests share: how many examples a property is tried on.

`ci` is the default: the same examples on every run, so that a red build is red for everyone.
`soak` (`make soak`) draws new ones. TALLY_EXAMPLES sets the count for either.
"""

from __future__ import annotations

import gc
import os
import sys

import pytest
from hypothesis import HealthCheck, settings

EXAMPLES = os.environ.get("TALLY_EXAMPLES")

settings.register_profile(
    "ci",
    max_examples=int(EXAMPLES or 100),
    derandomize=True,
    deadline=None,  # shared machines stall; time is measured in bench/
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "soak",
    max_examples=int(EXAMPLES or 10_000),
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci")

# What a machine is set up with leads the vendors' clients elsewhere: tests say where to.
for _name in list(os.environ):
    if _name.startswith(("AWS_", "AZURE_", "GOOGLE_", "VAULT_")):
        del os.environ[_name]
# A package index may be behind a proxy. The services of tests are on this machine.
for _name in ("NO_PROXY", "no_proxy"):
    os.environ[_name] = "127.0.0.1,localhost,::1"


def pytest_collection_finish() -> None:
    """Spare the collector twelve thousand tests: it would walk over them, time and again."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin with the interpreter's own limit on recursion, which py-evm raises as it is imported.

    What nested input does where the limit is higher is asked in `unit/crypto/test_nesting.py`.
    """
    if "contracts" not in item.path.parts:
        sys.setrecursionlimit(1000)
