"""Security from a terminal: ``csms security`` over the API, and ``csms ca``, which makes certificates in a folder."""

from __future__ import annotations

from pathlib import Path

import click

from csms.authority import Authority, write_pair
from csms.certificates import CertificateFault
from csms.cli.client import Api, over_api
from csms.cli.show import rows


@click.group()
def security() -> None:
    """Security: events, and stations' certificates."""


@security.command("events")
@click.option("--station", "of_station", default="")
@click.option("--kind", default="", help="such as FailedToAuthenticateAtCsms")
@click.option("--critical", is_flag=True, help="only those that somebody should look at")
@click.option("--limit", default=50, show_default=True)
@over_api
def security_events(api: Api, as_json: bool, of_station: str, kind: str, critical: bool, limit: int) -> None:
    """The newest security events."""
    found = api.items(
        "/security-events",
        most=limit,
        station=of_station,
        kind=kind,
        critical="true" if critical else "",
        before=str(2**62),
    )
    columns = {"at": "at", "kind": "kind", "station": "station", "from": "address", "by": "source", "what": "detail"}
    rows(found, columns, as_json=as_json, none="No security events.")


@security.command("certificates")
@click.option("--station", "of_station", default="")
@over_api
def security_certificates(api: Api, as_json: bool, of_station: str) -> None:
    """Which certificates stations have, the first to expire first."""
    found = api.ask("GET", "/api/v1/certificates", station=of_station)["items"]
    columns = {
        "station": "station",
        "kind": "kind",
        "expires": "expires",
        "subject": "subject",
        "number": "serial_number",
    }
    rows(found, columns, as_json=as_json, none="No certificates are known.")


@click.group()
def ca() -> None:
    """A certificate authority of your own: for the server, and for stations with security profile 3."""


FOLDER = click.option(
    "--folder", default=Path("tls"), show_default=True, type=click.Path(path_type=Path), help="where the files are"
)


@ca.command("init")
@click.argument("host")
@click.option("--organization", default="csms", show_default=True, help="the organization in all certificates")
@click.option("--days", default=397, show_default=True, help="how long the server's certificates hold")
@FOLDER
def ca_init(host: str, organization: str, days: int, folder: Path) -> None:
    """Make a CA, and the server's RSA and ECDSA certificates for HOST (the name that stations dial, or an IP address).

    A CA that is there already is used again, so this command renews the server's certificates, too.
    """
    try:
        authority = Authority.in_folder(folder, organization)
        for kind in ("ecdsa", "rsa"):
            write_pair(folder, f"server-{kind}", *authority.server(host, kind, days))
    except CertificateFault as fault:
        raise click.ClickException(str(fault)) from None
    click.echo(
        f"{folder}/ has the CA (stations-ca.pem, keep stations-ca.key safe) and the server's certificates for {host}."
    )
    click.echo("Put stations-ca.pem into stations as the CSMS root certificate. For the site file:\n")
    click.echo(SITE_LINES.format(folder=folder))


SITE_LINES = """\
[[server.listeners]]
listen = "tcp:9443"
profiles = [2, 3]

[tls]
certificates = [
  {{ chain = "{folder}/server-ecdsa.pem", key = "{folder}/server-ecdsa.key" }},
  {{ chain = "{folder}/server-rsa.pem", key = "{folder}/server-rsa.key" }},
]
client_ca = "{folder}/stations-ca.pem\""""


@ca.command("station")
@click.argument("station")
@click.option("--kind", default="ecdsa", show_default=True, type=click.Choice(["ecdsa", "rsa"]))
@click.option("--days", default=397, show_default=True)
@FOLDER
def ca_station(station: str, kind: str, days: int, folder: Path) -> None:
    """Make a client certificate and key for STATION, for stations that cannot ask for one themselves."""
    try:
        pair = Authority.in_folder(folder, "", must_exist=True).station(station, kind, days)
        chain, key = write_pair(folder, f"station-{station}", *pair)
    except CertificateFault as fault:
        raise click.ClickException(str(fault)) from None
    click.echo(f"{chain} and {key} are written.")
