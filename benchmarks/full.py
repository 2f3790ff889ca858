"""How our server does when its database is full: start, answers, pages of the API, command line, backup, verify, retention.

    python benchmarks/full.py [--messages 0 1000000 10000000]

The database is made by ``history.py``. Everything is measured on one machine in one run; the first size is what the others are compared with.
Ten million messages need 10 GB of disk and some minutes.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from driving import cores, put_load
from history import fill
from report import machine, moment, versions
from server_process import csms_bin
from servers import HOST, READY_S, STOP_S, Address, ServerProcess, Setup, prepared
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from csms.store.connections import writing
from csms.store.inline import InlineReaders, InlineWriter
from csms.store.shelves import MESSAGES, Shelves, Walk

RESULTS = Path(__file__).parent / "results"
STATION = "PAST-050"
ASKED = 9
REMOVAL_S = 5.0
COMMAND_S = 590.0
PAGES = {
    "stations": "/api/v1/stations",
    "transactions": "/api/v1/transactions",
    "transactions, active": "/api/v1/transactions?active=true",
    "transactions of a station": f"/api/v1/transactions?station={STATION}",
    "transactions of a station, active": f"/api/v1/transactions?station={STATION}&active=true",
    "transactions, 1,000 a page": "/api/v1/transactions?limit=1000",
    "bills": "/api/v1/bills",
    "bills, quarantined": "/api/v1/bills?status=quarantined",
    "bills of a station": f"/api/v1/bills?station={STATION}",
    "bills before all": "/api/v1/bills?until=1999-01-01T00:00:00Z",
    "commands": "/api/v1/commands",
    "commands, open": "/api/v1/commands?open=true",
    "commands of a station, open": f"/api/v1/commands?open=true&station={STATION}",
    "alerts": "/api/v1/alerts",
    "alerts of a station": f"/api/v1/alerts?station={STATION}",
    "security events": "/api/v1/security-events",
    "audit": "/api/v1/audit",
    "messages, the newest": f"/api/v1/stations/{STATION}/messages",
    "messages, before the middle": f"/api/v1/stations/{STATION}/messages?before={{middle}}",
    "messages, from the first": f"/api/v1/stations/{STATION}/messages?after=0",
    "metrics": "/metrics",
}
SEARCHES = {
    "nothing, a text that is nowhere": "text=nowhere-at-all",
    "a message id that is nowhere": "message_id=nowhere-at-all",
    "errors, of which there are none": "kind=error",
    "a station's calls of one action": f"station={STATION}&action=BootNotification&limit=1000",
    "a text of three stations, none": f"station={STATION}&station=PAST-001&station=PAST-002&text=nowhere-at-all",
    "calls of one action in the oldest hour": "action=BootNotification&until={hour}&limit=1000",
    "a transaction of long ago": "transaction=1",
}
COMMANDS = {
    "csms station list": ("station", "list"),
    "csms tx list": ("tx", "list"),
    "csms tx list --active": ("tx", "list", "--active"),
    "csms bill list": ("bill", "list"),
}
Told = dict[str, float]


def measured(folder: Path, messages: int) -> Told:
    """Everything about one size, by name."""
    server = prepared(folder, cores()[0], Setup())
    told: Told = {}
    began = time.monotonic()
    number = fill(server, messages)
    told["messages"], told["filled in s"] = number, time.monotonic() - began
    told["files, MB"] = sum(file.stat().st_size for file in folder.glob("csms*.sqlite")) / 1e6
    began = time.monotonic()
    server.start()
    try:
        server.wait_ready(READY_S)
        told["start to ready, s"] = time.monotonic() - began
        told |= pages(server, number)
        told |= searches(server)
        told |= {name: seconds(server, *words) for name, words in COMMANDS.items()}
        told["csms db backup, s"] = seconds(server, "db", "backup", "copy.sqlite")
        (folder / "copy.sqlite").unlink()
        told |= load(server)
        told |= load_while_searched(server)
    finally:
        server.terminate(STOP_S)
    told["csms db verify --quick, s"] = seconds(server, "db", "verify", "--quick", "csms.sqlite")
    told["csms db verify, s"] = seconds(server, "db", "verify", "csms.sqlite")
    return told | removal(folder)


def pages(server: ServerProcess, messages: int) -> Told:
    """Milliseconds of each page of the API, the median of some."""
    told = {}
    for name, path in PAGES.items():
        path = path.format(middle=max(1, messages // 2))
        told[f"GET {name}, ms"] = median(asked(server, path) for _ in range(ASKED)) * 1e3
    return told


def searches(server: ServerProcess) -> Told:
    """Of each search of the message log the seconds to its end, its parts, and the milliseconds of the longest part."""
    oldest = got(server, f"/api/v1/stations/{STATION}/messages?after=0&limit=1")["items"]
    hour = oldest[0]["at"] if oldest else "2020-01-01T00:00:00Z"
    hour = (datetime.fromisoformat(hour) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    told = {}
    for name, query in SEARCHES.items():
        path: str | None = f"/api/v1/messages?{query.format(hour=hour)}"
        took: list[float] = []
        while path:
            began = time.perf_counter()
            path = got(server, path)["next"]
            took.append(time.perf_counter() - began)
        told[f"search: {name}, s"] = sum(took)
        told[f"search: {name}, parts"] = len(took)
        told[f"search: {name}, longest part, ms"] = max(took) * 1e3
    return told


def got(server: ServerProcess, path: str) -> Any:
    """The answer's JSON; ends everything when it is refused."""
    return json.loads(read(server, path))


