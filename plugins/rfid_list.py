"""Tokens the site knows: a CSV or TOML file that may change at any time, and the CSMS's own token table.

Concurrency is counted by the core; a token nobody listed is no business of this plugin.
"""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from twisted.internet.task import LoopingCall

from csms.api import (
    Authorization,
    AuthorizationRequest,
    AuthorizationStatus,
    Csms,
    Duration,
    IdToken,
    TokenRecord,
    hookimpl,
)

COLUMNS = ("value", "type", "status", "group", "expires", "note", "concurrent")
CARDS = ("ISO14443", "ISO15693")
STATUSES = {status.value.casefold(): status for status in AuthorizationStatus}
SHOWN = 10
Stamp = tuple[int, int, int]
Tokens = Mapping[str, Sequence[TokenRecord]]


class ListError(ValueError):
    """A list cannot be used; the text says each mistake with file and line, and the cure."""


class RfidList:
    """Answers ``authorize`` for listed tokens; the file is looked at every ``reload_every``."""

    @dataclass(frozen=True)
    class Settings:
        """``file`` is relative to the site file; empty means the token table alone."""

        file: str = ""
        reload_every: Duration = timedelta(seconds=5)

        def __post_init__(self) -> None:
            """Raises ValueError in plain words."""
            if self.file and Path(self.file).suffix.lower() not in (".csv", ".toml"):
                raise ValueError(f"file is a .csv or .toml file, not {self.file!r}")
            if self.reload_every < timedelta(seconds=1):
                raise ValueError("reload_every is at least 1s")

    def __init__(self, settings: Settings, csms: Csms) -> None:
        self._csms = csms
        self._path = csms.folder / settings.file if settings.file else None
        self._every_s = settings.reload_every.total_seconds()
        self._zone = ZoneInfo(csms.timezone)
        self._tokens: Tokens = {}
        self._stamp: Stamp | None = None
        self._timer = LoopingCall(self.look)
        self._timer.clock = csms.clock
        if self._path is not None:
            self._stamp = _stamp(self._path)
            self._tokens = read_list(self._path, self._zone)

    async def start(self) -> None:
        """Begin to look at the file."""
        if self._path is not None:
            self._timer.start(self._every_s, now=False).addErrback(
                lambda failure: self._csms.log.failure("the token list is no longer looked at", failure=failure)
            )

    async def stop(self) -> None:
        """Look no more."""
        if self._timer.running:
            self._timer.stop()

    def look(self) -> None:
        """Read the file if it is another one than before; a broken one changes nothing and is said once."""
        if self._path is None or (stamp := _stamp(self._path)) == self._stamp:
            return
        self._stamp = stamp
        try:
            self._tokens = read_list(self._path, self._zone)
        except ListError as broken:
            self._csms.log.error("the token list stays as it was: {mistakes}", mistakes=str(broken))
        else:
            self._csms.log.info("{file}: {count} token values", file=str(self._path), count=len(self._tokens))

    @hookimpl
    def authorize(self, request: AuthorizationRequest) -> Authorization | Awaitable[Authorization | None] | None:
        """The file's word, else the token table's, else no opinion."""
        for record in self._tokens.get(request.id_token.key, ()):
            if _fits(record.id_token.type, request):
                return judge(record, request.at)
        return self._from_table(request)

    async def _from_table(self, request: AuthorizationRequest) -> Authorization | None:
        types = [request.id_token.type]
        if _any_card(request):
            types += [card for card in CARDS if card != request.id_token.type]
        for kind in types:
            record = await self._csms.read.token(IdToken(request.id_token.value, kind))
            if record is not None:
                return judge(record, request.at)
        return None


def judge(record: TokenRecord, at: datetime) -> Authorization:
    """What a listed token may do at a time."""
    status, reason = record.status, ""
    if status is AuthorizationStatus.ACCEPTED and record.expires is not None and record.expires <= at:
        status, reason = AuthorizationStatus.EXPIRED, f"expired at {record.expires.isoformat()}"
    elif status is not AuthorizationStatus.ACCEPTED:
        reason = f"listed as {status.value}"
    return Authorization(status, record.group, record.expires, reason, concurrent=record.concurrent)


def _fits(listed: str, request: AuthorizationRequest) -> bool:
    given = request.id_token.type
    if not listed:
        return given in CARDS
    return listed == given or (listed in CARDS and _any_card(request))


