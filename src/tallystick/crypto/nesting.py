# SPDX-License-Identifier: Apache-2.0
"""How deep JSON bytes may be nested, at a glance: a module of its own, since all who parse ask."""

from __future__ import annotations

from tallystick.limits import JSON_DEPTH_MAX


def is_shallow(data: bytes) -> bool:
    """Whether JSON bytes can't be nested too deep: a quick look, never wrongly yes.

    To be asked before any parser written in C: where a package has raised the interpreter's limit
    on recursion, as an EVM does, deep input would end the process instead of raising.
    """
    return data.count(b"[") + data.count(b"{") <= JSON_DEPTH_MAX
