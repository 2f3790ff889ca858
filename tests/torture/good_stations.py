"""Stations that must never notice what is done to others: each sends heartbeats at its pace and writes down how long every answer took."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from typing import Any

import websockets
from over_tls import Door, way

BOOT = {"reason": "PowerUp", "chargingStation": {"model": "Good", "vendorName": "Test"}}


class GoodStation:
    """One station; ``waits_s`` are the seconds between its calls and their answers, ``late`` the calls without one."""

    def __init__(self, place: str | Door, name: str, *, every_s: float = 0.2, patience_s: float = 5.0) -> None:
        self.name = name
        self.waits_s: list[float] = []
        self.late = 0
        self.lost = 0
        self._url, self._context = way(place, name)
        self._every_s = every_s
        self._patience_s = patience_s
        self._ids = itertools.count(1)

    async def live(self, until: asyncio.Event) -> None:
        """Boot and beat until told to stop; a lost connection is counted, and made again."""
        while not until.is_set():
            try:
                await self._session(until)
            except (OSError, websockets.WebSocketException):
                self.lost += 1
                await asyncio.sleep(0.1)

    async def _session(self, until: asyncio.Event) -> None:
        protocols = [websockets.Subprotocol("ocpp2.0.1")]
        async with websockets.connect(
            self._url, ssl=self._context, subprotocols=protocols, compression=None, ping_interval=None, open_timeout=20
        ) as socket:
            await self._call(socket, "BootNotification", BOOT)
            while not until.is_set():
                began = time.monotonic()
                if await self._call(socket, "Heartbeat", {}):
                    self.waits_s.append(time.monotonic() - began)
                await asyncio.sleep(self._every_s)

    async def _call(self, socket: Any, action: str, payload: dict[str, Any]) -> bool:
        number = f"{self.name}-{next(self._ids)}"
        await socket.send(json.dumps([2, number, action, payload]))
        try:
            async with asyncio.timeout(self._patience_s):
                while json.loads(await socket.recv())[1] != number:
                    pass
        except TimeoutError:
            self.late += 1
            return False
        return True