def _any_card(request: AuthorizationRequest) -> bool:
    """A 1.6 station cannot say which kind of card it read."""
    return request.station.protocol == "ocpp1.6" and request.id_token.type in CARDS


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def read_list(path: Path, zone: ZoneInfo) -> Tokens:
    """Every token of a file by its value in lower case; raises ListError with all mistakes."""
    try:
        text = path.read_text("utf-8-sig")
    except OSError as fault:
        raise ListError(f"{path}: cannot be read ({fault.strerror}): put the file there, or mend the setting") from None
    except UnicodeDecodeError:
        raise ListError(f"{path}: is not UTF-8 text: save it as UTF-8") from None
    mistakes: list[str] = []
    found: dict[str, list[TokenRecord]] = {}
    lines: dict[tuple[str, str], int] = {}
    rows = _csv_rows(path, text, mistakes) if path.suffix.lower() == ".csv" else _toml_rows(path, text, mistakes)
    for line, row in rows:
        try:
            record = record_of(row, zone)
        except ValueError as wrong:
            mistakes.append(f"{path}:{line}: {wrong}")
            continue
        before = lines.setdefault((record.id_token.key, record.id_token.type), line)
        if before != line:
            mistakes.append(
                f"{path}:{line}: this token ({record.id_token.end}) is listed in line {before} already: keep one of them"
            )
        found.setdefault(record.id_token.key, []).append(record)
    if mistakes:
        more = f"\n... and {len(mistakes) - SHOWN} more" if len(mistakes) > SHOWN else ""
        raise ListError("\n".join(mistakes[:SHOWN]) + more)
    return found


def _csv_rows(path: Path, text: str, mistakes: list[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    first = text.split("\n", 1)[0]
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=";" if ";" in first and "," not in first else ",", strict=True
    )
    header: list[str] | None = None
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if header is None:
                header = [cell.strip().lower() for cell in row]
                if wrong := _wrong_header(header):
                    mistakes.append(f"{path}:{reader.line_num}: {wrong}")
                    return
            elif len(row) > len(header):
                mistakes.append(f"{path}:{reader.line_num}: more cells than columns: put texts with a comma in quotes")
            else:
                yield reader.line_num, dict(zip(header, row, strict=False))
    except csv.Error as wrong:
        mistakes.append(f"{path}:{reader.line_num}: {wrong}: look for a quote that is not closed")
    if header is None:
        mistakes.append(f"{path}:1: the file is empty: its first line is {','.join(COLUMNS)}")


def _wrong_header(header: Sequence[str]) -> str:
    for name in header:
        if name not in COLUMNS:
            return _unknown(name)
    return "" if "value" in header else f"no column is called value: the first line is {','.join(COLUMNS)}"


def _unknown(name: str) -> str:
    close = get_close_matches(name, COLUMNS, 1)
    return f"unknown column {name}: " + (f"did you mean {close[0]}?" if close else f"known are {', '.join(COLUMNS)}")


def _toml_rows(path: Path, text: str, mistakes: list[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as wrong:
        at = re.search(r"line (\d+)", str(wrong))
        mistakes.append(f"{path}:{at[1] if at else len(text.splitlines())}: {wrong}: mend the TOML there")
        return
    headers = [number for number, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\[\[\s*token\s*]]", line)]
    tables = document.pop("token", [])
    if document or not isinstance(tables, list):
        mistakes.append(f"{path}:1: a token list has [[token]] tables only, not {', '.join(document) or 'token = ...'}")
        return
    for index, table in enumerate(tables):
        line = headers[index] if len(headers) == len(tables) else 1
        if not isinstance(table, dict):
            mistakes.append(f'{path}:{line}: a token is a table such as {{value = "04A1"}}')
        elif unknown := [key for key in table if key not in COLUMNS]:
            mistakes.append(f"{path}:{line}: {_unknown(unknown[0])}")
        else:
            yield line, table


def record_of(row: Mapping[str, Any], zone: ZoneInfo) -> TokenRecord:
    """One entry of a list; raises ValueError in plain words. A day or a time without an offset is the site's."""
    cells = {key: value.strip() if isinstance(value, str) else value for key, value in row.items()}
    value = cells.get("value", "")
    if not isinstance(value, str) or not 0 < len(value) <= 255:
        raise ValueError("a token has a value of 1 to 255 characters" + ("" if value == "" else ", as text in quotes"))
    status = STATUSES.get(str(cells.get("status") or "Accepted").casefold())
    if status is None:
        raise ValueError(
            f"status {cells['status']} is not one of {', '.join(one.value for one in AuthorizationStatus)}"
        )
    group, kind = str(cells.get("group") or ""), str(cells.get("type") or "")
    token = IdToken(value, kind)
    expires = _expires(cells.get("expires"), zone)
    concurrent = _concurrent(cells.get("concurrent"))
    in_group = IdToken(group, "Central") if group else None
    return TokenRecord(token, status, in_group, expires, str(cells.get("note") or ""), concurrent)


def _expires(value: object, zone: ZoneInfo) -> datetime | None:
    if value in ("", None):
        return None
    try:
        if isinstance(value, str):
            value = date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)
        if isinstance(value, date):
            return datetime.combine(value + timedelta(days=1), time(), zone).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"expires {value} is not a day or time such as 2027-12-31 or 2027-12-31T18:00:00+01:00")


def _concurrent(value: object) -> int | None:
    if value in ("", None):
        return None
    text = str(value)
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise ValueError(f"concurrent {value} is not a number (0: no limit)")
    return int(text)
