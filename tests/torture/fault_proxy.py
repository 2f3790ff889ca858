"""Bad weather between stations and server: delayed, split, repeated, damaged, stalled, swallowed data, connections reset and half closed, by a seed.

    python tests/torture/fault_proxy.py --seed 7

Stations work through a proxy (``weather.py``) that treats every piece of data in its own way. They repeat what was not answered, as real ones do, and
some forget a reading that was not answered after a few tries. Then the weather gets good, every station finishes what it began, and the model of what
was answered is held against the server: every answered event is there once, every transaction is whole, or says exactly what it lacks.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable

from torture_tool import Report, Run, main

# ruff: noqa: I001 - the tool makes the other folders known
from api_client import Api
from kill_stations import KillStation, KillStation16, KillStation201
from kill_verdict import Judge
from server_process import CLEAN_ENDS, HOST, ServerProcess
from weather import Proxy, Weather

STATIONS = 20
FORGETFUL = 2
"""One station in so many forgets a reading that was not answered after TRIES tries."""
TRIES = 2
LATE_S = 1.0
FINISH_S = 60.0
SITE = '\n[transactions]\nask_after = "1s"\nask_again = "1s"\nask_tries = 2\n'


async def storm(stations: list[KillStation], url: str, answers: int, proxy: Proxy) -> None:
    """Work in bad weather until so much is answered, then finish in good weather."""
    stop = asyncio.Event()

    async def talk(station: KillStation) -> None:
        while not stop.is_set():
            await station.talk(url, until=stop)
            await asyncio.sleep(0.02)

    talking = [asyncio.create_task(talk(station)) for station in stations]
    async with asyncio.timeout(30 + answers / 20):
        while sum(station.answers for station in stations) < answers:
            await asyncio.sleep(0.1)
    proxy.clear_up()
    stop.set()
    await asyncio.gather(*talking)
    async with asyncio.timeout(FINISH_S):
        await asyncio.gather(*(finish(station, url) for station in stations))


async def finish(station: KillStation, url: str) -> None:
    """End what it began; a connection that hangs half-open keeps its successor out until the server has pinged it."""
    while not station.done:
        await station.talk(url, finish=True)
        await asyncio.sleep(0.1)


def made(number: int, chance: random.Random) -> KillStation:
    """One of the stations: every second speaks 1.6."""
    kind = (KillStation201, KillStation16)[number % 2]
    forgets = TRIES if number // 2 % FORGETFUL == 0 else 0
    return kind(f"WEATHER-{number:02}", chance, patience_s=LATE_S, forgets_after=forgets, strays=True)


def reckon(api: Api, stations: Iterable[KillStation], report: Report) -> None:
    """What was answered against what is kept."""
    judge = Judge(api)
    for station in stations:
        judge.finish(station)
        report.faults += station.errors
    report.faults += judge.verdict.faults
    report.figures |= {
        "answers": sum(station.answers for station in stations),
        "repeats": sum(station.repeats for station in stations),
        "transactions": sum(len(station.charges) for station in stations),
        "with holes": judge.verdict.holed,
        "right bills": judge.verdict.bills - judge.verdict.wrong_bills,
    }


def torture(run: Run, report: Report) -> None:
    """Bad weather, good weather, reckoning."""
    server = ServerProcess(run.folder, more=SITE)
    server.start()
    proxy: Proxy | None = None
    stations = [made(number, run.random(f"station {number}")) for number in range(STATIONS)]
    try:
        server.wait_ready()
        api = Api(server)
        api.put_token("KILL", "Accepted")
        proxy = Proxy(Weather(run.random("weather")), server.port)
        proxy.start()
        asyncio.run(storm(stations, f"ws://{HOST}:{proxy.port}/ocpp", run.size, proxy))
        reckon(api, stations, report)
        report.figures["faults made"] = dict(sorted(proxy.weather.counts.items()))
        report.expect(server.terminate() in CLEAN_ENDS, "SIGTERM did not end the server cleanly")
    finally:
        if proxy is not None:
            proxy.stop()
        if server.running:
            server.kill()
    report.log_of(server)


if __name__ == "__main__":
    main("fault_proxy", __doc__ or "", "answers in bad weather", (500, 100_000), torture)
