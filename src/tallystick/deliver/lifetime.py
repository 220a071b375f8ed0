# SPDX-License-Identifier: Apache-2.0
"""What an emitter does when its process has forked, and when its program ends."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable
from types import MethodType
from typing import Any

# Importing takes milliseconds. Whoever holds the lock for longer waits for the forking thread.
_FORK_WAIT_S = 2.0

_Methods = dict[weakref.ref[Any], Callable[[Any], Any]]

# A fork waits for whoever holds this: a module that another thread has half loaded would stay so in
# the child for ever.
undivided = threading.RLock()

# Owned by this module: an object, and its method. Whoever is collected leaves.
_in_child: _Methods = {}
_at_exit: _Methods = {}


def after_fork_in_child(method: Callable[[], Any]) -> None:
    """Call a method of an object in each forked child, before anything else runs there."""
    _add(_in_child, method)


def at_exit(method: Callable[[], Any]) -> None:
    """Call a method of an object when the program ends, while its threads still run."""
    _add(_at_exit, method)


def _add(methods: _Methods, method: Callable[[], Any]) -> None:
    assert isinstance(method, MethodType)
    methods[weakref.ref(method.__self__, methods.pop)] = method.__func__


def _call(methods: _Methods) -> None:
    # The youngest first: what flushes into another emitter was made after it.
    for reference, function in reversed(list(methods.items())):
        thing = reference()
        if thing is not None:
            function(thing)


_is_held = False


def _before_fork() -> None:
    global _is_held  # noqa: PLW0603  # only who forks writes it, and holds the lock meanwhile
    _is_held = undivided.acquire(timeout=_FORK_WAIT_S)


def _after_fork() -> None:
    if _is_held:
        undivided.release()


def _after_fork_in_child() -> None:
    _after_fork()
    _call(_in_child)


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
)
atexit.register(_call, _at_exit)
