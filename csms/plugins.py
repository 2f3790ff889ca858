"""Finds, configures, orders and registers plugins.

A plugin is named in the site file: an entry point of the group ``csms``, or a single local file such as ``./night.py``. Its class may nest a frozen
dataclass ``Settings``, filled from ``[plugins.<name>]``. Every mistake is a ``SiteFileError`` before anything starts; pluggy checks each hook
implementation against the hook page, so that a misspelt hook is an error and not a silence.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import pluggy
from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.resource import IResource

from csms import hookspecs
from csms.config import SettingsReader, Site, SiteFileError
from csms.facade import (
    Action,
    ActionRegistry,
    ConditionRegistry,
    Csms,
    EventRegistry,
    PresetRegistry,
    QuestionKind,
    QuestionRegistry,
    WebRegistry,
)
from csms.hooks import Breaker, Hooks, Implementation

GROUP = "csms"


@dataclass(frozen=True, slots=True)
class Found:
    """A plugin class before it is built."""

    name: str
    kind: type
    version: str
    source: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """A running plugin."""

    found: Found
    instance: Any
    hooks: tuple[str, ...]
    breaker: Breaker


class PluginHost:
    """The plugins of one site, in the order of its site file."""

    log = Logger()

    def __init__(self, site: Site, hooks: Hooks, clock: IReactorTime) -> None:
        self._site = site
        self._hooks = hooks
        self._clock = clock
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs.CsmsHooks)
        self.loaded: list[Loaded] = []
        self.actions: dict[str, Action] = {}
        self.conditions: dict[str, Callable[..., Any]] = {}
        self.events: dict[str, type] = {}
        self.questions: dict[str, QuestionKind] = {}
        self.presets: list[Traversable] = []
        self.web: dict[str, IResource] = {}

    def load(self, facade: Callable[[str], Csms]) -> None:
        """Build every enabled plugin and resolve the hook chains; raises SiteFileError with all mistakes at once."""
        reader = SettingsReader(self._site)
        wanted = [(name, found) for name in self._site.plugins.enabled if (found := find(name, self._site, reader))]
        settings = {name: _settings(found, reader) for name, found in wanted}
        self._look_for_slips([found.name for _, found in wanted], reader)
        reader.done()
        for name, found in wanted:
            try:
                self._register(found, build(found, settings[name], facade(found.name)))
            except SiteFileError as wrong:
                reader.problems += wrong.problems
            except Exception as fault:
                reader.mistake(
                    ("plugins", found.name), f"plugin {found.name} cannot start: {fault}", "see its documentation"
                )
        self._check(reader)
        reader.done()
        for plugin in self.loaded:
            self._registrations(plugin)
        for plugin in self.loaded:
            self._prepare(plugin, reader)
        reader.done()
        self._resolve()

    def _look_for_slips(self, names: list[str], reader: SettingsReader) -> None:
        """A table of settings that no enabled plugin reads is a slip of the pen, or kept for a plugin that is switched off."""
        for table in self._site.plugin_tables:
            close = get_close_matches(table, names, 1)
            if table in names:
                continue
            if close:
                reader.mistake(
                    ("plugins", table), f"no enabled plugin is called {table}", f"did you mean [plugins.{close[0]}]?"
                )
            else:
                self.log.warn("[plugins.{table}] is not read: no enabled plugin is called so", table=table)

    def _register(self, found: Found, instance: Any) -> None:
        self._manager.register(instance, name=found.name)
        callers = self._manager.get_hookcallers(instance) or []
        breaker = Breaker(
            self._clock,
            self._site.plugins.breaker_faults,
            self._site.plugins.breaker_pause.total_seconds(),
        )
        self.loaded.append(Loaded(found, instance, tuple(sorted(caller.name for caller in callers)), breaker))

    def _check(self, reader: SettingsReader) -> None:
        known = [*hookspecs.DECISIONS, *hookspecs.NEWS, *hookspecs.REGISTRATIONS]
        for plugin in self.loaded:
            for hook in plugin.hooks:
                if hook not in known:
                    close = get_close_matches(hook, known, 1)
                    cure = f"did you mean {close[0]}?" if close else f"the hooks are: {', '.join(known)}"
                    reader.mistake(
                        ("plugins", plugin.found.name), f"plugin {plugin.found.name}: no hook is called {hook}", cure
                    )

    def _resolve(self) -> None:
        chains: dict[str, list[Implementation]] = {name: [] for name in (*hookspecs.DECISIONS, *hookspecs.NEWS)}
        for plugin in self.loaded:
            for hook in plugin.hooks:
                if hook in chains:
                    chains[hook].append(_implementation(plugin, hook))
        self._hooks.resolve(chains)

    def _prepare(self, plugin: Loaded, reader: SettingsReader) -> None:
        """A plugin that reads files of its own does it here, when all others have said what they offer."""
        prepare = getattr(plugin.instance, "prepare", None)
        name = plugin.found.name
        try:
            if prepare is not None:
                prepare()
        except SiteFileError as wrong:
            reader.problems += wrong.problems
        except Exception as fault:
            reader.mistake(("plugins", name), f"plugin {name} cannot start: {fault}", "see its documentation")

    def _registrations(self, plugin: Loaded) -> None:
        name, instance = plugin.found.name, plugin.instance
        actions, conditions, web = ActionRegistry(name), ConditionRegistry(name), WebRegistry(name)
        events, questions, presets = EventRegistry(name), QuestionRegistry(name), PresetRegistry(name)
        for hook, registry in (
            ("register_actions", actions),
            ("register_conditions", conditions),
            ("register_events", events),
            ("register_questions", questions),
            ("register_presets", presets),
            ("register_web", web),
        ):
            if hook in plugin.hooks:
                getattr(instance, hook)(registry)
        self.actions |= actions.found
        self.conditions |= conditions.found
        self.events |= events.found
        self.questions |= questions.found
        self.presets += presets.found
        self.web |= web.found

    async def start(self) -> None:
        """Run every plugin's own ``start``; one that fails is passed over and said so."""
        await self._each("start", self.loaded)

    async def stop(self) -> None:
        """Run every plugin's own ``stop``, the last first."""
        await self._each("stop", list(reversed(self.loaded)))

    async def _each(self, method: str, plugins: Sequence[Loaded]) -> None:
        for plugin in plugins:
            run = getattr(plugin.instance, method, None)
            if run is None:
                continue
            try:
                await _within(run, self._site.plugins.timeout.total_seconds(), self._clock)
            except Exception as fault:
                plugin.breaker.bad(f"{method}: {fault}")
                self.log.error(
                    "plugin {plugin} failed to {method}: {fault}", plugin=plugin.found.name, method=method, fault=fault
                )

    def report(self) -> list[dict[str, Any]]:
        """What ``csms plugins`` shows, in order."""
        return [
            {
                "name": plugin.found.name,
                "version": plugin.found.version,
                "source": plugin.found.source,
                "order": order,
                "hooks": list(plugin.hooks),
                "state": "passed over" if plugin.breaker.open else "faulty" if plugin.breaker.faults else "well",
                "faults": plugin.breaker.total,
                "last_fault": plugin.breaker.last_fault,
            }
            for order, plugin in enumerate(self.loaded, 1)
        ]


