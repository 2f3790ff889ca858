"""Bills on paper: a table for spreadsheets and a page to print. Every text in them may come from a station or a driver, and stays a text."""

from __future__ import annotations

import csv
import io
from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from csms.model.billing import Bill, BillKind, BillStatus

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
"""A spreadsheet takes a cell that begins like this for a formula."""
COLUMNS = (
    "number",
    "id",
    "kind",
    "status",
    "issued_at",
    "transaction",
    "station",
    "started_at",
    "ended_at",
    "energy_wh",
    "meter_start_wh",
    "meter_stop_wh",
    "currency",
    "taxes",
    "total",
    "tariff",
    "corrects",
    "reason",
    "by",
    "note",
)
STYLE = Markup("""
body { font: 11pt/1.5 sans-serif; max-width: 42em; margin: 2em auto; color: #111 }
h1 { font-size: 1.4em } table { border-collapse: collapse; width: 100%; margin: 1em 0 }
td, th { text-align: left; padding: .2em .5em; border-bottom: 1px solid #ccc; vertical-align: top }
.amount { text-align: right; white-space: nowrap } .total td { font-weight: bold; border-top: 2px solid #111 }
.warning { border: 2px solid #b00; padding: .5em } small { color: #444 }
""")
_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()
RECEIPT_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
TITLES = {
    BillStatus.PROVISIONAL: "Provisional: this is not a bill yet",
    BillStatus.QUARANTINED: "Held: this is not a bill",
    BillStatus.WRITTEN_OFF: "Written off: this is not a bill",
    BillStatus.CORRECTED: "This bill was taken back and issued anew",
    BillStatus.CANCELLED: "This bill was taken back",
}
_PAGES = Environment(
    loader=PackageLoader("csms.web", "papers"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def csv_table(bills: Iterable[Bill]) -> bytes:
    """One line a bill, with a header; times are UTC, numbers have a point."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for bill in bills:
        writer.writerow([_cell(value) for value in _row(bill)])
    return text.getvalue().encode()


def _row(bill: Bill) -> Sequence[object]:
    price = bill.price
    facts: dict[str, object] = {
        "currency": price.currency,
        "taxes": sum((tax.amount for tax in price.taxes), Decimal(0)),
        "total": price.total,
        "tariff": price.tariff,
        "note": price.note,
    }
    return [facts[name] if name in facts else getattr(bill, name) for name in COLUMNS]


def _cell(value: object) -> object:
    match value:
        case None:
            return ""
        case datetime():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
        case str() if value.startswith(FORMULA):
            return f"'{value}"
    return value


def receipt(bill: Bill, *, corrects: str, stopped: str, seller: Sequence[str], timezone: str) -> bytes:
    """A page without scripts; times are those of the site's clock.

    ``corrects`` is the number of the bill that this one takes back or replaces, ``stopped`` the station's reason to end the charge.
    """
    zone = ZoneInfo(timezone)

    def local(at: Any) -> str:
        moment = datetime.fromisoformat(at) if isinstance(at, str) else at
        return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}" if moment else "unknown"

    evidence: Any = bill.evidence or {}
    added = () if bill.price.taxes_included else bill.price.taxes
    page = _PAGES.get_template("receipt.html").render(
        bill=bill,
        price=bill.price,
        title="Credit note" if bill.kind is BillKind.CREDIT else "Bill",
        warning=TITLES.get(bill.status, ""),
        corrects=corrects,
        stopped=stopped,
        seller=seller,
        local=local,
        net=sum((line.amount for line in bill.price.lines), Decimal(0)),
        added=added,
        register=evidence.get("register", ""),
        readings=[(name, evidence[name]) for name in ("begin", "end") if name in evidence],
        style=STYLE,
    )
    return page.encode()
