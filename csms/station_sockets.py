"""Which reactor the sockets of stations live in."""

from __future__ import annotations

from typing import Any

from csms.rounds import Round


def for_stations(reactor: Any, round: Round[Any]) -> Any:
    """A reactor of their own inside one that uses epoll, else the given one."""
    if type(reactor).__name__ != "EPollReactor":
        return reactor
    from csms.station_reactor import StationReactor

    return StationReactor(reactor, round)
