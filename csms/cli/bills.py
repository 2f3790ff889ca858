"""Bills from a terminal, over the API: ``csms bill``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from csms.cli.client import Api, over_api, segment
from csms.cli.show import one, plain, rows

STATUSES = ("provisional", "quarantined", "final", "corrected", "cancelled", "written_off")
HIDDEN = ("lines", "taxes", "evidence", "history", "deliveries", "currency")


@click.group()
def bill() -> None:
    """Bills: list, show, release, correct, export."""


@bill.command("list")
@click.option("--station", default="")
@click.option("--tx", "transaction", type=int, help="of one transaction")
@click.option("--status", type=click.Choice(STATUSES))
@click.option("--since", default="", help="such as 2026-03-01T00:00:00+01:00")
@click.option("--until", default="")
@click.option("--limit", default=50, show_default=True)
@over_api
def bill_list(
    api: Api,
    as_json: bool,
    station: str,
    transaction: int | None,
    status: str | None,
    since: str,
    until: str,
    limit: int,
) -> None:
    """The newest bills and credit notes; those with the status quarantined wait for you."""
    query = {"station": station, "status": status or "", "since": since, "until": until}
    found = api.items("/bills", most=limit, transaction=str(transaction or ""), **query)
    columns = {
        "id": "id",
        "number": "number",
        "status": "status",
        "station": "station",
        "tx": "transaction",
        "day": "day",
        "total": "total",
        "reason": "reason",
    }
    shown = found if as_json else (_short(one) for one in found)
    rows(shown, columns, as_json=as_json, none="No bills yet.")


def _short(bill: dict[str, Any]) -> dict[str, Any]:
    credit = " (credit)" if bill["kind"] == "credit" else ""
    total = f"{bill['total']} {bill['currency']}"
    return {**bill, "day": bill["issued_at"][:10], "total": total, "status": bill["status"] + credit}


@bill.command("show")
@click.argument("id")
@over_api
def bill_show(api: Api, as_json: bool, id: str) -> None:
    """One bill by its id or number, with its lines, what it rests on and what happened to it."""
    found = api.ask("GET", f"/api/v1/bills/{segment(id)}")
    if as_json:
        one(found, as_json=True)
        return
    one({name: value for name, value in found.items() if name not in HIDDEN}, as_json=False)
    for text in _lines(found):
        click.echo(text)
    for name, value in (found["evidence"] or {}).items():
        click.echo(f"{name.replace('_', ' ')}: {_told(value)}")
    for step in found["history"]:
        by = f" by {plain(step['by'])}" if step["by"] else ""
        click.echo(
            f"{step['at'][:19]} bill {step['bill']}: {step['what']}{by} {step['reason'] and plain(step['reason'])}"
        )
    for way in found["deliveries"]:
        click.echo(
            f"to {way['plugin']}: {way['state']}, {way['attempts']} attempts {way['error'] and plain(way['error'])}"
        )


def _lines(found: dict[str, Any]) -> list[str]:
    told = [
        f"  {plain(line['text'])}: {line['quantity']} {line['unit']} x {line['unit_price']} = {line['amount']}"
        for line in found["lines"]
    ]
    inside = " (in it)" if found["taxes_included"] else ""
    told += [
        f"  {plain(tax['name'])} {tax['percent']} % of {tax['base']}: {tax['amount']}{inside}" for tax in found["taxes"]
    ]
    return [*told, f"  total: {found['total']} {found['currency']}"]


def _told(value: Any) -> str:
    match value:
        case list():
            return "; ".join(_told(inner) for inner in value)
        case dict():
            return ", ".join(f"{name} {_told(inner)}" for name, inner in value.items())
    return plain(value)


def _changing(command: Any) -> Any:
    """The options of what may be changed about a bill."""
    for option in (
        click.option("--end-wh", "meter_stop_wh", help="the register at the end, in Wh"),
        click.option("--begin-wh", "meter_start_wh", help="the register at the start, in Wh"),
        click.option("--tariff", help="the name of another tariff"),
        click.option("--reason", required=True, help="kept with the bill"),
    ):
        command = option(command)
    return command


@bill.command("release")
@click.argument("id")
@_changing
@over_api
def bill_release(api: Api, as_json: bool, id: str, **body: str | None) -> None:
    """Issue a bill that is held or provisional, as it is or changed."""
    _decide(api, as_json, id, "release", body)


@bill.command("correct")
@click.argument("id")
@_changing
@over_api
def bill_correct(api: Api, as_json: bool, id: str, **body: str | None) -> None:
    """Take a final bill back with a credit note, and issue it anew."""
    _decide(api, as_json, id, "correct", body)


@bill.command("cancel")
@click.argument("id")
@click.option("--reason", required=True, help="kept with the bill")
@over_api
def bill_cancel(api: Api, as_json: bool, id: str, reason: str) -> None:
    """Take a final bill back with a credit note."""
    _decide(api, as_json, id, "cancel", {"reason": reason})


@bill.command("write-off")
@click.argument("id")
@click.option("--reason", required=True, help="kept with the bill")
@over_api
def bill_write_off(api: Api, as_json: bool, id: str, reason: str) -> None:
    """Never issue a bill that is held or provisional."""
    _decide(api, as_json, id, "write_off", {"reason": reason})


def _decide(api: Api, as_json: bool, id: str, decision: str, body: dict[str, str | None]) -> None:
    given = {name: value for name, value in body.items() if value is not None}
    found = api.ask("POST", f"/api/v1/bills/{segment(id)}/{decision}", given)
    if as_json:
        one(found, as_json=True)
        return
    for written in found["items"]:
        name = "credit note" if written["kind"] == "credit" else "bill"
        number = written["number"] or written["id"]
        click.echo(f"{name} {plain(number)}: {written['status']}, {written['total']} {written['currency']}")


@bill.command("deliver")
@click.argument("id")
@over_api
def bill_deliver(api: Api, as_json: bool, id: str) -> None:
    """Try deliveries again that were given up."""
    found = api.ask("POST", f"/api/v1/bills/{segment(id)}/deliver")
    if as_json:
        one(found, as_json=True)
        return
    click.echo(f"{found['again']} deliveries are tried again.")


@bill.command("export")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--station", default="")
@click.option("--status", type=click.Choice(STATUSES))
@click.option("--since", default="", help="such as 2026-03-01T00:00:00+01:00")
@click.option("--until", default="")
@over_api
def bill_export(api: Api, as_json: bool, file: Path, station: str, status: str | None, since: str, until: str) -> None:
    """Write bills into a CSV file."""
    text = api.text("GET", "/api/v1/bills.csv", station=station, status=status or "", since=since, until=until)
    _write(file, text, as_json)


@bill.command("receipt")
@click.argument("id")
@click.argument("file", type=click.Path(path_type=Path))
@over_api
def bill_receipt(api: Api, as_json: bool, id: str, file: Path) -> None:
    """Write one bill into an HTML file, to print."""
    _write(file, api.text("GET", f"/api/v1/bills/{segment(id)}/receipt"), as_json)


def _write(file: Path, text: bytes, as_json: bool) -> None:
    try:
        file.write_bytes(text)
    except OSError as fault:
        raise click.ClickException(f"{file} cannot be written: {fault.strerror}") from None
    if as_json:
        one({"file": str(file), "bytes": len(text)}, as_json=True)
    else:
        click.echo(f"{file} is written.")
