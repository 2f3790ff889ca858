"""One server under test: a real process from an installed environment, its site file, its log, and how it ends.

Knows nothing of what the server does beyond ``/readyz``; used by the end-to-end tests, the kill tests and the benchmarks.
"""

from __future__ import annotations

import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

HOST = "127.0.0.1"
PLUGINS = ("flow_rules", "rfid_list", "app_tokens", "reset_policy", "status_retry", "billing")
CLEAN_ENDS = (0, -signal.SIGTERM)
"""Exit codes of a clean end by SIGTERM: ``twistd`` and ``twist`` close everything and then end by the same signal, as Twisted always does."""
STOPPED = "csms has stopped"
"""The last words in the log of a server that closed everything."""
TROUBLES = ("Traceback (most recent call last)", "Unhandled error", "Unhandled Error", "Main loop error")
"""What no log may have, whatever the input was."""
READY_S = 15.0
STOP_S = 10.0
LOWEST_PORT, PORTS = 12_000, 20_000

SITE = """\
[server]
listen = "tcp:{port}:interface=127.0.0.1"

[api]
listen = "tcp:{api_port}:interface=127.0.0.1"
token = "{token}"

[database]
file = "csms.sqlite"

[stations]
unknown = "accept"
heartbeat_interval = "5m"

[plugins]
enabled = [{plugins}]

[plugins.billing]
currency = "EUR"
per_kwh = "0.45"
per_minute = "0.00"
per_start = "1.00"
"""


class ServerDied(Exception):
    """The server ended, or was not ready in time; the text has its log."""


def csms_bin() -> Path:
    """The folder with ``csms`` and ``twistd`` of the environment under test: CSMS_BIN, else the folder of this Python."""
    return Path(os.environ.get("CSMS_BIN") or Path(sys.executable).parent)


def csms_missing() -> str:
    """Why there is no server to test, in one sentence; empty when there is one."""
    folder = csms_bin()
    missing = [name for name in ("csms", "twistd") if not (folder / name).exists()]
    if not missing:
        return ""
    return f"no {' and no '.join(missing)} in {folder}: install the project there, or set CSMS_BIN to where it is installed"


def free_ports(number: int) -> list[int]:
    """Ports that are free now, all different, and none that a system gives to who dials out: a server may start there again and again."""
    sockets: list[socket.socket] = []
    try:
        while len(sockets) < number:
            sockets.append(socket.socket())
            try:
                sockets[-1].bind((HOST, LOWEST_PORT + secrets.randbelow(PORTS)))
            except OSError:
                sockets.pop().close()
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


class ServerProcess:
    """A server in ``folder``; can be started again there after it ended, with the same ports and the same database.

    ``environment`` is added to its environment, ``more`` to its site file.
    """

    def __init__(
        self,
        folder: Path,
        *,
        starter: Sequence[str] = ("twistd", "-n", "--pidfile=", "csms", "--site", "site.toml"),
        core: int | None = None,
        environment: Mapping[str, str] | None = None,
        more: str = "",
    ) -> None:
        self.folder = folder
        self.port, self.api_port = free_ports(2)
        self.token = secrets.token_urlsafe(24)
        self.log_file = folder / "server.log"
        self._starter = starter
        self._core = core
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None
        plugins = ", ".join(f'"{name}"' for name in PLUGINS)
        text = SITE.format(port=self.port, api_port=self.api_port, token=self.token, plugins=plugins)
        self.site_file = folder / "site.toml"
        self.site_file.write_text(text + more)

    @property
    def stations_url(self) -> str:
        """Where stations connect; the identity comes after a slash."""
        return f"ws://{HOST}:{self.port}/ocpp"

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The number of the process."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What the server wrote so far, over all its starts."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    @property
    def troubles(self) -> list[str]:
        """The lines of the log that tell of a fault nobody handled, each with the line before and twenty after."""
        lines = self.log.splitlines()
        found = [number for number, line in enumerate(lines) if any(word in line for word in TROUBLES)]
        return ["\n".join(lines[max(number - 1, 0) : number + 20]) for number in found]

    def start(self) -> None:
        """Start the process and return at once."""
        program = csms_bin() / self._starter[0]
        # The canaries of a test run are planted by a path that has nothing of the project; no other is for a server that is installed.
        planted = "CSMS_CANARIES" in os.environ
        environment = {key: value for key, value in os.environ.items() if planted or key != "PYTHONPATH"}
        environment |= self._environment
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [program, *self._starter[1:]],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        if self._core is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self._process.pid, {self._core})

    def is_ready(self) -> bool:
        """Whether /readyz answers 200 now; raises ServerDied when the process is gone."""
        if not self.running:
            code = self._process.returncode if self._process else None
            raise ServerDied(f"the server ended with {code} before it was ready; its log:\n{self.log}")
        connection = http.client.HTTPConnection(HOST, self.api_port, timeout=2.0)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def wait_ready(self, seconds: float = READY_S) -> float:
        """Wait until the server is ready; gives the seconds that took, raises ServerDied after too many."""
        began = time.monotonic()
        while not self.is_ready():
            if time.monotonic() - began > seconds:
                raise ServerDied(f"the server was not ready within {seconds:g} s; its log:\n{self.log}")
            time.sleep(0.02)
        return time.monotonic() - began

    def wait_end(self, seconds: float = STOP_S) -> int | None:
        """The exit code of a server that ends by itself; None when it still runs after so many seconds."""
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def terminate(self, seconds: float = STOP_S) -> int:
        """SIGTERM, then the exit code; a server that does not end in time is killed and gives -9."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = self.wait_end(seconds)
        return self.kill() if code is None else code

    def kill(self) -> int:
        """SIGKILL, then the exit code."""
        assert self._process is not None
        self._process.kill()
        return self._process.wait()

    def resident_kib(self) -> int:
        """The memory of the process now, in KiB (Linux)."""
        assert self._process is not None
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise ServerDied("the server has no memory: it ended")
