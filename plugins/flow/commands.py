"""``csms rules``: check, test, explain, replay, reset, and the schema for editors."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from csms_plugins.flow.checking import check_files, check_site
from csms_plugins.flow.explaining import told
from csms_plugins.flow.files import duration
from csms_plugins.flow.lints import Finding
from csms_plugins.flow.replaying import compare, read_log, recent, replayed
from csms_plugins.flow.sarif import sarif
from csms_plugins.flow.schema import rule_schema
from csms_plugins.flow.trials import run_file

from csms.api import Rehearsal, SiteFileError, Workbench

NAME = "flow_rules"
DOOR = "/plugins/flow_rules/rules"
SITE = click.option(
    "--site", "site_file", type=click.Path(path_type=Path), default=None, help="the site file (default: csms.toml here)"
)
FILES = click.argument("files", type=click.Path(path_type=Path, exists=True), nargs=-1)
JSON = click.option("--json", "as_json", is_flag=True, help="print JSON")


@click.group()
def rules() -> None:
    """Flow rules: check, test, explain and replay them."""


@rules.command()
@FILES
@SITE
@click.option("--strict", is_flag=True, help="warnings are mistakes: exit 2")
@JSON
@click.option("--sarif", "as_sarif", is_flag=True, help="print SARIF 2.1.0")
@click.pass_obj
def check(
    bench: Workbench, files: tuple[Path, ...], site_file: Path | None, strict: bool, as_json: bool, as_sarif: bool
) -> None:
    """Tell every mistake in rule files (of the site, or those named), and what is likely not meant."""
    found = check_files(bench, site_file, files) if files else check_site(bench, site_file)
    if as_sarif:
        click.echo(json.dumps(sarif(found), indent=2))
    elif as_json:
        click.echo(
            json.dumps([asdict(one.problem) | {"level": one.level, "lint": one.lint} for one in found], indent=2)
        )
    else:
        _print(found)
    sys.exit(_exit_code(found, strict))


def _print(found: list[Finding]) -> None:
    for one in found:
        click.echo(f"{one.level}: {one.problem}\n", err=True)
    errors = sum(one.level == "error" for one in found)
    said = f"{_counted(errors, 'mistake')}, {_counted(len(found) - errors, 'warning')}."
    click.echo(said if found else "The rules are well.", err=bool(found))


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _exit_code(found: list[Finding], strict: bool) -> int:
    if any(one.level == "error" for one in found):
        return 1
    return 2 if strict and found else 0


@rules.command()
@FILES
@SITE
@JSON
@click.pass_obj
def test(bench: Workbench, files: tuple[Path, ...], site_file: Path | None, as_json: bool) -> None:
    """Run the [[test]] tables of files (default: tests/rules/*.toml) on a clock of their own."""

    def rehearse(settings: Mapping[str, Any], at: datetime) -> Rehearsal:
        return bench.rehearse(site_file, NAME, settings, at, dry=False)

    paths = list(files) or sorted(Path("tests/rules").glob("*.toml"))
    if not paths:
        raise click.ClickException("no files with tests: name them, or put them into tests/rules/")
    results = [result for path in paths for result in run_file(path, Path.cwd(), rehearse)]
    failed = [one for one in results if one.mistakes]
    if as_json:
        click.echo(json.dumps([asdict(one) for one in results], indent=2))
    else:
        for one in results:
            click.echo(f"{'FAILED' if one.mistakes else 'ok'} {one.name} ({one.place})")
            for mistake in one.mistakes:
                click.echo(f"  {mistake}")
        click.echo(f"{len(results) - len(failed)} of {len(results)} tests passed.")
    sys.exit(1 if failed or not results else 0)


@rules.command()
@click.option("--station", default="", help="only what is about this station")
@click.option("--last", default="", help="only the last so long, such as 10m")
@click.option(
    "--event",
    "event_file",
    type=click.Path(path_type=Path, exists=True),
    help="an event as JSON: what would become of it",
)
@SITE
@JSON
@click.pass_obj
def explain(
    bench: Workbench, station: str, last: str, event_file: Path | None, site_file: Path | None, as_json: bool
) -> None:
    """Say of each rule of the running server what it did, or the first reason why it did not run."""
    from urllib.parse import urlencode

    if event_file is not None:
        body = _event(event_file, station)
        answer = bench.server(site_file, "POST", f"{DOOR}/explain", body)
    else:
        answer = bench.server(site_file, "GET", f"{DOOR}/explain?{urlencode({'station': station, 'last': last})}")
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    if not answer["rules"]:
        click.echo("The server has no rules.")
    for one in answer["rules"]:
        if event_file is not None:
            click.echo(f"{one['rule']}: {'runs' if one['runs'] else one['reason']} ({one['place']})")
            continue
        click.echo(f"{one['rule']} on {', '.join(one['on'])} ({one['place']})")
        for trace in one["traces"]:
            click.echo(f"  {told(trace)}")
        if not one["traces"]:
            click.echo("  nothing it is on has happened")


def _event(file: Path, station: str) -> Any:
    try:
        body = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as wrong:
        raise click.ClickException(f"{file} is no JSON: {wrong}") from None
    return {**body, "station": station} if station and isinstance(body, dict) else body


@rules.command()
@click.argument("log", type=click.Path(path_type=Path, exists=True), required=False)
@click.option(
    "--rules",
    "new",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="rule files to compare with the site's",
)
@click.option("--last", default="", help="only the last so long of the log, such as 1d")
@SITE
@JSON
@click.pass_obj
def replay(
    bench: Workbench, log: Path | None, new: tuple[Path, ...], last: str, site_file: Path | None, as_json: bool
) -> None:
    """Give recorded traffic (LOG, else the site's own message log) to the rules again; nothing is sent.

    LOG is a message log (csms-messages.sqlite), or lines of JSON with station, at, direction and frame.
    """
    last_s = duration(last or "36500d")
    if last_s is None:
        raise click.ClickException(f"--last is a duration such as 1d, not {last!r}")
    try:
        frames = recent(read_log(bench, site_file, log), last_s)
        now = replayed(bench, site_file, frames, ())
        then = replayed(bench, site_file, frames, new) if new else None
    except (SiteFileError, ValueError) as wrong:
        raise click.ClickException(str(wrong)) from None
    if as_json:
        click.echo(
            json.dumps({"rules": now.report(), "new": then.report() if then else None}, indent=2, sort_keys=True)
        )
        return
    click.echo("\n".join(now.lines()))
    if then is not None:
        click.echo("\nwith the new rules:\n" + "\n".join(then.lines()))
        click.echo("\ndifference:\n" + "\n".join(compare(now, then)))


@rules.command()
@click.argument("rule")
@click.option("--key", default=None, help="only for this key")
@SITE
@click.pass_obj
def reset(bench: Workbench, rule: str, key: str | None, site_file: Path | None) -> None:
    """Let a tripped rule of the running server work again, and open its gate."""
    answer = bench.server(site_file, "POST", f"{DOOR}/reset", {"rule": rule, "key": key})
    click.echo(f"{rule}: {_counted(answer['reset'], 'key')} can work again.")


@rules.command()
@click.option("--site", "kind", flag_value="site", help="of site files")
@click.option("--rules", "kind", flag_value="rules", default=True, help="of rule files (default)")
@click.pass_obj
def schema(bench: Workbench, kind: str) -> None:
    """Print the JSON Schema of rule files or of the site file, for editors."""
    click.echo(json.dumps(bench.site_schema() if kind == "site" else rule_schema(), indent=1))
