"""Places where stations leave files: each takes one whole file of one station, once, until it expires.

A place is a long random word at the end of a URL; the database has its hash only. A transfer that breaks off leaves nothing behind, and the station
may try again; a whole file is on disk, and in the database, before the station is told so.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from csms.model.commands import CommandFailed, CommandState
from csms.model.diagnostics import Upload, UploadReceived
from csms.model.station import StationRef
from csms.running import run_guarded
from csms.store import Store

SWEEP_S = 300.0
TRIES = 20
"""Transfers that may be begun at one place."""
AT_ONCE = 8
"""Transfers at the same time, of all stations."""
OURS = re.compile(r"[0-9a-f]{32}(\.part)?")
"""The names of files that are made here; what else lies in the folder is left alone."""
PLACES = 100
"""Open places of one station."""


@dataclass(frozen=True, slots=True)
class UploadRules:
    """``url`` is how stations reach the listener; sizes in bytes; nothing is offered without a ``url``."""

    url: str
    folder: Path
    max_size: int
    station_quota: int
    quota: int
    expires: timedelta
    keep: timedelta


class UploadRefused(Exception):
    """A file is not taken; ``status`` is HTTP's, the text says why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(slots=True)
class Place:
    """An open place: who may use it, until when, and whether somebody does just now."""

    upload: Upload
    tries: int = 0
    busy: bool = False


