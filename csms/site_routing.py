"""One plugin, several instances: each question and each piece of news goes to the instance of its station's site."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from csms.hooks import Breaker, Implementation
from csms.model.station import StationRef

SiteOf = Callable[[str], str]
Functions = Mapping[str, Callable[..., Any] | None]


def station_in(question: Mapping[str, Any]) -> str:
    """The station that a question or a piece of news is about; empty where it is about none."""
    for value in question.values():
        about = value if isinstance(value, StationRef) else getattr(value, "station", None)
        if isinstance(about, StationRef):
            return about.id
        if isinstance(about, str):
            return about
    return ""


def routed(
    plugin: str,
    breaker: Breaker,
    own: Callable[..., Any] | None,
    sites: Functions,
    site_of: SiteOf,
    listens_to: tuple[type, ...] | None,
) -> Implementation:
    """Asks the function of the station's site: None in ``sites`` is a site without the plugin, a site that is not there has ``own``."""
    functions = {site: (function, _accepts(function)) for site, function in sites.items() if function is not None}
    if own is not None:
        functions[""] = (own, _accepts(own))
    off = frozenset(site for site, function in sites.items() if function is None)

    def call(**question: Any) -> Any:
        site = site_of(station_in(question))
        if site in off:
            return None
        found = functions.get(site) or functions.get("")
        if found is None:
            return None
        function, accepts = found
        return function(**{name: question[name] for name in accepts})

    accepts = tuple(dict.fromkeys(name for _, names in functions.values() for name in names))
    return Implementation(plugin, call, accepts, breaker, listens_to)


def _accepts(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)
