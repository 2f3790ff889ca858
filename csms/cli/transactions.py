"""Transactions from a terminal, over the API: ``csms tx``."""

from __future__ import annotations

import click

from csms.cli.client import Api, over_api
from csms.cli.show import one, plain, rows
from csms.cli.stations import send_command


@click.group()
def tx() -> None:
    """Transactions: list, show, stop."""


@tx.command("list")
@click.option("--station", "of_station", default="")
@click.option("--active", is_flag=True)
@click.option("--limit", default=50, show_default=True)
@over_api
def tx_list(api: Api, as_json: bool, of_station: str, active: bool, limit: int) -> None:
    """The newest transactions."""
    found = api.items("/transactions", most=limit, station=of_station, active="true" if active else "")
    columns = {
        "id": "id",
        "station": "station",
        "state": "completeness",
        "token": "id_token",
        "started": "started_at",
        "ended": "ended_at",
        "Wh": "energy_wh",
        "review": "review",
    }
    rows(found, columns, as_json=as_json, none="No transactions yet.")


@tx.command("show")
@click.argument("id", type=int)
@over_api
def tx_show(api: Api, as_json: bool, id: int) -> None:
    """One transaction with its bill."""
    found = api.ask("GET", f"/api/v1/transactions/{id}")
    if as_json:
        one(found, as_json=True)
        return
    one({name: value for name, value in found.items() if name not in ("events", "meter_values", "bill")}, as_json=False)
    bill = found["bill"]
    if not bill:
        click.echo("no bill yet")
        return
    for line in bill["lines"]:
        click.echo(
            f"  {plain(line['text'])}: {line['quantity']} {line['unit']} x {line['unit_price']} = {line['amount']}"
        )
    click.echo(f"bill ({bill['status']}): {bill['total']} {bill['currency']}")


@tx.command("stop")
@click.argument("id", type=int)
@click.option("--wait", default=20, show_default=True, help="seconds to wait for the effect")
@over_api
def tx_stop(api: Api, as_json: bool, id: int, wait: int) -> None:
    """Ask the station to end a transaction."""
    found = api.ask("GET", f"/api/v1/transactions/{id}")
    given = {"transaction": found["station_transaction"]}
    send_command(api, as_json, found["station"], "RequestStopTransaction", given, wait)
