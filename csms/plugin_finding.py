"""Where plugins come from: entry points of the group ``csms``, and single local files such as ``./night.py``."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from csms.config import SettingsReader, Site
from csms.plugin_set import GROUP, Found, Loaded

CHANNEL_PLUGIN = "notify_"
"""A kind of channel ``x`` that no enabled plugin offers is looked for in an installed plugin ``notify_x``."""


def installed() -> Mapping[str, EntryPoint]:
    """Every plugin that is installed, by name."""
    return {point.name: point for point in entry_points(group=GROUP)}


def wanted_plugins(site: Site, known: Mapping[str, EntryPoint]) -> list[str]:
    """The enabled plugins in order, behind them those of single sites, then those of the installed whose kinds of channel are used."""
    tables = [site.notify_tables, *(one.notify_tables for one in site.site_files)]
    kinds = {str(table.get("kind")) for channels in tables for table in channels.values()}
    more = [f"{CHANNEL_PLUGIN}{kind}" for kind in sorted(kinds) if f"{CHANNEL_PLUGIN}{kind}" in known]
    local = [name for one in site.site_files for name in one.enabled or ()]
    return list(dict.fromkeys([*site.plugins.enabled, *local, *more]))


def find(
    name: str, known: Mapping[str, EntryPoint], site: Site, reader: SettingsReader, before: Iterable[Loaded] = ()
) -> Found | None:
    """The class behind a name of the site file, of an installed plugin or of a file; a mistake is noted with the reader, and None given."""
    where = ("plugins", "enabled")
    try:
        if name.endswith(".py"):
            return _from_file(name, site.folder, before)
        point = known.get(name)
        if point is None:
            close = get_close_matches(name, known, 1)
            cure = f"did you mean {close[0]}?" if close else f"installed are: {', '.join(sorted(known))}"
            reader.mistake(where, f"no plugin is called {name}", cure)
            return None
        version = point.dist.version if point.dist else ""
        return Found(name, point.load(), version, point.value, written=name)
    except Exception as fault:
        reader.mistake(where, f"plugin {name} cannot be loaded: {fault}", "mend the plugin, or take it out of the list")
        return None


def _from_file(name: str, folder: Path, before: Iterable[Loaded]) -> Found:
    """The one class with hooks in a file; the file is run again only when its text has changed."""
    path = (folder / name).resolve()
    spec = importlib.util.spec_from_file_location(f"csms_local_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"{path} is not there")
    stamp = hashlib.sha256(path.read_bytes()).hexdigest()
    for one in before:
        if (one.found.source, one.found.stamp) == (str(path), stamp):
            return one.found
    module = importlib.util.module_from_spec(spec)
    # A dataclass with annotations as text looks its module up by name while it is made.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    kinds = [one for one in vars(module).values() if inspect.isclass(one) and one.__module__ == module.__name__]
    plugins = [one for one in kinds if _hook_names(one)]
    if len(plugins) != 1:
        raise ValueError(f"{path.name} has {len(plugins)} classes with hooks, one is wanted")
    return Found(path.stem, plugins[0], getattr(module, "__version__", ""), str(path), stamp, name)


def _hook_names(kind: type) -> list[str]:
    return [name for name, value in vars(kind).items() if hasattr(value, "csms_impl")]
