# SPDX-License-Identifier: Apache-2.0
"""One tool call as two receipts: pending before it runs, its result or failure after it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, ParamSpec, Protocol, Self, TypeVar, cast

import msgspec

from tallystick.chain.issue import ABSENT
from tallystick.chain.payload import payload_hash
from tallystick.errors import ReceiptError, RefusedInput
from tallystick.model.action import Action, Outcome
from tallystick.model.receipt import Receipt

P = ParamSpec("P")
R = TypeVar("R")


class _Recorder(Protocol):
    """What records: a chain, or the recorder that `connect` gives."""

    def emit(
        self,
        action: Action,
        outcome: Outcome,
        *,
        parameters: object = ABSENT,
        response: object = ABSENT,
        correlation_id: str | None = None,
    ) -> Receipt: ...

    async def aemit(self, action: Action, outcome: Outcome, **members: Any) -> Receipt: ...


class RecordedAction:
    """A call that is being recorded. Set `result` to have its hash in the receipt.

    What the exception of a failed call says is not recorded, because it may hold secrets: only its
    class is, unless `error` is set.
    """

    def __init__(
        self,
        recorder: _Recorder,
        action: str | Action | Mapping[str, Any],
        target: Mapping[str, str] | None,
        parameters: object,
        correlation_id: str,
    ) -> None:
        self._recorder = recorder
        self._action = _action(action, target, parameters)
        self.correlation_id = correlation_id
        self.error: str | None = None
        self.receipt: Receipt | None = None
        self._response_hash: str | None = None
        self._result: object = ABSENT
        self._is_begun = False

    @property
    def result(self) -> object:
        """What the call gave: any JSON value, redacted already. Hashed, not carried."""
        return None if self._result is ABSENT else self._result

    @result.setter
    def result(self, value: object) -> None:
        self._response_hash = payload_hash(value)
        self._result = value

    def __enter__(self) -> Self:
        self._begin()
        self._recorder.emit(self._action, _PENDING, **self._members())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.receipt = self._recorder.emit(self._again(), self._outcome(kind), **self._members())

    async def __aenter__(self) -> Self:
        self._begin()
        await self._recorder.aemit(self._action, _PENDING, **self._members())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.receipt = await self._recorder.aemit(
            self._again(), self._outcome(kind), **self._members()
        )

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Record each call of a function; arguments and result are hashed where they are JSON.

        A generator is refused: calling it runs nothing yet, so there is no result to record.
        """
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("a generator runs after its call: record the loop over it instead")
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def recorded_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                async with self._for_call(args, kwargs) as call:
                    result = await function(*args, **kwargs)
                    call._note(result)
                return result

            return cast(Callable[P, R], recorded_async)

        @functools.wraps(function)
        def recorded(*args: P.args, **kwargs: P.kwargs) -> R:
            with self._for_call(args, kwargs) as call:
                result = function(*args, **kwargs)
                call._note(result)
            return result

        return recorded

    def _for_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RecordedAction:
        from tallystick.chain.issue import random_uuid

        call = RecordedAction(self._recorder, self._action, None, ABSENT, f"call_{random_uuid()}")
        try:
            digest = payload_hash({"args": list(args), "kwargs": kwargs})
        except RefusedInput:
            return call
        call._action = msgspec.structs.replace(call._action, parameters_hash=digest)
        return call

    def _members(self) -> dict[str, Any]:
        """Return what both receipts have beside action and outcome."""
        return {"correlation_id": self.correlation_id}

    def _begin(self) -> None:
        if self._is_begun:
            raise ReceiptError("this call is recorded already; make an action(...) for each call")
        self._is_begun = True

    def _note(self, result: object) -> None:
        try:
            self.result = result
        except RefusedInput:
            self._response_hash = None

    def _again(self) -> Action:
        # The second receipt is of the same action: an id of its own, the same everything else.
        return self._action

    def _outcome(self, kind: type[BaseException] | None) -> Outcome:
        if kind is None and self.error is None:
            return Outcome(status="success", response_hash=self._response_hash)
        name = kind.__name__ if kind is not None else "failed"
        return Outcome(status="failure", error=self.error or name)


_PENDING = Outcome(status="pending")


def _action(
    action: str | Action | Mapping[str, Any],
    target: object,
    parameters: object,
) -> Action:
    if isinstance(action, str):
        action = {"type": action}
    members = action.to_dict() if isinstance(action, Action) else dict(action)
    if target is not None:
        if not isinstance(target, Mapping):
            wanted = 'wanted is a mapping: {"system": "local", "resource": "a.txt"}'
            raise ReceiptError(wanted, "/action/target")
        members["target"] = dict(target)
    if parameters is not ABSENT:
        members["parameters_hash"] = payload_hash(parameters)
    return Action.from_dict(members)
