"""One whole set of plugins: built, checked against the hook page and joined into chains, and only then taken over; a mistake anywhere gives none.

What is unchanged since the set before it is kept: the instances of plugins with the same code and settings, channels with the same settings.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.resources.abc import Traversable
from typing import Any

import pluggy
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource

from csms import hookspecs
from csms.config import SettingsReader, Site, SiteFileError
from csms.facade import Csms
from csms.hooks import Breaker, Implementation
from csms.registries import (
    Action,
    ActionRegistry,
    ChannelKind,
    ChannelRegistry,
    ConditionRegistry,
    EventRegistry,
    OpenChannel,
    PresetRegistry,
    QuestionKind,
    QuestionRegistry,
    WebRegistry,
)
from csms.site_files import over
from csms.site_routing import SiteOf, routed

GROUP = "csms"
Facade = Callable[[str, str], Csms]
"""Makes the facade of a plugin for a site, of the server's own for an empty one."""
KNOWN = (*hookspecs.DECISIONS, *hookspecs.NEWS, *hookspecs.REGISTRATIONS)


@dataclass(frozen=True, slots=True)
class Found:
    """A plugin class before it is built; ``stamp`` changes with its code, ``written`` is its name in the site file."""

    name: str
    kind: type
    version: str
    source: str
    stamp: str = ""
    written: str = ""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A running plugin; with ``site``, its instance for one site whose file says something of it."""

    found: Found
    instance: Any
    hooks: tuple[str, ...]
    breaker: Breaker
    settings: Any = None
    site: str = ""

    @property
    def name(self) -> str:
        """Its name, with its site in brackets where it is for one."""
        return f"{self.found.name} ({self.site})" if self.site else self.found.name


@dataclass(slots=True)
class PluginSet:
    """The plugins in their order, and everything they offer."""

    loaded: list[Loaded] = field(default_factory=list)
    actions: dict[str, Action] = field(default_factory=dict)
    conditions: dict[str, Callable[..., Any]] = field(default_factory=dict)
    events: dict[str, type] = field(default_factory=dict)
    questions: dict[str, QuestionKind] = field(default_factory=dict)
    presets: list[Traversable] = field(default_factory=list)
    web: dict[str, IResource] = field(default_factory=dict)
    kinds: dict[str, ChannelKind] = field(default_factory=dict)
    channels: dict[str, OpenChannel] = field(default_factory=dict)

    off: dict[str, set[str]] = field(default_factory=dict)
    """The sites on which a plugin is not asked, by the plugin's name."""

    def chains(self, site_of: SiteOf) -> Mapping[str, list[Implementation]]:
        """Who is asked what, in order."""
        chains: dict[str, list[Implementation]] = {name: [] for name in (*hookspecs.DECISIONS, *hookspecs.NEWS)}
        for name in dict.fromkeys(plugin.found.name for plugin in self.loaded):
            instances = [plugin for plugin in self.loaded if plugin.found.name == name]
            off = self.off.get(name, set())
            for hook in dict.fromkeys(hook for plugin in instances for hook in plugin.hooks if hook in chains):
                if len(instances) == 1 and not off and not instances[0].site:
                    chains[hook].append(_implementation(instances[0], hook))
                else:
                    chains[hook].append(_of_sites(instances, off, hook, site_of))
        return chains


