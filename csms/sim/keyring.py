"""The simulated station's password: given on the command line, or by the CSMS, and then kept in a file so that the next run has it."""

from __future__ import annotations

import os
from pathlib import Path


class Keyring:
    """One station's password; without a file it is forgotten at the end."""

    def __init__(self, password: str | None = None, file: Path | None = None) -> None:
        self._file = file
        self.password = password if password is not None else self._kept()

    def _kept(self) -> str | None:
        if self._file is None or not self._file.is_file():
            return None
        return self._file.read_text("utf-8").strip() or None

    def take(self, password: str) -> str:
        """Use a new password from now on; gives where it is kept, in words."""
        self.password = password
        if self._file is None:
            return "kept until the end"
        self._file.unlink(missing_ok=True)
        with open(os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(password + "\n")
        return f"kept in {self._file.name}"
