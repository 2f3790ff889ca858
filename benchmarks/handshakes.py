"""What it costs the server to let a station in, and to keep it: plain and over TLS, with RSA and ECDSA certificates, new sessions and resumed ones.

    python benchmarks/handshakes.py [--connections 300] [--stations 1000]

One connection after the other, from TCP to the answer of the WebSocket handshake; measured is the processor time of the server's process, so that
1,000 / CPU ms is what one core can do in a second. Memory is that of stations that are connected, have booted, and say nothing.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import socket
import ssl
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from driving import cores, put_load
from report import machine, moment, versions
from server_process import HOST, csms_bin
from servers import READY_S, STOP_S, Address, Setup, prepared, reference
from tls_listener import TRUST, certificates, listen_with_tls

from csms.bench.meter import cpu_seconds

RESULTS = Path(__file__).parent / "results"
PASSWORD = "a-password-of-the-bench"
KINDS = ("plain", "ecdsa", "rsa")
ROUNDS = 3
UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ocpp2.0.1\r\nAuthorization: Basic {basic}\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Way:
    """How clients come in."""

    url: str
    pid: int
    trust: str = ""


@contextmanager
def csms(kind: str, folder: Path) -> Iterator[Way]:
    """Our server with one listener for TLS beside the plain one."""
    server = prepared(folder, cores()[0], Setup())
    url, trust = server.stations_url, ""
    if kind != "plain":
        url, trust = f"wss://{HOST}:{listen_with_tls(server, kind)}/ocpp", str(folder / TRUST)
    server.start()
    try:
        server.wait_ready(READY_S)
        yield Way(url, server.pid, trust)
    finally:
        server.terminate(STOP_S)


@contextmanager
def echo(kind: str, folder: Path) -> Iterator[Way]:
    """The bare Autobahn server."""
    if kind == "plain":
        with reference("reference_echo.py")(cores()[0]) as server:
            yield Way(server.url, server.pid)
        return
    certificates(folder)
    for ending, name in (("pem", "cert.pem"), ("key", "key.pem")):
        shutil.copy(folder / "tls" / f"server-{kind}.{ending}", folder / name)
    with reference("reference_echo.py", str(folder))(cores()[0]) as server:
        yield Way(server.url.replace("ws:", "wss:"), server.pid, str(folder / TRUST))


def cost(way: Way, connections: int, *, resume: bool, version: ssl.TLSVersion) -> tuple[float, float]:
    """Milliseconds of the server's processor for each connection, and the share of sessions that were resumed."""
    context = ssl.create_default_context(cafile=way.trust) if way.trust else None
    if context is not None:
        context.minimum_version = context.maximum_version = version
    _, session = _in(way, context, None)
    used, resumed = cpu_seconds(way.pid), 0
    for _ in range(connections):
        again, fresh = _in(way, context, session if resume else None)
        resumed += again
        session = fresh or session
    return (cpu_seconds(way.pid) - used) / connections * 1e3, resumed / connections


def _in(way: Way, context: ssl.SSLContext | None, session: ssl.SSLSession | None) -> tuple[bool, ssl.SSLSession | None]:
    """One connection; whether its session was resumed, and the session."""
    place = urlsplit(way.url)
    basic = base64.b64encode(f"SHAKE:{PASSWORD}".encode()).decode()
    with socket.create_connection((place.hostname or HOST, place.port or 0), 10.0) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = context.wrap_socket(plain, server_hostname=HOST, session=session) if context else plain
        wire.sendall(UPGRADE.format(path=f"{place.path}/SHAKE", host=HOST, basic=basic).encode())
        answer = wire.recv(4096)
        if b" 101 " not in answer:
            raise SystemExit(f"the server lets nobody in: {answer[:200]!r}")
        if not isinstance(wire, ssl.SSLSocket):
            return False, None
        return bool(wire.session_reused), wire.session


def idle(way: Way, kind: str, name: str, stations: int) -> dict[str, float]:
    """KiB of an idle station, how fast many come in at once, and how long it takes all to come back and boot after all were cut off."""
    more = ["--connect-only", "--stations", stations, *(["--echo"] if name == "echo" else [])]
    more += ["--trust", way.trust] if way.trust else []
    more += ["--password", PASSWORD] if kind != "plain" else []
    more += ["--storm"] if name == "csms" else []
    told = put_load(Address(way.url, way.pid), (), *more)
    before, after = told["resident_kib"]
    storm = told.get("storm")
    back = {"back": storm["booted_s"], "back cpu": storm["cpu_s"], "mib": storm["resident_kib"] / 1024} if storm else {}
    return {"kib": (after - before) / stations, "rate": stations / told["connecting_s"], **back}


Measured = dict[str, float]
SERVERS: dict[str, Callable[[str, Path], object]] = {"echo": echo, "csms": csms}


def measured(name: str, kind: str, connections: int, stations: int) -> Measured:
    """One server of one kind."""
    told: Measured = {}
    with tempfile.TemporaryDirectory(prefix="csms-doors-") as folder, SERVERS[name](kind, Path(folder)) as way:  # type: ignore[attr-defined]
        told["new ms"], _ = cost(way, connections, resume=False, version=ssl.TLSVersion.TLSv1_3)
        if kind != "plain":
            told["new ms, 1.2"], _ = cost(way, connections, resume=False, version=ssl.TLSVersion.TLSv1_2)
            told["resumed ms"], told["resumed"] = cost(way, connections, resume=True, version=ssl.TLSVersion.TLSv1_3)
            told["resumed ms, 1.2"], told["resumed, 1.2"] = cost(
                way, connections, resume=True, version=ssl.TLSVersion.TLSv1_2
            )
        told |= idle(way, kind, name, stations)
    return told


COLUMNS = (
    "new ms",
    "new ms, 1.2",
    "resumed ms",
    "resumed",
    "resumed ms, 1.2",
    "resumed, 1.2",
    "rate",
    "kib",
    "back",
    "back cpu",
    "mib",
)
HEADS = (
    "CPU ms, new",
    "TLS 1.2",
    "CPU ms, resumed",
    "of them resumed",
    "TLS 1.2",
    "of them resumed",
    "handshakes/s, boots on",
    "KiB a station",
    "all back after s",
    "CPU s",
    "then MiB",
)


def table(rounds: dict[tuple[str, str], list[Measured]]) -> str:
    """Markdown, medians of the rounds."""
    lines = [f"| server | {' | '.join(HEADS)} |", "|---|" + "--:|" * len(HEADS)]
    for (name, kind), told in rounds.items():
        cells = [f"{median(one[column] for one in told):,.2f}" if column in told[0] else "-" for column in COLUMNS]
        lines.append(f"| {name}, {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Measure by turns, print, save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--stations", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    at = moment()
    rounds: dict[tuple[str, str], list[Measured]] = {(name, kind): [] for kind in KINDS for name in SERVERS}
    for _ in range(options.rounds):
        for (name, kind), told in rounds.items():
            told.append(measured(name, kind, options.connections, options.stations))
            print(name, kind, {key: round(value, 2) for key, value in told[-1].items()}, flush=True)
    facts = {**machine(), **versions(csms_bin() / "python")}
    text = "\n".join(
        [f"# Handshakes, {at}", "", table(rounds), "", *(f"- {name}: {fact}" for name, fact in facts.items()), ""]
    )
    print("", text, sep="\n")
    options.results.mkdir(exist_ok=True)
    (options.results / f"handshakes-{at.replace(':', '').replace('-', '')}.md").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
