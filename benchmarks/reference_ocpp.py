"""Reference: the ``ocpp`` package on ``websockets``, both with their defaults, without a database: every message is answered and forgotten.

python benchmarks/reference_ocpp.py PORT
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from datetime import UTC, datetime
from typing import Any

import websockets
from ocpp.routing import on
from ocpp.v201 import ChargePoint, call_result
from ocpp.v201.datatypes import IdTokenInfoType
from ocpp.v201.enums import Action, AuthorizationStatusEnumType, RegistrationStatusEnumType

ACCEPTED = IdTokenInfoType(status=AuthorizationStatusEnumType.accepted)


def now() -> str:
    """This moment as OCPP writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Answering(ChargePoint):  # type: ignore[misc]
    """Says yes to everything."""

    @on(Action.boot_notification)  # type: ignore[untyped-decorator]
    def on_boot(self, **given: Any) -> Any:
        """Accepted."""
        accepted = RegistrationStatusEnumType.accepted
        return call_result.BootNotification(current_time=now(), interval=300, status=accepted)

    @on(Action.heartbeat)  # type: ignore[untyped-decorator]
    def on_heartbeat(self, **given: Any) -> Any:
        """The time."""
        return call_result.Heartbeat(current_time=now())

    @on(Action.status_notification)  # type: ignore[untyped-decorator]
    def on_status(self, **given: Any) -> Any:
        """Heard."""
        return call_result.StatusNotification()

    @on(Action.authorize)  # type: ignore[untyped-decorator]
    def on_authorize(self, **given: Any) -> Any:
        """Accepted."""
        return call_result.Authorize(id_token_info=ACCEPTED)

    @on(Action.transaction_event)  # type: ignore[untyped-decorator]
    def on_transaction_event(self, **given: Any) -> Any:
        """Heard, and the token accepted where there is one."""
        return call_result.TransactionEvent(id_token_info=ACCEPTED if "id_token" in given else None)

    @on(Action.notify_event)  # type: ignore[untyped-decorator]
    def on_notify_event(self, **given: Any) -> Any:
        """Heard."""
        return call_result.NotifyEvent()

    @on(Action.meter_values)  # type: ignore[untyped-decorator]
    def on_meter_values(self, **given: Any) -> Any:
        """Heard."""
        return call_result.MeterValues()


async def connected(socket: websockets.ServerConnection) -> None:
    """One station, until it leaves."""
    assert socket.request is not None
    with contextlib.suppress(websockets.ConnectionClosed):
        await Answering(socket.request.path.rpartition("/")[2], socket).start()


async def serve(port: int) -> None:
    """Listen until the process is ended."""
    protocols = [websockets.Subprotocol("ocpp2.0.1")]
    async with websockets.serve(connected, "127.0.0.1", port, subprotocols=protocols) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
