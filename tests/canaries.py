"""Every key, password, token and driver's tag made during a run of the tests is a canary: none may be where it has no business.

Keys and tokens may be in no output of a passing test, in no file that a test leaves, in nothing that a child process prints, and in no answer of
a server's API, but for files, programs and paths that are there to hold or to show one (HOLDERS, SHOW). Drivers' tags may stand in databases and in
what the API says to who has the role support; in no log, metric, or output of a server.

Children of the tests are Pythons too: ``tests/planted`` makes them write down what they draw.
"""

from __future__ import annotations

import gzip
import http.client
import os
import re
import secrets
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

PLANTED = Path(__file__).with_name("planted")
HOLDERS = (".key", ".token", ".toml", ".pem", ".canaries")
"""How files end that hold secrets by design: a simulated station's key, the token of a server, site files."""
LOGS = (".log", ".out", ".err", ".prom")
"""How files end in which no driver's tag may be: what servers and programs wrote."""
SHOW = {
    "csms": (("station", "password"), ("key", "make"), ("login",)),
    "api": ("POST /api/v1/keys", "POST /api/v1/sessions", "PUT /api/v1/stations/"),
}
"""Commands and answers that show a secret once: a password to be typed in, a new token."""
STATION_KEY_BYTES = 20
LEAST_TAG = 12
"""Shorter tags are words of tests, and would be found in other words."""
LARGEST = 64 << 20
WORD = re.compile(rb"[A-Za-z0-9_-]{27,}")
LONGEST_PREFIX = 8


class Canaries:
    """A pytest plugin that plants and looks."""

    def __init__(self) -> None:
        self._made: set[bytes] = set()
        self._tags: set[bytes] = set()
        self._heard: dict[str, set[bytes]] = {}
        self._leaks: list[str] = []
        handle, name = tempfile.mkstemp(suffix=".canaries")
        os.close(handle)
        self._children = Path(name)
        self._plant()

    # Planting

    def _plant(self) -> None:
        """Remember what is drawn here and in children, what tags are made known, what children print and what an API answers."""
        urlsafe, hexadecimal = secrets.token_urlsafe, secrets.token_hex

        def token_urlsafe(nbytes: int | None = None) -> str:
            made = urlsafe(nbytes)
            return self._noted(made, len(made) >= 32)

        def token_hex(nbytes: int | None = None) -> str:
            return self._noted(hexadecimal(nbytes), nbytes == STATION_KEY_BYTES)

        secrets.token_urlsafe, secrets.token_hex = token_urlsafe, token_hex
        os.environ["CSMS_CANARIES"] = str(self._children)
        os.environ["PYTHONPATH"] = str(PLANTED)
        self._listen_to_children()
        self._listen_to_apis()

    def _noted(self, secret: str, counts: bool) -> str:
        if counts:
            self._made.add(secret.encode())
        return secret

    def _listen_to_children(self) -> None:
        communicate = subprocess.Popen.communicate

        def listening(child: Any, *args: Any, **more: Any) -> Any:
            said = communicate(child, *args, **more)
            words = [os.fsdecode(word) for word in child.args] if isinstance(child.args, list | tuple) else []
            if not any(tuple(words[1 : 1 + len(shown)]) == shown for shown in SHOW["csms"]):
                for text in said:
                    self._hear(" ".join(words[:4]), text)
            return said

        subprocess.Popen.communicate = listening  # type: ignore[method-assign]

    def _listen_to_apis(self) -> None:
        request, read = http.client.HTTPConnection.request, http.client.HTTPResponse.read
        getresponse = http.client.HTTPConnection.getresponse

        def asking(connection: Any, method: str, url: str, *args: Any, **more: Any) -> None:
            connection.asked = f"{method} {url}"
            if (found := re.match(r"/api/v1/tokens/[^/]+/([^/?]+)", url)) and method == "PUT":
                self.tag(unquote(found[1]))
            request(connection, method, url, *args, **more)

        def answered(connection: Any) -> Any:
            response = getresponse(connection)
            response.asked = connection.asked  # type: ignore[attr-defined]
            return response

        def reading(response: Any, *args: Any) -> Any:
            body = read(response, *args)
            where = getattr(response, "asked", "")
            if where and not where.startswith(SHOW["api"]):
                self._hear(where, body)
            return body

        http.client.HTTPConnection.request = asking  # type: ignore[assignment,method-assign]
        http.client.HTTPConnection.getresponse = answered  # type: ignore[method-assign]
        http.client.HTTPResponse.read = reading  # type: ignore[method-assign]

    def tag(self, value: str) -> None:
        """A driver's tag that is known from now on."""
        if len(value) >= LEAST_TAG:
            self._tags.add(value.encode())

    def _hear(self, where: str, said: str | bytes | None) -> None:
        """What was said is looked through at the end, when all children have written down what they drew."""
        data = said.encode("utf-8", "replace") if isinstance(said, str) else said or b""
        words = WORD.findall(data)
        if words:
            self._heard.setdefault(where, set()).update(words)

    # Looking

    def found_in(self, data: bytes) -> set[bytes]:
        """The keys and tokens in some bytes; those behind a short prefix, such as that of API tokens, too."""
        return self._among(set(WORD.findall(data)))

    def _among(self, words: set[bytes]) -> set[bytes]:
        shortened = {word[start:] for word in words for start in range(1, LONGEST_PREFIX)}
        return self._made & (words | shortened)

    def tags_in(self, data: bytes) -> set[bytes]:
        """The drivers' tags in some bytes."""
        return {tag for tag in self._tags if tag in data}

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: Any) -> None:
        """What a passing test printed and logged."""
        if report.when == "teardown" and report.passed:
            for name, text in report.sections:
                data = text.encode("utf-8", "replace")
                if self.tags_in(data):
                    self._leaks.append(f"{report.nodeid}: {name} (a tag)")
                self._hear(f"{report.nodeid}: {name}", data)

    @pytest.hookimpl
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Look through all that was said, and through the files that the tests left."""
        self._made |= set(self._children.read_bytes().split())
        self._children.unlink()
        self._leaks += [where for where, words in self._heard.items() if self._among(words)]
        factory = getattr(session.config, "_tmp_path_factory", None)
        base = getattr(factory, "_basetemp", None)
        if base is not None:
            for file in files_under(base):
                data = content(file)
                if self.found_in(data) or (file.suffix in LOGS and self.tags_in(data)):
                    self._leaks.append(f"{file}")
        if self._leaks:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say where secrets were found."""
        if self._leaks:
            terminalreporter.section("secrets that were found where none may be")
            for one in sorted(set(self._leaks)):
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
