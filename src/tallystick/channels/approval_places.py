# SPDX-License-Identifier: Apache-2.0
"""Where proxies announce their approval API, and how approvers find it: one small file for each.

The directory and the files are for their owner alone: who can read the token can decide. A file
whose proxy is gone is removed by whoever comes across it.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from tallystick.durable.file import make_directory, read_bounded, reason_of, shown, write_replace
from tallystick.errors import (
    ApprovalError,
    DurableError,
    LimitError,
    SettingError,
    UnreadableError,
)
from tallystick.limits import (
    APPROVAL_ANSWER_BYTES_MAX,
    APPROVAL_PLACE_BYTES_MAX,
    APPROVAL_REQUEST_MS_MAX,
    CREDENTIAL_CHARS_MAX,
)
from tallystick.model.framing import data_home

_END: Final = ".approvals"
_TOKEN_BYTES: Final = 32


class Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One proxy's API: where, by which token, and whose calls wait there."""

    pid: int
    port: int
    server: str
    token: str


def approvals_folder(environ: Mapping[str, str], runtime: str | None) -> str:
    """Return the directory of announcements: as told, or where the user's runtime files are."""
    named = environ.get("TALLY_APPROVALS")
    if named:
        return named
    base = runtime or data_home(environ)
    if not base:
        raise SettingError("no place for approvals: set TALLY_APPROVALS")
    return f"{base}/tallystick/approvals"


def new_token() -> str:
    """Return a token that nobody guesses."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def announce(folder: str, place: Place) -> str:
    """Write where a proxy's API is; return the path of the file."""
    _make_private(folder)
    path = os.path.join(folder, f"{place.pid}-{secrets.token_hex(4)}{_END}")
    try:
        write_replace(path, msgspec.json.encode(place), 0o600)
    except DurableError as fault:
        raise SettingError(str(fault)) from None
    return path


def withdraw(path: str) -> None:
    """Remove an announcement."""
    try:
        os.unlink(path)
    except OSError:
        pass  # somebody cleaned up


def places(folder: str) -> Iterator[Place]:
    """Yield all proxies that announce an API and still run."""
    try:
        _refuse_shared(folder)
        names = sorted(name for name in os.listdir(folder) if name.endswith(_END))
    except FileNotFoundError:
        return
    except OSError as fault:
        raise SettingError(f"{shown(folder)}: {reason_of(fault)}") from None
    for name in names:
        path = os.path.join(folder, name)
        try:
            place = msgspec.json.decode(read_bounded(path, APPROVAL_PLACE_BYTES_MAX), type=Place)
        except (LimitError, UnreadableError, msgspec.MsgspecError):
            continue
        if _runs(place.pid):
            yield place
        else:
            withdraw(path)


def ask(place: Place, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """Return a proxy's answer, or raise `ApprovalError`."""
    if not 0 < place.port < 65536 or len(place.token) > CREDENTIAL_CHARS_MAX:
        raise ApprovalError("the announcement is damaged")
    connection = http.client.HTTPConnection(
        "127.0.0.1", place.port, timeout=APPROVAL_REQUEST_MS_MAX / 1000
    )
    try:
        connection.request(
            method,
            path,
            body=None if body is None else json.dumps(body),
            headers={"Authorization": f"Bearer {place.token}"},
        )
        response = connection.getresponse()
        data = response.read(APPROVAL_ANSWER_BYTES_MAX)
        answer = json.loads(data)
    except (OSError, http.client.HTTPException, ValueError) as fault:
        raise ApprovalError(f"the proxy of {place.server} does not answer") from fault
    finally:
        connection.close()
    if response.status != 200:
        told = answer.get("error") if isinstance(answer, dict) else None
        raise ApprovalError(f"the proxy of {place.server}: {told or response.status}")
    return answer


def _make_private(folder: str) -> None:
    try:
        parent = os.path.dirname(os.path.abspath(folder))
        os.makedirs(parent, mode=0o700, exist_ok=True)
        make_directory(folder, 0o700)
        _refuse_shared(folder)
    except DurableError as fault:
        raise SettingError(str(fault)) from None
    except OSError as fault:
        raise SettingError(f"{shown(folder)}: {reason_of(fault)}") from None


def _refuse_shared(folder: str) -> None:
    found = os.stat(folder)
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise SettingError(
            f"{shown(folder)}: others could read tokens there; wanted is a directory of yours "
            "alone (chmod 700)"
        )


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return True
