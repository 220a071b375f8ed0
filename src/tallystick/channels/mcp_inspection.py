# SPDX-License-Identifier: Apache-2.0
"""What passes between a client and a server of MCP, looked at; knows nothing of how it travels.

Lines come in and go out as the same bytes, in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tallystick.channels.approvals import Approvals
from tallystick.channels.mcp_approving import Approving
from tallystick.channels.mcp_client_side import ClientSide
from tallystick.channels.mcp_receipts import Receipts
from tallystick.channels.mcp_server_side import ServerSide
from tallystick.channels.mcp_session import DENIED, Outlet, Policy, Session


class Inspection:
    """One session between one client and one server."""

    def __init__(
        self,
        policy: Policy,
        receipts: Receipts,
        approvals: Approvals,
        *,
        to_client: Outlet,
        to_server: Outlet,
        clock_ns: Callable[[], int],
    ) -> None:
        """Take the rules, where receipts go, and where lines go."""
        self._session = Session(
            policy,
            receipts,
            approvals,
            to_client=to_client,
            to_server=to_server,
            clock_ns=clock_ns,
        )
        self.approving = Approving(self._session)
        self._client = ClientSide(self._session, self.approving)
        self._server = ServerSide(self._session)

    def from_client(self, lines: Sequence[bytes]) -> None:
        """Judge lines from the client; forward, refuse or hold each of them, in their order."""
        self._client.take(lines)

    def from_server(self, lines: Sequence[bytes]) -> None:
        """Note what comes from the server, and pass it on, whatever it is."""
        self._server.take(lines)

    def refuse_overlong(self, size: int, digest: str) -> None:
        """Hear of a line from the client that was over the limit, and was dropped."""
        self._client.refuse_overlong(size, digest)

    def note_overlong(self, size: int, digest: str) -> None:
        """Hear of a line from the server that was over the limit, and passed as it came."""
        self._server.note_overlong(size, digest)

    def expire(self) -> None:
        """Look at what has waited for too long."""
        self.approving.expire()

    def client_gone(self) -> None:
        """Deny what nobody approved: who asked for it is not there any more."""
        for paused in self._session.approvals.take_all():
            self._session.drop(paused, "the client left before anybody decided")

    def server_gone(self, how: str) -> None:
        """Tell of all that will never be answered."""
        for paused in self._session.approvals.take_all():
            self._session.reject(paused, DENIED, f"the server {how} before anybody decided")
        for one in self._session.calls.close_all():
            if one.call.direction == "server":
                told = "outcome unknown: the session ended before the client answered"
            elif one.is_cancelled:
                told = f"outcome unknown: cancelled by the client, and the server {how}"
            else:
                told = f"outcome unknown: the server {how} before it answered"
            self._session.receipts.unknown(one, told)
