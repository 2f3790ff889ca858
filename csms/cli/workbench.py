"""What commands of plugins are given: the site of a file without its server, rehearsals of it, and the API of the server that runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click

from csms.cli.client import api_of
from csms.config import Site, overridden, read_site
from csms.starter import site_schema

GROUP = "csms.commands"


class Bench:
    """See ``csms.workbench.Workbench``."""

    def plugin(self, site_file: Path | None, name: str, settings: Mapping[str, Any]) -> Any:
        """A plugin built for a site with some of its settings changed; nothing is opened or started."""
        from twisted.internet.task import Clock

        from csms.house import House

        house = House(_site(site_file, {name: settings}), Clock())
        return next(one.instance for one in house.plugins.loaded if one.found.name == name)

    def rehearse(
        self, site_file: Path | None, name: str, settings: Mapping[str, Any], at: datetime, *, dry: bool
    ) -> Any:
        """A rehearsal for a plugin."""
        from csms.rehearsal import Stage

        return Stage(_site(site_file, {name: settings}), name, at, dry=dry)

    def site_schema(self) -> Mapping[str, Any]:
        """The JSON Schema of the site file."""
        return site_schema()

    def frames(self, log: Path | None, site_file: Path | None = None) -> Sequence[tuple[str, datetime, str, str]]:
        """Every frame of a message log, or of the site's own, in order."""
        from csms.store import StoreFault, log_beside
        from csms.store.inline import frames_of

        log = log or log_beside(_site(site_file, {}).database_file)
        try:
            return [(one.station, one.at, one.direction, one.frame) for one in frames_of(log)]
        except StoreFault as fault:
            raise click.ClickException(f"{log} is no message log: {fault}") from None

    def server(self, site_file: Path | None, method: str, path: str, body: object = None) -> Any:
        """An answer of the running server's API."""
        return api_of(site_file, None, None).ask(method, path, body)


def _site(site_file: Path | None, overrides: Mapping[str, Mapping[str, Any]]) -> Site:
    """The site of a file, with other settings for some plugins, which are enabled."""
    path = site_file or (Path("csms.toml") if Path("csms.toml").is_file() else None)
    site = read_site(path)
    return overridden(site, overrides)


class Commands(click.Group):
    """The commands of csms, and behind them those of installed plugins: entry points of the group ``csms.commands``, loaded when used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names."""
        return sorted({*super().list_commands(ctx), *(point.name for point in entry_points(group=GROUP))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command; a plugin's own is given the workbench."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        found = next((point for point in entry_points(group=GROUP) if point.name == cmd_name), None)
        if found is None:
            return None
        ctx.obj = Bench()
        try:
            command: click.Command = found.load()
        except Exception as fault:
            return _broken(cmd_name, found.value, fault)
        return command


def _broken(name: str, source: str, fault: Exception) -> click.Command:
    """Stands in the list for a command that cannot be loaded, and says why when it is used."""

    def tell(**given: object) -> None:
        raise click.ClickException(f"the command {name} of {source} cannot be loaded: {type(fault).__name__}: {fault}")

    taking_all = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    return click.Command(name, callback=tell, context_settings=taking_all, short_help="(cannot be loaded)")
