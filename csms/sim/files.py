"""Logs that a simulated station sends, and firmware that it pretends to install. Knows HTTP's PUT, and no version's messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from csms.sim.station import Station

Told = Callable[[str], None]
Put = Callable[[str, bytes], Awaitable[int]]
"""Sends a body to a URL; the status of the answer."""
STEP_S = 1.0
INSTALLING = ("Downloading", "Downloaded", "Installing", "Installed")
INSTALLING_SIGNED = ("Downloading", "Downloaded", "SignatureVerified", "Installing", "Installed")


async def nobody(url: str, body: bytes) -> int:
    """The ``Put`` of a station without a network."""
    raise OSError("this station has no way to send files")


class Files:
    """What one station sends and installs; ``tell`` is given statuses in the words of 2.0.1."""

    def __init__(self, station: Station) -> None:
        self._station = station

    def log(self) -> bytes:
        """A log of few lines."""
        nature, at = self._station.nature, self._station.now().isoformat()
        return f"{at} log of {nature.name}, {nature.model}, serial {nature.serial}\n".encode()

    async def send_log(self, url: str, tell: Told) -> None:
        """Leave the log where it is wanted."""
        station = self._station
        tell("Uploading")
        try:
            status = await station.put(url, self.log())
        except Exception as fault:
            station.say(f"the log was not sent: {fault}")
            tell("UploadFailure")
            return
        taken = 200 <= status < 300
        station.say("the log is sent" if taken else f"the log was not taken: HTTP {status}")
        tell("Uploaded" if taken else "UploadFailure")

    async def install(self, *, signed: bool, tell: Told) -> None:
        """Pretend to fetch and to install firmware, a second each step."""
        for status in INSTALLING_SIGNED if signed else INSTALLING:
            self._station.say(f"firmware: {status} (pretended)")
            tell(status)
            await self._station.pause(STEP_S)
