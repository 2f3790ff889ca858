"""A disk that forgets: what a server wrote, in order, and what would be left of it if the power failed at one moment.

The record comes from ``disk_shim.c``, which is compiled here and preloaded into the server. What was written before the last sync of its file is
safe; of what came later each piece may be there, be missing, or be there in part. A sync that failed decides at once: its pieces are there or lost
for good, as Linux does it.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = "disk_shim.c"
HEAD = struct.Struct("<c3xiqq")
SECTOR = 512
WRITES, SYNCS, READS, RECORD = range(4)
"""The places of the control file: an errno each, and whether to record."""


def no_shim() -> str:
    """Why a shim cannot be had here, in a sentence; empty when it can."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if os.name != "posix" or not Path("/proc/self").exists():
        return "the shims of the torture tools need Linux"
    return "" if compiler else "the shims of the torture tools need a C compiler (cc)"


def compiled(source: str, folder: Path) -> Path:
    """A C file beside this one, as a library to preload."""
    library = (folder / source).with_suffix(".so")
    compiler = os.environ.get("CC", "cc")
    file = Path(__file__).with_name(source)
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, file, "-ldl", "-lpthread"], check=True)
    return library


class Shim:
    """The compiled shim, its record and its control file."""

    def __init__(self, folder: Path) -> None:
        self.record = folder / "disk.record"
        self._control = folder / "disk.control"
        self._library = compiled(SOURCE, folder)
        self._control.write_bytes(bytes(4))

    @property
    def environment(self) -> dict[str, str]:
        """What a server needs to be watched."""
        return {
            "LD_PRELOAD": str(self._library),
            "DISK_SHIM_LOG": str(self.record),
            "DISK_SHIM_CONTROL": str(self._control),
        }

    def set(self, place: int, value: int) -> None:
        """From now on: an errno for WRITES, SYNCS or READS (0: all is well), or 1 for RECORD."""
        with self._control.open("r+b") as file:
            file.seek(place)
            file.write(bytes([value]))


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the record: ``kind`` as in ``disk_shim.c``."""

    kind: str
    file: int
    offset: int
    data: bytes


def entries(record: Path) -> Iterator[Entry]:
    """The entries of a record, in order; a torn last one is left out."""
    with record.open("rb") as file:
        while len(head := file.read(HEAD.size)) == HEAD.size:
            kind, number, offset, length = HEAD.unpack(head)
            data = file.read(length)
            if len(data) == length:
                yield Entry(kind.decode(), number, offset, data)


@dataclass(slots=True)
class _File:
    safe: bytearray = field(default_factory=bytearray)
    loose: list[Entry] = field(default_factory=list)
    syncing: int = 0
    """How many of the loose ones the sync under way covers."""


class Disk:
    """The files of a server at one moment of its record."""

    def __init__(self, chance: random.Random) -> None:
        self._names: dict[int, str] = {}
        self._files: dict[str, _File] = {}
        self._chance = chance

    def take(self, entry: Entry) -> None:
        """One more entry has happened."""
        if entry.kind == "S":
            return
        if entry.kind == "O":
            self._names[entry.file] = Path(entry.data.decode()).name
            return
        if entry.kind == "U":
            self._files.pop(self._names[entry.file], None)
            return
        file = self._files.setdefault(self._names[entry.file], _File())
        match entry.kind:
            case "W" | "T":
                file.loose.append(entry)
            case "B":
                file.syncing = len(file.loose)
            case "E":
                self._settle(file, 1.0)
            case "F":
                self._settle(file, 0.5)

    def _settle(self, file: _File, share: float) -> None:
        settled, file.loose = file.loose[: file.syncing], file.loose[file.syncing :]
        file.syncing = 0
        for entry in settled:
            if self._chance.random() < share:
                _apply(file.safe, entry, len(entry.data))

    def cut(self, folder: Path) -> None:
        """Write into a folder what a power cut now would leave."""
        for name, file in self._files.items():
            image = bytearray(file.safe)
            share = self._chance.choice((0.0, 0.5, 0.9, 1.0))
            for entry in file.loose:
                if self._chance.random() < share:
                    _apply(image, entry, self._torn(len(entry.data)))
            (folder / name).write_bytes(image)

    def _torn(self, length: int) -> int:
        """How much of a write is there: mostly all of it, else some whole sectors."""
        if self._chance.random() < 0.8:
            return length
        return self._chance.randrange(0, length // SECTOR + 1) * SECTOR


def _apply(image: bytearray, entry: Entry, length: int) -> None:
    if entry.kind == "T":
        del image[entry.offset :]
        image.extend(bytes(entry.offset - len(image)))
        return
    if len(image) < entry.offset:
        image.extend(bytes(entry.offset - len(image)))
    image[entry.offset : entry.offset + length] = entry.data[:length]
