"""Rows of the store as somebody sees who may see single sites: what is elsewhere is as if it were not there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from csms.model.messages import MessageQuery, MessagesFound
from csms.model.station import StationRecord
from csms.web.problems import Kind, Refused

T = TypeVar("T")
Sees = Callable[[str], bool]


class Stations:
    """The station list."""

    def __init__(self, rows: Any, sees: Sees) -> None:
        self._rows, self._sees = rows, sees

    async def get(self, id: str) -> StationRecord | None:
        """The station, or None."""
        return await self._rows.get(id) if self._sees(id) else None

    async def list(self, *, after: str = "", limit: int = 100, **filters: Any) -> list[StationRecord]:
        """As the store's."""

        def more(after: Any, limit: int) -> Awaitable[Sequence[StationRecord]]:
            return self._rows.list(after=after, limit=limit, **filters)  # type: ignore[no-any-return]

        return await sifted(more, lambda row: self._sees(row.id), lambda row: row.id, after, limit)


class OfStation:
    """Rows that are asked for by station."""

    def __init__(self, rows: Any, sees: Sees) -> None:
        self._rows, self._sees = rows, sees

    async def list(self, station: str, **filters: Any) -> Sequence[Any]:
        """As the store's, or nothing."""
        return await self._rows.list(station, **filters) if self._sees(station) else []


class Messages(OfStation):
    """The message log."""

    async def search(self, query: MessageQuery, **where: Any) -> MessagesFound:
        """As the store's, without what other stations said."""
        part: MessagesFound = await self._rows.search(query, **where)
        return replace(part, found=tuple(one for one in part.found if self._sees(one.message.station)))


class OfNamedStation:
    """Rows of security, which callers of single sites see for one station at a time."""

    def __init__(self, rooms: Any, sees: Sees) -> None:
        self._rooms, self._sees = rooms, sees

    async def list(self, *, station: str | None, **filters: Any) -> Sequence[Any]:
        """Events, as the store's."""
        return await self._rooms.list(station=station, **filters) if self._named(station) else []

    async def certificates(self, *, station: str | None) -> Sequence[Any]:
        """Certificates, as the store's."""
        return await self._rooms.certificates(station=station) if self._named(station) else []

    def _named(self, station: str | None) -> bool:
        if station is None:
            raise Refused(Kind.FORBIDDEN, "name a station: this caller sees those of some sites only")
        return self._sees(station)


class Numbered:
    """Rows with a number and a station, in the order of their numbers."""

    def __init__(self, rows: Any, sees: Sees) -> None:
        self._rows, self._sees = rows, sees

    async def get(self, id: int) -> Any:
        """The row, or None."""
        row = await self._rows.get(id)
        return row if row is not None and self._sees(row.station) else None

    async def list(self, *, after: int = 0, limit: int = 100, **filters: Any) -> list[Any]:
        """As the store's."""

        def more(after: Any, limit: int) -> Awaitable[Sequence[Any]]:
            return self._rows.list(after=after, limit=limit, **filters)  # type: ignore[no-any-return]

        return await sifted(more, lambda row: self._sees(row.station), lambda row: row.id, after, limit)


class Transactions(Numbered):
    """Transactions and their events."""

    async def of_tokens(self, tokens: Any, *, after: int = 0, limit: int = 100) -> list[Any]:
        """As the store's."""

        def more(after: Any, limit: int) -> Awaitable[Sequence[Any]]:
            return self._rows.of_tokens(tokens, after=after, limit=limit)  # type: ignore[no-any-return]

        return await sifted(more, lambda row: self._sees(row.station), lambda row: row.id, after, limit)

    async def events(self, id: int) -> Sequence[Any]:
        """The events of a transaction that the caller may see, else none."""
        return await self._rows.events(id) if await self.get(id) else []


class Uploads(Numbered):
    """Files that stations left; the routes have looked an upload up here before they touch its file."""

    async def file_of(self, id: int) -> str:
        """The file's name, or nothing."""
        return str(await self._rows.file_of(id)) if await self.get(id) else ""


class Bills:
    """Bills and credit notes, which name their station."""

    def __init__(self, rows: Any, sees: Sees) -> None:
        self._rows, self._sees = rows, sees
        self.list = Numbered(rows, sees).list

    def _seen(self, bill: Any) -> Any:
        return bill if bill is not None and self._sees(bill.station) else None

    async def get(self, transaction: int) -> Any:
        """The bill of a transaction that counts, or None."""
        return self._seen(await self._rows.get(transaction))

    async def by_id(self, id: int) -> Any:
        """The bill, or None."""
        return self._seen(await self._rows.by_id(id))

    async def by_number(self, number: str) -> Any:
        """The bill, or None."""
        return self._seen(await self._rows.by_number(number))

    async def history(self, transaction: int) -> Sequence[Any]:
        """What happened to a transaction's bills, or nothing."""
        return await self._rows.history(transaction) if await self.get(transaction) else []


class OfBill:
    """Rows that are asked for by a bill's id."""

    def __init__(self, rows: Any, bills: Bills) -> None:
        self._rows, self._bills = rows, bills

    async def list(self, bill: int) -> Sequence[Any]:
        """As the store's, or nothing."""
        return await self._rows.list(bill) if await self._bills.by_id(bill) else []


async def sifted(
    more: Callable[[Any, int], Awaitable[Sequence[T]]],
    wanted: Callable[[T], bool],
    cursor: Callable[[T], Any],
    after: Any,
    limit: int,
) -> list[T]:
    """The first ``limit`` rows behind ``after`` that are wanted, read page after page."""
    found: list[T] = []
    while len(found) < limit:
        page = await more(after, limit)
        found += [row for row in page if wanted(row)]
        if len(page) < limit:
            break
        after = cursor(page[-1])
    return found[:limit]
