"""The servers that are measured, each in a fresh process on one core: ours with a fresh durable database, and the two references."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "tests" / "end_to_end"))
# ruff: noqa: E402 - the process fixture is shared with the end-to-end tests, which are no package

from server_process import HOST, ServerProcess, csms_missing, free_ports

START_S = 15.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where stations connect to a running server, and its process, whose time is measured."""

    url: str
    pid: int


Started = Callable[[int | None], AbstractContextManager[Address]]
"""Runs a server on a core (None: any)."""


@contextmanager
def csms(core: int | None) -> Iterator[Address]:
    """Our server: SQLite with full durability, every first-party plugin, a new folder."""
    with tempfile.TemporaryDirectory(prefix="csms-benchmark-") as folder:
        server = ServerProcess(Path(folder), core=core)
        server.start()
        try:
            server.wait_ready()
            yield Address(server.stations_url, server.pid)
        finally:
            if server.running:
                server.terminate()


def reference(script: str) -> Started:
    """A server that is one of the scripts here and takes its port as argument."""

    @contextmanager
    def run(core: int | None) -> Iterator[Address]:
        (port,) = free_ports(1)
        process = subprocess.Popen([sys.executable, str(HERE / script), str(port)], stdin=subprocess.DEVNULL)
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        try:
            _wait_listening(process, port)
            yield Address(f"ws://{HOST}:{port}/ocpp", process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10.0)

    return run


def _wait_listening(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection((HOST, port), 1.0).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"a reference server did not start: {process.args!r}") from None
        time.sleep(0.02)


ECHO, OCPP, CSMS = "echo", "ocpp", "csms"
SERVERS: dict[str, Started] = {ECHO: reference("reference_echo.py"), OCPP: reference("reference_ocpp.py"), CSMS: csms}


def missing(name: str) -> str:
    """Why this server cannot be measured here; empty when it can."""
    return csms_missing() if name == CSMS else ""
