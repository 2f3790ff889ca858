"""One process per database: a lock of the operating system on a file beside it, which the kernel takes back however the process ends.

The lock is on a file of its own, since SQLite locks the database file in its own way; the file stays behind, and means nothing when nobody holds it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Self

from csms.store.faults import SchemaFault


class InUse(SchemaFault):
    """Another process has this database open."""


class SoleUse:
    """The right to be the only csms on a database, from ``take`` to ``release``."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._held: int | None = None

    @property
    def lock_file(self) -> Path:
        """The file that is locked; two paths to one database have one lock."""
        file = self._file.resolve()
        return file.with_name(f"{file.name}.lock")

    def take(self) -> None:
        """Raises InUse, which names the process that has it, or OSError where no file can be made."""
        if self._held is not None:
            return
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise InUse(_in_use(self._file, holder)) from None
        except OSError:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.write(descriptor, b"%d\n" % os.getpid())
        self._held = descriptor

    def __enter__(self) -> Self:
        self.take()
        return self

    def __exit__(self, *fault: object) -> None:
        self.release()

    def release(self) -> None:
        """Let the next one have it; harmless when it was not taken."""
        held, self._held = self._held, None
        if held is not None:
            os.close(held)


def _in_use(file: Path, holder: str) -> str:
    who, stop = (f"process {holder}", f"kill {holder}") if holder.isdecimal() else ("another process", "see: ps")
    return (
        f"the database {file} is in use by another csms ({who}): stop that one first ({stop}), or give this site a "
        "database of its own ([database] file in the site file)"
    )
