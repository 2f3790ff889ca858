"""What of a transaction is priced: its times, the registers that count, and when charging ended. A pure function; knows no store and no money."""

from __future__ import annotations

from csms.model.billing import Consumption, MeterPoint
from csms.model.transactions import Transaction


def consumption_of(transaction: Transaction) -> Consumption:
    """The consumption of a transaction, or what it is so far: the newest register of a running one counts as its end."""
    end_wh = transaction.meter_stop_wh
    if transaction.ended_at is None:
        end_wh = transaction.last_meter_wh
    begin, end = transaction.started_at, transaction.ended_at or transaction.last_event_at
    begin_wh = transaction.meter_start_wh
    points: tuple[MeterPoint, ...] = ()
    if begin and end and begin_wh is not None and end_wh is not None and end_wh >= begin_wh:
        points = (MeterPoint(begin, begin_wh), MeterPoint(max(begin, end), end_wh))
    return Consumption(begin, end if begin and end and end >= begin else None, points)
