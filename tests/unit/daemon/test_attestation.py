# SPDX-License-Identifier: Apache-2.0
"""The attestation as a value: it can stand in a receipt, whatever the system said."""

from __future__ import annotations

import json

import pytest

from tallystick.daemon.attestation import Attestation, text_of_path
from tallystick.limits import FRAME_RESOURCE_BYTES_MAX
from tallystick.model.action import PeerCredential
from tallystick.model.extension import Peer


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (b"/usr/bin/python3", "/usr/bin/python3"),
        ("/ä".encode(), "/ä"),
        (b"/a/\xff/b", "/a/\\xff/b"),
        (b"/a (deleted)", "/a (deleted)"),
        (b"x" * 100_000, "x" * FRAME_RESOURCE_BYTES_MAX),
    ],
)
def test_paths_of_any_bytes_become_text(path: bytes, text: str) -> None:
    """A path that is no UTF-8 is still a JSON text, and a long one is cut."""
    assert text_of_path(path) == text
    assert json.loads(json.dumps(text_of_path(path))) == text


def test_the_credential_has_the_protocols_members_only() -> None:
    """Five members, and everything else beside them."""
    credential = PeerCredential(exe_path="/x", gid=1, pid=2, platform="linux", uid=3)
    told = Attestation(credential=credential, peer=Peer(exe_status="ok"))
    assert told.credential.to_dict().keys() == {"exe_path", "gid", "pid", "platform", "uid"}
    assert told.peer.to_dict() == {"exe_status": "ok"}
