# SPDX-License-Identifier: Apache-2.0
"""The methods of MCP, of all protocol versions: which of them do something, and what kind of thing.

Housekeeping goes through without a receipt. Whatever else asks for something leaves two, also what
nobody here has heard of.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

from tallystick.channels.jsonrpc import folded
from tallystick.model.taxonomy import TAXONOMY

TOOL_CALL: Final = "tools/call"
CANCELLED: Final = "notifications/cancelled"

Operation = Literal["read", "write", "delete", "execute", "send", "pay", "other"]
OPERATIONS: Final[tuple[str, ...]] = get_args(Operation)

# Sets up a session, lists what there is, asks how things stand.
HOUSEKEEPING: Final = frozenset(
    (
        "completion/complete",
        "initialize",
        "logging/setLevel",
        "ping",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "server/discover",
        "subscriptions/listen",
        "tasks/get",
        "tasks/list",
        "tools/list",
    )
)
# What clients tell servers of that does nothing; `notifications/cancelled` is looked at.
TELLING: Final = frozenset(
    (
        CANCELLED,
        "notifications/initialized",
        "notifications/progress",
        "notifications/roots/list_changed",
        "notifications/tasks/status",
    )
)
# Those that do something: the type of the action, where it is plain, and the member of `params`
# that says on what.
ACTING: Final[dict[str, tuple[str | None, str | None]]] = {
    TOOL_CALL: (None, None),
    "elicitation/create": (None, None),
    "prompts/get": ("data.api.read", "name"),
    "resources/read": ("data.api.read", "uri"),
    "resources/subscribe": ("data.api.read", "uri"),
    "resources/unsubscribe": ("data.api.read", "uri"),
    "roots/list": ("filesystem.directory.list", None),
    "sampling/createMessage": (None, None),
    "tasks/cancel": (None, "taskId"),
    "tasks/result": ("data.api.read", "taskId"),
    "tasks/update": (None, "taskId"),
}
KNOWN: Final = HOUSEKEEPING | ACTING.keys()

# Members of `params` that decide what is done: no other spelling of them may stand beside them.
PARAMS: Final = frozenset(("name", "arguments", "uri", "_meta", "task"))

_BY_LAST_WORD: Final[dict[str, Operation]] = {
    "read": "read",
    "list": "read",
    "query": "read",
    "navigate": "read",
    "observed": "read",
    "delete": "delete",
    "execute": "execute",
    "open": "execute",
    "launch": "execute",
    "control": "execute",
    "send": "send",
}


def operation_of(action_type: str | None) -> Operation:
    """Return the operation that a type stands for; `other` where there is none, or one of ours."""
    if action_type is None or action_type not in TAXONOMY:
        return "other"
    if action_type.startswith("financial."):
        return "pay"
    return _BY_LAST_WORD.get(action_type.rpartition(".")[2], "write")


def is_disguised(method: str) -> bool:
    """Whether a method is a known one in another spelling, which some servers would take."""
    return method not in KNOWN and folded(method) in _FOLDED


_FOLDED: Final = frozenset(method.casefold() for method in KNOWN)
