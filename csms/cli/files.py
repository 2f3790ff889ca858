"""Logs and firmware from a terminal: ``csms station log``, ``csms station firmware``, ``csms upload``."""

from __future__ import annotations

import base64
from pathlib import Path

import click

from csms.cli.client import Api, over_api, segment
from csms.cli.show import plain, rows
from csms.cli.stations import send_command, station


@station.command("log")
@click.argument("id")
@click.option("--security", "kind", flag_value="SecurityLog", help="the security log instead of diagnostics")
@click.option("--oldest", help="from this moment on, such as 2027-01-31T00:00:00Z")
@click.option("--latest", help="up to this moment")
@click.option("--to", "place", help="a URL where the station sends it, instead of here")
@click.option("--wait", default=60, show_default=True, help="seconds to wait for the file")
@over_api
def station_log(
    api: Api,
    as_json: bool,
    id: str,
    kind: str | None,
    oldest: str | None,
    latest: str | None,
    place: str | None,
    wait: int,
) -> None:
    """Ask a station for its log."""
    given = {"log": kind, "oldest": oldest, "latest": latest, "url": place}
    send_command(api, as_json, id, "GetLog", given, wait)
    if place is None and not as_json:
        click.echo(f"The file is among: csms upload list --station {plain(id)}")


@station.command("firmware")
@click.argument("id")
@click.argument("location")
@click.option("--certificate", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="the signer's, PEM")
@click.option(
    "--signature", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="base64, or bytes as they are"
)
@click.option("--retrieve-at", help="when the station fetches it (default: now)")
@click.option("--install-at", help="when it installs it (default: at once)")
@click.option("--wait", default=30, show_default=True, help="seconds to wait for the effect")
@over_api
def station_firmware(
    api: Api,
    as_json: bool,
    id: str,
    location: str,
    certificate: Path | None,
    signature: Path | None,
    retrieve_at: str | None,
    install_at: str | None,
    wait: int,
) -> None:
    """Let a station fetch firmware from LOCATION and install it; its command in the API says how far it is."""
    given = {
        "url": location,
        "signing_certificate": certificate.read_text() if certificate else None,
        "signature": _base64(signature.read_bytes()) if signature else None,
        "retrieve_at": retrieve_at,
        "install_at": install_at,
    }
    send_command(api, as_json, id, "UpdateFirmware", given, wait)


def _base64(signature: bytes) -> str:
    """A signature as OCPP sends it, from a file that has it so, or as bytes."""
    try:
        text = "".join(signature.decode("ascii").split())
        base64.b64decode(text, validate=True)
    except ValueError:
        return base64.b64encode(signature).decode()
    return text


@click.group()
def upload() -> None:
    """Files that stations left: list, get, delete."""


@upload.command("list")
@click.option("--station", "of_station", default="")
@click.option("--limit", default=100, show_default=True)
@over_api
def upload_list(api: Api, as_json: bool, of_station: str, limit: int) -> None:
    """What stations were asked to send, and what came."""
    found = api.items("/uploads", most=limit, station=of_station)
    columns = {
        "id": "id",
        "station": "station",
        "kind": "kind",
        "asked": "created_at",
        "until": "expires_at",
        "received": "received_at",
        "bytes": "size",
    }
    rows(found, columns, as_json=as_json, none="No uploads yet. Ask for one: csms station log ID")


@upload.command("get")
@click.argument("id", type=int)
@click.option(
    "--out", "-o", type=click.Path(dir_okay=False, path_type=Path), help="the file to write (default: upload-ID.bin)"
)
@over_api
def upload_get(api: Api, as_json: bool, id: int, out: Path | None) -> None:
    """Save the file of an upload. It comes from a station, and may be anything."""
    target = out or Path(f"upload-{id}.bin")
    size = api.save(f"/api/v1/uploads/{id}/file", target)
    click.echo(f'{{"file": "{target}", "bytes": {size}}}' if as_json else f"{target}: {size} bytes")


@upload.command("delete")
@click.argument("id", type=int)
@over_api
def upload_delete(api: Api, as_json: bool, id: int) -> None:
    """Delete an upload and its file."""
    api.ask("DELETE", f"/api/v1/uploads/{segment(str(id))}")
    click.echo("{}" if as_json else f"upload {id} is deleted.")
