"""The ``csms`` command: make and check a site file, run in the foreground, and a simulated station. Starts nothing by being imported."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from csms import __version__
from csms.cli import bills, database, files, operate, people, security, stations, tokens, transactions
from csms.cli.bench import bench
from csms.cli.explain import explain
from csms.cli.messages import messages
from csms.cli.notify import notify
from csms.cli.workbench import Commands
from csms.config import Problem, SiteFileError, read_site, without_rules
from csms.starter import write_starter


@click.group(cls=Commands)
@click.version_option(__version__, prog_name="csms")
def main() -> None:
    """A Charging Station Management System for OCPP 2.0.1 and 1.6-J."""


@main.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("csms.toml"))
def init(file: Path) -> None:
    """Write a commented site file with fresh secrets, readable by its owner only."""
    try:
        write_starter(file)
    except FileExistsError:
        raise click.ClickException(f"{file} is there already; nothing was changed") from None
    except OSError as fault:
        raise click.ClickException(f"{file} cannot be written: {fault.strerror}") from None
    click.echo(f"{file} is written. Check it: csms check {file}")


@main.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("csms.toml"))
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def check(file: Path, as_json: bool) -> None:
    """Read a site file, with its plugins' settings, and tell every mistake in it."""
    from csms.tap import check_site

    problems: tuple[Problem, ...] = ()
    try:
        check_site(file)
    except SiteFileError as wrong:
        problems = wrong.problems
        if not as_json:
            click.echo(str(wrong), err=True)
    if as_json:
        click.echo(json.dumps([asdict(problem) for problem in problems], indent=2))
    elif not problems:
        click.echo(f"{file} is well.")
    sys.exit(1 if problems else 0)


@main.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--rules", type=click.Choice(["on", "off"]), default="on", help="off: the safe mode, without flow rules")
def run(file: Path | None, rules: str) -> None:
    """Run the CSMS in the foreground (Ctrl-C stops it); without a file: csms.toml here, else built-in defaults."""
    from csms.tap import find_site_file, run_in_foreground

    try:
        site = read_site(file or find_site_file())
        code = run_in_foreground(without_rules(site) if rules == "off" else site)
    except SiteFileError as wrong:
        click.echo(str(wrong), err=True)
        sys.exit(1)
    sys.exit(code)


@main.command()
@click.option("--url", default="ws://127.0.0.1:9000/ocpp", show_default=True, help="where the CSMS listens")
@click.option("--station", default="SIM1", show_default=True)
@click.option("--protocol", default="ocpp2.0.1", show_default=True, type=click.Choice(["ocpp2.0.1", "ocpp1.6"]))
@click.option("--password", default=None)
@click.option("--tag", default="DEMO", show_default=True, help="the token to charge with")
@click.option("--energy-wh", default=5000, show_default=True)
@click.option("--minutes", type=float, help="how long the charge takes, such as 0.5 (default: ten seconds)")
def sim(
    url: str, station: str, protocol: str, password: str | None, tag: str, energy_wh: int, minutes: float | None
) -> None:
    """Be a charging station that boots, charges and stops.

    A password that the CSMS gives it (sim-STATION.key) and where its meters stand (sim-STATION.meters) are kept here for the next run.
    """
    from twisted.internet import task

    from csms.sim.command import SimOptions, simulate

    try:
        options = SimOptions(
            url=url,
            station=station,
            protocol=protocol,
            password=password,
            folder=Path.cwd(),
            tag=tag,
            energy_wh=energy_wh,
            minutes=minutes,
        )
    except ValueError as wrong:
        raise click.UsageError(str(wrong)) from None
    task.react(lambda reactor: simulate(reactor, options))


for group in (
    database.db,
    stations.station,
    transactions.tx,
    messages,
    bills.bill,
    explain,
    tokens.tag,
    operate.plugins,
    security.security,
    files.upload,
    security.ca,
    operate.reload,
    people.person,
    people.key,
    people.audit,
    people.login,
    notify,
    bench,
):
    main.add_command(group)
