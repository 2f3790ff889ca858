"""A server whose stations come over TLS with a password (security profile 2), and what its clients need to come in."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from api_client import Api
from server_process import HOST, ServerProcess
from tls_listener import TRUST, listen_with_tls

PASSWORD = "a-password-of-24-letters"


@dataclass(frozen=True, slots=True)
class Door:
    """Where stations come in; without ``context`` in the clear, and then without a password."""

    port: int
    context: ssl.SSLContext | None = None

    def url(self, name: str) -> str:
        """A station's own address."""
        place = f"{HOST}:{self.port}/ocpp/{name}"
        return f"ws://{place}" if self.context is None else f"wss://{name}:{PASSWORD}@{place}"

    def headers(self, name: str) -> dict[str, str]:
        """What a request of this station has to have."""
        return {} if self.context is None else authorization(name, PASSWORD)


def provision(api: Api, names: Iterable[str]) -> None:
    """Give stations their password, as an operator does: one that nobody knows would be given another at its first boot."""
    for name in names:
        api.expect(201, "PUT", f"/api/v1/stations/{name}", {"password": PASSWORD})


def way(place: str | Door, name: str) -> tuple[str, ssl.SSLContext | None]:
    """A station's own address, and what TLS needs there; a text is an address in the clear to which the name is added."""
    return (f"{place}/{name}", None) if isinstance(place, str) else (place.url(name), place.context)


def authorization(name: str, password: str) -> dict[str, str]:
    """HTTP basic authentication."""
    return {"Authorization": f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"}


def made(folder: Path, *, tls: bool, more: str = "") -> tuple[ServerProcess, Door]:
    """A server that is not started yet; ``more`` are lines of its ``[server]``."""
    server = ServerProcess(folder)
    server.site_file.write_text(server.site_file.read_text().replace("\n[api]", f"{more}\n[api]"))
    if not tls:
        return server, Door(server.port)
    return server, Door(listen_with_tls(server), ssl.create_default_context(cafile=folder / TRUST))
