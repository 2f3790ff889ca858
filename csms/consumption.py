"""What of a transaction is priced: its times, the registers that count, and when charging ended. Pure functions; knows no store and no money."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from csms.model.billing import Consumption, MeterPoint
from csms.model.metering import ChargingChange, MeterEvidence, Reading
from csms.model.transactions import Transaction

CHARGING = "Charging"
HELD_BACK = "SuspendedEVSE"
"""The station itself gives no power: nobody is idle."""


def consumption_of(transaction: Transaction, evidence: MeterEvidence, now: datetime | None = None) -> Consumption:
    """The consumption of a transaction, or what it is so far: the newest register of a running one counts as its end, and so does its last event.

    With ``now`` time goes on behind that event, as long as it has been since it was heard: the station's clock may be another one.
    """
    begin, end = transaction.started_at, transaction.ended_at or _so_far(transaction, now)
    if begin is not None and end is not None and end < begin:
        begin = end = None
    known = evidence.begin is not None and (evidence.end is not None or transaction.ended_at is None)
    points = tuple(MeterPoint(one.at, one.value_wh) for one in evidence.series) if known else ()
    return Consumption(begin, end, points, idle_since(evidence))


def _so_far(transaction: Transaction, now: datetime | None) -> datetime | None:
    last, heard = transaction.last_event_at, transaction.heard_at
    if last is None or heard is None or now is None:
        return last
    try:
        return max(last, last + (now - heard))
    except OverflowError:
        return last


def idle_since(evidence: MeterEvidence) -> datetime | None:
    """When charging ended for good while the vehicle stayed; None while it goes on, or when it is not known.

    A station that tells no charging states is believed by its register: charging ended with the reading that has the last value.
    """
    if evidence.changes:
        return _after_charging(evidence.changes)
    return _after_the_last_rise(evidence.series) if evidence.end is not None else None


def _after_charging(changes: Sequence[ChargingChange]) -> datetime | None:
    supplied = [place for place, one in enumerate(changes) if one.state in (CHARGING, HELD_BACK)]
    charged = any(one.state == CHARGING for one in changes)
    after = supplied[-1] + 1 if supplied else len(changes)
    return changes[after].at if charged and after < len(changes) else None


def _after_the_last_rise(series: Sequence[Reading]) -> datetime | None:
    if len(series) < 3 or series[0].value_wh == series[-1].value_wh:
        return None
    return next(one.at for one in series if one.value_wh == series[-1].value_wh)
