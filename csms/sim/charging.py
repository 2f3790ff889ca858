"""Charges on a simulated station: tag, cable, energy, meter readings, the end.

It knows no version's messages; the station gives it voice and time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from csms.sim.evse import Charge, Evse, Token
from csms.sim.session import CallLost, CallRefused

if TYPE_CHECKING:
    from csms.sim.station import Station

UNPLUG_S = 1.0
"""The driver pulls the cable so long after the end."""
AUTHORIZE_AGAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Ended:
    """A charge that is over: its events are delivered, or given up with ``delivered`` False, and its cable is out."""

    transaction_id: str
    energy_wh: int
    reason: str
    delivered: bool


class Charger:
    """Starts, measures and stops charges on the EVSEs of one station."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self.sample_interval_s = station.nature.sample_s
        self._samplers: dict[int, IDelayedCall] = {}
        self._full_at: dict[int, float] = {}
        self._unpluggers: dict[int, IDelayedCall] = {}
        self._watchers: list[Deferred[Ended]] = []

    def next_end(self) -> Deferred[Ended]:
        """Fires with the next charge that is over."""
        watcher: Deferred[Ended] = Deferred()
        self._watchers.append(watcher)
        return watcher

    async def authorize(self, token: Token) -> str:
        """Ask the CSMS about a tag; waits for a line and repeats until there is an answer."""
        while True:
            await self._station.when_ready()
            try:
                return await self._station.voice.authorize(token)
            except CallRefused as refusal:
                return refusal.code
            except CallLost as lost:
                self._station.say(f"no answer to the tag: {lost}")
                await self._station.pause(AUTHORIZE_AGAIN_S)

    def plug(self, evse: Evse) -> None:
        """Cable in."""
        self._cancel(self._unpluggers, evse)
        evse.finishing = False
        if not evse.plugged:
            evse.plugged = True
            self._station.say("cable plugged in")
        self._station.report(evse)

    def unplug(self, evse: Evse) -> None:
        """Cable out; ends the charge, if there is one."""
        self._cancel(self._unpluggers, evse)
        self.stop(evse, "EVCommunicationLost", "EVDisconnected", keep_cable=True)
        if evse.plugged:
            self._station.say("cable out")
        evse.plugged = evse.finishing = False
        self._station.report(evse)
        self._station.reset_if_idle()

    def unplug_leftovers(self) -> None:
        """Drivers pull the cables of charges that were cut short."""
        for evse in self._station.evses.values():
            if evse.plugged and evse.charge is None:
                self._unplug_later(evse)

    def begin(self, evse: Evse, token: Token, trigger: str, remote_start_id: int | None = None) -> None:
        """Start a charge on a free EVSE whose cable is in; it ends by itself when the energy is given."""
        station = self._station
        charge = Charge(
            local_id=f"T-{station.random.getrandbits(64):016x}",
            token=token,
            begun_at=station.now(),
            begun_wh=evse.meter.register_wh,
            remote=trigger == "RemoteStart",
            remote_start_id=remote_start_id,
        )
        evse.charge = charge
        station.keep_register(evse.number, charge.begun_wh + station.nature.energy_wh)
        answer = station.voice.started(evse, charge, trigger)
        answer.addCallbacks(self._answered, self._given_up, callbackArgs=(evse, charge))
        if not charge.ended:
            self._flow(evse, charge)

    def stop(
        self, evse: Evse, trigger: str, reason: str, *, token: Token | None = None, keep_cable: bool = False
    ) -> bool:
        """End the charge on an EVSE, if there is one; the cable comes out a little later unless it is kept. Whether there was one."""
        charge, station = evse.charge, self._station
        if charge is None:
            return False
        self._cancel(self._samplers, evse)
        evse.meter.halt()
        charge.state, charge.ended = "EVConnected", True
        energy_wh = evse.meter.register_wh - charge.begun_wh
        station.keep_register(evse.number, evse.meter.register_wh)
        delivery = station.voice.ended(evse, charge, trigger, reason, token)
        evse.charge, evse.finishing = None, True
        if evse.after_charge is not None:
            evse.operative, evse.after_charge = evse.after_charge, None
        station.report(evse)
        delivered: Deferred[bool] = delivery.addCallbacks(lambda _: True, self._given_up)
        delivered.addCallback(self._over, charge, energy_wh, reason)
        if not station.session.online:
            station.say("charge ended; its messages wait for the connection")
        if not keep_cable:
            self._unplug_later(evse)
        return True

    def power_off(self) -> None:
        """Forget all timers."""
        for timers in (self._samplers, self._unpluggers):
            for timer in timers.values():
                if timer.active():
                    timer.cancel()
            timers.clear()

    def charging(self, transaction_id: str) -> Evse | None:
        """The EVSE with that running transaction."""
        return next(
            (one for one in self._station.evses.values() if one.charge and one.charge.id == transaction_id), None
        )

    def free_evse(self, number: int | None) -> Evse | None:
        """That EVSE, or any, if a charge may start there now."""
        if not self._station.session.boot_accepted:
            return None
        evses = self._station.evses
        wanted = list(evses.values()) if number is None else [evses[number]] if number in evses else []
        return next((one for one in wanted if one.free()), None)

    async def begin_remotely(self, evse: Evse, token: Token, remote_start_id: int | None) -> None:
        """Start as the CSMS ordered; asks about the tag first when the station is set so."""
        self._station.say(f"remote start with tag {token.value}")
        if self._station.device.text("AuthCtrlr", "AuthorizeRemoteStart") == "true":
            verdict = await self.authorize(token)
            if verdict != "Accepted":
                self._station.say(f"tag {token.value} refused: {verdict}")
                return
        if evse.free():
            self.plug(evse)
            self.begin(evse, token, "RemoteStart", remote_start_id)

    def remind(self, evses: list[Evse]) -> None:
        """Send the news of running charges that the CSMS asked for."""
        for evse in evses:
            if evse.charge is not None:
                self._tell(evse, evse.charge, "Trigger", "Trigger")

    # Within a charge

    def _flow(self, evse: Evse, charge: Charge) -> None:
        nature = self._station.nature
        evse.meter.flow(nature.energy_wh / nature.charge_s, nature.energy_wh)
        charge.state = "Charging"
        self._full_at[evse.number] = self._station.clock.seconds() + nature.charge_s
        self._tell(evse, charge, "ChargingStateChanged")
        self._station.report(evse)
        self._next_sample(evse, charge)

    def _next_sample(self, evse: Evse, charge: Charge) -> None:
        left_s = self._full_at[evse.number] - self._station.clock.seconds()
        wait_s = max(0.05, min(self.sample_interval_s, left_s))
        self._samplers[evse.number] = self._station.clock.callLater(wait_s, self._sample, evse, charge)

    def _sample(self, evse: Evse, charge: Charge) -> None:
        given_wh = evse.meter.register_wh - charge.begun_wh
        self._tell(evse, charge, "MeterValuePeriodic", "Sample.Periodic")
        self._station.say(f"charging: {given_wh / 1000:.3f} kWh")
        if given_wh < self._station.nature.energy_wh:
            self._next_sample(evse, charge)
        elif not charge.remote:
            self.stop(evse, "StopAuthorized", "Local", token=charge.token)
        else:
            self.unplug(evse)

    def _tell(self, evse: Evse, charge: Charge, trigger: str, context: str = "") -> None:
        self._station.voice.updated(evse, charge, trigger, context).addErrback(self._given_up)

    def _answered(self, verdict: str, evse: Evse, charge: Charge) -> None:
        station = self._station
        station.say(f"transaction {charge.id} started on EVSE {evse.number}")
        strict = station.device.text("TxCtrlr", "StopTxOnInvalidId") == "true"
        if verdict != "Accepted" and evse.charge is charge:
            station.say(f"tag {charge.token.value} refused: {verdict}")
            if strict:
                self.stop(evse, "Deauthorized", "DeAuthorized")

    def _given_up(self, failure: Any) -> bool:
        failure.trap(CallLost, CallRefused)
        self._station.say(f"the CSMS refused a transaction message: {failure.getErrorMessage()}")
        return False

    def _over(self, delivered: bool, charge: Charge, energy_wh: int, reason: str) -> None:
        self._station.say(f"transaction {charge.id} ended: {energy_wh / 1000:.3f} kWh ({reason})")
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher.callback(Ended(charge.id, energy_wh, reason, delivered))

    def _unplug_later(self, evse: Evse) -> None:
        self._cancel(self._unpluggers, evse)
        self._unpluggers[evse.number] = self._station.clock.callLater(UNPLUG_S, self.unplug, evse)

    @staticmethod
    def _cancel(timers: dict[int, IDelayedCall], evse: Evse) -> None:
        timer = timers.pop(evse.number, None)
        if timer is not None and timer.active():
            timer.cancel()
