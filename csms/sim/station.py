"""A simulated station's life: connect, statuses, availability, resets. It knows no version's messages and no socket.

Booting and charging have files of their own. Time comes from an injected clock, dates from ``now``; ``say`` is told in plain words what happens.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from csms.sim.booting import Booting
from csms.sim.charging import Charger
from csms.sim.device import DeviceModel, Variable
from csms.sim.evse import Evse
from csms.sim.files import Files, Put, nobody
from csms.sim.session import Lane, Session
from csms.sim.uplink import CannotConnect, Line, Uplink
from csms.sim.voice import Voice

REBOOT_S = 2.0
FLUSH_S = 5.0


@dataclass(frozen=True, slots=True)
class Nature:
    """What a station is: its name, and the charge that one of its EVSEs gives. ``power_w`` is what its meter shows."""

    name: str
    model: str
    serial: str
    energy_wh: int
    charge_s: float
    sample_s: float
    power_w: int


class Station:
    """One simulated station. The assembly gives it its ``voice`` and its ``uplink`` before ``start``.

    ``patient`` is asked after each failure to connect whether to try again; who answers no has to ``stop`` the station.
    """

    log = Logger()
    voice: Voice
    uplink: Uplink

    def __init__(
        self,
        nature: Nature,
        *,
        evses: dict[int, Evse],
        device: DeviceModel,
        session: Session,
        clock: IReactorTime,
        now: Callable[[], datetime],
        random: Random,
        say: Callable[[str], None],
    ) -> None:
        self.nature = nature
        self.evses = evses
        self.device = device
        self.session = session
        self.clock = clock
        self.now = now
        self.random = random
        self.say = say
        self.charger = Charger(self)
        self.files = Files(self)
        self.put: Put = nobody
        self.booting = Booting(self)
        self.keep_register: Callable[[int, int], None] = lambda evse, register_wh: None
        self.new_password: Callable[[str], str] = lambda password: "kept until the end"
        self.patient: Callable[[CannotConnect], bool] = lambda trouble: True
        self._ready: list[Deferred[None]] = []
        self._reset_when_idle: set[int] = set()
        session.unwelcome = self.booting.unwelcome
        device.changed = self._variable_changed

    def start(self) -> None:
        """Power on: connect and boot."""
        self.uplink.start()

    def stop(self) -> Deferred[None]:
        """Power off; fires when the line is closed."""
        self.booting.silence()
        self.charger.power_off()
        return self.uplink.stop()

    @property
    def ready(self) -> bool:
        """Whether there is a line and the boot was accepted."""
        return self.session.online and self.session.boot_accepted

    def when_ready(self) -> Deferred[None]:
        """Fires once the station is ready, at once if it is."""
        waiting: Deferred[None] = Deferred()
        if self.ready:
            waiting.callback(None)
        else:
            self._ready.append(waiting)
        return waiting

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        """Start something that nobody waits for; a fault is logged."""
        Deferred.fromCoroutine(work).addErrback(
            lambda failure: self.log.failure("{station}: a fault of the simulator", failure, station=self.nature.name)
        )

    def pause(self, seconds: float) -> Deferred[None]:
        """Fires after so many seconds."""
        return deferLater(self.clock, seconds, lambda: None)

    # The line

    def came_up(self, line: Line) -> None:
        """A new line: boot, or go on where the loss of the last one interrupted."""
        self.session.opened(line)
        if self.session.boot_accepted:
            self.say("connected again")
            self.booting.schedule_heartbeat()
            self.welcome()
        else:
            self.say("connected")
            self.booting.begin()

    def heard(self, frame: str | bytes) -> None:
        """One frame came in."""
        self.session.received(frame)

    def went_down(self, why: str) -> None:
        """The line is gone; charging goes on."""
        self.say(f"connection closed: {why}")
        self.booting.silence()
        self.session.lost()
        self.booting.wake()

    def cannot_connect(self, trouble: CannotConnect, pause_s: float) -> None:
        """Dialling failed; the uplink tries again."""
        self.say(f"cannot connect: {trouble}")
        self.say(f"  {trouble.cure}")
        if self.patient(trouble):
            self.say(f"  trying again in {max(1, round(pause_s))} s")

    def welcome(self) -> None:
        """The boot is accepted, or still is: tell all statuses and go on."""
        self.voice.station_status()
        for evse in self.evses.values():
            self.report(evse, again=True)
        waiting, self._ready = self._ready, []
        for one in waiting:
            one.callback(None)

    def _variable_changed(self, component: str, name: str) -> None:
        if name == "HeartbeatInterval" and self.ready:
            self.booting.schedule_heartbeat()
        if name == "TxUpdatedInterval":
            self.charger.sample_interval_s = float(self.device.text(component, name))
        if name == "BasicAuthPassword":
            self.say(
                f"the CSMS gave this station a new password, {self.new_password(self.device.text(component, name))}"
            )

    def report(self, evse: Evse, *, again: bool = False, lane: Lane = Lane.ROUTINE) -> None:
        """Tell the status of a connector if it changed, or ``again``."""
        word = self.voice.word(evse)
        if again or word != evse.reported:
            evse.reported = word
            self.voice.status(evse, lane)

    def report_asked(self, evses: list[Evse], *, of_station: bool) -> None:
        """Tell statuses that the CSMS asked for."""
        if of_station:
            self.voice.station_status(Lane.ASKED)
        for evse in evses:
            self.report(evse, again=True, lane=Lane.ASKED)

    def read_asked(self, evses: list[Evse]) -> None:
        """Tell meter readings that the CSMS asked for."""
        for evse in evses:
            self.voice.meter_values(evse)

    def order_availability(self, evses: list[Evse], *, operative: bool) -> str:
        """Obey an availability order for these EVSEs: Accepted, or Scheduled when a charge has to end first."""
        words = {evse.order(operative=operative) for evse in evses}
        return "Scheduled" if "Scheduled" in words else "Accepted"

    def value_of(self, variable: Variable) -> str:
        """A variable's value now; availability is read off the EVSEs."""
        if variable.name != "AvailabilityState":
            return variable.value
        if variable.evse is not None:
            return self.evses[variable.evse].availability
        words = {evse.availability for evse in self.evses.values()}
        return words.pop() if len(words) == 1 else "Available"

    # Resets

    def plan_reset(
        self, when: str, evse: Evse | None, *, reason: str = "ImmediateReset"
    ) -> tuple[str, Callable[[], None] | None]:
        """The status word that answers a reset order, and what to do after the answer; ``when`` is Immediate or OnIdle."""
        concerned = [evse] if evse else list(self.evses.values())
        number = evse.number if evse else 0
        if when == "OnIdle" and any(one.charge for one in concerned):
            self._reset_when_idle.add(number)
            return "Scheduled", None
        return "Accepted", lambda: self.run(self._reset(number, "RemoteReset", reason))

    def reset_if_idle(self) -> None:
        """A cable is out: reset now what waited for the end of a charge."""
        for number in sorted(self._reset_when_idle):
            concerned = [self.evses[number]] if number else list(self.evses.values())
            if not any(one.charge for one in concerned):
                self._reset_when_idle.discard(number)
                self.run(self._reset(number, "ScheduledReset", "ImmediateReset"))

    async def _reset(self, number: int, boot_reason: str, stop_reason: str) -> None:
        self.say(f"resetting EVSE {number}" if number else "resetting")
        for evse in [self.evses[number]] if number else list(self.evses.values()):
            self.charger.stop(evse, "ResetCommand", stop_reason, keep_cable=True)
        if number:
            self.report(self.evses[number], again=True)
            self.charger.unplug_leftovers()
            return
        await self._flush()
        self._reset_when_idle.clear()
        self.booting.prepare(boot_reason)
        self.uplink.reboot(REBOOT_S)

    async def settle(self) -> None:
        """Wait until cables are out and everything said is answered, but not for long."""
        await self._until(lambda: self.session.idle and not any(one.plugged for one in self.evses.values()))

    async def _flush(self) -> None:
        await self._until(lambda: not self.session.online or not self.session.undelivered)

    async def _until(self, done: Callable[[], bool]) -> None:
        deadline = self.clock.seconds() + FLUSH_S
        while not done() and self.clock.seconds() < deadline:
            await self.pause(0.1)
