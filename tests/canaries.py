"""Every key, password and token made during a run of the tests is a canary: none may be in what passing tests print, or in files they leave.

Databases, message logs, traces, bundles and server logs are read at the end of the run. Left out are files that are there to hold a secret.
"""

from __future__ import annotations

import gzip
import re
import secrets
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HOLDERS = (".key", ".token", ".toml", ".pem")
"""How files end that hold secrets by design: a simulated station's key, the token of a server, site files."""
STATION_KEY_BYTES = 20
LARGEST = 64 << 20
WORD = re.compile(rb"[A-Za-z0-9_-]{27,}")
LONGEST_PREFIX = 8


class Canaries:
    """A pytest plugin that plants and looks."""

    def __init__(self) -> None:
        self._made: set[bytes] = set()
        self._leaks: list[str] = []
        self._plant()

    def _plant(self) -> None:
        """Remember what the server draws: tokens, and station keys by their length."""
        urlsafe, hexadecimal = secrets.token_urlsafe, secrets.token_hex

        def token_urlsafe(nbytes: int | None = None) -> str:
            made = urlsafe(nbytes)
            return self._noted(made, len(made) >= 32)

        def token_hex(nbytes: int | None = None) -> str:
            return self._noted(hexadecimal(nbytes), nbytes == STATION_KEY_BYTES)

        secrets.token_urlsafe, secrets.token_hex = token_urlsafe, token_hex

    def _noted(self, secret: str, counts: bool) -> str:
        if counts:
            self._made.add(secret.encode())
        return secret

    def found_in(self, data: bytes) -> set[bytes]:
        """The canaries in some bytes; those behind a short prefix, such as that of API tokens, too."""
        words = set(WORD.findall(data))
        shortened = {word[start:] for word in words for start in range(1, LONGEST_PREFIX)}
        return self._made & (words | shortened)

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: Any) -> None:
        """What a passing test printed and logged."""
        if report.when == "teardown" and report.passed:
            for name, text in report.sections:
                if self.found_in(text.encode("utf-8", "replace")):
                    self._leaks.append(f"{report.nodeid}: {name}")

    @pytest.hookimpl
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Look through the files that the tests left."""
        factory = getattr(session.config, "_tmp_path_factory", None)
        base = getattr(factory, "_basetemp", None)
        if base is not None:
            self._leaks += [f"{file}" for file in files_under(base) if self.found_in(content(file))]
        if self._leaks:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say where secrets were found."""
        if self._leaks:
            terminalreporter.section("secrets that were found where none may be")
            for one in self._leaks:
                terminalreporter.line(one)


def files_under(folder: Path) -> Iterator[Path]:
    """The files that may hold no secret."""
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink() and file.suffix not in HOLDERS and file.stat().st_size <= LARGEST:
            yield file


def content(file: Path) -> bytes:
    """What is in a file, archives unpacked unless they are damaged."""
    data = file.read_bytes()
    try:
        return gzip.decompress(data) if file.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error):
        return data