class Transfer:
    """One file on its way in: written beside where it will be, and there only when it is whole."""

    def __init__(self, place: Place, path: Path, room: int) -> None:
        self.place = place
        self.size = 0
        self.over = False
        self.whole = False
        self.room = room
        self.path = path
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def write(self, data: bytes) -> None:
        """A part of the file; raises UploadRefused when it is larger than there is room for."""
        if self.over:
            raise UploadRefused(408, "this took too long")
        self.size += len(data)
        if self.size > self.room:
            raise UploadRefused(413, f"a file of at most {self.room} bytes is taken here")
        self._file.write(data)

    def finish(self) -> None:
        """All of it is here: put it on disk for good. Blocks."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def forget(self) -> None:
        """Nothing of it stays."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class Uploads:
    """Offers places, takes files, and clears away what is old."""

    log = Logger()

    def __init__(
        self,
        store: Store,
        rules: UploadRules,
        reactor: Any,
        now: Callable[[], datetime],
        tell: Callable[[object], None],
    ) -> None:
        self._store = store
        self._rules = rules
        self._reactor = reactor
        self._now = now
        self._tell = tell
        self._places: dict[str, Place] = {}
        self._transfers: set[Transfer] = set()
        self._used: dict[str, int] = {}
        self._timer = LoopingCall(lambda: run_guarded(self.sweep, self.log))
        self._timer.clock = reactor

    async def open(self) -> None:
        """Go on with the places that were open; what a crash left of a file that nobody was told of is removed."""
        rules = self._rules
        if rules.url:
            rules.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            known = await self._store.uploads.files()
            for left in rules.folder.iterdir():
                if OURS.fullmatch(left.name) and left.name not in known:
                    left.unlink()
        for key, upload in await self._store.uploads.open(self._now()):
            self._places[key] = Place(upload)
        self._used = await self._store.uploads.used()
        self._timer.start(SWEEP_S, now=True)

    def stop(self) -> None:
        """Break off what is on its way."""
        if self._timer.running:
            self._timer.stop()
        for transfer in list(self._transfers):
            self.abort(transfer)

    async def offer(self, station: str, kind: str, request_id: int) -> str:
        """A new place for a file of a station: its URL, which is known nowhere else. Raises CommandFailed."""
        if not self._rules.url:
            text = "this CSMS takes no files: [uploads] listen and url in the site file say where, or give a url of your own"
            raise CommandFailed(CommandState.FAILED, "NoUploads", text)
        if sum(place.upload.station == station for place in self._places.values()) >= PLACES:
            text = f"{PLACES} files of {station} are waited for already"
            raise CommandFailed(CommandState.FAILED, "TooManyUploads", text)
        word, at = secrets.token_urlsafe(32), self._now()
        key = hashed(word)
        upload = await self._store.uploads.offer(station, kind, request_id, key, at, at + self._rules.expires)
        self._places[key] = Place(upload)
        return f"{self._rules.url}/upload/{word}"

    # A file comes

    def begin(self, word: str, length: int | None) -> Transfer:
        """Somebody wants to leave a file of ``length`` bytes, if it says so; raises UploadRefused."""
        place = self._places.get(hashed(word))
        if place is None or place.upload.expires_at <= self._now():
            raise UploadRefused(404, "there is no such place, or its time is over")
        if place.busy:
            raise UploadRefused(409, "this file is just being sent over another connection")
        if place.tries >= TRIES:
            raise UploadRefused(403, "this was tried too often")
        if len(self._transfers) >= AT_ONCE:
            raise UploadRefused(503, "too many files are being sent: try again in a minute")
        room = self._room(place.upload.station)
        if room <= 0:
            self.log.warn("the uploads of {station} have filled their quota", station=place.upload.station)
            raise UploadRefused(507, "there is no room for more files of this station")
        if length is not None and length > room:
            raise UploadRefused(413, f"a file of at most {room} bytes is taken here")
        place.tries += 1
        place.busy = True
        transfer = Transfer(
            place, self._rules.folder / f"{secrets.token_hex(16)}.part", room if length is None else length
        )
        self._transfers.add(transfer)
        return transfer

    def _room(self, station: str) -> int:
        """How large a file of a station may be, now; those on their way have their room already."""
        rules = self._rules
        coming = [(one.place.upload.station, one.room) for one in self._transfers]
        all_used = sum(self._used.values()) + sum(size for _, size in coming)
        own_used = self._used.get(station, 0) + sum(size for whose, size in coming if whose == station)
        return min(rules.max_size, rules.station_quota - own_used, rules.quota - all_used)

    def abort(self, transfer: Transfer) -> None:
        """A transfer broke off, or was refused: the place is open again."""
        if transfer.over:
            return
        self._end(transfer)
        transfer.forget()

    def _end(self, transfer: Transfer) -> None:
        transfer.over = True
        transfer.place.busy = False
        self._transfers.discard(transfer)

    async def finish(self, transfer: Transfer) -> None:
        """The whole file is here: kept, told, and its place closed. Raises UploadRefused for an empty one."""
        if transfer.over:
            raise UploadRefused(408, "this took too long")
        if not transfer.size:
            self.abort(transfer)
            raise UploadRefused(400, "the file is empty")
        transfer.whole = True
        upload, file = transfer.place.upload, transfer.path.with_suffix("")
        try:
            await self._aside(lambda: _settle(transfer, file))
            done = await self._store.uploads.received(upload.id, file.name, transfer.size, self._now())
        except Exception:
            file.unlink(missing_ok=True)
            self.abort(transfer)
            raise
        self._end(transfer)
        self._places = {key: place for key, place in self._places.items() if place is not transfer.place}
        self._used[upload.station] = self._used.get(upload.station, 0) + transfer.size
        self.log.info(
            "{station} has sent its {kind} ({size} bytes, upload {id})",
            station=upload.station,
            kind=upload.kind,
            size=transfer.size,
            id=upload.id,
        )
        self._tell(UploadReceived(StationRef(upload.station), self._now(), done))

    async def _aside(self, work: Callable[[], None]) -> None:
        """Do something that waits for the disk, in a thread where there are some."""
        threads = getattr(self._reactor, "getThreadPool", None)
        if threads is None:
            work()
        else:
            await deferToThreadPool(self._reactor, threads(), work)

    # Files that are here

    def file(self, name: str) -> Path:
        """Where a file is."""
        return self._rules.folder / name

    async def remove(self, id: int) -> bool:
        """Delete an upload and its file; False if there is none."""
        gone = await self._store.uploads.remove(id)
        if gone is None:
            return False
        upload, name = gone
        self._places = {key: place for key, place in self._places.items() if place.upload.id != id}
        if name:
            self.file(name).unlink(missing_ok=True)
            self._used[upload.station] = max(0, self._used.get(upload.station, 0) - upload.size)
        return True

    async def sweep(self) -> None:
        """Close places whose time is over, and delete files that were kept long enough; a transfer has as long again."""
        now = self._now()
        for transfer in list(self._transfers):
            if not transfer.whole and transfer.place.upload.expires_at + self._rules.expires <= now:
                self.abort(transfer)
        self._places = {
            key: place for key, place in self._places.items() if place.busy or place.upload.expires_at > now
        }
        kept_since = now - self._rules.keep if self._rules.keep else None
        for id in await self._store.uploads.outdated(now, kept_since):
            if not any(place.upload.id == id for place in self._places.values()):
                await self.remove(id)


def hashed(word: str) -> str:
    """What the database has of a place's word: enough to know it again, and not to make it."""
    return hashlib.sha256(word.encode("utf-8", "replace")).hexdigest()


def _settle(transfer: Transfer, file: Path) -> None:
    """Put a whole file where it stays, name and all."""
    transfer.finish()
    transfer.path.rename(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
