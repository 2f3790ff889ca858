"""The tables of the site file about doors: where the server listens, for whom, with which certificates, and whom it reaches itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Literal

from csms.setting_types import (
    ApiToken,
    Count,
    CountOrNone,
    Duration,
    Endpoint,
    EndpointOrNone,
    Filled,
    HeaderBytes,
    HttpUrlOrNone,
    MessageBytes,
    Network,
    OnceEach,
    OneOrMore,
    SecondOrMore,
    TenthOrMore,
    Unfit,
    UrlPath,
)

Profile = Literal[0, 1, 2, 3]
Profiles = Annotated[tuple[Profile, ...], OnceEach]


@dataclass(frozen=True)
class Listener:
    """``[[server.listeners]]``: one more endpoint, and the security profiles it takes: 0 and 1 in the clear, 2 and 3 with TLS."""

    listen: Endpoint
    profiles: Annotated[Profiles, OneOrMore]

    def __post_init__(self) -> None:
        check_listener(self.listen, self.profiles)

    @property
    def tls(self) -> bool:
        """Whether TLS is spoken here."""
        return any(profile >= 2 for profile in self.profiles)


def check_listener(listen: str, profiles: tuple[int, ...]) -> None:
    """Raise ValueError where an endpoint and its profiles do not go together."""
    if listen.startswith("ssl:"):
        raise Unfit(
            "listen says ssl, and TLS is what profiles 2 and 3 say", f'write "tcp:{listen[4:].split(":")[0]}" and [tls]'
        )
    if len({profile >= 2 for profile in profiles}) > 1:
        raise Unfit("profiles of one listener are 0 and 1 (in the clear), or 2 and 3 (with TLS)", "make two listeners")


@dataclass(frozen=True)
class Server:
    """``[server]``: where stations connect, and what one socket may cost; sizes in bytes, ``ping_interval`` 0s sends no pings.

    Without ``profiles``, the first listener takes profile 1, and 0 where ``[stations] unknown`` says that every station is accepted.

    ``max_memory`` is in MiB, 0 for no limit; ``stall_warning`` 0s watches nothing.
    """

    listen: Endpoint = "tcp:9000"
    profiles: Profiles = ()
    listeners: tuple[Listener, ...] = ()
    path: UrlPath = "/ocpp"
    handshake_timeout: TenthOrMore = timedelta(seconds=5)
    ping_interval: Duration = timedelta(seconds=30)
    ping_timeout: TenthOrMore = timedelta(seconds=10)
    call_timeout: TenthOrMore = timedelta(seconds=30)
    max_message: MessageBytes = 262144
    max_header: HeaderBytes = 16384
    max_unauthenticated: Count = 1000
    max_unauthenticated_per_address: Count = 100
    max_waiting: CountOrNone = 10000
    max_rate: Count = 100
    failed_tries: Count = 10
    failed_tries_window: SecondOrMore = timedelta(minutes=5)
    browsers: bool = False
    max_memory: CountOrNone = 0
    stall_warning: Duration = timedelta(milliseconds=250)
    compression: bool = True

    def __post_init__(self) -> None:
        check_listener(self.listen, self.profiles)


@dataclass(frozen=True)
class Outgoing:
    """``[outgoing]``: private networks that the CSMS may reach when a station or a certificate names a host in them."""

    allow: tuple[Network, ...] = ()


@dataclass(frozen=True)
class Uploads:
    """``[uploads]``: where stations leave logs; sizes in MiB, times ``expires`` (to begin) and ``keep`` (afterwards, 0s for ever).

    ``url`` is how stations reach the listener, without a path; nothing is taken without it. ``tls`` uses the certificates of ``[tls]``.
    """

    listen: EndpointOrNone = ""
    url: HttpUrlOrNone = ""
    tls: bool = True
    folder: Filled = "uploads"
    max_size: Count = 64
    station_quota: Count = 512
    quota: Count = 8192
    expires: SecondOrMore = timedelta(hours=1)
    keep: Duration = timedelta(days=30)

    def __post_init__(self) -> None:
        if bool(self.listen) != bool(self.url):
            raise Unfit(
                "listen and url of [uploads] go together", 'for example "tcp:9002" and "https://csms.example.org:9002"'
            )
        if self.tls and self.url.startswith("http:"):
            raise Unfit("url of [uploads] says http, and tls says TLS", "write https, or tls = false")


@dataclass(frozen=True)
class TlsPair:
    """A certificate chain and its private key, both PEM files."""

    chain: Filled
    key: Filled


@dataclass(frozen=True)
class Tls:
    """``[tls]``: the certificates of the listeners with TLS, and how stations' certificates are checked."""

    certificates: tuple[TlsPair, ...] = ()
    client_ca: str = ""
    ciphers: Literal["ocpp", "modern"] = "ocpp"
    common_name: Literal["identity", "serial", "either"] = "either"
    organization: str = ""


@dataclass(frozen=True)
class Api:
    """``[api]``: the HTTP API; without a token one is made and kept in ``csms.token`` beside the database."""

    listen: Endpoint = "tcp:9001:interface=127.0.0.1"
    token: ApiToken = field(default="", repr=False)
    max_connections: Count = 500
    max_connections_per_address: Count = 100
