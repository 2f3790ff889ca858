"""What a site file may say: frozen settings with their defaults, and no behaviour."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, WithJsonSchema

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION_PATTERN = r"^(\d+(\.\d+)?(ms|s|m|h|d))+$"
_ENDPOINT = re.compile(r"^(tcp|tcp6|ssl|tls|unix|systemd):")


def parse_duration(text: Any) -> timedelta:
    """``90s`` ``2m30s`` ``24h`` ``7d`` ``500ms``; ValueError in plain words for anything else."""
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or not re.match(DURATION_PATTERN, text):
        raise ValueError('a duration with its unit is wanted, such as "90s", "2m30s", "24h", "7d" or "500ms"')
    return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text)))


def _timezone(name: Any) -> str:
    try:
        ZoneInfo(name)
    except Exception:
        raise ValueError('a time zone name is wanted, such as "Europe/Amsterdam" or "UTC"') from None
    return str(name)


def _endpoint(text: Any) -> str:
    if not isinstance(text, str) or not _ENDPOINT.match(text):
        raise ValueError('an endpoint is wanted, such as "tcp:9000" or "tcp:9000:interface=127.0.0.1"')
    return text


def _url_path(text: Any) -> str:
    if not isinstance(text, str) or not text.startswith("/") or " " in text:
        raise ValueError('a path is wanted that starts with "/", such as "/ocpp"')
    return text.rstrip("/")


def _long_enough(text: Any) -> str:
    if not isinstance(text, str) or 0 < len(text) < 16:
        raise ValueError("a token of at least 16 characters is wanted, or none")
    return text


Duration = Annotated[
    timedelta, BeforeValidator(parse_duration), WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN})
]
TimeZone = Annotated[str, BeforeValidator(_timezone)]
Endpoint = Annotated[str, BeforeValidator(_endpoint)]
UrlPath = Annotated[str, BeforeValidator(_url_path)]
ApiToken = Annotated[str, BeforeValidator(_long_enough)]
OcppVersion = Literal["ocpp2.0.1", "ocpp1.6"]

DEFAULT_PLUGINS = ("rfid_list", "app_tokens", "reset_policy", "status_retry", "billing", "flow_rules")


def _s(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


@dataclass(frozen=True)
class SiteInfo:
    """``[site]``: what this installation is called and which clock its people live by."""

    id: str = "main"
    name: str = ""
    timezone: TimeZone = "UTC"


@dataclass(frozen=True)
class Server:
    """``[server]``: where stations connect, and what one socket may cost; sizes in bytes."""

    listen: Endpoint = "tcp:9000"
    path: UrlPath = "/ocpp"
    handshake_timeout: Duration = _s(5)
    ping_interval: Duration = _s(30)
    ping_timeout: Duration = _s(10)
    call_timeout: Duration = _s(30)
    max_message: int = 262144
    max_header: int = 16384
    max_unauthenticated: int = 1000
    compression: bool = True


@dataclass(frozen=True)
class Api:
    """``[api]``: the HTTP API; without a token one is made and kept in ``csms.token`` beside the database."""

    listen: Endpoint = "tcp:9001:interface=127.0.0.1"
    token: ApiToken = ""


@dataclass(frozen=True)
class Database:
    """``[database]``: the SQLite file, and how long the log of messages is kept."""

    file: str = "csms.sqlite"
    messages: Duration = _s(14 * 86400)


@dataclass(frozen=True)
class Stations:
    """``[stations]``: what happens to unknown stations, and how often the others say that they live."""

    unknown: Literal["pending", "refuse", "accept"] = "pending"
    pending_limit: int = 100
    pending_interval: Duration = _s(60)
    heartbeat_interval: Duration = _s(300)
    offline_after: int = 2
    max_clock_skew: Duration = _s(60)
    protocols: tuple[OcppVersion, ...] = ("ocpp2.0.1", "ocpp1.6")


@dataclass(frozen=True)
class Plugins:
    """``[plugins]``: which plugins run, in which order they are asked, and how long one may take."""

    enabled: tuple[str, ...] = DEFAULT_PLUGINS
    timeout: Duration = _s(5)
    breaker_faults: int = 5
    breaker_pause: Duration = _s(60)


@dataclass(frozen=True)
class Site:
    """A whole site file. ``file`` is None for the embedded default; relative paths start in ``folder``."""

    site: SiteInfo = field(default_factory=SiteInfo)
    server: Server = field(default_factory=Server)
    api: Api = field(default_factory=Api)
    database: Database = field(default_factory=Database)
    stations: Stations = field(default_factory=Stations)
    plugins: Plugins = field(default_factory=Plugins)
    file: Path | None = None
    folder: Path = field(default_factory=Path.cwd)
    plugin_tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    text: str = ""

    @property
    def database_file(self) -> Path:
        """Where the SQLite file is."""
        return self.folder / self.database.file

    @property
    def token_file(self) -> Path:
        """Where the API's token is kept when the site file names none."""
        return self.database_file.with_name("csms.token")
