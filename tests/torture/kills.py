"""Kill -9 at random moments under load, over and over, and look whether an answered event was lost or kept twice.

    python tests/torture/kills.py --size 200 --seed 7

Needs an environment in which the server is installed (the present one, or the folder in CSMS_BIN). In the present one each start is a fork of
a process that has imported the server (``forked_server.py``), which takes a tenth of the time; with CSMS_BIN it is a new ``twistd``. In the long
form independent servers run side by side, one for each processor. SIGTERM ends a run early, with the reckoning of what was done by then.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torture_tool import Report, Run, main

# ruff: noqa: I001 - the tool makes the other folders known
from api_client import Api
from forked_server import ForkedServer
from kill_books import with_backend
from kill_stations import KillStation, KillStation16, KillStation201
from kill_verdict import Judge, Verdict
from server_process import CLEAN_ENDS, ServerProcess
from side_by_side import FORK, processors, side_by_side

STATIONS = 20
EARLIEST_S, LATEST_S = 0.05, 0.4
"""The kill comes between so many seconds after the load starts."""
EARLY_KILLS = 0.1
"""So often the server is killed once more while it starts, before it is ready."""
STARTING = 1.2
"""That kill comes before so many times what the last start took."""
LOOK_EVERY = 5
"""What was answered and is lost stays lost: no station says it again."""
FINISH_S = 60.0
LONGEST_S = 86_400
ENOUGH = FORK.Event()
"""Set when no further kill is wanted."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run found; ``exit_code`` is that of the last, orderly end."""

    cycles: int
    seed: int
    answers: int
    repeats: int
    transactions: int
    slowest_ready_s: float
    seconds: float
    errors: tuple[str, ...]
    exit_code: int
    verdict: Verdict

    @property
    def clean(self) -> bool:
        """Nothing lost, doubled, billed wrongly or refused, and a clean end."""
        return self.verdict.clean and not self.errors and self.exit_code in CLEAN_ENDS

    def __str__(self) -> str:
        """One line for people and for logs."""
        found = self.verdict
        return (
            f"{'ok' if self.clean else 'FAILED'}: seed {self.seed}, {self.cycles} kills, {self.answers} answers, {self.repeats} repeats, "
            f"{self.transactions} transactions; events lost {found.lost}, doubled {found.doubled}; bills {found.bills}, wrong {found.wrong_bills}; "
            f"errors answered {len(self.errors)}; slowest start {self.slowest_ready_s:.2f} s; {self.seconds:.0f} s in all"
        )


class Harness:
    """One run: a server, its stations, their judge."""

    def __init__(self, server: ServerProcess, *, cycles: int, seed: int, say: Callable[[str], None]) -> None:
        self._server = server
        self._cycles = cycles
        self._seed = seed
        self._say = say
        self._random = random.Random(seed)
        self._stations = [self._station(number) for number in range(STATIONS)]
        self._judge = Judge(Api(server))
        self._slowest = self._last_start = 0.0
        self._kills = 0

    def _station(self, number: int) -> KillStation:
        kind = KillStation16 if number % 2 else KillStation201
        return kind(f"KILL-{number:02}", random.Random(self._random.getrandbits(64)))

    async def run(self) -> Outcome:
        """All cycles and the reckoning."""
        began = time.monotonic()
        self._start()
        Api(self._server).put_token("KILL", "Accepted")
        for cycle in range(1, self._cycles + 1):
            if ENOUGH.is_set():
                break
            await self._load_and_kill()
            self._kills = cycle
            if self._random.random() < EARLY_KILLS:
                self._kill_while_starting()
            self._start()
            if cycle % LOOK_EVERY == 0:
                for station in self._stations:
                    self._judge.look(station)
            if cycle % 10 == 0 or not self._judge.verdict.clean:
                self._say(f"{cycle} kills, {self._answers()} answers, {len(self._judge.verdict.faults)} faults")
        await self._finish()
        for station in self._stations:
            self._judge.finish(station)
        self._judge.books(self._server.folder)
        return self._outcome(self._server.terminate(), time.monotonic() - began)

    def _start(self) -> None:
        self._server.start()
        self._last_start = self._server.wait_ready()
        self._slowest = max(self._slowest, self._last_start)

    def _kill_while_starting(self) -> None:
        self._server.start()
        time.sleep(self._random.uniform(0.0, STARTING * self._last_start))
        self._server.kill()

    async def _load_and_kill(self) -> None:
        """All stations talk; after a random while the server is gone, and they notice."""
        talking = [asyncio.create_task(station.talk(self._server.stations_url)) for station in self._stations]
        await asyncio.sleep(self._random.uniform(EARLIEST_S, LATEST_S))
        self._server.kill()
        await asyncio.gather(*talking)

    async def _finish(self) -> None:
        """Every station ends what it began."""
        url = self._server.stations_url
        async with asyncio.timeout(FINISH_S):
            await asyncio.gather(*(station.talk(url, finish=True) for station in self._stations))

    def _answers(self) -> int:
        return sum(station.answers for station in self._stations)

    def _outcome(self, exit_code: int, seconds: float) -> Outcome:
        return Outcome(
            cycles=self._kills,
            seed=self._seed,
            answers=self._answers(),
            repeats=sum(station.repeats for station in self._stations),
            transactions=sum(len(station.charges) for station in self._stations),
            slowest_ready_s=self._slowest,
            seconds=seconds,
            errors=tuple(error for station in self._stations for error in station.errors),
            exit_code=exit_code,
            verdict=self._judge.verdict,
        )


def run(folder: Path, *, cycles: int, seed: int, say: Callable[[str], None] = print, forked: bool = False) -> Outcome:
    """Run the cycles with a server in ``folder``; whatever happens, no server is left behind. ``forked``: without Python's own start each time."""
    server = (ForkedServer if forked else ServerProcess)(folder)
    with_backend(server.site_file)
    try:
        return asyncio.run(Harness(server, cycles=cycles, seed=seed, say=say).run())
    finally:
        if server.running:
            server.kill()


def torture(this: Run, report: Report) -> None:
    """As one of the tools."""
    signal.signal(signal.SIGTERM, lambda *_: ENOUGH.set())
    width = processors() if this.long else 1
    runs = [(this.seed + number, this.size // width + (number < this.size % width)) for number in range(width)]
    outcomes = []
    for (seed, cycles), outcome in side_by_side(lambda one: _one(this, *one), runs, width=width, longest_s=LONGEST_S):
        again = f"\n  python tests/torture/kills.py --seed {seed} --size {cycles}"
        if isinstance(outcome, str):
            report.fault(f"the run {outcome}{again}")
            continue
        report.faults += [f"{fault}{again}" for fault in (*outcome.verdict.faults, *outcome.errors)]
        report.expect(outcome.clean, f"{outcome}{again}")
        outcomes.append(outcome)
        this.say(str(outcome))
    for figure in ("cycles", "answers", "repeats", "transactions"):
        report.figures[figure] = sum(getattr(outcome, figure) for outcome in outcomes)


def _one(this: Run, seed: int, cycles: int) -> Outcome:
    folder = this.folder / f"seed-{seed}"
    folder.mkdir()
    say = (lambda text: this.say(f"seed {seed}: {text}")) if this.long else this.say
    return run(folder, cycles=cycles, seed=seed, say=say, forked="CSMS_BIN" not in os.environ)


if __name__ == "__main__":
    main("kills", __doc__ or "", "kills", (200, 10_000), torture)
