"""The servers that are measured, each in a fresh process on one core: ours with a fresh durable database, and the two references."""

from __future__ import annotations

import json
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
READY_S = STOP_S = 60.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where stations connect to a running server, and its process, whose time is measured; ``server`` is there for ours."""

    url: str
    pid: int
    server: ServerProcess | None = None


Started = Callable[..., AbstractContextManager[Address]]
"""Runs a server on a core (None: any)."""

RULES = HERE.parent / "rules"
RULE = """\
[[rule]]
name = "elsewhere-{number}"
on = "station.lost"
when = "station.vendor == 'nobody'"

[[rule.do]]
notify = "log"
text = "never"

"""
LIMITS = "max_rate = 1000000\nmax_unauthenticated = 20000\nmax_unauthenticated_per_address = 20000\n"
"""A hundred stations in one process look like a flood from one address."""
PLUGIN = """\
from csms.api import hookimpl


class Silent:
    def __init__(self, settings, csms):
        pass

    @hookimpl
    def authorize(self, request):
        return None

    @hookimpl
    def answer_call(self, station, action, payload):
        return None

    @hookimpl
    def on_event(self, event):
        return None
"""


@dataclass(frozen=True, slots=True)
class Setup:
    """How our server is set up; the defaults are those of the comparison: every first-party plugin, the shipped rules, a new folder."""

    folder: Path | None = None
    """A folder with a database that is there already and stays."""
    rules: int = 0
    """So many rules more, bound to events that do not happen."""
    plugins: int = 0
    """So many plugins more that are asked about everything and never have an opinion."""


DEFAULT = Setup()


@contextmanager
def csms(core: int | None, setup: Setup = DEFAULT) -> Iterator[Address]:
    """Our server: SQLite with full durability."""
    with tempfile.TemporaryDirectory(prefix="csms-benchmark-") as made:
        server = prepared(setup.folder or Path(made), core, setup)
        server.start()
        try:
            server.wait_ready(READY_S)
            yield Address(server.stations_url, server.pid, server)
        finally:
            if server.running:
                server.terminate(STOP_S)


def prepared(folder: Path, core: int | None, setup: Setup) -> ServerProcess:
    """A server that is not started yet, its folder filled with rules and plugins."""
    server = ServerProcess(folder, core=core)
    rules, shipped = folder / "rules", [file.stem for file in RULES.glob("*.toml") if "[[rule]]" in file.read_text()]
    rules.mkdir(exist_ok=True)
    (rules / "elsewhere.toml").write_text("".join(RULE.format(number=number) for number in range(setup.rules)))
    for number in range(setup.plugins):
        (folder / f"silent_{number}.py").write_text(PLUGIN)
    more = "".join(f'"./silent_{number}.py", ' for number in range(setup.plugins))
    text = server.site_file.read_text().replace("enabled = [", f"enabled = [{more}")
    text += f"\n[plugins.flow_rules]\npresets = {json.dumps(shipped)}\n"
    text += '\n[plugins.rfid_list]\nfile = "tokens.csv"\n'
    (folder / "tokens.csv").write_text("value,type,status,concurrent\nBENCH,ISO14443,Accepted,0\n")
    text = text.replace("[server]\n", "[server]\n" + LIMITS, 1)
    server.site_file.write_text(text)
    return server


def reference(script: str, *more: str) -> Started:
    """A server that is one of the scripts here and takes its port as argument, and what is ``more``."""

    @contextmanager
    def run(core: int | None) -> Iterator[Address]:
        (port,) = free_ports(1)
        command = [sys.executable, str(HERE / script), str(port), *more]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
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
