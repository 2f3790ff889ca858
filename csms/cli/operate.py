"""The running server from a terminal, over the API: ``csms plugins``, ``csms reload``."""

from __future__ import annotations

import click

from csms.cli.client import Api, over_api
from csms.cli.show import one, plain, rows


@click.command()
@over_api
def reload(api: Api, as_json: bool) -> None:
    """Read the site file again, all of it or nothing; no station is disconnected."""
    done = api.ask("POST", "/api/v1/reload")
    if as_json:
        one(done, as_json=True)
        return
    for line in done["changed"] or ["Nothing is different."]:
        click.echo(plain(line))
    for line in done["needs_restart"]:
        click.echo(f"needs a restart: {plain(line)}")


@click.command()
@over_api
def plugins(api: Api, as_json: bool) -> None:
    """The running plugins, in the order in which they are asked."""
    columns = {
        "order": "order",
        "plugin": "name",
        "version": "version",
        "state": "state",
        "hooks": "hooks",
        "last fault": "last_fault",
    }
    found = api.ask("GET", "/api/v1/plugins")
    rows(found["items"] if isinstance(found, dict) else found, columns, as_json=as_json, none="No plugins run.")
