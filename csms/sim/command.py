"""``csms sim``: one simulated station lives through one charge and says so in plain words; the command line itself is in ``csms.cli``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Any

from twisted.internet.defer import Deferred

from csms.sim.assembly import make_station, wall_clock
from csms.sim.charging import Ended
from csms.sim.evse import Token
from csms.sim.files import Put, nobody
from csms.sim.keyring import Keyring
from csms.sim.options import SimOptions, SimResult
from csms.sim.station import Station
from csms.sim.uplink import CannotConnect, Dial

__all__ = ["SimOptions", "SimResult", "simulate"]

DIALS = 5
"""So often a story that shall end tries to connect."""


def simulate(
    reactor: Any,
    options: SimOptions,
    *,
    say: Callable[[str], None] = print,
    dial: Dial | None = None,
    now: Callable[[], datetime] = wall_clock,
    random: Random | None = None,
) -> Deferred[SimResult]:
    """Run the story and say each step as one line; fires with what came of it, with ``forever`` only when it cannot go on.

    Cancelling the Deferred switches the station off. It fails only for a fault of the simulator, never for what the server does.
    """
    keys = Keyring(options.password, options.kept_in("key"))
    put: Put = nobody
    if dial is None:
        from csms.sim.link import dialler, putter

        dial, put = dialler(reactor, options, keys), putter(reactor)

    def told(words: str) -> None:
        at = now().astimezone().strftime("%H:%M:%S")
        plain = "".join(sign if sign.isprintable() else "?" for sign in words)
        say(f"{at} {options.station} {plain}")

    station = make_station(options, dial=dial, clock=reactor, random=random or Random(), now=now, say=told, put=put)
    station.new_password = keys.take
    return Deferred.fromCoroutine(_Story(station, options).run())


class _Story:
    """What a driver does at one station."""

    def __init__(self, station: Station, options: SimOptions) -> None:
        self._station = station
        self._options = options
        self._ending: Deferred[SimResult] = Deferred()
        self._dials = 0
        station.patient = self._patient

    async def run(self) -> SimResult:
        """The story, until its end or until the server cannot be reached; the station is off afterwards."""
        self._station.say(f"dialling {self._options.url} as {self._options.protocol}")
        tale = Deferred.fromCoroutine(self._tell())
        tale.addBoth(self._end)
        self._station.start()
        try:
            return await self._ending
        finally:
            tale.cancel()
            await self._station.stop()

    def _end(self, outcome: Any) -> None:
        if not self._ending.called:
            self._ending.callback(outcome)

    async def _tell(self) -> SimResult:
        await self._station.when_ready()
        result = await (self._charge_remotely() if self._options.start == "remote" else self._charge_locally())
        await self._station.settle()
        if self._options.forever:
            self._station.say("staying connected; stop with Ctrl-C")
            await Deferred()
        return result

    async def _charge_locally(self) -> SimResult:
        station, token = self._station, Token(self._options.tag, self._options.token_type)
        station.say(f"tag {token.value} held to the reader")
        verdict = await station.charger.authorize(token)
        if verdict != "Accepted":
            station.say(f"tag {token.value} refused: {verdict}; add it: csms tag add {token.value}")
            return SimResult(trouble=f"tag {token.value} refused: {verdict}")
        station.say(f"tag {token.value} accepted")
        evse = station.charger.free_evse(None)
        if evse is None:
            station.say("no EVSE is free; see: csms station show " + station.nature.name)
            return SimResult(trouble="no EVSE is free")
        over = station.charger.next_end()
        station.charger.plug(evse)
        station.charger.begin(evse, token, "CablePluggedIn")
        return self._result(await over)

    async def _charge_remotely(self) -> SimResult:
        self._station.say("waiting for a start command; send one from the console or the API")
        return self._result(await self._station.charger.next_end())

    def _result(self, over: Ended) -> SimResult:
        refused = over.reason == "DeAuthorized"
        if refused:
            self._station.say(f"add the tag: csms tag add {self._options.tag}")
        trouble = (
            "the tag was refused" if refused else "" if over.delivered else "the CSMS refused the transaction's end"
        )
        return SimResult(over.transaction_id, over.energy_wh, accepted=not refused, trouble=trouble)

    def _patient(self, trouble: CannotConnect) -> bool:
        self._dials += 1
        vain = trouble.final or self._dials >= DIALS
        if self._options.forever or not vain:
            return True
        self._end(SimResult(trouble=f"cannot connect: {trouble}"))
        return False
