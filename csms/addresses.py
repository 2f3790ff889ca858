"""Which addresses of this machine stations can reach; asked of the system, nothing is sent."""

from __future__ import annotations

import socket


def reachable(host: str) -> list[str]:
    """The addresses behind a listening host: itself, or every address of the machine when it listens on all, loopback last."""
    if host not in ("0.0.0.0", "::", ""):
        return [host]
    found = [_outgoing(), *_named()]
    own = sorted({address for address in found if address and not address.startswith("127.")})
    return [*own, "127.0.0.1"]


def _outgoing() -> str:
    """The address of the default route; connecting a datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def _named() -> list[str]:
    try:
        return [str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    except OSError:
        return []
