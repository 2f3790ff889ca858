"""``csms db``: look into the database file, copy it while the server works, and put a copy back."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from csms.config import SiteFileError, load_site

SITE = click.option("--site", type=click.Path(path_type=Path), help="the site file (default: csms.toml here)")


def _file_of(site: Path | None) -> Path:
    """The database of a site file, as it is written to people: relative where it is below this folder."""
    from csms.tap import find_site_file

    try:
        file = load_site(site or find_site_file()).database_file
    except SiteFileError as wrong:
        raise click.ClickException(str(wrong)) from None
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file


@click.group()
def db() -> None:
    """The database file: verify, backup, restore."""


@db.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@SITE
@click.option("--quick", is_flag=True, help="do not fold the events of every transaction again")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def verify(file: Path | None, site: Path | None, quick: bool, as_json: bool) -> None:
    """Look for damage and contradictions in FILE (default: the site's database); changes nothing, and may run beside the server.

    The file must be whole, no row may refer to nothing, each bill must rest on its transaction, and each transaction's state must be what follows
    from its events, which are read and folded again.
    """
    from csms.dialects import decoded
    from csms.store import verify as look
    from csms.store.recount import recount

    file = file or _file_of(site)
    problems = look(file)
    if not problems and not quick:
        problems = recount(file, decoded)
    if as_json:
        click.echo(json.dumps(problems, indent=2))
    else:
        for problem in problems:
            click.echo(problem, err=True)
        if not problems:
            click.echo(f"{file} is well.")
    sys.exit(1 if problems else 0)


@db.command()
@click.argument("target", type=click.Path(path_type=Path), required=False)
@SITE
def backup(target: Path | None, site: Path | None) -> None:
    """Copy the database to TARGET, also while the server works (default: <database>.backup-<time> beside it).

    The copy is one moment of the database, checked once it is written. The log of messages is not in it.
    """
    from csms.store.backup import BackupFault
    from csms.store.backup import backup as copy
    from csms.store.verify import damage

    file = _file_of(site)
    target = target or file.with_name(f"{file.name}.backup-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    try:
        copy(file, target)
    except BackupFault as fault:
        raise click.ClickException(str(fault)) from None
    if problems := damage(target):
        raise click.ClickException(f"{target} is written, but not sound: {'; '.join(problems[:3])}")
    click.echo(f"{target} is written and sound ({target.stat().st_size / 1e6:.1f} MB).")


@db.command()
@click.argument("source", type=click.Path(path_type=Path))
@SITE
def restore(source: Path, site: Path | None) -> None:
    """Put the backup SOURCE in the place of the database; the server must be stopped, and the old file is kept."""
    from csms.store.backup import BackupFault
    from csms.store.backup import restore as put_back

    file = _file_of(site)
    try:
        kept = put_back(source, file, datetime.now(UTC))
    except BackupFault as fault:
        raise click.ClickException(str(fault)) from None
    click.echo(f"{file} is {source} now." + (f" The old file is kept: {kept}" if kept else ""))
