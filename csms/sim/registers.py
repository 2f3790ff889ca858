"""Where the meters of a simulated station stand: kept in a file, so that the next run goes on from there, as a real meter does."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random


class Registers:
    """The energy registers of one station, by the number of the EVSE; without a file they are forgotten at the end.

    A meter that nobody has read before begins at a random register, as used ones do.
    """

    def __init__(self, random: Random, file: Path | None = None) -> None:
        self._random = random
        self._file = file
        self._kept = _read(file) if file is not None and file.is_file() else {}

    def stands_at(self, evse: int) -> int:
        """Where that meter stands, in Wh."""
        kept = self._kept.get(str(evse))
        return self._random.randrange(10_000, 900_000) if kept is None else kept

    def keep(self, evse: int, register_wh: int) -> None:
        """The next run shall not begin below this."""
        self._kept[str(evse)] = register_wh
        if self._file is not None:
            self._file.write_text(json.dumps(self._kept) + "\n", "utf-8")


def _read(file: Path) -> dict[str, int]:
    """What the file says; nothing, if a human or a full disk has spoilt it."""
    try:
        found = json.loads(file.read_bytes())
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: wh for name, wh in found.items() if type(wh) is int and wh >= 0}
