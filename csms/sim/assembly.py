"""Builds a simulated station from options and what it runs on; the only place of this package that joins its parts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from random import Random

from twisted.internet.interfaces import IReactorTime

from csms.sim.device import DeviceModel, station_variables
from csms.sim.evse import Evse, Meter
from csms.sim.files import Put, nobody
from csms.sim.options import SimOptions
from csms.sim.registers import Registers
from csms.sim.session import Patience, Session
from csms.sim.station import Nature, Station
from csms.sim.uplink import Dial, Uplink
from csms.sim.v16 import Voice16
from csms.sim.v201 import Voice201

MODEL = "Simulated Station"


def wall_clock() -> datetime:
    """The date and time now, UTC."""
    return datetime.now(UTC)


def make_station(
    options: SimOptions,
    *,
    dial: Dial,
    clock: IReactorTime,
    random: Random,
    now: Callable[[], datetime] = wall_clock,
    say: Callable[[str], None] = lambda words: None,
    put: Put = nobody,
) -> Station:
    """A station that is switched off; ``start`` makes it connect and boot. Its meters go on where those of the last run stopped."""
    nature = _nature(options)
    device = DeviceModel(station_variables(options.evses, nature.model, nature.serial, options.sample_interval_s))
    registers = Registers(random, options.kept_in("meters"))
    evses = {
        number: Evse(number, Meter(clock.seconds, registers.stands_at(number)))
        for number in range(1, options.evses + 1)
    }

    def patience() -> Patience:
        rest_s = float(device.text("OCPPCommCtrlr", "MessageAttemptInterval", "TransactionEvent"))
        return Patience(
            answer_s=float(device.text("OCPPCommCtrlr", "MessageTimeout", "Default")),
            rest_s=rest_s,
            tries=int(device.text("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent")),
        )

    session = Session(
        options.protocol,
        station=options.station,
        clock=clock,
        random=random,
        respond=lambda call: station.voice.answer(call),
        patience=patience,
    )
    station = Station(nature, evses=evses, device=device, session=session, clock=clock, now=now, random=random, say=say)
    station.voice = Voice16(station) if options.protocol == "ocpp1.6" else Voice201(station)
    station.put = put
    station.keep_register = registers.keep
    station.uplink = Uplink(dial, owner=station, clock=clock, random=random)
    return station


def _nature(options: SimOptions) -> Nature:
    return Nature(
        name=options.station,
        model=MODEL,
        serial=options.station[:25],
        energy_wh=options.energy_wh,
        charge_s=options.charge_s,
        sample_s=options.sample_interval_s,
        power_w=round(options.energy_wh * 3600 / (options.charge_s * options.speed)),
    )
