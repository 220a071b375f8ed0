# SPDX-License-Identifier: Apache-2.0
"""Writes what the TypeScript packages share with Python: `python -m tools.typescript`.

Limits, the action types of hosts' tools, and vectors by which both emitters are held to the same
bytes. With `--check`, says what is out of date.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tallystick import limits
from tallystick.deliver.frame_members import body_of
from tallystick.errors import FrameRefused
from tallystick.model.framing import default_socket_path, framed, read_answer
from tallystick.model.known_tools import tool_types

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGES: Final = ROOT / "packages" / "ts"

# Bounds that the emitter knows, and how each is called there: the same.
LIMITS: Final = (
    "FRAME_BYTES_MAX",
    "FRAME_IDENTITY_BYTES_MAX",
    "FRAME_PAYLOAD_BYTES_MAX",
    "FRAME_RESOURCE_BYTES_MAX",
    "FRAME_TEXT_BYTES_MAX",
    "JSON_DEPTH_MAX",
    "JSON_VALUES_MAX",
    "EMITTER_DIAL_MS_MAX",
    "EMITTER_WRITE_MS_MAX",
    "EMITTER_ANSWER_MS_MAX",
)
_HEAD: Final = "// SPDX-License-Identifier: Apache-2.0\n// Written by tools/typescript.py.\n\n"

_PLAIN: Final[dict[str, Any]] = {
    "session_id": "3f0c5d1e-2b1a-4c8e-9f60-1d2c3b4a5e6f",
    "ts_emit": "2026-11-21T12:00:00.123Z",
    "channel": "openclaw",
    "tool": {"name": "exec"},
    "decision": "allowed",
}
_DEEP: Final[dict[str, Any]] = {"a": [{"b": {"c": [[], {}, [{}]]}}]}
_SOUND: Final[dict[str, dict[str, Any]]] = {
    "plain": {},
    "all members": {
        "ack": True,
        "action_type": "system.command.execute",
        "agent_id": "helper",
        "agent_type": "explore",
        "capture_method": "transcript",
        "correlation_id": "toolu_01",
        "drop_count": 3,
        "error": "line one\nline two\tand \u0000",
        "idempotency_key": "openclaw:run:call:after",
        "input": {"command": "ls -la"},
        "issuer_model": "m",
        "issuer_name": "n",
        "late": True,
        "model": "some-model-4",
        "operator_id": "o",
        "operator_name": "O",
        "output": [1, 2, 3],
        "prompt_preview": "do it",
        "rule": {"name": "r", "action": "pass", "approver": "a", "reason": "because\nso"},
        "target_resource": "/etc/hosts",
        "target_system": "filesystem",
        "usage": {"input_tokens": 12, "output_tokens": 0},
    },
    "left out": {"error": "", "model": None, "input": None, "agent_id": ""},
    "values": {"input": [None, True, False, 0, -1, 9007199254740991, -9007199254740991, 0.1, 1.5]},
    "empty values": {"input": {"": "", "a": None, "b": [], "c": {}}, "output": {}},
    "deep": {"input": _DEEP},
    "as deep as may be": {"input": json.loads("[" * 63 + "]" * 63)},
    "brackets in a text": {"input": '[[' * 100 + '\\"[{,' * 100},
    "escapes": {"input": '"\\/\b\f\n\r\t\u0001\u001f\u007f'},
    "other scripts": {"input": "äöü ß € 漢字 🎉 \u2028\u2029 \ufeff"},
    "an escape as text": {"input": "\\ud800 \\\\udfff"},
    "names of other scripts": {"tool": {"name": "größe", "server": "漢字"}},
    "as long as may be": {
        "session_id": "s" * 256, "target_system": "x", "target_resource": "é" * 2048,
    },
}  # fmt: skip
_UNSOUND: Final[dict[str, dict[str, Any]]] = {
    "no tool": {"tool": None},
    "no name": {"tool": {"name": ""}},
    "tool is text": {"tool": "exec"},
    "tool with more": {"tool": {"name": "a", "version": "1"}},
    "no decision": {"decision": ""},
    "another decision": {"decision": "maybe"},
    "session is a number": {"session_id": 7},
    "long session": {"session_id": "s" * 257},
    "long in bytes": {"session_id": "é" * 129},
    "control character": {"channel": "a\nb"},
    "line separator": {"channel": "a\u2028b"},
    "unknown member": {"colour": "red"},
    "system without resource": {"target_system": "filesystem"},
    "name without operator": {"operator_name": "O"},
    "agent with slash": {"agent_id": "a/b"},
    "rule is a list": {"rule": []},
    "a number for an answer": {"ack": 1},
    "a text for late": {"late": "yes"},
    "a text for a count": {"drop_count": "3"},
    "a part of a drop": {"drop_count": 0.5},
    "fewer drops than none": {"drop_count": -1},
    "more drops than are counted": {"drop_count": 2**53},
    "a version of its own": {"v": "2"},
    "too large": {"input": "x" * limits.FRAME_BYTES_MAX},
    "too deep": {"input": json.loads("[" * 64 + "]" * 64)},
}
_ANSWERS: Final = (
    '{"ok":true,"id":"urn:receipt:1","chain_id":"c","sequence":1,"hash":"sha256:00"}',
    '{"ok":false,"code":"FRAME_VALUE","message":"no"}',
    '{"ok":false,"code":"STORE","message":"no"}',
    '{"ok":true,"id":"urn:receipt:1","chain_id":"c","hash":"sha256:00"}',
    '{"ok":true,"id":"urn:receipt:1","chain_id":"c","sequence":"1","hash":"sha256:00"}',
    '{"ok":1}',
    "{}",
    "[]",
    "null",
    "no json",
    "",
)
_PLACES: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    ("linux", {}),
    ("linux", {"XDG_RUNTIME_DIR": "/run/user/7"}),
    ("linux", {"AGENTRECEIPTS_SOCKET": "/x/y.sock", "XDG_RUNTIME_DIR": "/run/user/7"}),
    ("darwin", {"HOME": "/Users/me"}),
    ("darwin", {"HOME": "/Users/me/", "XDG_DATA_HOME": "/data/"}),
    ("darwin", {"HOME": "/Users/me", "XDG_DATA_HOME": "data"}),
    ("darwin", {}),
    ("win32", {"HOME": "/x"}),
)


def contents() -> dict[Path, str]:
    """Return every generated file and what it is to hold."""
    return {
        PACKAGES / "emitter" / "src" / "limits.ts": _limits(),
        PACKAGES / "openclaw" / "src" / "taxonomy.ts": _taxonomy(),
        PACKAGES / "vectors" / "emitter.json": json.dumps(vectors(), indent=1) + "\n",
    }


def vectors() -> dict[str, Any]:
    """Return what both emitters must do alike."""
    return {
        "frames": [_frame(name, more) for name, more in _SOUND.items()],
        "refused": [_refusal(name, more) for name, more in _UNSOUND.items()],
        "answers": [_answer(one) for one in _ANSWERS],
        "sockets": [
            {"platform": system, "environ": around, "path": default_socket_path(system, around)}
            for system, around in _PLACES
        ],
    }  # fmt: skip


def _frame(name: str, more: dict[str, Any]) -> dict[str, Any]:
    members = {**_PLAIN, **more}
    return {"name": name, "members": members, "bytes": framed(body_of(members)).hex()}


def _refusal(name: str, more: dict[str, Any]) -> dict[str, Any]:
    members = {**_PLAIN, **more}
    try:
        body_of(members)
    except FrameRefused as fault:
        if fault.code == "FRAME_SIZE":
            members["input"] = {"repeat": ["x", limits.FRAME_BYTES_MAX]}
        return {"name": name, "members": members, "code": fault.code, "where": fault.where}
    raise AssertionError(name)


def _answer(body: str) -> dict[str, Any]:
    try:
        return {"body": body, "answer": read_answer(body.encode())}
    except ValueError:
        return {"body": body, "answer": None}


def _limits() -> str:
    rows = [f"export const {name} = {getattr(limits, name)};" for name in LIMITS]
    return _HEAD + "\n".join(rows) + "\n"


def _taxonomy() -> str:
    rows = [f'  ["{name}", "{kind}"],' for name, kind in sorted(tool_types().items())]
    return (
        _HEAD
        + "/** Action types by the names of hosts' own tools, in lower case. */\n"
        + "export const TOOL_TYPES: ReadonlyMap<string, string> = new Map([\n"
        + "\n".join(rows)
        + "\n]);\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write all files, or compare them; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    check = parser.parse_args(arguments).check
    stale = [
        path
        for path, text in contents().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if check:
            print(f"{path.relative_to(ROOT)}: not what tools/typescript.py makes")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(contents()[path], encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
