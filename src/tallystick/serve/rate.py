# SPDX-License-Identifier: Apache-2.0
"""How much each tenant may send: a bucket of tokens that fills at a steady rate."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from math import ceil

from tallystick.limits import RATED_TENANTS_MAX


class RateLimit:
    """Lets `burst` receipts pass at once and `per_second` in the long run, for each tenant."""

    def __init__(self, per_second: float, burst: int, monotonic: Callable[[], float]) -> None:
        """Take a rate; 0 is none."""
        self._per_second = per_second
        self._burst = max(burst, 1)
        self._monotonic = monotonic
        # Tenant → (what is left in its bucket, when that was so); the one asked last is last.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, tenant: str, count: int = 1) -> int:
        """Take so many, and return 0; or take nothing and return the seconds to wait.

        A batch that is larger than the bucket passes when the bucket is full, and leaves a debt.
        """
        if not self._per_second:
            return 0
        now = self._monotonic()
        left, then = self._buckets.get(tenant, (float(self._burst), now))
        left = min(self._burst, left + (now - then) * self._per_second)
        wanted = min(count, self._burst)
        if left < wanted:
            self._keep(tenant, left, now)
            return max(1, ceil((wanted - left) / self._per_second))
        self._keep(tenant, left - count, now)
        return 0

    def _keep(self, tenant: str, left: float, now: float) -> None:
        self._buckets[tenant] = (left, now)
        self._buckets.move_to_end(tenant)
        if len(self._buckets) > RATED_TENANTS_MAX:
            self._buckets.popitem(last=False)
