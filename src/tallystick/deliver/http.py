# SPDX-License-Identifier: Apache-2.0
"""Posts signed receipts to a collector: exactly their canonical bytes, over kept connections.

    emitter = HttpEmitter(HttpEmitterConfig("https://c.example", auth=BearerAuth(token)))
    emitter.emit(receipt)

`emit` returns when the collector has the receipt. What is tried again and what is not stands in
`docs/reference/delivery.md`. Nothing is opened before the first receipt.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Literal, Never, Self, SupportsIndex

import msgspec

from tallystick.config import read
from tallystick.deliver import lifetime
from tallystick.deliver.answer import Answer, Request, WireFault
from tallystick.deliver.auth import ApiKeyAuth, Auth, BearerAuth, MtlsAuth, NoAuth
from tallystick.deliver.dispatch import Dispatcher, Failure
from tallystick.deliver.endpoint import parse_endpoint, parse_proxy
from tallystick.deliver.outcome import Judgement, explain, judge
from tallystick.deliver.promises import LogTrust, Promises, Settled
from tallystick.deliver.retry import RetryConfig, backoff_s, retry_after_s, uniform, within
from tallystick.durable.file import FilePath
from tallystick.errors import EmitError, RefusedInput, SettingError
from tallystick.limits import EMIT_WAIT_MS_MAX, QUEUED_RECEIPTS_MAX
from tallystick.model.receipt import Receipt

__all__ = [
    "ApiKeyAuth",
    "BearerAuth",
    "HttpEmitter",
    "HttpEmitterConfig",
    "MtlsAuth",
    "NoAuth",
    "RetryConfig",
]

_CLOUD_RUN: Final = "K_SERVICE"
_HEADERS: Final = (
    b"Content-Type: application/ld+json\r\n"
    b"Accept: application/json, application/problem+json\r\n"
    b"Accept-Encoding: identity\r\n"
    b"User-Agent: tallystick\r\n"
)


class HttpEmitterConfig(msgspec.Struct, frozen=True):
    """Where and how an `HttpEmitter` delivers.

    `endpoint` is a collector's base URL, or the URL that receipts are posted to. `timeout_ms`
    bounds one request from connecting to the last byte of its answer, `deadline_ms` one receipt
    with all its attempts and pauses. `ca_file` replaces the system's list of authorities. A proxy
    is used only where one is named here. With `log`, the promise in an answer is checked; with
    `promises`, a folder beside the write-ahead log, it is kept there; with `require_promise`, an
    answer without one does not count.
    """

    endpoint: str
    auth: Auth = NoAuth()  # it is immutable
    strategy: Literal["sync", "fire-and-forget"] = "sync"
    retry: RetryConfig = RetryConfig()  # it is frozen
    timeout_ms: int = 5_000
    deadline_ms: int = 30_000
    allow_insecure: bool = False
    ca_file: FilePath | None = None
    proxy: str | None = None
    proxy_auth: Auth = NoAuth()  # it is immutable
    queue_size: int = 1_000
    log: LogTrust | None = None
    promises: FilePath | None = None
    require_promise: bool = False

    def __post_init__(self) -> None:
        parse_endpoint(self.endpoint, allow_insecure=self.allow_insecure)
        if self.proxy is not None:
            parse_proxy(self.proxy)
        within("timeout_ms", self.timeout_ms, 1, EMIT_WAIT_MS_MAX)
        within("deadline_ms", self.deadline_ms, 1, EMIT_WAIT_MS_MAX)
        within("queue_size", self.queue_size, 1, QUEUED_RECEIPTS_MAX)
        if self.strategy not in ("sync", "fire-and-forget"):
            raise RefusedInput("strategy must be 'sync' or 'fire-and-forget'")
        _check_kind("retry", self.retry, RetryConfig)
        _check_kind("auth", self.auth, Auth)
        _check_kind("log", self.log, LogTrust | None)
        if self.log is None and (self.require_promise or self.promises is not None):
            raise RefusedInput("to check promises, `log` must say which log they are of")
        _check_kind("proxy_auth", self.proxy_auth, NoAuth | BearerAuth | ApiKeyAuth)

    def __repr__(self) -> str:
        try:
            shown = parse_endpoint(self.endpoint, allow_insecure=True).shown
        except RefusedInput:
            shown = "<refused>"
        auth = _shown_auth(self.auth)
        return f"HttpEmitterConfig({shown!r}, auth={auth}, strategy={self.strategy!r})"


class _Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """Why one attempt did not deliver."""

    text: str
    judgement: Judgement
    status: int | None = None
    wait_s: float | None = None
    cause: Exception | None = None


class HttpEmitter:
    """Delivers to a collector over HTTP. Safe from any number of threads.

    With strategy "sync", `emit` returns when the collector has acknowledged the receipt. With
    "fire-and-forget" it returns when the receipt is queued for one background worker: what could
    not be delivered is raised by the next `emit` or by `close`, counted in `dropped` and listed in
    `failures`; what is queued when the process is killed is lost without a trace.
    """

    def __init__(
        self,
        config: HttpEmitterConfig,
        *,
        clock: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        chance: Callable[[], float] = uniform,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Check all settings, client certificate included. Nothing is opened yet."""
        self._config = config
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep
        self._chance = chance
        self._endpoint = parse_endpoint(config.endpoint, allow_insecure=config.allow_insecure)
        self._shown = self._endpoint.shown
        self._proxy = parse_proxy(config.proxy) if config.proxy is not None else None
        self._secrets = (config.auth, config.proxy_auth, self._endpoint)
        self._is_closed = False
        self._dispatcher: Dispatcher | None = None
        if isinstance(config.auth, MtlsAuth) and self._endpoint.scheme != "https":
            raise RefusedInput("a client certificate needs an https URL")
        if isinstance(config.auth, MtlsAuth) or config.ca_file is not None:
            self._context()  # a file that can't be used is said now, not at the first receipt
        self._request = self._common_request("POST", self._endpoint.target)
        self._promises = self._check_of_promises()
        if config.strategy == "fire-and-forget":
            _warn_on_cloud_run(environ)
            self._dispatcher = Dispatcher(self._deliver, config.queue_size)

    @property
    def acknowledges(self) -> bool:
        """Whether `emit` returns only when the collector has the receipt."""
        return self._dispatcher is None

    @property
    def dropped(self) -> int:
        """How many receipts the background worker could not deliver, or had no room for."""
        return self._dispatcher.dropped if self._dispatcher is not None else 0

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The last of these, each with its error."""
        return self._dispatcher.failures if self._dispatcher is not None else ()

    def emit(self, receipt: Receipt, /) -> None:
        """Deliver one receipt (or queue it, with fire-and-forget), or raise `EmitError`."""
        if not isinstance(receipt, Receipt):
            raise TypeError("emit takes a signed Receipt")
        if self._is_closed:
            raise EmitError("the emitter is closed", is_transient=True)
        if self._dispatcher is not None:
            self._dispatcher.put(receipt)
        else:
            self._deliver(receipt)

    def settle_promises(self) -> Settled:
        """Ask the log for proofs of what it promised; each that holds replaces its promise.

        Raises `EmitError` where the log does not answer; what was settled by then stays so.
        """
        folder = None if self._promises is None else self._promises.folder
        if folder is None:
            raise SettingError("no folder was named in which promises are kept")
        return folder.settle(self._fetch_proof)

    def flush(self, deadline_ms: int = 2_000) -> int:
        """Wait for what is queued; return how many receipts remain. Never raises."""
        return self._dispatcher.flush(deadline_ms) if self._dispatcher is not None else 0

    def close(self, deadline_ms: int = 2_000) -> None:
        """Flush, close connections, and raise for losses that no call has told of yet."""
        if self._is_closed:
            return
        try:
            if self._dispatcher is not None:
                self._dispatcher.close(deadline_ms)
        finally:
            self._is_closed = True
            if "_made_pool" in self.__dict__:
                self._pool().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except EmitError:
            if fault is None:
                raise

    def __repr__(self) -> str:
        config = getattr(self, "_config", None)  # None while __init__ refuses
        return f"HttpEmitter({config!r})"

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> Never:
        raise TypeError("an HttpEmitter holds connections and credentials and is not pickled")

    def _deliver(self, receipt: Receipt, *, by: float | None = None) -> Answer:
        """Try until the collector has it, or until there is a reason not to; return its answer.

        `by` is a moment of the monotonic clock that ends it before the receipt's own deadline.
        """
        body = receipt.to_json()
        until = self._monotonic() + self._config.deadline_ms / 1000
        until = until if by is None else min(until, by)
        attempts = 0
        while True:
            trouble = self._try(receipt, body, until)
            if isinstance(trouble, Answer):
                return trouble
            attempts += 1
            reason = self._wait(trouble, attempts, until)
            if reason is not None:
                raise EmitError(
                    f"{self._shown} {trouble.text}{reason}",
                    status=trouble.status,
                    is_transient=trouble.judgement != "refused",
                ) from trouble.cause

    def _try(self, receipt: Receipt, body: bytes, until: float) -> _Trouble | Answer:
        soon, sent_ns = self._monotonic() + self._config.timeout_ms / 1000, self._clock()
        try:
            answer: Answer = self._pool().exchange(self._request, body, min(soon, until))
        except WireFault as fault:
            judgement: Judgement = "stopped" if fault.fate == "setup" else "retried"
            return _Trouble(text=str(fault), judgement=judgement, cause=fault)
        judgement = judge(answer.status)
        if judgement == "delivered":
            return self._doubt(receipt, body, answer, sent_ns) or answer
        return _Trouble(
            text=explain(answer, *self._secrets),
            judgement=judgement,
            status=answer.status,
            wait_s=retry_after_s(answer.headers, self._clock() / 1e9),
        )

    def _doubt(
        self, receipt: Receipt, body: bytes, answer: Answer, sent_ns: int
    ) -> _Trouble | None:
        """Return why an answer that says "delivered" does not count, or None."""
        if self._promises is None:
            return None
        doubt = self._promises.doubt(receipt, body, answer.status, answer.body, sent_ns)
        if doubt is None:
            return None
        text = f"answered {answer.status}, and {doubt.text}"
        judgement: Judgement = "refused" if doubt.is_final else "stopped"
        return _Trouble(text=text, judgement=judgement, status=answer.status)

    def _wait(self, trouble: _Trouble, attempts: int, until: float) -> str | None:
        """Pause before another attempt, or return why there will be none."""
        if trouble.judgement != "retried":
            return ""
        retry, tried = self._config.retry, f"{attempts} attempt{'s' if attempts > 1 else ''}"
        if attempts >= retry.max_attempts:
            return f"; gave up after {tried}"
        pause = max(backoff_s(retry, attempts, self._chance()), trouble.wait_s or 0.0)
        if pause >= until - self._monotonic():
            return f"; gave up after {tried}: the next is due in {pause:.1f} s, behind the deadline"
        self._sleep(pause)
        return "; closed while waiting to try again" if self._is_closed else None

    def _pool(self) -> Any:
        """Return the pool; it is made when it is first needed."""
        pool = self.__dict__.get("_made_pool")
        return pool if pool is not None else self._make_pool()

    def _make_pool(self) -> Any:
        with lifetime.undivided:
            from tallystick.deliver.dial import Dialler  # sockets and TLS: 20 ms
            from tallystick.deliver.pool import Pool

            dialler = Dialler(
                self._endpoint,
                self._monotonic,
                context=self._context() if self._endpoint.scheme == "https" else None,
                proxy=self._proxy,
                proxy_header=self._config.proxy_auth.header(),
            )
            # The first to put one there wins.
            return self.__dict__.setdefault(
                "_made_pool",
                Pool(dialler.connect, clock=self._clock, monotonic=self._monotonic),
            )

    def _context(self) -> Any:
        context = self.__dict__.get("_made_context")
        if context is None:
            from tallystick.deliver.tls import client_context

            auth = self._config.auth
            identity = auth if isinstance(auth, MtlsAuth) else None
            context = self.__dict__.setdefault(
                "_made_context", client_context(ca_file=self._config.ca_file, identity=identity)
            )
        return context

    def _check_of_promises(self) -> Promises | None:
        config = self._config
        if config.log is None:
            return None
        return Promises(
            config.log,
            config.promises,
            is_required=config.require_promise,
            clock=self._clock,
        )

    def _fetch_proof(self, index: int) -> bytes | None:
        """Return the log's proof for an entry, or None where no checkpoint covers it yet."""
        return self._read_log(f"proof/{index}.tlog-proof")

    def _read_log(self, path: str) -> bytes | None:
        """Return what stands below the collector's `/log/`, or None where there is nothing."""
        folder = self._endpoint.target.partition("?")[0].rpartition("/")[0]
        request = self._common_request("GET", f"{folder}/log/{path}")
        until = self._monotonic() + self._config.timeout_ms / 1000
        try:
            answer = self._pool().exchange(request, b"", until)
        except WireFault as fault:
            raise EmitError(f"{self._shown} {fault}", is_transient=True) from fault
        if answer.status == 404:
            return None
        if answer.status != 200:
            text = explain(answer, self._config.auth)
            raise EmitError(f"{self._shown} {text}", status=answer.status, is_transient=True)
        body: bytes = answer.body
        return body

    def _common_request(self, method: str, target: str) -> Request:
        endpoint, more = self._endpoint, b""
        if self._proxy is not None and endpoint.scheme == "http":
            target = f"http://{endpoint.authority}{target}"
            more = self._config.proxy_auth.header()
        return Request(
            f"{method} {target}", endpoint.authority, _HEADERS, self._config.auth.header(), more
        )


def _shown_auth(value: object) -> str:
    return repr(value) if isinstance(value, Auth) else "<refused>"  # perhaps a bare token


def _check_kind(name: str, value: object, kind: Any) -> None:
    if not isinstance(value, kind):
        del value  # perhaps the credential itself
        wanted = " | ".join(one.__name__ for one in getattr(kind, "__args__", (kind,)))
        raise RefusedInput(f"{name} must be {wanted}")


def _warn_on_cloud_run(environ: Mapping[str, str] | None) -> None:
    if read(_CLOUD_RUN, environ) is None:
        return
    import logging

    logging.getLogger("tallystick.deliver").warning(
        "fire-and-forget on Cloud Run: between requests there may be no CPU, and what is queued "
        "then waits or is lost; use strategy='sync', or have CPU always allocated"
    )
