"""The part of a transaction's story that is about money: bills with every line and what it rests on, credit notes, deliveries. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from csms.model.billing import Bill, BillKind, BillLine, BillStep, DeliveryRecord, DeliveryState
from csms.model.explanation import Chapter, Step

TAKEN_BACK = ("corrected", "cancelled")


@dataclass(frozen=True, slots=True)
class BillFacts:
    """The bills and credit notes of a transaction, what happened to them in order, and their deliveries by the bill's id."""

    bills: Sequence[Bill] = ()
    steps: Sequence[BillStep] = ()
    deliveries: Mapping[int, Sequence[DeliveryRecord]] = field(default_factory=dict)


def bill_steps(facts: BillFacts) -> Iterator[Step]:
    """What happened to the bills; a bill is shown in full where it became what it is."""
    bills = {bill.id: bill for bill in facts.bills}
    newest = {step.bill: place for place, step in enumerate(facts.steps) if step.what not in TAKEN_BACK}
    for place, step in enumerate(facts.steps):
        bill = bills.get(step.bill)
        if bill is not None:
            yield _step(step, bill, bills, full=newest.get(step.bill) == place)
    for id, records in facts.deliveries.items():
        for record in records:
            if (known := bills.get(id)) is not None:
                yield _delivery(record, known)


def _step(step: BillStep, bill: Bill, bills: Mapping[int, Bill], *, full: bool) -> Step:
    reason = f": {step.reason}" if step.reason else ""
    text = f"{_name(bill)} {step.what.replace('_', ' ')}"
    if full:
        text += f", {bill.price.total} {bill.price.currency}"
    details = tuple(_whole(bill, bills)) if full else ()
    return Step(step.at, Chapter.BILL, text + reason, details, step.by or "csms")


def _name(bill: Bill) -> str:
    kind = "credit note" if bill.kind is BillKind.CREDIT else "bill"
    return f"{kind} {bill.number or bill.id}"


def _whole(bill: Bill, bills: Mapping[int, Bill]) -> Iterator[str]:
    price, evidence = bill.price, bill.evidence or {}
    if bill.corrects and (before := bills.get(bill.corrects)):
        yield f"takes back {_name(before)}" if bill.kind is BillKind.CREDIT else f"in place of {_name(before)}"
    yield from _tariff(bill, evidence)
    for line in price.lines:
        yield _line(line, price.currency)
    for tax in price.taxes:
        included = "in it" if price.taxes_included else "on top"
        yield f"{tax.name} {tax.percent} % of {tax.base}: {tax.amount} {price.currency}, {included}"
    if price.rounding:
        yield f"rounding: {price.rounding} {price.currency}"
    if price.note:
        yield price.note
    yield from _meter(bill, evidence)


def _tariff(bill: Bill, evidence: Mapping[str, Any]) -> Iterator[str]:
    by = f", priced by the plugin {evidence['priced_by']}" if evidence.get("priced_by") else ""
    chosen = evidence.get("tariff") or {}
    reason = f" ({chosen['reason']})" if chosen.get("reason") else ""
    chooser = f", chosen by the plugin {chosen['by']}" if chosen.get("by") else ""
    yield f"tariff {bill.price.tariff or 'without a name'}{reason}{chooser}{by}"


def _line(line: BillLine, currency: str) -> str:
    times = f", {when(line.begin)} to {when(line.end)}" if line.begin and line.end else ""
    return f"{line.text}: {line.quantity} {line.unit} x {line.unit_price} = {line.amount} {currency}{times}"


def _meter(bill: Bill, evidence: Mapping[str, Any]) -> Iterator[str]:
    """What the energy rests on: the register, the two readings, what was not believed, and what signatures are worth."""
    if "register" in evidence:
        yield f"register {evidence['register']}"
    for name in ("begin", "end"):
        yield f"{name} reading: {_reading(evidence[name])}" if name in evidence else f"no {name} reading"
    if bill.energy_wh is not None:
        yield f"energy: {bill.energy_wh} Wh"
    if "idle_since" in evidence:
        yield f"idle since {when(evidence['idle_since'])}"
    for one in evidence.get("rejected", ()):
        yield f"rejected: {_reading(one)}: {one['why']}"
    for one in evidence.get("signatures", ()):
        worth = {True: "genuine", False: "not genuine"}.get(one.get("valid"), "not verified")
        detail = f": {one['detail']}" if one.get("detail") else ""
        who = f" by the plugin {evidence['verified_by']}" if evidence.get("verified_by") else ""
        yield f"signature of event {one['event']} ({one['context']}): {worth}{who}{detail}"


def _reading(one: Mapping[str, Any]) -> str:
    signed = "signed" if one["signed"] else "not signed"
    return f"{one['wh']} Wh at {when(one['at'])} ({one['context']}, event {one['event']}, {signed})"


def _delivery(record: DeliveryRecord, bill: Bill) -> Step:
    attempts = f"attempt {record.attempts}" if record.attempts else "not tried yet"
    match record.state:
        case DeliveryState.DELIVERED:
            text = f"{_name(bill)} delivered to {record.plugin}"
        case DeliveryState.NOT_WANTED:
            text = f"{_name(bill)} is not wanted by {record.plugin}"
        case DeliveryState.DEAD:
            text = f"{_name(bill)} was given up on: {record.plugin} did not take it"
        case _:
            text = f"{_name(bill)} waits for {record.plugin}, which is tried at this time"
    told = {"": record.error, "its reference ": record.reference}
    details = (attempts, *(f"{name}{text}" for name, text in told.items() if text))
    return Step(record.next_at, Chapter.DELIVERY, text, details, record.plugin)


def when(at: object) -> str:
    """A time, as the database or as JSON has it, in UTC and in words that sort; nothing for None."""
    time = datetime.fromisoformat(at) if isinstance(at, str) else at
    return time.strftime("%Y-%m-%d %H:%M:%SZ") if isinstance(time, datetime) else ""