class SetBuilder:
    """Builds the set that a site file wants; mistakes are noted with the reader."""

    def __init__(
        self,
        site: Site,
        reader: SettingsReader,
        facade: Facade,
        clock: IReactorTime,
        before: PluginSet,
        own_kinds: Mapping[str, ChannelKind],
        own_channels: Mapping[str, OpenChannel],
        other_kinds: Collection[str] = (),
    ) -> None:
        self._site = site
        self._reader = reader
        self._facade = facade
        self._clock = clock
        self._before = before
        self._own_channels = own_channels
        self._other_kinds = other_kinds
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs.CsmsHooks)
        self.made = PluginSet(kinds=dict(own_kinds))
        self.new: list[Loaded] = []
        self.commits: list[tuple[Loaded, Callable[[], Iterable[str] | None]]] = []
        """What kept plugins do when the new set is taken over; each may say in lines what is different."""
        self._failed = False

    def add(self, found: Found, settings: Any, site: str = "") -> None:
        """One more plugin, or its instance for a site; the same one as before where code and settings are."""
        try:
            kept = self._kept(found, settings, site)
            instance = kept.instance if kept else found.kind(settings, self._facade(found.name, site))
            self._register(found, instance, settings, kept, site)
        except Exception as fault:
            self._failed = True
            self._cannot_start(found.name, fault)

    def _cannot_start(self, name: str, fault: Exception) -> None:
        if isinstance(fault, SiteFileError):
            self._reader.problems += fault.problems
        else:
            self._reader.mistake(("plugins", name), f"plugin {name} cannot start: {fault}", "see its documentation")

    def prepare(self) -> None:
        """Plugins that read files of their own do it here, when all others have said what they offer."""
        for plugin in self.made.loaded:
            new = any(one is plugin for one in self.new)
            prepare = getattr(plugin.instance, "prepare" if new else "prepare_reload", None)
            try:
                if prepare is not None and new:
                    prepare()
                elif prepare is not None:
                    self.commits.append((plugin, prepare(plugin.settings)))
            except Exception as fault:
                self._cannot_start(plugin.found.name, fault)

    def _kept(self, found: Found, settings: Any, site: str) -> Loaded | None:
        """The running plugin that may go on: its settings are the same and its files too, or it takes new ones over by itself."""
        for one in self._before.loaded:
            if one.site == site and (one.found.name, one.found.source, one.found.stamp) == (
                found.name,
                found.source,
                found.stamp,
            ):
                same = one.settings == settings and not _outdated(one.instance)
                return one if same or hasattr(one.instance, "prepare_reload") else None
        return None

    def _register(self, found: Found, instance: Any, settings: Any, kept: Loaded | None, site: str) -> None:
        self._manager.register(instance, name=f"{found.name} {site}")
        hooks = tuple(sorted(caller.name for caller in self._manager.get_hookcallers(instance) or []))
        breaker = kept.breaker if kept else Breaker(self._clock, 0, 0.0)
        loaded = Loaded(found, instance, hooks, breaker, settings, site)
        self.made.loaded.append(loaded)
        if kept is None:
            self.new.append(loaded)
        for hook in hooks:
            if hook not in KNOWN:
                close = get_close_matches(hook, KNOWN, 1)
                cure = f"did you mean {close[0]}?" if close else f"the hooks are: {', '.join(KNOWN)}"
                self._reader.mistake(("plugins", found.name), f"plugin {found.name}: no hook is called {hook}", cure)
        if not site:
            self._registrations(loaded)

    def _registrations(self, plugin: Loaded) -> None:
        name, instance = plugin.found.name, plugin.instance
        actions, conditions = ActionRegistry(name), ConditionRegistry(name)
        channels, web = ChannelRegistry(name), WebRegistry(name)
        events, questions, presets = EventRegistry(name), QuestionRegistry(name), PresetRegistry(name)
        for hook, registry in (
            ("register_actions", actions),
            ("register_channels", channels),
            ("register_conditions", conditions),
            ("register_events", events),
            ("register_questions", questions),
            ("register_presets", presets),
            ("register_web", web),
        ):
            if hook in plugin.hooks:
                getattr(instance, hook)(registry)
        self.made.actions |= actions.found
        self.made.conditions |= conditions.found
        self.made.events |= events.found
        self.made.questions |= questions.found
        self.made.presets += presets.found
        self.made.kinds |= channels.found
        self.made.web |= web.found

    def open_channels(self) -> None:
        """Read the ``[notify.<name>]`` tables and open their channels."""
        self.made.channels = dict(self._own_channels)
        for name, table in self._site.notify_tables.items():
            self._open(name, name, table, self._reader)
        for one in self._site.site_files:
            local = SettingsReader(Site(file=one.scope.file, text=one.text))
            for name, table in one.notify_tables.items():
                merged = over(self._site.notify_tables.get(name, {}), table)
                self._open(f"{one.scope.id}/{name}", name, merged, local)
            self._reader.problems += local.problems

    def _open(self, full: str, name: str, table: Mapping[str, Any], reader: SettingsReader) -> None:
        """One channel; ``full`` has its site in front where it is a single site's."""
        kind = self._kind(name, table, reader)
        settings = reader.table(kind.settings, table, ("notify", name)) if kind else None
        if kind is None or settings is None:
            return
        old = self._before.channels.get(full)
        if old is not None and old.settings == settings and self._same(kind):
            self.made.channels[full] = old
            return
        try:
            self.made.channels[full] = OpenChannel(full, settings, kind.open(full, settings))
        except Exception as fault:
            reader.mistake(("notify", name), f"this channel cannot be opened: {fault}")

    def _kind(self, name: str, table: Mapping[str, Any], reader: SettingsReader) -> ChannelKind | None:
        wanted, kinds = table.get("kind"), sorted({*self.made.kinds, *self._other_kinds})
        if not isinstance(wanted, str) or not wanted:
            reader.mistake(("notify", name), "a channel has a kind", f"add kind = ..., one of: {', '.join(kinds)}")
            return None
        kind = self.made.kinds.get(wanted)
        if kind is None and not self._failed:
            close = get_close_matches(wanted, kinds, 1)
            cure = f"did you mean {close[0]}?" if close else f"the kinds are: {', '.join(kinds)}"
            reader.mistake(("notify", name, "kind"), f"no plugin offers channels of kind {wanted}", cure)
        return kind

    def _same(self, kind: ChannelKind) -> bool:
        """Whether the plugin behind a kind is the one that opened its channels before."""
        return all(one.found.name != kind.plugin for one in self.new)


