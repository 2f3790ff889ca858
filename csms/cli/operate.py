"""What operators do from a terminal, over the API: ``csms station``, ``csms tx``, ``csms tag``, ``csms plugins``."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from csms.cli.client import Api, api_of, segment
from csms.cli.show import one, plain, rows

F = TypeVar("F", bound=Callable[..., Any])
POLL_S = 0.5


def over_api(command: F) -> F:
    """Options that every command over the API takes; the command is given ``api`` and ``as_json``."""

    @click.option("--site", type=click.Path(path_type=Path), help="the site file (default: csms.toml here)")
    @click.option("--url", help="the API's address, such as http://127.0.0.1:9001")
    @click.option("--token", envvar="CSMS_TOKEN", help="the API's token (default: from the site file or csms.token)")
    @click.option("--json", "as_json", is_flag=True, help="print JSON")
    @wraps(command)
    def wrapped(site: Path | None, url: str | None, token: str | None, **given: Any) -> Any:
        return command(api=api_of(site, url, token), **given)

    return wrapped  # type: ignore[return-value]


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
    _command(api, as_json, id, "SetPassword", {}, wait)


@station.command("profile")
@click.argument("id")
@click.argument("profile", type=click.IntRange(0, 3))
@over_api
def station_profile(api: Api, as_json: bool, id: str, profile: int) -> None:
    """Say which security profile a station must use at least; see docs/security.md."""
    _changed(api, as_json, id, {"security_profile": profile}, f"has to use security profile {profile} or a higher one")


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
    _command(api, as_json, id, "Reset", {"when": when, "evse": evse}, wait)


def _command(api: Api, as_json: bool, id: str, name: str, given: dict[str, Any], wait: int) -> None:
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
    page = api.ask("GET", path, limit="20")
    last = 0
    while True:
        for message in page["items"]:
            last = max(last, message["id"])
            click.echo(json.dumps(message) if as_json else _line(message))
        if once:
            return
        time.sleep(POLL_S)
        page = api.ask("GET", path, after=str(last), limit="1000")


def _line(message: dict[str, Any]) -> str:
    arrow = "->" if message["direction"] == "in" else "<-"
    frame = message["frame"]
    return f"{message['at'][11:23]} {arrow} {plain(frame if isinstance(frame, str) else json.dumps(frame))}"


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
    _command(api, as_json, found["station"], "RequestStopTransaction", given, wait)


@click.group()
def tag() -> None:
    """Tokens that may charge: add, import, list."""


@tag.command("add")
@click.argument("value")
@click.option("--type", "kind", default="ISO14443", show_default=True)
@click.option("--status", default="Accepted", show_default=True, type=click.Choice(["Accepted", "Blocked"]))
@click.option("--group", help="the token's group")
@click.option("--expires", help="such as 2027-01-31T00:00:00+01:00")
@click.option("--note", default="")
@over_api
def tag_add(
    api: Api, as_json: bool, value: str, kind: str, status: str, group: str | None, expires: str | None, note: str
) -> None:
    """Add a token, or change one."""
    found = _put_token(api, value, kind, status, group, expires, note)
    if as_json:
        one(found, as_json=True)
        return
    click.echo(f"{plain(value)} ({kind}): {status}")


def _put_token(
    api: Api, value: str, kind: str, status: str, group: str | None, expires: str | None, note: str
) -> dict[str, Any]:
    body = {
        "status": status,
        "group": {"value": group, "type": "Central"} if group else None,
        "expires": expires or None,
        "note": note,
    }
    found: dict[str, Any] = api.ask("PUT", f"/api/v1/tokens/{segment(kind)}/{segment(value)}", body)
    return found


@tag.command("import")
@click.argument("file", type=click.File(encoding="utf-8-sig"))
@over_api
def tag_import(api: Api, as_json: bool, file: Any) -> None:
    """Add tokens from a CSV file with a header: value,type,status,group,expires,note (only value is needed)."""
    reader = csv.DictReader(file)
    if "value" not in (reader.fieldnames or []):
        raise click.UsageError("the first line has to name the columns: value,type,status,group,expires,note")
    added = 0
    for row in reader:
        if not (row["value"] or "").strip():
            raise click.ClickException(f"line {reader.line_num}: no value; {added} tokens were added before it")
        try:
            _put_token(
                api,
                row["value"].strip(),
                row.get("type") or "ISO14443",
                row.get("status") or "Accepted",
                row.get("group"),
                row.get("expires"),
                row.get("note") or "",
            )
        except click.ClickException as refused:
            text = f"line {reader.line_num}: {refused.message}\n{added} tokens were added before it"
            raise click.ClickException(text) from None
        added += 1
    click.echo(json.dumps({"added": added}) if as_json else f"{added} tokens added")


@tag.command("list")
@click.option("--search", default="")
@click.option("--limit", default=1000, show_default=True)
@over_api
def tag_list(api: Api, as_json: bool, search: str, limit: int) -> None:
    """The tokens in the CSMS's own list."""
    columns = {
        "token": "id_token",
        "type": "id_token.type",
        "status": "status",
        "group": "group",
        "expires": "expires",
        "note": "note",
    }
    found = api.items("/tokens", most=limit, search=search)
    rows(found, columns, as_json=as_json, none="No tokens yet. Add one: csms tag add DEMO")


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
