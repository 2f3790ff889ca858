"""``csms explain``: why something is as it is, as a story to read."""

from __future__ import annotations

from typing import Any

import click

from csms.cli.client import Api, over_api
from csms.cli.show import one, plain

INDENT = " " * 33


@click.group()
def explain() -> None:
    """Why something is as it is."""


@explain.command("tx")
@click.argument("id", type=int)
@over_api
def explain_tx(api: Api, as_json: bool, id: int) -> None:
    """A transaction's story: events, decisions, gaps, commands, bills. Times are UTC."""
    found = api.ask("GET", f"/api/v1/transactions/{id}/explanation")
    if as_json:
        one(found, as_json=True)
        return
    click.echo(f"Transaction {id} of {plain(found['station'])} ({plain(found['station_transaction'])})")
    for line in found["state"]:
        click.echo(f"  {plain(line)}")
    for line in found["held"]:
        click.echo(f"  its bill is held: {plain(line)}")
    click.echo()
    for step in found["steps"]:
        _tell(step)


def _tell(step: dict[str, Any]) -> None:
    at = step["at"][:19].replace("T", " ")
    who = f" [{plain(step['who'])}]" if step["who"] and step["chapter"] == "plugin" else ""
    click.echo(f"{at}  {step['chapter']:<10}  {plain(step['text'])}{who}")
    for line in step["details"]:
        click.echo(f"{INDENT}{plain(line)}")
