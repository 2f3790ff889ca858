"""What can go wrong with the database, in words: every fault of SQLite becomes a StoreFault with a kind; nothing else leaves the store.

The cause may be hidden: after a full disk SQLite rolls back by itself, and what is raised is the failed rollback. So the whole chain is walked.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Literal

Kind = Literal["disk_full", "locked", "corrupt", "io", "closed", "other"]
KINDS: dict[int, Kind] = {
    sqlite3.SQLITE_FULL: "disk_full",
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_CORRUPT: "corrupt",
    sqlite3.SQLITE_NOTADB: "corrupt",
    sqlite3.SQLITE_IOERR: "io",
    sqlite3.SQLITE_CANTOPEN: "io",
    sqlite3.SQLITE_READONLY: "io",
    sqlite3.SQLITE_PERM: "io",
}
TEXTS: dict[Kind, str] = {
    "disk_full": "the disk is full",
    "locked": "another process holds the database",
    "corrupt": "the database file is damaged",
    "io": "the database file cannot be read or written",
    "closed": "the database is closed",
    "other": "the database refused",
}
UNWELL: frozenset[Kind] = frozenset(("disk_full", "locked", "corrupt", "io"))
"""Kinds that speak of the whole database, not of one write."""


class StoreFault(Exception):
    """The database could not do it; nothing was written. ``kind`` says why in one word, ``cause`` is the first fault."""

    passing = True
    """No bug: a line in the log is enough where nobody waits."""

    def __init__(self, kind: Kind, cause: BaseException | None = None) -> None:
        super().__init__(TEXTS[kind] if cause is None else f"{TEXTS[kind]}: {cause}")
        self.kind: Kind = kind
        self.cause = cause

    def again(self) -> StoreFault:
        """The same fault for one more who waits: one exception raised in many places gathers all their frames."""
        return StoreFault(self.kind, self.cause)


class Untouched(Exception):
    """A write was refused before it wrote anything, so that the others of its batch need not be undone."""


class Fenced(Untouched):
    """A newer connection of this station exists; what the older one writes is refused."""

    def __init__(self, station: str, fence: int, newest: int) -> None:
        super().__init__(f"station {station}: connection {fence} is older than {newest}")
        self.station = station
        self.fence = fence
        self.newest = newest


class NoSuchRow(Untouched, LookupError):
    """A row that must exist does not."""


class SchemaFault(Exception):
    """A file that this code cannot use as its database; the text says why and what to do."""


class SchemaTooNew(SchemaFault):
    """The file was written by a newer csms; this one refuses to touch it."""


def fault_of(raised: BaseException) -> BaseException:
    """A StoreFault if SQLite is anywhere in the chain of causes, else what was raised."""
    if isinstance(raised, StoreFault):
        return raised
    faults = [link for link in _chain(raised) if isinstance(link, sqlite3.Error)]
    if not faults:
        return raised
    for fault in faults:
        if _kind(fault) != "other":
            return StoreFault(_kind(fault), fault)
    return StoreFault("other", faults[-1])


def _chain(raised: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = raised
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _kind(fault: sqlite3.Error) -> Kind:
    code = getattr(fault, "sqlite_errorcode", None)
    return "other" if code is None else KINDS.get(code & 0xFF, "other")
