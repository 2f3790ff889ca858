"""How a simulated station boots until the CSMS accepts it, and the heartbeats afterwards. It knows no version's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from csms.sim.session import CallLost, CallRefused
from csms.sim.voice import BootAnswer

if TYPE_CHECKING:
    from csms.sim.station import Station

BOOT_AGAIN_S = 30.0
"""The pause after a boot without an answer, or with one that names no interval."""


class Booting:
    """Boots one station, again and again while the answer is not Accepted."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._session = station.session
        self._reason = "PowerUp"
        self._running = False
        self._alarm: Deferred[None] | None = None
        self._heartbeat: IDelayedCall | None = None

    def begin(self) -> None:
        """Boot now, unless that is under way."""
        if not self._running:
            self._running = True
            self._station.run(self._boot())

    def prepare(self, reason: str) -> None:
        """The station will be off for a moment, and boot for this reason."""
        self.silence()
        self._session.accept_boot(accepted=False)
        self._reason = reason

    def wake(self) -> None:
        """Boot again now if the station waits for the CSMS to accept it."""
        alarm, self._alarm = self._alarm, None
        if alarm is not None:
            alarm.cancel()

    def triggered(self) -> None:
        """The CSMS asked for another boot message."""
        if not self._session.boot_accepted:
            self._reason = "Triggered"
            self.wake()
            return
        answer = self._station.voice.boot("Triggered")
        answer.addCallbacks(self._beat_as_told, lambda failure: self._session.shrug(failure, "BootNotification"))

    def unwelcome(self) -> None:
        """The CSMS answered as to a station that has not booted."""
        if self._session.boot_accepted:
            self._station.say("the CSMS does not know this boot; booting again")
            self.prepare("Unknown")
            self.begin()

    def schedule_heartbeat(self) -> None:
        """The next heartbeat is one interval from now."""
        self.silence()
        self._heartbeat = self._station.clock.callLater(self._interval_s(), self._beat)

    def silence(self) -> None:
        """No more heartbeats."""
        if self._heartbeat is not None and self._heartbeat.active():
            self._heartbeat.cancel()
        self._heartbeat = None

    async def _boot(self) -> None:
        try:
            while self._session.online and not self._session.boot_accepted:
                pause_s = await self._boot_once()
                if pause_s and self._session.online:
                    await self._sleep(pause_s)
        finally:
            self._running = False

    async def _boot_once(self) -> float:
        """Boot; 0, or the seconds after which to try again."""
        station = self._station
        try:
            answer = await station.voice.boot(self._reason)
        except (CallLost, CallRefused) as fault:
            if self._session.online:
                station.say(f"boot failed: {fault}; again in {BOOT_AGAIN_S:.0f} s")
            return BOOT_AGAIN_S
        match answer.status:
            case "Accepted":
                self._accepted(answer)
                return 0
            case "Pending":
                station.say(f"booted: Pending; waiting for approval; run: csms station approve {station.nature.name}")
            case other:
                station.say(f"booted: {other}; see why: csms station show {station.nature.name}")
        return answer.interval_s or BOOT_AGAIN_S

    def _accepted(self, answer: BootAnswer) -> None:
        self._beat_as_told(answer)
        self._station.say(f"booted: Accepted, heartbeat every {self._interval_s():.0f} s")
        self._session.accept_boot(accepted=True)
        self.schedule_heartbeat()
        self._station.welcome()
        self._station.charger.unplug_leftovers()

    async def _sleep(self, seconds: float) -> None:
        self._alarm = self._station.pause(seconds).addErrback(lambda failure: None)
        await self._alarm
        self._alarm = None

    def _beat_as_told(self, answer: BootAnswer) -> None:
        interval = self._station.device.find("OCPPCommCtrlr", "HeartbeatInterval")
        if interval is not None and answer.interval_s > 0:
            interval.value = str(answer.interval_s)

    def _interval_s(self) -> float:
        return float(self._station.device.text("OCPPCommCtrlr", "HeartbeatInterval"))

    def _beat(self) -> None:
        self._station.voice.heartbeat()
        self.schedule_heartbeat()
