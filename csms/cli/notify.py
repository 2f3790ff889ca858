"""``csms notify``: the channels of notifications, what became of each, and telling something by hand."""

from __future__ import annotations

import base64
import secrets

import click

from csms.cli.client import Api, over_api
from csms.cli.show import one, rows

KEY_BYTES = 32


@click.group()
def notify() -> None:
    """Notifications: channels, dead letters, retry, send."""


@notify.command()
@over_api
def channels(api: Api, as_json: bool) -> None:
    """The channels, and how many of their notifications wait or are dead."""
    found = api.ask("GET", "/api/v1/channels")["items"]
    columns = {"channel": "name", "kind": "kind", "waiting": "waiting", "delivered": "delivered", "dead": "dead"}
    rows(found, columns, as_json=as_json, none="No channels.")


@notify.command("list")
@click.option("--channel", default="")
@click.option("--dead", "state", flag_value="dead", help="only those that were given up")
@click.option("--waiting", "state", flag_value="waiting", help="only those that wait for their next try")
@click.option("--limit", default=50, show_default=True)
@over_api
def notify_list(api: Api, as_json: bool, channel: str, state: str | None, limit: int) -> None:
    """The newest notifications."""
    found = api.items("/notifications", most=limit, channel=channel, state=state or "")
    columns = {
        "id": "id",
        "channel": "notification.channel",
        "state": "state",
        "tries": "tries",
        "at": "notification.at",
        "text": "notification.text",
        "error": "error",
    }
    rows(found, columns, as_json=as_json, none="No notifications.")


@notify.command("show")
@click.argument("id", type=int)
@over_api
def notify_show(api: Api, as_json: bool, id: int) -> None:
    """One notification and what became of it."""
    found = api.ask("GET", f"/api/v1/notifications/{id}")
    if as_json:
        one(found, as_json=True)
        return
    one({**found.pop("notification"), **found}, as_json=False)


@notify.command("retry")
@click.argument("ids", type=int, nargs=-1)
@click.option("--all", "everything", is_flag=True, help="all dead ones")
@click.option("--channel", default="", help="with --all: only of this channel")
@over_api
def notify_retry(api: Api, as_json: bool, ids: tuple[int, ...], everything: bool, channel: str) -> None:
    """Try dead notifications again."""
    if everything == bool(ids):
        raise click.UsageError("name the notifications, or say --all")
    if everything:
        ids = tuple(row["id"] for row in api.items("/notifications", most=10000, channel=channel, state="dead"))
    for id in ids:
        api.ask("POST", f"/api/v1/notifications/{id}/retry", {})
    one({"retried": list(ids)}, as_json=True) if as_json else click.echo(f"{len(ids)} will be tried again.")


@notify.command("send")
@click.argument("channel")
@click.argument("text")
@click.option("--level", default="info", show_default=True, type=click.Choice(["info", "warn", "error"]))
@click.option("--title", default="")
@over_api
def notify_send(api: Api, as_json: bool, channel: str, text: str, level: str, title: str) -> None:
    """Tell something over a channel: a test of its settings."""
    body = {"channel": channel, "text": text, "level": level, "title": title}
    api.ask("POST", "/api/v1/notifications", body)
    click.echo('{"taken": true}' if as_json else "It is on its way: csms notify list")


@notify.command("secret")
def notify_secret() -> None:
    """Make a secret that signs a webhook."""
    click.echo("whsec_" + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())
