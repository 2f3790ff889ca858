"""Plugins that raise, hang, block, lie and leak, and rules that loop and flood: stations hardly notice, and the operator is told which.

    python tests/torture/bad_plugins.py --seed 7

Good stations beat and charge for so many seconds. Heartbeats are answered, transactions are whole and billed right. ``csms plugins`` names the
faults of each plugin, ``/api/v1/stalls`` the line that blocks, rules trip, and when the leak has eaten the memory that the site allows, the server
takes no new stations and serves those that it has; the operator's door stays open.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import time
from typing import Any

from torture_tool import Report, Run, main, percentile

# ruff: noqa: I001 - the tool makes the other folders known
from api_client import Api
from good_stations import GoodStation
from kill_stations import KillStation, KillStation16, KillStation201
from kill_verdict import Judge
from server_process import CLEAN_ENDS, PLUGINS, ServerProcess, csms_bin

GOOD, CHARGING = 10, 4
ANSWER_S = 2.0
"""No heartbeat takes longer, though one plugin blocks for 0.4 s at each start of a transaction."""
SLOW_S = 0.5
PATIENCE_S = 15.0
"""So long a slow machine may take until the leak and the flood are noticed."""
ALLOWED_MIB = 160
"""Of which the server needs some 100; the rest is for the leak."""
FILES = {
    "raises.py": """
        from csms.api import hookimpl

        class Raises:
            def __init__(self, settings, csms):
                pass

            @hookimpl
            def authorize(self, request):
                raise ZeroDivisionError("authorize is broken")

            @hookimpl
            def on_event(self, event):
                raise KeyError("no such event")
        """,
    "hangs.py": """
        from twisted.internet.defer import Deferred
        from csms.api import hookimpl

        class Hangs:
            def __init__(self, settings, csms):
                pass

            @hookimpl
            async def authorize(self, request):
                await Deferred()

            @hookimpl
            async def on_event(self, event):
                await Deferred()
        """,
    "lies.py": """
        from csms.api import hookimpl

        class Lies:
            def __init__(self, settings, csms):
                pass

            @hookimpl
            def authorize(self, request):
                return "of course"

            @hookimpl
            def answer_call(self, station, action, payload):
                return {"no": "such answer"} if action == "DataTransfer" else None
        """,
    "blocks.py": """
        import time
        from csms.api import TransactionStarted, hookimpl

        class Blocks:
            def __init__(self, settings, csms):
                pass

            @hookimpl
            def on_event(self, event):
                if isinstance(event, TransactionStarted):
                    time.sleep(0.4)
        """,
    "leaks.py": """
        from csms.api import TransactionUpdated, hookimpl

        class Leaks:
            def __init__(self, settings, csms):
                self.kept = []

            @hookimpl
            def on_event(self, event):
                if isinstance(event, TransactionUpdated):
                    self.kept.append(bytearray(b"x" * (1 << 20)))
        """,
}
RULES = """
[[rule]]
name = "echo"
on = "round.and.round"
reentrant = true
[[rule.do]]
raise = "round.and.round"

[[rule]]
name = "begin"
on = "tx.started"
[[rule.do]]
raise = "round.and.round"

