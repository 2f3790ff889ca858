"""The kinds of value a setting may have beyond plain TOML: durations, endpoints, paths, each refused in plain words with its cure."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from ipaddress import ip_network
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPOKEN = re.compile(r"(\d+)\s*(ms|milli|s|m|h|d)[a-z]*", re.IGNORECASE | re.ASCII)
MOST = 10**9
_LONGEST_S = 36500 * 86400.0
DURATION_PATTERN = r"^(\d+(\.\d+)?(ms|s|m|h|d))+$"
_DURATION = re.compile(DURATION_PATTERN.strip("^$"), re.ASCII)


class Unfit(ValueError):
    """A value that will not do, in plain words, and what to write instead."""

    def __init__(self, message: str, cure: str = "") -> None:
        self.cure = cure
        super().__init__(message)


def parse_duration(text: Any) -> timedelta:
    """``90s`` ``2m30s`` ``24h`` ``7d`` ``500ms``; ValueError in plain words for anything else, and above 100 years."""
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or not _DURATION.fullmatch(text):
        raise Unfit("a duration with its unit is wanted", _duration_cure(text))
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    if seconds > _LONGEST_S:
        raise Unfit("a duration of at most 36500d is wanted")
    return timedelta(seconds=seconds)


def _duration_cure(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return f'write "{value}s" for seconds; others are such as "90s", "2m30s", "24h", "7d" or "500ms"'
    spoken = _SPOKEN.fullmatch(value.strip()) if isinstance(value, str) else None
    if spoken:
        unit = spoken[2].lower()
        return f'write "{spoken[1]}{"ms" if unit == "milli" else unit}"'
    return 'for example "90s", "2m30s", "24h", "7d" or "500ms"'


def _at_least(least: str) -> Callable[[timedelta], timedelta]:
    shortest = parse_duration(least)

    def check(value: timedelta) -> timedelta:
        if value < shortest:
            raise Unfit(f"a duration of at least {least} is wanted")
        return value

    return check


def time_zone(name: Any) -> str:
    """The name of a time zone; Unfit for anything else."""
    try:
        ZoneInfo(name)
    except Exception:
        close = [zone for zone in available_timezones() if isinstance(name, str) and _same_city(zone, name)]
        cure = f'did you mean "{min(close)}"?' if close else 'for example "Europe/Amsterdam" or "UTC"'
        raise Unfit("the name of a time zone is wanted", cure) from None
    return str(name)


def _same_city(zone: str, name: str) -> bool:
    wanted = name.strip().lower().replace(" ", "_")
    return bool(wanted) and zone.lower().rpartition("/")[2] == wanted.rpartition("/")[2]


def _endpoint(text: Any) -> str:
    kind, _, rest = text.partition(":") if isinstance(text, str) else ("", "", "")
    match kind:
        case "tcp" | "tcp6" | "ssl":
            port = re.split(r"(?<!\\):", rest)[0].removeprefix("port=")
            if re.fullmatch(r"\d{1,5}", port, re.ASCII) and int(port) <= 65535:
                return str(text)
            raise Unfit("a port of 0 to 65535 is wanted behind " + kind, f'for example "{kind}:9000"')
        case "unix" | "systemd" if rest:
            return str(text)
    raise Unfit("an endpoint is wanted", _endpoint_cure(text))


def _endpoint_cure(text: Any) -> str:
    address = re.fullmatch(r"(?:\w+://)?(?P<host>[\w.-]*?):?(?P<port>\d{1,5})/?", str(text), re.ASCII)
    if address is None or isinstance(text, bool):
        return 'for example "tcp:9000" or "tcp:9000:interface=127.0.0.1"'
    host = "127.0.0.1" if address["host"] == "localhost" else address["host"]
    interface = f":interface={host}" if host else ""
    return f'write "tcp:{address["port"]}{interface}"'


def _url_path(text: Any) -> str:
    if not isinstance(text, str) or not re.fullmatch(r"/[^\s?#%]*", text):
        raise Unfit('a path is wanted that starts with "/"', 'for example "/ocpp"; without ?, #, % or spaces')
    return text.rstrip("/")


def _long_enough(text: Any, what: str, cure: str) -> str:
    if not isinstance(text, str) or 0 < len(text) < 16:
        raise Unfit(f"{what} of at least 16 characters is wanted", cure)
    if not re.fullmatch(r"[!-~]*", text):
        raise Unfit(f"{what} of letters, digits and signs without spaces is wanted", cure)
    return text


def _once_each(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if names.count(name) > 1:
            raise Unfit(f'"{name}" stands here twice', "keep one of the two")
    return names


def _one_or_more(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise Unfit("at least one is wanted", "or take this key out for the default")
    return names


def _amount(value: Decimal) -> Decimal:
    if not value.is_finite() or not 0 <= value < MOST:
        raise Unfit("an amount of 0 or more is wanted", 'for example "0.45"')
    return value


def _series(text: str) -> str:
    if not re.fullmatch(r"(?:[A-Za-z0-9._/-]|\{(?:site|station|year|month)\}){1,60}", text):
        cure = 'for example "{site}-{year}"; also {station} and {month}'
        raise Unfit("a series of letters, digits and . _ / - is wanted, with places in braces", cure)
    return text


def _filled(text: str) -> str:
    if not text.strip():
        raise Unfit("a text that is not empty is wanted", "or take this key out for the default")
    return text


Duration = Annotated[
    timedelta, BeforeValidator(parse_duration), WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN})
]
TenthOrMore = Annotated[Duration, AfterValidator(_at_least("100ms"))]
SecondOrMore = Annotated[Duration, AfterValidator(_at_least("1s"))]


def _network(text: Any) -> str:
    try:
        if not isinstance(text, str):
            raise ValueError
        return str(ip_network(text))
    except ValueError:
        raise Unfit("a network is wanted", 'for example "10.0.0.0/8" or "192.0.2.7/32"') from None


def _http_url(text: Any) -> str:
    parts = urlsplit(text) if isinstance(text, str) else urlsplit("")
    try:
        well = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        well = False
    if not well or parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None:
        raise Unfit("a URL of a scheme, a host and a port is wanted", 'for example "https://csms.example.org:9002"')
    return str(text).rstrip("/")


Network = Annotated[str, BeforeValidator(_network)]
TimeZone = Annotated[str, BeforeValidator(time_zone)]
Endpoint = Annotated[str, BeforeValidator(_endpoint)]
EndpointOrNone = Annotated[str, BeforeValidator(lambda text: text if text == "" else _endpoint(text))]
HttpUrlOrNone = Annotated[str, BeforeValidator(lambda text: text if text == "" else _http_url(text))]
UrlPath = Annotated[str, BeforeValidator(_url_path)]
ApiToken = Annotated[str, BeforeValidator(lambda text: _long_enough(text, "a token", "leave it out to have one made"))]
CommonPassword = Annotated[
    str, BeforeValidator(lambda text: _long_enough(text, "a password", "leave it out, and newcomers show none"))
]
Amount = Annotated[Decimal, AfterValidator(_amount)]
SeriesName = Annotated[str, AfterValidator(_series)]
SeriesNameOrNone = Annotated[str, AfterValidator(lambda text: text and _series(text))]
Filled = Annotated[str, AfterValidator(_filled)]
Names = Annotated[tuple[str, ...], AfterValidator(_once_each)]
MessageBytes = Annotated[int, Field(ge=1024, le=16777216)]
HeaderBytes = Annotated[int, Field(ge=1024, le=1048576)]
Count = Annotated[int, Field(ge=1, le=1000000)]
KiloWatts = Annotated[int, Field(ge=1, le=10000)]
CountOrNone = Annotated[int, Field(ge=0, le=1000000)]
OneOrMore = AfterValidator(_one_or_more)
OnceEach = AfterValidator(_once_each)
