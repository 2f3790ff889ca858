"""What a site file may say: frozen settings with their defaults, and no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from csms.door_settings import Api, Listener, Outgoing, Server, Tls, TlsPair, Uploads
from csms.setting_types import (
    Amount,
    CommonPassword,
    Count,
    CountOrNone,
    Duration,
    Filled,
    KiloWatts,
    Names,
    OnceEach,
    OneOrMore,
    SecondOrMore,
    SeriesName,
    SeriesNameOrNone,
    TenthOrMore,
    TimeZone,
    Unfit,
    parse_duration,
)

__all__ = [
    "DEFAULT_PLUGINS",
    "TABLES",
    "Amount",
    "Api",
    "Bills",
    "ChannelSettings",
    "Database",
    "Duration",
    "Listener",
    "Plugins",
    "Retention",
    "Server",
    "Site",
    "SiteInfo",
    "Stations",
    "Tls",
    "TlsPair",
    "Transactions",
    "Unfit",
    "Uploads",
    "parse_duration",
]

OcppVersion = Literal["ocpp2.0.1", "ocpp1.6"]
Level = Literal["info", "warn", "error"]

DEFAULT_PLUGINS = ("flow_rules", "rfid_list", "app_tokens", "reset_policy", "status_retry", "billing")


@dataclass(frozen=True)
class SiteInfo:
    """``[site]``: what this installation is called and which clock its people live by; ``files`` are further sites, one file each."""

    id: Filled = "main"
    name: str = ""
    timezone: TimeZone = "UTC"
    tags: Names = ()
    files: str = "sites/*.toml"


@dataclass(frozen=True)
class Database:
    """``[database]``: the SQLite file."""

    file: Filled = "csms.sqlite"


@dataclass(frozen=True)
class Retention:
    """``[retention]``: how long things are kept, 0s for ever; ``archive`` is the folder they are written to before, empty for none.

    Old meter values may be thinned out: of each station and EVSE one message in every ``meter_values_every`` stays. Transactions, their events and
    bills are kept for ever.
    """

    archive: str = ""
    messages: Duration = timedelta(days=14)
    notices: Duration = timedelta(days=365)
    alerts: Duration = timedelta(days=365)
    meter_values: Duration = timedelta(days=365)
    meter_values_thinned: Duration = timedelta(0)
    meter_values_every: SecondOrMore = timedelta(minutes=15)
    commands: Duration = timedelta(days=365)
    security_events: Duration = timedelta(0)
    audit: Duration = timedelta(0)


@dataclass(frozen=True)
class Stations:
    """``[stations]``: what happens to unknown stations, and how often the others say that they live."""

    unknown: Literal["pending", "refuse", "accept"] = "pending"
    enrolment_password: CommonPassword = field(default="", repr=False)
    pending_limit: CountOrNone = 100
    pending_interval: SecondOrMore = timedelta(seconds=60)
    heartbeat_interval: SecondOrMore = timedelta(seconds=300)
    offline_after: Count = 2
    max_clock_skew: SecondOrMore = timedelta(seconds=60)
    unsigned_firmware: bool = False
    protocols: Annotated[tuple[OcppVersion, ...], OneOrMore, OnceEach] = ("ocpp2.0.1", "ocpp1.6")


Register = Literal["lifetime", "transaction"]
TxPoint = Literal["ParkingBayOccupancy", "EVConnected", "Authorized", "DataSigned", "PowerPathClosed", "EnergyTransfer"]


@dataclass(frozen=True)
class EvseExceptions:
    """``[[transactions.evse]]``: what is possible at the EVSEs of stations that fit a pattern; without ``evse`` at all of theirs."""

    station: Filled
    evse: Count | None = None
    max_power_kw: KiloWatts | None = None
    register: Register | None = None


@dataclass(frozen=True)
class Transactions:
    """``[transactions]``: when stations are asked for what is missing, what a meter may say, and when a transaction begins and ends."""

    silence: SecondOrMore = timedelta(minutes=15)
    ask_after: SecondOrMore = timedelta(seconds=30)
    ask_again: SecondOrMore = timedelta(seconds=60)
    ask_tries: Count = 8
    max_power_kw: KiloWatts = 500
    register: Register = "lifetime"
    master_pass_group: str = ""
    start_points: Annotated[tuple[TxPoint, ...], OnceEach] = ()
    stop_points: Annotated[tuple[TxPoint, ...], OnceEach] = ()
    read_points: bool = True
    evse: tuple[EvseExceptions, ...] = ()


@dataclass(frozen=True)
class Bills:
    """``[bills]``: how bills are numbered and delivered, who sends them, and whether drivers see costs. Prices are the plugin billing's."""

    series: SeriesName = "{site}-{year}"
    credit_series: SeriesNameOrNone = ""
    seller: tuple[str, ...] = ()
    running_cost: Literal["off", "shown", "all"] = "off"
    cost_interval: SecondOrMore = timedelta(seconds=30)
    delivery_timeout: TenthOrMore = timedelta(seconds=30)
    delivery_retry: SecondOrMore = timedelta(seconds=10)
    delivery_retry_most: SecondOrMore = timedelta(hours=1)
    delivery_attempts: Count = 20


