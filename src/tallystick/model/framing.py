# SPDX-License-Identifier: Apache-2.0
"""The emitter's side of the socket: where it is, how a frame is written, how an answer is read.

Needs next to nothing (neither `json` nor `typing`), so that a process which sends one frame starts
quickly. Nothing here opens a socket or reads the environment.
"""

from __future__ import annotations

from _collections_abc import Mapping

from tallystick.limits import FRAME_BYTES_MAX
from tallystick.model.quick_json import make_decode, make_encode

HEADER_BYTES = 4

SOCKET_VARIABLE = "AGENTRECEIPTS_SOCKET"
_ENCODE = make_encode()
_DECODE = make_decode(constant=float)


def framed(body: bytes) -> bytes:
    """Return a body with its length before it, or raise ValueError where it is no frame."""
    if not 0 < len(body) <= FRAME_BYTES_MAX:
        raise ValueError(f"a frame of {len(body)} bytes, over the limit of {FRAME_BYTES_MAX}")
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def body_bytes(header: bytes) -> int:
    """Return how long the body is that these four bytes announce; ValueError where it can't be."""
    if len(header) != HEADER_BYTES:
        raise ValueError("a length has four bytes")
    size = int.from_bytes(header, "big")
    if not 0 < size <= FRAME_BYTES_MAX:
        raise ValueError(f"a frame of {size} bytes, over the limit of {FRAME_BYTES_MAX}")
    return size


def encode_frame(members: Mapping[str, object]) -> bytes:
    """Return the body for a frame's members; those that are None are left out.

    Raises ValueError or TypeError for what is no JSON.
    """
    return encode_kept({key: one for key, one in members.items() if one is not None})


def encode_kept(members: dict[str, object]) -> bytes:
    """Return the body for members none of which is None."""
    return _ENCODE({"v": "1", **members}).encode("utf-8")


def read_answer(body: bytes) -> dict[str, object]:
    """Return the members of the daemon's answer, or raise ValueError for what is none."""
    answer = _DECODE(body.decode("utf-8"))
    if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
        raise ValueError("this is no answer of a daemon")
    texts = ("id", "chain_id", "hash") if answer["ok"] else ("code", "message")
    if not all(isinstance(answer.get(name), str) for name in texts):
        raise ValueError("this answer of a daemon lacks a member")
    if answer["ok"] and type(answer.get("sequence")) is not int:
        raise ValueError("this answer of a daemon lacks a member")
    return answer


def default_socket_path(platform: str, environ: Mapping[str, str]) -> str | None:
    """Return where the socket is (`platform` as in `sys.platform`), or None where nothing says."""
    named = environ.get(SOCKET_VARIABLE)
    if named:
        return named
    if platform == "darwin":
        base = data_home(environ)
        return None if base is None else f"{base}/agent-receipts/events.sock"
    if platform.startswith("linux"):
        base = environ.get("XDG_RUNTIME_DIR") or "/run"
        return f"{base}/agentreceipts/events.sock"
    return None


def data_home(environ: Mapping[str, str]) -> str | None:
    """Return the user's data directory; a relative XDG_DATA_HOME counts as none."""
    named = environ.get("XDG_DATA_HOME", "")
    if named.startswith("/"):
        return named.rstrip("/") or "/"
    home = environ.get("HOME", "")
    return f"{home.rstrip('/')}/.local/share" if home.startswith("/") else None
