# SPDX-License-Identifier: Apache-2.0
"""What the payloads of hosts have in common: names that are split, texts that are bounded.

Payloads come from another program, and hold what an agent wrote. Whatever has not the type that
it should have counts as absent; nothing of it is trusted, and nothing of it stops the hook.
"""

from __future__ import annotations

from _collections_abc import Mapping

from tallystick.limits import (
    FRAME_IDENTITY_BYTES_MAX,
    FRAME_RESOURCE_BYTES_MAX,
    FRAME_TEXT_BYTES_MAX,
)
from tallystick.model.framing import encode_frame
from tallystick.model.known_tools import host_action_type

_MCP = "mcp__"
_NO_NAME = "unnamed"
# Members by which hosts' own tools name the one thing that they are about.
_PATHS = ("file_path", "notebook_path", "path")


def text_of(payload: Mapping[str, object], name: str) -> str | None:
    """Return a member that is a text with something in it."""
    value = payload.get(name)
    return value if type(value) is str and value else None


def identity_of(payload: Mapping[str, object], name: str) -> str | None:
    """Return a member as a name that a frame takes: one that it would refuse, by its hash."""
    value = text_of(payload, name)
    if value is None:
        return None
    size = len(value.encode("utf-8", "surrogatepass"))
    is_sound = value.isprintable() and size <= FRAME_IDENTITY_BYTES_MAX
    return value if is_sound and not (name == "agent_id" and "/" in value) else _hashed(value)


def tool_of(payload: Mapping[str, object]) -> dict[str, object]:
    """Return the frame's `tool`: the name of an MCP tool apart from that of its server."""
    name = identity_of(payload, "tool_name") or _NO_NAME
    if not name.startswith(_MCP):
        return {"name": name}
    server, _, tool = name.removeprefix(_MCP).partition("__")
    told = payload.get("mcp_server")
    if type(told) is dict:
        # The host's own word: the name of a server may hold two underscores itself.
        given = identity_of(told, "name")
        if given is not None and name.startswith(f"{_MCP}{given}__"):
            server, tool = given, name[len(f"{_MCP}{given}__") :]
    return {"name": tool, "server": server} if tool and server else {"name": name}


def what_it_is(payload: Mapping[str, object]) -> dict[str, object]:
    """Return the tool, the type of the action, and the target, as far as they are plain."""
    tool = tool_of(payload)
    found: dict[str, object] = {"tool": tool}
    given = payload.get("tool_input")
    if "server" in tool or type(given) is not dict:
        return found
    found["action_type"] = host_action_type(str(tool["name"]))
    for name in _PATHS:
        path = resource_of(given, name)
        if path is not None and found["action_type"] is not None:
            found |= {"target_system": "filesystem", "target_resource": path}
            return found
    url = resource_of(given, "url")
    if url is not None:
        found |= {"target_system": "network", "target_resource": url}
    return found


def resource_of(payload: Mapping[str, object], name: str) -> str | None:
    """Return a member that may be a target: one that no frame holds counts as none."""
    value = text_of(payload, name)
    if value is None:
        return None
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        return None  # half of a surrogate pair
    return value if size <= FRAME_RESOURCE_BYTES_MAX else None


def error_of(value: object, otherwise: str) -> str:
    """Return an error text that a frame holds: never empty, since an empty one is a success."""
    if type(value) is not str or not value.strip():
        return otherwise
    data = value.encode("utf-8", "replace")
    text, size = _cut(data, FRAME_TEXT_BYTES_MAX)
    if size > FRAME_TEXT_BYTES_MAX:
        # A control character takes six bytes in JSON: such a text would fill a frame by itself.
        text, size = _cut(data, FRAME_TEXT_BYTES_MAX**2 // size)
    if size > FRAME_TEXT_BYTES_MAX:  # there were more of them in front
        text, _ = _cut(data, FRAME_TEXT_BYTES_MAX // 6)
    return text


def _cut(data: bytes, length: int) -> tuple[str, int]:
    """Return the text of the first bytes, and how many it takes as JSON."""
    text = data[:length].decode("utf-8", "ignore")
    return text, len(encode_frame({"": text})) - len(encode_frame({"": ""}))


def says_it_failed(response: object) -> bool:
    """Whether a result says itself that it is a failure, as those of MCP tools do."""
    return type(response) is dict and bool(response.get("isError"))


def _hashed(value: str) -> str:
    import hashlib

    return f"sha256:{hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()}"
