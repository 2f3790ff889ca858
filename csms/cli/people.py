"""Who may call the API, from a terminal: ``csms person``, ``csms key``, ``csms audit``, ``csms login``. Passwords are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from csms.cli.client import Api, api_of, over_api, segment
from csms.cli.show import one, plain, rows

ROLES = click.Choice(["driver", "viewer", "support", "operator", "admin"])


@click.group()
def person() -> None:
    """People with a password: list, add, change, remove."""


@person.command("list")
@click.option("--limit", default=1000, show_default=True)
@over_api
def person_list(api: Api, as_json: bool, limit: int) -> None:
    """Everybody who may log in."""
    columns = {"name": "name", "role": "role", "sites": "sites", "enabled": "enabled", "since": "created_at"}
    rows(
        api.items("/people", most=limit),
        columns,
        as_json=as_json,
        none="Nobody yet. Try: csms person add ANN --role operator",
    )


@person.command("add")
@click.argument("name")
@click.option("--role", type=ROLES, required=True)
@click.option("--at", "sites", multiple=True, metavar="SITE", help="only this site (may be given again); default: all")
@click.option(
    "--tag", "tags", multiple=True, metavar="TYPE:VALUE", help="a driver's own token, such as ISO14443:04A1B2C3"
)
@click.option("--password", prompt="Password", hide_input=True, confirmation_prompt=True, envvar="CSMS_NEW_PASSWORD")
@over_api
def person_add(
    api: Api, as_json: bool, name: str, role: str, sites: tuple[str, ...], tags: tuple[str, ...], password: str
) -> None:
    """Let somebody in, or give a person another role, other sites and a new password."""
    body = {"role": role, "sites": list(sites), "id_tokens": [_token(tag) for tag in tags], "password": password}
    _put(api, as_json, name, body, f"may log in as {role}")


@person.command("disable")
@click.argument("name")
@over_api
def person_disable(api: Api, as_json: bool, name: str) -> None:
    """Shut somebody out at once; everything about them stays."""
    known = api.ask("GET", f"/api/v1/people/{segment(name)}")
    body = {key: known[key] for key in ("role", "sites", "id_tokens")} | {"enabled": False}
    _put(api, as_json, name, body, "is shut out")


@person.command("remove")
@click.argument("name")
@over_api
def person_remove(api: Api, as_json: bool, name: str) -> None:
    """Forget somebody; their sessions end."""
    api.ask("DELETE", f"/api/v1/people/{segment(name)}")
    _said(as_json, {"removed": name}, f"{plain(name)} is forgotten.")


def _put(api: Api, as_json: bool, name: str, body: dict[str, Any], said: str) -> None:
    found = api.ask("PUT", f"/api/v1/people/{segment(name)}", body)
    _said(as_json, found, f"{plain(name)} {said}.")


def _token(tag: str) -> dict[str, str]:
    type, colon, value = tag.partition(":")
    if not colon:
        raise click.UsageError(f"{tag} is no TYPE:VALUE, such as ISO14443:04A1B2C3")
    return {"type": type, "value": value}


def _said(as_json: bool, found: dict[str, Any], text: str) -> None:
    if as_json:
        one(found, as_json=True)
    else:
        click.echo(text)


@click.group()
def key() -> None:
    """Keys for programs: list, make, revoke."""


@key.command("list")
@click.option("--limit", default=1000, show_default=True)
@over_api
def key_list(api: Api, as_json: bool, limit: int) -> None:
    """Keys and sessions, also those that are revoked."""
    columns = {
        "key": "id",
        "name": "name",
        "person": "person",
        "role": "role",
        "sites": "sites",
        "expires": "expires",
        "revoked": "revoked_at",
    }
    rows(
        api.items("/keys", most=limit),
        columns,
        as_json=as_json,
        none="No keys yet. Try: csms key make grafana --role viewer",
    )


@key.command("make")
@click.argument("name")
@click.option("--role", type=ROLES, required=True)
@click.option("--at", "sites", multiple=True, metavar="SITE", help="only this site (may be given again); default: all")
@click.option("--days", default=365, show_default=True, help="how long it lasts; 0: until it is revoked")
@over_api
def key_make(api: Api, as_json: bool, name: str, role: str, sites: tuple[str, ...], days: int) -> None:
    """Make a key for a program; it is shown this once."""
    body = {"name": name, "role": role, "sites": list(sites), "expires_in_days": days or None}
    made = api.ask("POST", "/api/v1/keys", body)
    _said(as_json, made, f"Key {made['key']['id']} for {plain(name)}, shown this once: {made['token']}")


@key.command("revoke")
@click.argument("id", type=int)
@over_api
def key_revoke(api: Api, as_json: bool, id: int) -> None:
    """Make a key or a session worth nothing, at once."""
    api.ask("DELETE", f"/api/v1/keys/{id}")
    _said(as_json, {"revoked": id}, f"Key {id} is worth nothing now.")


@click.command()
@click.option("--caller", default="", help="only what this caller did")
@click.option("--limit", default=50, show_default=True)
@over_api
def audit(api: Api, as_json: bool, caller: str, limit: int) -> None:
    """Who changed what through the API, the newest first."""
    columns = {
        "at": "at",
        "caller": "caller",
        "role": "role",
        "from": "address",
        "method": "method",
        "path": "path",
        "status": "status",
    }
    rows(api.items("/audit", most=limit, caller=caller), columns, as_json=as_json, none="Nothing was changed yet.")


@click.command()
@click.argument("name")
@click.option("--password", prompt="Password", hide_input=True, envvar="CSMS_PASSWORD")
@click.option("--site", type=click.Path(path_type=Path), help="the site file (default: csms.toml here)")
@click.option("--url", help="the API's address, such as http://127.0.0.1:9001")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def login(name: str, password: str, site: Path | None, url: str | None, as_json: bool) -> None:
    """Get a token for twelve hours; give it to the other commands as CSMS_TOKEN."""
    made = api_of(site, url, "none yet").ask("POST", "/api/v1/sessions", {"name": name, "password": password})
    _said(as_json, made, f"export CSMS_TOKEN={made['token']}")