@dataclass(frozen=True)
class Plugins:
    """``[plugins]``: which plugins run, in which order they are asked, and how long one may take."""

    enabled: Names = DEFAULT_PLUGINS
    timeout: TenthOrMore = timedelta(seconds=5)
    breaker_faults: Count = 5
    breaker_pause: TenthOrMore = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True)
class ChannelSettings:
    """What every ``[notify.<name>]`` may say; each kind of channel adds its own.

    ``level`` is the mildest that is sent; pauses between tries double from ``retry_after`` up to ``retry_at_most``.
    """

    kind: Filled
    level: Level = "info"
    tries: Count = 10
    retry_after: SecondOrMore = timedelta(seconds=10)
    retry_at_most: SecondOrMore = timedelta(hours=1)
    timeout: TenthOrMore = timedelta(seconds=10)
    waiting_at_most: Count = 1000


@dataclass(frozen=True)
class Site:
    """A whole site file. ``file`` is None for the embedded default; relative paths start in ``folder``.

    ``plugin_tables`` and ``notify_tables`` are the ``[plugins.<name>]`` and ``[notify.<name>]`` tables as they were written, and ``text`` is the
    file's, so that mistakes found later have places. ``windows`` are ``csms.model.sites.Window``, ``site_files`` ``csms.site_files.SiteFile``.
    """

    site: SiteInfo = field(default_factory=SiteInfo)
    server: Server = field(default_factory=Server)
    tls: Tls = field(default_factory=Tls)
    outgoing: Outgoing = field(default_factory=Outgoing)
    uploads: Uploads = field(default_factory=Uploads)
    api: Api = field(default_factory=Api)
    database: Database = field(default_factory=Database)
    retention: Retention = field(default_factory=Retention)
    stations: Stations = field(default_factory=Stations)
    bills: Bills = field(default_factory=Bills)
    transactions: Transactions = field(default_factory=Transactions)
    plugins: Plugins = field(default_factory=Plugins)
    file: Path | None = None
    folder: Path = field(default_factory=Path.cwd)
    plugin_tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    notify_tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    windows: Mapping[str, Any] = field(default_factory=dict, repr=False)
    site_files: tuple[Any, ...] = field(default=(), repr=False)
    problems: tuple[Any, ...] = field(default=(), repr=False)
    text: str = field(default="", repr=False)
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """Settings of plugins that the command line gives: they go before those of the file, also when it is read again."""

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Where stations connect, the first listener first, each with the profiles that hold."""
        profiles = self.server.profiles or ((0, 1) if self.stations.unknown == "accept" else (1,))
        return (Listener(self.server.listen, profiles), *self.server.listeners)

    @property
    def open(self) -> bool:
        """Whether some listener takes stations without a proof."""
        return any(0 in one.profiles for one in self.listeners)

    @property
    def database_file(self) -> Path:
        """Where the SQLite file is."""
        return self.folder / self.database.file

    @property
    def token_file(self) -> Path:
        """Where the API's token is kept when the site file names none."""
        return self.database_file.with_name("csms.token")


TABLES: Mapping[str, type] = {
    "site": SiteInfo,
    "server": Server,
    "api": Api,
    "tls": Tls,
    "outgoing": Outgoing,
    "uploads": Uploads,
    "database": Database,
    "retention": Retention,
    "stations": Stations,
    "bills": Bills,
    "transactions": Transactions,
    "plugins": Plugins,
}