def read(server: ServerProcess, path: str) -> bytes:
    """What is answered; ends everything when it is refused."""
    connection = http.client.HTTPConnection(HOST, server.api_port, timeout=COMMAND_S)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {server.token}"})
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise SystemExit(f"GET {path}: {answer.status} {body[:200]!r}")
    return body


def asked(server: ServerProcess, path: str) -> float:
    """Seconds of one request."""
    began = time.perf_counter()
    read(server, path)
    return time.perf_counter() - began


def seconds(server: ServerProcess, *words: str) -> float:
    """How long a command of csms takes in the server's folder, its own start included."""
    began = time.monotonic()
    command = [str(csms_bin() / "csms"), *words, "--site", "site.toml"]
    ended = subprocess.run(command, cwd=server.folder, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    if ended.returncode:
        raise SystemExit(f"csms {' '.join(words)}: {ended.stdout[-500:]}{ended.stderr[-500:]}")
    return time.monotonic() - began


def load(server: ServerProcess) -> Told:
    """The mix on it."""
    address = Address(server.stations_url, server.pid, server)
    told = put_load(address, ("mix",), "--stations", 300, "--seconds", 4.0)
    figures = told["figures"]["mix"]
    return {"mix, messages/s": figures["rate"], "mix, CPU us": figures["cpu_us"], "mix, p99 ms": figures["p99_ms"]}


def load_while_searched(server: ServerProcess) -> Told:
    """The mix, while somebody searches the whole log for what is nowhere, over and over."""
    over = threading.Event()

    def search() -> None:
        path: str | None = None
        while not over.is_set():
            path = got(server, path or "/api/v1/messages?text=nowhere-at-all")["next"]

    searching = threading.Thread(target=search, daemon=True)
    searching.start()
    try:
        told = load(server)
    finally:
        over.set()
        searching.join()
    return {f"{name}, while searched": figure for name, figure in told.items()}


def removal(folder: Path) -> Told:
    """How fast old rows of the message log go, and how long the longest step keeps the writer."""
    file = folder / "csms-messages.sqlite"
    readers, longest_s = InlineReaders(file, Clock()), 0.0
    writer = InlineWriter(lambda: writing(file, "NORMAL"), Clock(), "removal")
    readers.open()
    writer.start()
    shelves, walk, now = Shelves(readers, writer), Walk(), datetime.now(UTC)
    began = time.monotonic()
    while not walk.over and time.monotonic() - began < REMOVAL_S:
        busy: list[float] = []
        step = shelves.step(MESSAGES, walk, now, archive=None)
        Deferred.fromCoroutine(step).addCallback(busy.append)
        longest_s = max(longest_s, *busy)
    took = time.monotonic() - began
    Deferred.fromCoroutine(writer.stop())
    readers.close()
    return {"removal, rows/s": walk.removed / took, "removal, longest 400 rows, ms": longest_s * 1e3}


def table(sizes: Sequence[Told]) -> str:
    """Markdown: a row for each figure, a column for each size."""
    lines = ["| what | " + " | ".join(f"{told['messages']:,.0f}" for told in sizes) + " |"]
    lines.append("|---|" + "--:|" * len(sizes))
    for name in sizes[-1]:
        cells = [f"{told[name]:,.{0 if told[name] >= 100 else 2}f}" if name in told else "-" for told in sizes]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--messages", type=int, nargs="+", default=[0, 1_000_000, 10_000_000])
    parser.add_argument(
        "--folder", type=Path, default=None, help="where the databases are made (default: a temporary folder)"
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    at, sizes = moment(), []
    for messages in options.messages:
        with tempfile.TemporaryDirectory(prefix="csms-full-", dir=options.folder) as folder:
            sizes.append(measured(Path(folder), messages))
        print(table(sizes), flush=True)
    facts = {**machine(), **versions(csms_bin() / "python")}
    text = "\n".join(
        [f"# Full databases, {at}", "", table(sizes), "", *(f"- {name}: {fact}" for name, fact in facts.items()), ""]
    )
    options.results.mkdir(exist_ok=True)
    (options.results / f"full-{at.replace(':', '').replace('-', '')}.md").write_text(text)


if __name__ == "__main__":
    main()
