"""What commands of plugins are given: the site without its server, and rehearsals of it. How they are made is known to ``csms.cli``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from csms.model.station import StationRef


class Rehearsal(Protocol):
    """A whole CSMS in memory, on a clock that stands still: for trying out what a plugin would do. Nothing leaves it.

    ``heard`` are the calls that stations were sent (in a dry one those that the plugin ordered), as (station, action, payload); ``notified`` what
    people would have been told, as (channel, text, level); ``called`` the actions of plugins, as (name, arguments); ``logged`` the plugin's log,
    as (level, text). A station answers a call by the first of ``replies`` for its action (None: not at all), else with the shortest answer that
    accepts.
    """

    plugin: Any
    heard: list[tuple[str, str, Mapping[str, Any]]]
    notified: list[tuple[str, str, str]]
    called: list[tuple[str, Mapping[str, Any]]]
    logged: list[tuple[str, str]]
    replies: dict[str, list[Mapping[str, Any] | None]]

    @property
    def now(self) -> datetime:
        """What time it is in there."""

    def pass_until(self, at: datetime) -> None:
        """Let time pass; everything that is due happens at its time."""

    def connect(self, station: str, protocol: str, *, vendor: str, model: str, firmware: str) -> None:
        """A station connects, and boots."""

    def join(self, station: str, protocol: str) -> None:
        """A station connects, and says nothing yet."""

    def lose(self, station: str) -> None:
        """A station loses its connection."""

    def say(self, station: str, action: str, payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """A station sends a call; the answer, None when it is refused."""

    def tell(self, event: object) -> None:
        """News, as if the server had told it."""

    def ask(self, hook: str, question: Mapping[str, Any]) -> Any:
        """What the plugins answer to a question."""

    def ref(self, station: str) -> StationRef:
        """A station as events name it."""

    def close(self) -> None:
        """Leave nothing behind."""


class Workbench(Protocol):
    """What commands of plugins are given (``@click.pass_obj``): the site without its server, and the server of the site if it runs."""

    def plugin(self, site_file: Path | None, name: str, settings: Mapping[str, Any]) -> Any:
        """A plugin built for a site with some of its settings changed; nothing is opened or started. Raises SiteFileError."""

    def rehearse(
        self, site_file: Path | None, name: str, settings: Mapping[str, Any], at: datetime, *, dry: bool
    ) -> Rehearsal:
        """A rehearsal for a plugin; ``dry``: what the plugin orders and tells is noted and goes nowhere. Raises SiteFileError."""

    def site_schema(self) -> Mapping[str, Any]:
        """The JSON Schema of the site file."""

    def frames(self, log: Path | None, site_file: Path | None = None) -> Sequence[tuple[str, datetime, str, str]]:
        """Every frame of a message log (None: of the site's own) in order: station, time, "in" or "out", text; raises click.ClickException."""

    def server(self, site_file: Path | None, method: str, path: str, body: object = None) -> Any:
        """An answer of the running server's API, such as ``/plugins/<name>/..``; raises click.ClickException."""
