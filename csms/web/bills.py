"""The API's answers about bills: lists, exports, receipts, and what people decide about them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, TypeAdapter

from csms.model.billing import Bill, BillChange, BillRefused, BillStatus, UnknownBill
from csms.model.people import Role
from csms.web.bill_papers import RECEIPT_POLICY, csv_table, receipt
from csms.web.bodies import STRICT
from csms.web.commands import is_number
from csms.web.paging import page
from csms.web.problems import Kind, Refused
from csms.web.rooms import Rooms
from csms.web.routes import AFTER_ID, LIMIT, MOST, Answered, Asked, Gives, Param, Route
from csms.web.transaction_views import BillDetail, BillView, Retried, bill_view
from csms.web.views import Page, facts

MOST_EXPORTED = 50_000
CSV = "text/csv; charset=utf-8"
HTML = "text/html; charset=utf-8"


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("printable characters are wanted")
    return text


def _register(wh: Decimal) -> Decimal:
    if not wh.is_finite() or not 0 <= wh <= 10**13:
        raise ValueError("a register from 0 to 10000000000000 Wh is wanted")
    return wh


Text = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_printable)]
Wh = Annotated[Decimal, Field(strict=False), AfterValidator(_register)]


class ReasonBody(BaseModel):
    """Why; it is kept with the bill."""

    model_config = STRICT
    reason: Text


class ChangeBody(ReasonBody):
    """Why, and what is another than the events say: a tariff by its name, registers in Wh."""

    tariff: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_printable)] | None = None
    meter_start_wh: Wh | None = None
    meter_stop_wh: Wh | None = None

    @property
    def change(self) -> BillChange:
        """The change in the model's words."""
        return BillChange(self.tariff, self.meter_start_wh, self.meter_stop_wh)


async def list_bills(rooms: Rooms, asked: Asked) -> Answered:
    """Bills and credit notes, the newest first."""
    bills = await rooms.store.bills.list(after=asked.query["after"], limit=asked.query["limit"], **_filters(asked))
    return Answered(page(asked, [bill_view(bill) for bill in bills], lambda item: item.id))


async def export_bills(rooms: Rooms, asked: Asked) -> Answered:
    """The same as a table."""
    bills = [bill async for bill in _all(rooms, asked)]
    if len(bills) > MOST_EXPORTED:
        raise Refused(Kind.INVALID, f"these are more than {MOST_EXPORTED} bills: say since and until")
    headers = {"Content-Disposition": 'attachment; filename="bills.csv"'}
    return Answered(csv_table(bills), 200, headers, CSV)


