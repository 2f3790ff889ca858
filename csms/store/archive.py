"""Where rows go before they are removed, if the site wants that: one file of compressed JSON lines for each kind and month.

A file is a row of gzip members, one for each time something was added, so every tool that reads .gz reads it. What is added is on the disk before
the rows are removed; after a crash in between they are in the file twice, with the same numbers. A member that a crash tore is cut off again.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from csms.store.schema import sync_folder

Line = dict[str, Any]
MONTH = 7
"""Characters of an ISO time that name a month."""
READ_BYTES = 1 << 20


class Archive:
    """The files of one folder; used in one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sound: set[Path] = set()

    def add(self, kind: str, lines: Iterable[Line]) -> None:
        """Write lines, each into the file of the month of its ``at``; they are on the disk when this returns."""
        months: dict[str, list[bytes]] = {}
        for line in lines:
            months.setdefault(str(line["at"])[:MONTH], []).append(orjson.dumps(line))
        for month, texts in months.items():
            self._append(self._folder / f"{kind}-{month}.jsonl.gz", b"\n".join([*texts, b""]))

    def _append(self, file: Path, text: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        is_new = not file.exists()
        if file not in self._sound:
            if not is_new:
                mend(file)
            self._sound.add(file)
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as archive:
            archive.write(gzip.compress(text))
            archive.flush()
            os.fsync(archive.fileno())
        if is_new:
            sync_folder(self._folder)


def mend(file: Path) -> int:
    """Cut off what stands behind the last whole member; gives how many bytes that were."""
    whole = _whole_bytes(file)
    torn = file.stat().st_size - whole
    if torn:
        os.truncate(file, whole)
    return torn


def _whole_bytes(file: Path) -> int:
    whole = 0
    with file.open("rb") as archive:
        while True:
            archive.seek(whole)
            length = _member_bytes(archive)
            if not length:
                return whole
            whole += length


def _member_bytes(archive: Any) -> int:
    """The length of the member that begins here; 0 if it is not whole."""
    member, taken = zlib.decompressobj(wbits=31), 0
    while data := archive.read(READ_BYTES):
        taken += len(data)
        try:
            member.decompress(data)
        except zlib.error:
            return 0
        if member.eof:
            return taken - len(member.unused_data)
    return 0