[[rule]]
name = "flood"
on = "tx.updated"
key = "station.id"
mode = "parallel"
[[rule.do]]
send = "TriggerMessage"
with = { requestedMessage = "Heartbeat" }
else = []
"""


def prepare(server: ServerProcess) -> None:
    """The plugins and rules beside the site file, and the site file for them."""
    for name, text in FILES.items():
        lines = text.strip("\n").splitlines()
        (server.folder / name).write_text("\n".join(line[8:] for line in lines) + "\n")
    (server.folder / "rules").mkdir()
    (server.folder / "rules" / "bad.toml").write_text(RULES)
    names = [f"./{name}" for name in FILES] + list(PLUGINS)
    site = server.site_file.read_text()
    old = site[site.index("enabled = ") :].partition("\n")[0]
    limits = f'timeout = "{SLOW_S}s"\nbreaker_faults = 3\nbreaker_pause = "2s"'
    site = site.replace(
        old, f"enabled = {json.dumps(names)}\n{limits}\n\n[plugins.flow_rules]\nfiles = ['rules/*.toml']"
    )
    server.site_file.write_text(site.replace("\n[api]", f"max_memory = {ALLOWED_MIB}\n\n[api]"))


class Work:
    """The stations, and what the operator sees."""

    def __init__(self, run: Run, report: Report, server: ServerProcess) -> None:
        self._run, self._report, self._server = run, report, server
        self.good = [GoodStation(server.stations_url, f"GOOD-{n}") for n in range(GOOD)]
        kinds = (KillStation201, KillStation16)
        self.charging: list[KillStation] = [
            kinds[n % 2](f"CHARGE-{n}", run.random(f"station {n}")) for n in range(CHARGING)
        ]
        for station in self.charging:
            station.pause_s = 0.02

    async def work(self) -> None:
        """For so many seconds; then every station ends what it began."""
        stop = asyncio.Event()
        busy = [asyncio.create_task(station.live(stop)) for station in self.good]
        busy += [asyncio.create_task(self._talk(station, stop)) for station in self.charging]
        await asyncio.sleep(self._run.size)
        patience = time.monotonic() + PATIENCE_S
        while time.monotonic() < patience and not await asyncio.to_thread(self._had_enough):
            await asyncio.sleep(0.2)
        await asyncio.to_thread(self.look)
        full = await asyncio.to_thread(self._refused)
        stop.set()
        await asyncio.gather(*busy)
        self._report.expect(full, "the leak has eaten more than the site allows, and new connections were still taken")

    async def finish(self) -> None:
        """After the restart that an operator would make: every station ends what it began."""
        async with asyncio.timeout(30):
            for station in self.charging:
                while not station.done:
                    await station.talk(self._server.stations_url, finish=True)

    async def _talk(self, station: KillStation, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await station.talk(self._server.stations_url, until=stop)

    def _had_enough(self) -> bool:
        return self._refused() and bool(self._rules()["flood"]["tripped"])

    def _rules(self) -> dict[str, Any]:
        told = Api(self._server).expect(200, "GET", "/plugins/flow_rules/rules")["rules"]
        return {row["name"]: row for row in told}

    def _refused(self) -> bool:
        return "csms_accepting 0" in Api(self._server).request("GET", "/metrics").text

    def look(self) -> None:
        """What the operator sees."""
        plugins = {row["name"]: row for row in self._asked("plugins", "--json")}
        self._report.figures["faults"] = {name: row["faults"] for name, row in plugins.items() if row["faults"]}
        for name, words in {
            "raises": "authorize is broken|no such event",
            "hangs": "no answer within",
            "lies": "str",
        }.items():
            told = str(plugins[name]["last_fault"])
            self._report.expect(
                any(word in told for word in words.split("|")), f"plugin {name} is told to have: {told!r}"
            )
        stalls = Api(self._server).expect(200, "GET", "/api/v1/stalls")["items"]
        named = any(re.search(r"blocks\.py:\d+ ", row["place"]) for row in stalls)
        self._report.expect(named, f"no stall names blocks.py and a line: {stalls}")
        rules = self._rules()
        self._report.expect("loop: 8 rules led to this" in str(rules["echo"]), "the loop of rules was not ended")
        self._report.expect(rules["flood"]["tripped"], "the rule that floods did not trip")

    def reckon(self) -> None:
        """What the stations saw."""
        waits = [wait for station in self.good for wait in station.waits_s]
        slowest = max(waits, default=99.0)
        self._report.expect(slowest < ANSWER_S, f"a heartbeat took {slowest:.2f} s")
        for station in self.good:
            self._report.expect(
                not station.lost and not station.late, f"{station.name} lost its connection or an answer"
            )
        self._report.figures |= {"heartbeats": len(waits), "p99 ms": round(percentile(waits, 0.99) * 1000)}

    def _asked(self, *words: str) -> Any:
        command = [csms_bin() / "csms", *words, "--site", "site.toml"]
        done = subprocess.run(command, cwd=self._server.folder, capture_output=True, text=True, timeout=60)
        self._report.expect(done.returncode == 0, f"csms {' '.join(words)}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)


def torture(run: Run, report: Report) -> None:
    """Work among bad plugins, and the reckoning."""
    server = ServerProcess(run.folder)
    prepare(server)
    server.start()
    work = Work(run, report, server)
    try:
        server.wait_ready()
        api = Api(server)
        api.put_token("KILL", "Accepted")
        asyncio.run(work.work())
        work.reckon()
        report.expect(server.terminate() in CLEAN_ENDS, "SIGTERM did not end the server cleanly")
        server.start()
        server.wait_ready()
        asyncio.run(work.finish())
        judge = Judge(api)
        for station in work.charging:
            judge.finish(station)
            report.faults += station.errors
        report.faults += judge.verdict.faults
        report.figures["right bills"] = judge.verdict.bills - judge.verdict.wrong_bills
    finally:
        if server.running:
            server.kill()
    report.log_of(server)


if __name__ == "__main__":
    main("bad_plugins", __doc__ or "", "seconds", (8, 600), torture)