def installed() -> Mapping[str, EntryPoint]:
    """Every plugin that is installed, by name."""
    return {point.name: point for point in entry_points(group=GROUP)}


def find(name: str, site: Site, reader: SettingsReader) -> Found | None:
    """The class behind a name of the site file; a mistake is noted with the reader, and None given."""
    where = ("plugins", "enabled")
    try:
        if name.endswith(".py"):
            return _from_file(name, site.folder)
        point = installed().get(name)
        if point is None:
            close = get_close_matches(name, installed(), 1)
            cure = f"did you mean {close[0]}?" if close else f"installed are: {', '.join(sorted(installed()))}"
            reader.mistake(where, f"no plugin is called {name}", cure)
            return None
        version = point.dist.version if point.dist else ""
        return Found(name, point.load(), version, point.value)
    except Exception as fault:
        reader.mistake(where, f"plugin {name} cannot be loaded: {fault}", "mend the plugin, or take it out of the list")
        return None


def _from_file(name: str, folder: Path) -> Found:
    path = (folder / name).resolve()
    spec = importlib.util.spec_from_file_location(f"csms_local_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"{path} is not there")
    module = importlib.util.module_from_spec(spec)
    # A dataclass with annotations as text looks its module up by name while it is made.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    kinds = [one for one in vars(module).values() if inspect.isclass(one) and one.__module__ == module.__name__]
    plugins = [one for one in kinds if _hook_names(one)]
    if len(plugins) != 1:
        raise ValueError(f"{path.name} has {len(plugins)} classes with hooks, one is wanted")
    return Found(path.stem, plugins[0], getattr(module, "__version__", ""), str(path))


def _hook_names(kind: type) -> list[str]:
    return [name for name, value in vars(kind).items() if hasattr(value, "csms_impl")]


def _settings(found: Found, reader: SettingsReader) -> Any:
    kind = getattr(found.kind, "Settings", None)
    return reader.read(kind, found.name)


def check_settings(site: Site) -> None:
    """Find every enabled plugin and read its settings and the files they name, without starting anything.

    A plugin class may have a static ``check(settings, folder)`` that reads its files. Raises SiteFileError with all mistakes.
    """
    reader = SettingsReader(site)
    for name in site.plugins.enabled:
        found = find(name, site, reader)
        if found is not None:
            _check_files(found, _settings(found, reader), site.folder, reader)
    reader.done()


def _check_files(found: Found, settings: Any, folder: Path, reader: SettingsReader) -> None:
    check = getattr(found.kind, "check", None)
    if check is None or settings is None:
        return
    try:
        check(settings, folder)
    except SiteFileError as wrong:
        reader.problems += wrong.problems


def build(found: Found, settings: Any, csms: Csms) -> Any:
    """An instance of a plugin: ``Plugin(settings, csms)``."""
    return found.kind(settings, csms)


def _implementation(plugin: Loaded, hook: str) -> Implementation:
    function = getattr(plugin.instance, hook)
    accepts = tuple(inspect.signature(function).parameters)
    listens = getattr(plugin.instance, "listens_to", None) if hook == "on_event" else None
    return Implementation(plugin.found.name, function, accepts, plugin.breaker, listens)


async def _within(run: Callable[[], Awaitable[None] | None], timeout_s: float, clock: IReactorTime) -> None:
    result = run()
    if inspect.isawaitable(result):

        async def wait() -> None:
            await result

        await defer.ensureDeferred(wait()).addTimeout(timeout_s, clock)


def names(plugins: Iterable[Loaded]) -> str:
    """The plugins' names for one line of a log."""
    return ", ".join(plugin.found.name for plugin in plugins) or "none"
