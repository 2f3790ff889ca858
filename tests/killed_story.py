"""Two charges from their first event to their delivered bills: what is told in the tests that kill the server between any two steps of it."""

from __future__ import annotations

from typing import Any

V201, V16 = "ocpp2.0.1", "ocpp1.6"
TARIFF = """
[[plugins.billing.tariff]]
name = "day"
per_kwh = "1.00"
[[plugins.billing.tariff.step]]
name = "later"
hours = "12:07-13:00"
per_kwh = "0.50"
"""
BOOKS = """
import os
from csms.api import BillDelivered, hookimpl


class Books:
    def __init__(self, settings, csms):
        self.file = csms.folder / "books.txt"

    @hookimpl
    def deliver_bill(self, delivery):
        with self.file.open("a") as books:
            books.write(f"{delivery.key} {delivery.bill.price.total}\\n")
            books.flush()
            os.fsync(books.fileno())
        return BillDelivered(reference="kept")
"""
"""A billing backend: a line for each delivery, on the disk before it says yes."""


def at(minute: int) -> str:
    """A time on the first of March, on the wire."""
    return f"2026-03-01T12:{minute:02}:00Z"


def _event(seq: int, kind: str, minute: int, wh: int, **more: Any) -> dict[str, Any]:
    """A TransactionEvent of T1."""
    context = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}.get(kind, "Sample.Periodic")
    return {
        "eventType": kind,
        "timestamp": at(minute),
        "triggerReason": "MeterValuePeriodic",
        "seqNo": seq,
        "transactionInfo": {"transactionId": "T1"},
        "evse": {"id": 1, "connectorId": 1},
        "meterValue": [{"timestamp": at(minute), "sampledValue": [{"value": wh, "context": context}]}],
        **more,
    }


def _late_reading(transaction: int) -> dict[str, Any]:
    """MeterValues of 1.6 that come behind the bill, and make it another one: most of the energy flowed at the higher price."""
    sample = {"value": "1900", "measurand": "Energy.Active.Import.Register"}
    values = [{"timestamp": at(7), "sampledValue": [sample]}]
    return {"connectorId": 1, "transactionId": transaction, "meterValue": values}


TOKEN = {"idToken": {"idToken": "TAG", "type": "ISO14443"}}
SAID: tuple[tuple[str, str, Any], ...] = (
    (V201, "TransactionEvent", _event(0, "Started", 5, 1000, **TOKEN)),
    (V16, "StartTransaction", {"connectorId": 1, "idTag": "TAG", "meterStart": 1000, "timestamp": at(5)}),
    (V201, "TransactionEvent", _event(2, "Ended", 9, 2000, offline=True, **TOKEN)),
    (V16, "StopTransaction", {"meterStop": 2000, "timestamp": at(9), "idTag": "TAG"}),
    (V201, "TransactionEvent", _event(1, "Updated", 6, 1500, offline=True)),
    (V16, "MeterValues", None),
)
"""Two transactions, one with a hole that is filled later, the other with a reading that comes after its bill."""
BILLS = ((0, 0), (0, 0), (1, 0), (2, 1), (2, 2), (4, 4))
"""So many bills and credit notes there are once all has followed from each of these messages, and so many of them have a number."""
NUMBERS = 4


def with_its_number(number: int, wire_id: int | None) -> dict[str, Any]:
    """The payload of one message of SAID; one of 1.6 behind the start names the id that the CSMS gave."""
    _, action, payload = SAID[number]
    if action in ("StartTransaction", "TransactionEvent"):
        return dict(payload)
    assert wire_id is not None
    return _late_reading(wire_id) if payload is None else {"transactionId": wire_id, **payload}