async def _all(rooms: Rooms, asked: Asked) -> AsyncIterator[Bill]:
    after, filters = 0, _filters(asked)
    for _ in range(MOST_EXPORTED // MOST + 1):
        bills = await rooms.store.bills.list(after=after, limit=MOST, **filters)
        for bill in bills:
            yield bill
        if len(bills) < MOST:
            return
        after = bills[-1].id


async def get_bill(rooms: Rooms, asked: Asked) -> Answered:
    """One bill with its history and its way to backends."""
    bill = await known_bill(rooms, asked)
    history = await rooms.store.bills.history(bill.transaction)
    deliveries = await rooms.store.deliveries.list(bill.id)
    return Answered(BillDetail(**facts(BillDetail, bill_view(bill), history=history, deliveries=deliveries)))


async def get_receipt(rooms: Rooms, asked: Asked) -> Answered:
    """One bill to print."""
    bill = await known_bill(rooms, asked)
    corrected = await rooms.store.bills.by_id(bill.corrects) if bill.corrects else None
    charge = await rooms.store.transactions.get(bill.transaction)
    body = receipt(
        bill,
        corrects=corrected.number if corrected else "",
        stopped=charge.stopped_reason if charge else "",
        seller=rooms.site.bills.seller,
        timezone=_clock(rooms, bill.station),
    )
    return Answered(body, 200, {"Content-Security-Policy": RECEIPT_POLICY}, HTML)


def _clock(rooms: Rooms, station: str) -> str:
    """The time zone of a station's site."""
    site = rooms.site_of(station)
    others = (one.scope.timezone for one in rooms.site.site_files if one.scope.id == site)
    return next(others, rooms.site.site.timezone)


async def release_bill(rooms: Rooms, asked: Asked) -> Answered:
    """Issue a bill that is held or provisional."""
    return await _decided(rooms, asked, "release", change=asked.body.change)


async def write_off_bill(rooms: Rooms, asked: Asked) -> Answered:
    """Never issue a bill that is held or provisional."""
    return await _decided(rooms, asked, "write_off")


async def correct_bill(rooms: Rooms, asked: Asked) -> Answered:
    """Take a final bill back and issue it anew."""
    return await _decided(rooms, asked, "correct", change=asked.body.change)


async def cancel_bill(rooms: Rooms, asked: Asked) -> Answered:
    """Take a final bill back."""
    return await _decided(rooms, asked, "cancel")


async def _decided(rooms: Rooms, asked: Asked, decision: str, **more: BillChange) -> Answered:
    bill = await known_bill(rooms, asked)
    decide = getattr(rooms.bills, decision)
    try:
        written: Sequence[Bill] = await decide(bill.id, by=asked.caller.name, reason=asked.body.reason, **more)
    except UnknownBill as unknown:
        raise Refused(Kind.UNKNOWN_BILL, str(unknown)) from None
    except BillRefused as no:
        raise Refused(Kind.BILL_REFUSED, str(no)) from None
    return Answered(Page([bill_view(one) for one in written]))


async def deliver_bill(rooms: Rooms, asked: Asked) -> Answered:
    """Try the dead deliveries of a bill again."""
    bill = await known_bill(rooms, asked)
    return Answered(Retried(await rooms.deliveries.again(bill.id)))


async def known_bill(rooms: Rooms, asked: Asked) -> Bill:
    """The bill that a path names by its id or its number; refuses with 404."""
    text = asked.place["id"]
    bills = rooms.store.bills
    bill = await (bills.by_id(int(text)) if is_number(text) else bills.by_number(text))
    if bill is None:
        raise Refused(Kind.UNKNOWN_BILL, f"there is no bill {text[:60]}")
    return bill


def _filters(asked: Asked) -> dict[str, Any]:
    return {name: asked.query[name] for name in ("station", "transaction", "status", "since", "until")}


FILTERS = (
    Param("station", str, "only bills of this station"),
    Param("transaction", int, "only bills of this transaction"),
    Param("status", BillStatus, "only bills of this status"),
    Param(
        "since", datetime, "only bills issued at this time or later; of bills not issued the time of their last pricing"
    ),
    Param("until", datetime, "only bills issued before this time"),
)
WRITTEN = {200: Gives("What was written: bills and credit notes, in this order", Page[BillView])}
REFUSED = (Kind.UNKNOWN_BILL, Kind.BILL_REFUSED)
_ROUTE = Route("GET", "/api/v1/bills", list_bills, "", "bills", {}, needs=Role.VIEWER)
_DECISION = replace(_ROUTE, method="POST", gives=WRITTEN, problems=REFUSED, needs=Role.OPERATOR)

ROUTES = (
    replace(
        _ROUTE,
        summary="List bills and credit notes",
        gives={200: Gives("Bills, the newest first", Page[BillView])},
        query=(*FILTERS, AFTER_ID, LIMIT),
    ),
    replace(
        _ROUTE,
        path="/api/v1/bills.csv",
        handler=export_bills,
        summary="Export bills as a table",
        gives={200: Gives("One line a bill, with a header", str, content_type=CSV)},
        problems=(Kind.INVALID,),
        query=FILTERS,
        doc="Texts that a spreadsheet would take for a formula begin with an apostrophe.",
    ),
    replace(
        _ROUTE,
        path="/api/v1/bills/{id}",
        handler=get_bill,
        summary="One bill with its history and its deliveries",
        gives={200: Gives("The bill", BillDetail)},
        problems=(Kind.UNKNOWN_BILL,),
        doc="The id, or the number that is printed on the bill.",
    ),
    replace(
        _ROUTE,
        path="/api/v1/bills/{id}/receipt",
        handler=get_receipt,
        summary="A bill to print",
        gives={200: Gives("A page without scripts", str, content_type=HTML)},
        problems=(Kind.UNKNOWN_BILL,),
    ),
    replace(
        _DECISION,
        path="/api/v1/bills/{id}/release",
        handler=release_bill,
        summary="Issue a bill that is held or provisional",
        body=TypeAdapter(ChangeBody),
        doc="As it stands, or priced again with another tariff or other registers. What was changed by hand no later event changes: it is held.",
    ),
    replace(
        _DECISION,
        path="/api/v1/bills/{id}/write_off",
        handler=write_off_bill,
        summary="Never issue a bill that is held or provisional",
        body=TypeAdapter(ReasonBody),
    ),
    replace(
        _DECISION,
        path="/api/v1/bills/{id}/correct",
        handler=correct_bill,
        summary="Take a final bill back and issue it anew, priced again",
        body=TypeAdapter(ChangeBody),
        doc="Gives the credit note and the new bill. An issued bill itself is never changed.",
    ),
    replace(
        _DECISION,
        path="/api/v1/bills/{id}/cancel",
        handler=cancel_bill,
        summary="Take a final bill back",
        body=TypeAdapter(ReasonBody),
        doc="Gives the credit note.",
    ),
    replace(
        _DECISION,
        path="/api/v1/bills/{id}/deliver",
        handler=deliver_bill,
        summary="Try the dead deliveries of a bill again",
        gives={200: Gives("How many there are", Retried)},
        problems=(Kind.UNKNOWN_BILL,),
    ),
)
