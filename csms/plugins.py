"""Finds plugins and keeps the set of them that is at work.

A plugin is named in the site file: an entry point of the group ``csms``, or a single local file such as ``./night.py``. Its class may nest a frozen
dataclass ``Settings``, filled from ``[plugins.<name>]``. Every mistake is a ``SiteFileError`` before anything starts; pluggy checks each hook
implementation against the hook page, so that a misspelt hook is an error and not a silence.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from importlib.resources.abc import Traversable
from typing import Any

from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.resource import IResource

from csms.config import SettingsReader, Site, meant
from csms.hooks import Hooks
from csms.plugin_finding import CHANNEL_PLUGIN, find, installed, wanted_plugins
from csms.plugin_set import Facade, Found, Loaded, PluginSet, SetBuilder, in_order
from csms.registries import Action, ChannelKind, OpenChannel, QuestionKind
from csms.running import run_guarded
from csms.site_files import SiteFile, over
from csms.site_routing import SiteOf


class PluginHost:
    """The plugins of one site, in the order of its site file; ``own_kinds`` and ``own_channels`` are the core's."""

    log = Logger()

    def __init__(
        self,
        site: Site,
        hooks: Hooks,
        clock: IReactorTime,
        *,
        own_kinds: Mapping[str, ChannelKind] | None = None,
        own_channels: Mapping[str, OpenChannel] | None = None,
        use_channels: Callable[[Mapping[str, OpenChannel]], None] = lambda channels: None,
        site_of: SiteOf = lambda station: "",
    ) -> None:
        self._site = site
        self._hooks = hooks
        self._clock = clock
        self._own_kinds = own_kinds or {}
        self._own_channels = own_channels or {}
        self._use_channels = use_channels
        self._site_of = site_of
        self._set = PluginSet()
        self._offered = self._set
        self._leaving: list[Loaded] = []

    def load(self, facade: Facade) -> None:
        """Build every enabled plugin and resolve the hook chains; raises SiteFileError with all mistakes at once."""
        reader = SettingsReader(self._site)
        builder = self._build(self._site, reader, facade)
        self._offered = self._set
        reader.done()
        self._take_over(self._site, builder)

    async def reload(self, site: Site, facade: Facade) -> list[str]:
        """Go over to the plugins and channels of another site file, all of it or none; gives the names of plugins that begin or end.

        Raises SiteFileError with all mistakes. Unchanged plugins go on; new ones are started before they are asked anything; calls under way end
        with the old ones, which are stopped when every such call is over.
        """
        reader = SettingsReader(site)
        builder = self._build(site, reader, facade)
        try:
            reader.done()
            await self._start_new(builder, reader)
        except BaseException:
            self._offered = self._set
            raise
        old = [one for one in self.loaded if all(one.instance is not kept.instance for kept in builder.made.loaded)]
        told = self._take_over(site, builder)
        if old:
            self._leaving += old
            self._clock.callLater(self._hooks.timeout_s, run_guarded, lambda: self._leave(old), self.log)
        return [
            *told,
            *(f"plugin {one.name} begins" for one in builder.new),
            *(f"plugin {one.name} ends" for one in old),
        ]

    async def _start_new(self, builder: SetBuilder, reader: SettingsReader) -> None:
        started: list[Loaded] = []
        for plugin in builder.new:
            fault = await self._run("start", plugin)
            if fault:
                name = plugin.found.name
                reader.mistake(("plugins", name), f"plugin {name} cannot start: {fault}", "see its documentation")
                break
            started.append(plugin)
        if reader.problems:
            await self._each("stop", started[::-1])
        reader.done()

    async def _leave(self, old: list[Loaded]) -> None:
        """Nobody asks these any more, and what they were asked is over."""
        leaving = [one for one in old if one in self._leaving]
        self._leaving = [one for one in self._leaving if one not in leaving]
        await self._each("stop", leaving[::-1])

    def _build(self, site: Site, reader: SettingsReader, facade: Facade) -> SetBuilder:
        known = installed()
        kinds = [name.removeprefix(CHANNEL_PLUGIN) for name in known if name.startswith(CHANNEL_PLUGIN)]
        reader.problems += site.problems
        builder = SetBuilder(site, reader, facade, self._clock, self._set, self._own_kinds, self._own_channels, kinds)
        names = wanted_plugins(site, known)
        wanted = [found for name in names if (found := find(name, known, site, reader, self.loaded))]
        self._look_for_slips(site, [found.name for found in wanted], reader)
        for found in wanted:
            self._add(builder, site, found, reader)
        builder.open_channels()
        self._offered = builder.made
        builder.prepare()
        return builder

    def _add(self, builder: SetBuilder, site: Site, found: Found, reader: SettingsReader) -> None:
        """A plugin of the server, and its instances for the sites whose files have a table for it."""
        here = found.written in site.plugins.enabled or found.written.startswith(CHANNEL_PLUGIN)
        before = len(reader.problems)
        settings = _settings(found, reader)
        if len(reader.problems) > before:
            return
        if here:
            builder.add(found, settings)
        for one in site.site_files:
            on = here if one.enabled is None else found.written in one.enabled
            table = one.plugin_tables.get(found.name)
            if here and not on:
                builder.made.off.setdefault(found.name, set()).add(one.scope.id)
            elif on and (table is not None or not here):
                self._add_for(builder, site, one, found, reader)

    def _add_for(self, builder: SetBuilder, site: Site, one: SiteFile, found: Found, reader: SettingsReader) -> None:
        merged = over(site.plugin_tables.get(found.name, {}), one.plugin_tables.get(found.name, {}))
        local = SettingsReader(Site(file=one.scope.file, text=one.text, plugin_tables={found.name: merged}))
        if hasattr(found.kind, "prepare_reload"):
            what = f"plugin {found.name} is one for all sites"
            local.mistake(("plugins", found.name), what, f"its settings stand in {site.file or 'the site file'} alone")
        else:
            settings = _settings(found, local)
            if not local.problems:
                builder.add(found, settings, one.scope.id)
        reader.problems += local.problems

    def _take_over(self, site: Site, builder: SetBuilder) -> list[str]:
        """Go over to a set that is whole; gives what kept plugins say is different."""
        made = builder.made
        for plugin in made.loaded:
            plugin.breaker.limit = site.plugins.breaker_faults
            plugin.breaker.pause_s = site.plugins.breaker_pause.total_seconds()
        self._site = site
        self._set = self._offered = made
        self._hooks.timeout_s = site.plugins.timeout.total_seconds()
        self._hooks.resolve(made.chains(self._site_of))
        told: list[str] = []
        for plugin, commit in builder.commits:
            try:
                told += commit() or ()
            except Exception:
                self.log.failure("bug: plugin {plugin} did not take its new settings over", plugin=plugin.found.name)
        self._use_channels(made.channels)
        return told

    def _look_for_slips(self, site: Site, names: list[str], reader: SettingsReader) -> None:
        """A table of settings that no enabled plugin reads is a slip of the pen, or kept for a plugin that is switched off."""
        for one in site.site_files:
            for table in one.plugin_tables:
                if table not in names:
                    local = SettingsReader(Site(file=one.scope.file, text=one.text))
                    cure = meant(table, names, "the plugins here are: ")
                    local.mistake(("plugins", table), f"no enabled plugin is called {table}", cure)
                    reader.problems += local.problems
        for table in site.plugin_tables:
            close = get_close_matches(table, names, 1)
            if table in names:
                continue
            if close:
                reader.mistake(
                    ("plugins", table), f"no enabled plugin is called {table}", f"did you mean [plugins.{close[0]}]?"
                )
            else:
                self.log.warn("[plugins.{table}] is not read: no enabled plugin is called so", table=table)

    def answerers(self, hook: str) -> tuple[str, ...]:
        """The plugins that answer a hook, in the order in which they are asked; of the newest set, also while it is being made."""
        return tuple(dict.fromkeys(one.found.name for one in self._offered.loaded if hook in one.hooks))

    async def start(self) -> None:
        """Run every plugin's own ``start``; one that fails is passed over and said so."""
        await self._each("start", self.loaded)

    async def stop(self) -> None:
        """Run every plugin's own ``stop``, the last first."""
        leaving, self._leaving = self._leaving, []
        await self._each("stop", [*reversed(leaving), *reversed(self.loaded)])

    async def _each(self, method: str, plugins: Sequence[Loaded]) -> None:
        for plugin in plugins:
            await self._run(method, plugin)

    async def _run(self, method: str, plugin: Loaded) -> str:
        """Run a plugin's own ``start`` or ``stop``; gives what went wrong, which is logged, or an empty text."""
        run = getattr(plugin.instance, method, None)
        if run is None:
            return ""
        try:
            await _within(run, self._site.plugins.timeout.total_seconds(), self._clock)
        except Exception as fault:
            what = f"no end within {self._hooks.timeout_s:g} s" if isinstance(fault, defer.TimeoutError) else str(fault)
            plugin.breaker.bad(f"{method}: {what}")
            self.log.error(
                "plugin {plugin} failed to {method}: {fault}", plugin=plugin.found.name, method=method, fault=what
            )
            return what or type(fault).__name__
        return ""

    @property
    def loaded(self) -> list[Loaded]:
        """The plugins at work, in order."""
        return self._set.loaded

    @property
    def actions(self) -> Mapping[str, Action]:
        """What rules can do, by ``<plugin>.<name>``."""
        return self._offered.actions

    @property
    def conditions(self) -> Mapping[str, Callable[..., Any]]:
        """The functions of expressions that plugins add, by name."""
        return self._offered.conditions

    @property
    def events(self) -> Mapping[str, type]:
        """The kinds of news that plugins offer to rules, by ``<plugin>.<name>``."""
        return self._offered.events

    @property
    def questions(self) -> Mapping[str, QuestionKind]:
        """The questions that plugins offer to rules, by ``<plugin>.<name>``."""
        return self._offered.questions

    @property
    def presets(self) -> Sequence[Traversable]:
        """Folders of plugins with presets for rules."""
        return self._offered.presets

    @property
    def web(self) -> Mapping[str, IResource]:
        """The web resources of plugins, by ``<plugin>/<path>``."""
        return self._set.web

    @property
    def channels(self) -> Mapping[str, OpenChannel]:
        """The channels of notifications, by name."""
        return self._offered.channels

    def report(self) -> list[dict[str, Any]]:
        """What ``csms plugins`` shows, in order."""
        return in_order(self.loaded)


def _settings(found: Found, reader: SettingsReader) -> Any:
    kind = getattr(found.kind, "Settings", None)
    return reader.read(kind, found.name)


async def _within(run: Callable[[], Awaitable[None] | None], timeout_s: float, clock: IReactorTime) -> None:
    result = run()
    if inspect.isawaitable(result):

        async def wait() -> None:
            await result

        await defer.ensureDeferred(wait()).addTimeout(timeout_s, clock)


def names(plugins: Iterable[Loaded]) -> str:
    """The plugins' names for one line of a log."""
    return ", ".join(plugin.found.name for plugin in plugins) or "none"