def _outdated(instance: Any) -> bool:
    outdated = getattr(instance, "outdated", None)
    return outdated is not None and bool(outdated())


def _implementation(plugin: Loaded, hook: str) -> Implementation:
    function = getattr(plugin.instance, hook)
    accepts = tuple(inspect.signature(function).parameters)
    listens = getattr(plugin.instance, "listens_to", None) if hook == "on_event" else None
    return Implementation(plugin.found.name, function, accepts, plugin.breaker, listens)


def _of_sites(instances: Sequence[Loaded], off: Collection[str], hook: str, site_of: SiteOf) -> Implementation:
    """One plugin with different instances on different sites, asked as one."""
    own = next((one for one in instances if not one.site), None)
    sites = {one.site: getattr(one.instance, hook, None) for one in instances if one.site}
    first = own or instances[0]
    listened = [getattr(one.instance, "listens_to", None) for one in instances] if hook == "on_event" else [None]
    kinds = None if None in listened else tuple({kind for one in listened for kind in one or ()})
    function = getattr(own.instance, hook, None) if own else None
    return routed(first.found.name, first.breaker, function, {**dict.fromkeys(off), **sites}, site_of, kinds)


def in_order(plugins: Sequence[Loaded]) -> list[dict[str, Any]]:
    """What ``csms plugins`` shows."""
    return [
        {
            "name": plugin.name,
            "version": plugin.found.version,
            "source": plugin.found.source,
            "order": order,
            "hooks": list(plugin.hooks),
            "state": "passed over" if plugin.breaker.open else "faulty" if plugin.breaker.faults else "well",
            "faults": plugin.breaker.total,
            "last_fault": plugin.breaker.last_fault,
        }
        for order, plugin in enumerate(plugins, 1)
    ]
