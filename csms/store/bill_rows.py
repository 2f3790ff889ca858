"""How a bill stands in its row, and the credit note that takes one back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from csms.model.billing import Bill, BillKind, BillLine, BillStatus, BillStep, Price, TaxLine
from csms.store.bill_tables import Bill as Row
from csms.store.columns import (
    decimal_or_none,
    json_text,
    micros,
    micros_or_none,
    moment,
    moment_or_none,
    text_or_none,
)
from csms.store.statements import Q, compiled, upsert

FIELDS = [field for field in Row._meta.sorted_fields if field.name not in ("series", "serial", "revision")]
ALL = Row.select(*FIELDS)
GET = compiled(ALL.where(Row.id == Q))
PUT = upsert(Row, Row.id)


def fields_of(bill: Bill, series: str | None, serial: int | None, revision: int) -> tuple[object, ...]:
    """The values of a row, all but its id."""
    price = bill.price
    return (
        bill.transaction,
        bill.station,
        bill.kind.value,
        bill.status.value,
        series,
        serial,
        bill.number or None,
        bill.corrects,
        bill.reason,
        bill.by,
        int(bill.by_hand),
        price.currency,
        str(price.total),
        price.tariff,
        price.note,
        json_text(price.lines),
        json_text(price.taxes),
        int(price.taxes_included),
        str(price.rounding),
        text_or_none(bill.energy_wh),
        text_or_none(bill.meter_start_wh),
        text_or_none(bill.meter_stop_wh),
        micros_or_none(bill.started_at),
        micros_or_none(bill.ended_at),
        micros(bill.issued_at),
        None if bill.evidence is None else json_text(bill.evidence),
        revision,
    )


def bill_of(row: Any) -> Bill:
    """The bill of a row of ``ALL``."""
    return Bill(
        id=row[0],
        transaction=row[1],
        station=row[2],
        kind=BillKind(row[3]),
        status=BillStatus(row[4]),
        number=row[5] or "",
        corrects=row[6],
        reason=row[7],
        by=row[8],
        by_hand=bool(row[9]),
        price=Price(
            currency=row[10],
            total=Decimal(row[11]),
            tariff=row[12],
            note=row[13],
            lines=tuple(_line(line) for line in orjson.loads(row[14])),
            taxes=tuple(_tax(tax) for tax in orjson.loads(row[15])),
            taxes_included=bool(row[16]),
            rounding=Decimal(row[17]),
        ),
        energy_wh=decimal_or_none(row[18]),
        meter_start_wh=decimal_or_none(row[19]),
        meter_stop_wh=decimal_or_none(row[20]),
        started_at=moment_or_none(row[21]),
        ended_at=moment_or_none(row[22]),
        issued_at=moment(row[23]),
        evidence=None if row[24] is None else orjson.loads(row[24]),
    )


def step_of(row: Any) -> BillStep:
    """A step of a row of its history."""
    return BillStep(row[0], moment(row[1]), row[2], row[3], row[4])


def credit_of(bill: Bill, at: datetime, reason: str, by: str) -> Bill:
    """What takes a bill back: every line and every tax of it, the other way round."""
    price = bill.price
    back = replace(
        price,
        total=-price.total,
        lines=tuple(replace(line, quantity=-line.quantity, amount=-line.amount) for line in price.lines),
        taxes=tuple(replace(tax, base=-tax.base, amount=-tax.amount) for tax in price.taxes),
        rounding=-price.rounding,
        note=f"takes back {bill.number}",
    )
    return replace(
        bill, id=0, kind=BillKind.CREDIT, price=back, issued_at=at, number="", corrects=bill.id, reason=reason, by=by
    )


def same_price(one: Bill, other: Bill) -> bool:
    """Whether two bills ask for the same, line by line."""
    mine, theirs = one.price, other.price
    return (mine.currency, mine.total, mine.tariff, _said(mine)) == (
        theirs.currency,
        theirs.total,
        theirs.tariff,
        _said(theirs),
    )


def _said(price: Price) -> list[object]:
    lines = [(line.text, line.quantity, line.unit_price, line.amount) for line in price.lines]
    return [*lines, *((tax.name, tax.base, tax.amount) for tax in price.taxes)]


def _line(line: dict[str, str]) -> BillLine:
    return BillLine(
        text=line["text"],
        quantity=Decimal(line["quantity"]),
        unit=line["unit"],
        unit_price=Decimal(line["unit_price"]),
        amount=Decimal(line["amount"]),
        kind=line.get("kind", ""),
        begin=_time(line.get("begin")),
        end=_time(line.get("end")),
    )


def _tax(tax: dict[str, str]) -> TaxLine:
    return TaxLine(tax["name"], Decimal(tax["percent"]), Decimal(tax["base"]), Decimal(tax["amount"]))


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
