"""Stations from a terminal, over the API: ``csms station``."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from csms.cli.client import Api, over_api, segment
from csms.cli.messages import line
from csms.cli.show import one, plain, rows

POLL_S = 0.5


@click.group()
def station() -> None:
    """Stations: list, approve, block, command."""


@station.command("list")
@click.option("--pending", is_flag=True, help="only those that wait for approval")
@click.option("--search", default="")
@click.option("--limit", default=1000, show_default=True)
@over_api
def station_list(api: Api, as_json: bool, pending: bool, search: str, limit: int) -> None:
    """All stations, or those that wait for approval."""
    found = api.items("/stations", most=limit, search=search, admission="pending" if pending else "")
    columns = {
        "station": "id",
        "admission": "admission",
        "online": "connected",
        "vendor": "vendor",
        "model": "model",
        "protocol": "protocol",
        "last heard": "seen_at",
    }
    rows(found, columns, as_json=as_json, none="No stations yet. Try: csms sim --station SIM1")


@station.command("show")
@click.argument("id")
@over_api
def station_show(api: Api, as_json: bool, id: str) -> None:
    """One station with its EVSEs and connectors."""
    found = api.ask("GET", f"/api/v1/stations/{segment(id)}")
    if as_json:
        one(found, as_json=True)
        return
    one({name: value for name, value in found.items() if name not in ("evses", "status")}, as_json=False)
    for evse in found.get("evses", []):
        for connector in evse.get("connectors", []):
            click.echo(
                f"EVSE {evse['id']} connector {connector['id']}: {plain((connector['status'] or {}).get('status'))}"
            )


@station.command("approve")
@click.argument("id")
@click.option("--password", "make_password", is_flag=True, help="give it a new password, shown once")
@over_api
def station_approve(api: Api, as_json: bool, id: str, make_password: bool) -> None:
    """Let a station work; one that waits is asked to boot again."""
    body = {"approved": True, **({"password": True} if make_password else {})}
    _changed(api, as_json, id, body, "is approved")


@station.command("block")
@click.argument("id")
@over_api
def station_block(api: Api, as_json: bool, id: str) -> None:
    """Shut a station out; a connected one is disconnected."""
    _changed(api, as_json, id, {"blocked": True}, "is blocked")


def _changed(api: Api, as_json: bool, id: str, body: dict[str, Any], said: str) -> None:
    found = api.ask("PUT", f"/api/v1/stations/{segment(id)}", body)
    if as_json:
        one(found, as_json=True)
        return
    click.echo(f"{plain(id)} {said}.")
    if found.get("password"):
        click.echo(f"Its password, shown this once: {found['password']}")


@station.command("password")
@click.argument("id")
@over_api
def station_password(api: Api, as_json: bool, id: str) -> None:
    """Make a new password to type in at the station, shown once; a connected station is disconnected."""
    _changed(api, as_json, id, {"password": True}, "has a new password")


@station.command("rotate")
@click.argument("id")
@click.option("--wait", default=30, show_default=True, help="seconds to wait for the station's answer")
@over_api
def station_rotate(api: Api, as_json: bool, id: str, wait: int) -> None:
    """Give a connected station a new password, which nobody sees; the old one counts until the station shows the new one."""
    send_command(api, as_json, id, "SetPassword", {}, wait)


@station.command("profile")
@click.argument("id")
@click.argument("profile", type=click.IntRange(0, 3))
@over_api
def station_profile(api: Api, as_json: bool, id: str, profile: int) -> None:
    """Say which security profile a station must use at least; see docs/security.md."""
    _changed(api, as_json, id, {"security_profile": profile}, f"has to use security profile {profile} or a higher one")


@station.command("upgrade")
@click.argument("id")
@click.argument("profile", type=click.Choice(["2", "3"]))
@click.argument("address", metavar="URL")
@click.option("--slot", default=1, show_default=True, help="the station's network slot to write to")
@click.option("--wait", default=30, show_default=True, help="seconds to wait for the station to show the new profile")
@over_api
def station_upgrade(api: Api, as_json: bool, id: str, profile: str, address: str, slot: int, wait: int) -> None:
    """Take a connected station to a higher security profile, at URL; the old one counts until it has shown the new one."""
    arguments = {"url": address, "security_profile": int(profile), "slot": slot}
    send_command(api, as_json, id, "UpgradeSecurityProfile", arguments, wait)


@station.command("call")
@click.argument("id")
@click.argument("action")
@click.argument("payload", default="{}")
@over_api
def station_call(api: Api, as_json: bool, id: str, action: str, payload: str) -> None:
    """Send a raw OCPP call in the station's own version; PAYLOAD is JSON."""
    try:
        given = json.loads(payload)
    except ValueError as wrong:
        raise click.UsageError(f"the payload is not JSON: {wrong}") from None
    answer = api.ask("POST", f"/api/v1/stations/{segment(id)}/calls", {"action": action, "payload": given})
    click.echo(json.dumps(answer["payload"], indent=2))


@station.command("reset")
@click.argument("id")
@click.option("--now", "when", flag_value="Immediate", help="at once")
@click.option("--on-idle", "when", flag_value="OnIdle", help="when no transaction runs")
@click.option("--evse", type=int)
@click.option("--wait", default=20, show_default=True, help="seconds to wait for the effect")
@over_api
def station_reset(api: Api, as_json: bool, id: str, when: str | None, evse: int | None, wait: int) -> None:
    """Restart a station; when, is the reset policy's to say unless you do."""
    send_command(api, as_json, id, "Reset", {"when": when, "evse": evse}, wait)


def send_command(api: Api, as_json: bool, id: str, name: str, given: dict[str, Any], wait: int) -> None:
    body = {"command": name, "with": {key: value for key, value in given.items() if value is not None}}
    record = api.ask("POST", f"/api/v1/stations/{segment(id)}/commands", body, prefer=f"wait={min(wait, 60)}")
    if as_json:
        one(record, as_json=True)
        return
    why = f": {plain(record['error'])}" if record.get("error") else ""
    click.echo(f"{name} of {plain(id)}: {record['state']}{why} (command {record['id']})")
    if record["state"] in ("failed", "rejected", "timed_out", "uncertain"):
        raise SystemExit(1)


@station.command("tail")
@click.argument("id")
@click.option("--once", is_flag=True, help="show the newest and end")
@over_api
def station_tail(api: Api, as_json: bool, id: str, once: bool) -> None:
    """Follow the messages of a station."""
    path = f"/api/v1/stations/{segment(id)}/messages"
    api.ask("GET", f"/api/v1/stations/{segment(id)}")
    page = api.ask("GET", path, limit="20")
    last = 0
    while True:
        for message in page["items"]:
            last = max(last, message["id"])
            click.echo(json.dumps(message) if as_json else line(message))
        if once:
            return
        time.sleep(POLL_S)
        page = api.ask("GET", path, after=str(last), limit="1000")
