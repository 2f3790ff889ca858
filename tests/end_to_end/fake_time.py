"""libfaketime for the processes under test: their wall clock is another one, and can be moved while they run; the monotonic clock is as it is.

Debian's package ``faketime`` has the library; CSMS_LIBFAKETIME names another place.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

PLACES = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
NAME = "libfaketime.so.1"


def library() -> Path | None:
    """The library, where there is one."""
    given = os.environ.get("CSMS_LIBFAKETIME")
    if given:
        return Path(given)
    return next((file for place in PLACES for file in sorted(Path(place).glob(f"**/faketime/{NAME}"))), None)


class FakeTime:
    """The wall clock of some processes, in days from now."""

    def __init__(self, folder: Path, library: Path) -> None:
        self._file = folder / "faketime"
        self._library = library
        self.move(0)

    def move(self, days: int) -> None:
        """From now on it is so many days later, for processes that run too."""
        new = self._file.with_suffix(".new")
        new.write_text(f"+{days}d\n")
        new.replace(self._file)

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process needs."""
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
