"""The log of messages from a terminal, over the API: ``csms messages``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import click

from csms.cli.client import Api, over_api
from csms.cli.show import plain

KINDS = ("call", "result", "error", "other")


@click.command()
@click.option("--station", multiple=True, help="of this station; may be given again")
@click.option("--direction", type=click.Choice(["in", "out"]), help="from stations, or to them")
@click.option("--action", default="", help="calls of this action; with --kind the answers to such calls")
@click.option("--kind", type=click.Choice(KINDS))
@click.option(
    "--error",
    "error_code",
    default="",
    help="errors with this code, in the spelling of the station's version: FormatViolation, in 1.6 FormationViolation",
)
@click.option("--message-id", default="", help="the call with this id, and its answer")
@click.option("--tx", "transaction", type=int, help="what names this transaction")
@click.option("--text", default="", help="with this text anywhere, capital and small letters as they are")
@click.option("--since", default="", help="such as 2026-03-01T00:00:00+01:00")
@click.option("--until", default="")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1))
@over_api
def messages(api: Api, as_json: bool, limit: int, transaction: int | None, **wanted: Any) -> None:
    """Search the log of messages, the newest first; each line is a frame, and below it its other side: answer or call.

    Ctrl-C ends a search that goes too far back.
    """
    query = {name: given or "" for name, given in wanted.items()}
    found = _found(api, limit, transaction=str(transaction or ""), **query)
    if as_json:
        click.echo(json.dumps(list(found), indent=2))
        return
    none = True
    for one in found:
        none = False
        click.echo(line(one, full=True))
        if one["other"]:
            click.echo(f"    {line(one['other'])}")
    if none:
        click.echo("No such messages.")


def _found(api: Api, most: int, **query: Any) -> Iterator[dict[str, Any]]:
    """What a search finds, part after part; a person who waits is told how far it has come."""
    page = api.ask("GET", "/api/v1/messages", limit=str(min(most, 1000)), **query)
    while True:
        yield from page["items"][:most]
        most -= len(page["items"])
        if most <= 0 or not page["next"]:
            break
        _tell(f"searched back to {plain(page['searched_to'])[:19]}")
        page = api.ask("GET", page["next"])
        _tell("")


def _tell(text: str) -> None:
    """A line that the next one takes the place of."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{text}", nl=False, err=True)


def line(message: dict[str, Any], *, full: bool = False) -> str:
    """A frame as one line: its time (``full``: with the day and the station), its way, its text."""
    arrow = "->" if message["direction"] == "in" else "<-"
    frame = message["frame"]
    text = plain(frame if isinstance(frame, str) else json.dumps(frame))
    head = f"{message['at'][:10]} {plain(message['station'])} " if full else ""
    return f"{head}{message['at'][11:23]} {arrow} {text}"
