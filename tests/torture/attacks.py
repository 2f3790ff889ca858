"""The attack mix: how long good stations wait for their answers while others attack, and what that costs in memory.

    python tests/torture/attacks.py --long

Good stations beat quietly, first alone, then for so many seconds beside sockets that say nothing, drip, send endless headers, deflate bombs, floods
and garbage (``attackers.py``), which run in a process of their own. In the long form there are 500 good stations, and their 99th percentile has to
stay below 200 ms; in the short form, which is for busy machines, nobody's connection may be lost and no answer be missing.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections import Counter
from pathlib import Path
from typing import Any

from torture_tool import Report, Run, main, percentile

# ruff: noqa: I001 - the tool makes the other folders known
import random
from attackers import Attack, Attacker, again_and_again, bombing, dripping, flooding, raving, silent
from good_stations import GoodStation
from over_tls import Door
from server_process import CLEAN_ENDS, ServerProcess

LONGEST_P99_MS, MORE_MIB = 200, 64
GOOD, GOOD_LONG = 20, 500
BEATS_S, BEATS_LONG_S = 0.2, 5.0
QUIET_SHARE, LONGEST_QUIET_S = 0.25, 60.0
AT_ONCE = 50
"""Good stations that connect at the same time: all of them share one address."""
HEADERS = b"GET /ocpp/BOAST HTTP/1.1\r\nHost: x\r\n" + b"X-More: and more\r\n" * 10_000


async def boasting(attack: Attack) -> None:
    """A header without an end."""
    socket = await attack.connect()
    await socket.send(HEADERS)
    attack.done[f"headers answered with {await answer_of(socket)}"] += 1
    socket.close()
    await attack.rest(0.1)


async def answer_of(socket: Attacker) -> int:
    """The status that came, 0 where the connection was cut."""
    try:
        await socket.read_head()
    except (OSError, EOFError, TimeoutError, ValueError):
        return 0
    return socket.status


MIX = ((silent, 40), (dripping, 40), (boasting, 2), (bombing, 1), (flooding, 2), (raving, 2))


def assail(port: int, seconds: float, seed: int, told: Any) -> None:
    """The attackers' process."""

    async def all_at_once() -> dict[str, int]:
        attack = Attack(Door(port), "GOOD-0", "NOBODY", random.Random(seed))
        kinds = [kind for kind, many in MIX for _ in range(many)]
        bad = [asyncio.create_task(again_and_again(kind, attack)) for kind in kinds]
        await asyncio.sleep(seconds)
        attack.over.set()
        await asyncio.gather(*bad)
        return dict(attack.done)

    told.put(asyncio.run(all_at_once()))


async def hold(run: Run, report: Report, server: ServerProcess) -> Counter[str]:
    """Good stations alone, then attacked; gives what the attackers did."""
    every_s = BEATS_LONG_S if run.long else BEATS_S
    good = [
        GoodStation(server.stations_url, f"GOOD-{n}", every_s=every_s) for n in range(GOOD_LONG if run.long else GOOD)
    ]
    stop, busy = asyncio.Event(), []
    for start in range(0, len(good), AT_ONCE):
        busy += [asyncio.create_task(one.live(stop)) for one in good[start : start + AT_ONCE]]
        async with asyncio.timeout(60):
            while not all(one.waits_s for one in good[: start + AT_ONCE]):
                await asyncio.sleep(0.05)
    spawned = multiprocessing.get_context("spawn")
    told = spawned.Queue()
    for one in good:
        one.waits_s.clear()
    await asyncio.sleep(max(min(run.size * QUIET_SHARE, LONGEST_QUIET_S), every_s))
    quiet = [wait for one in good for wait in one.waits_s]
    before = server.resident_kib() >> 10
    for one in good:
        one.waits_s.clear()
    attacking = spawned.Process(target=assail, args=(server.port, float(run.size), run.seed, told), daemon=True)
    attacking.start()
    done: dict[str, int] = await asyncio.to_thread(told.get, True, run.size + 60)
    attacked = [wait for one in good for wait in one.waits_s]
    stop.set()
    await asyncio.gather(*busy)
    attacking.join(10)
    judge(run, report, good, quiet, attacked, before, server.resident_kib() >> 10)
    return Counter(done)


def judge(
    run: Run,
    report: Report,
    good: list[GoodStation],
    quiet: list[float],
    attacked: list[float],
    before: int,
    after: int,
) -> None:
    """What was promised, and the figures."""
    for one in good:
        report.expect(not one.lost and not one.late, f"{one.name}: {one.lost} connections lost, {one.late} late")
    p99 = round(percentile(attacked, 0.99) * 1000)
    report.expect(not run.long or p99 <= LONGEST_P99_MS, f"the 99th percentile is {p99} ms, {LONGEST_P99_MS} promised")
    report.expect(after <= before + MORE_MIB, f"memory grew from {before} to {after} MiB")
    report.figures |= {
        "good stations": len(good),
        "answers alone and attacked": f"{len(quiet)} {len(attacked)}",
        "p99 ms alone and attacked": f"{round(percentile(quiet, 0.99) * 1000)} {p99}",
        "worst ms": round(max(attacked, default=0.0) * 1000),
        "MiB before and after": f"{before} {after}",
    }


def torture(run: Run, report: Report) -> None:
    """One siege."""
    server = ServerProcess(Path(run.folder))
    server.start()
    try:
        server.wait_ready()
        done = asyncio.run(hold(run, report, server))
        report.expect(server.terminate() in CLEAN_ENDS, "SIGTERM did not end the server cleanly")
    finally:
        if server.running:
            server.kill()
    report.log_of(server)
    for kind in ("headers answered with", "bombs closed with", "flood frames"):
        report.expect(any(name.startswith(kind) for name in done), f"the attackers never got to: {kind}")
    report.figures["the bad"] = dict(sorted(done.items()))


if __name__ == "__main__":
    main("attacks", __doc__ or "", "seconds", (3, 3600), torture)
