"""Throw right, wrong and senseless frames at a whole server in this process: each is answered as it has to be, or the connection closed.

    python tests/torture/frames.py --size 50000 --seed 7

A house is built for every 5,000 frames; the command that repeats the one in which something was found stands with it.
"""

from __future__ import annotations

import ctypes
import gc
import random
import resource
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from autobahn.twisted import websocket as upper
from autobahn.websocket import protocol as lower
from torture_tool import Report, Run, main

from csms.ocpp.schemas import schemas_of

# ruff: noqa: I001 - the tool makes the other folders known
from frame_house import STATIONS, STEP_S, Client, FrameHouse, Troubles
from frame_makers import Attempt, bomb
from frame_payloads import V16, V201
from frame_wire import Broken
from side_by_side import processors, side_by_side

HOUSE = 5_000
"""Frames in the life of one house."""
LOOK_EVERY = 100
MOST_FAULTS = 20
PATIENCE_S = 900.0
"""So long a command may stay open: retries, waits and all."""
MOST_GROWTH_MIB = 48
"""Of a house in the second half of its life."""
LONGEST_S = 600
"""So long a house may live."""
ODD_ID = "Säule 7 <b>"


class Fuzz:
    """One house and its stations: some that send anything, and two neighbours that must not notice."""

    def __init__(self, folder: Path, seed: int, report: Report, troubles: Troubles) -> None:
        self._seed = seed
        self._report = report
        self._dice = random.Random(seed)
        self.server = FrameHouse(folder, troubles)
        names = [ODD_ID, *(f"FUZZ-{number}" for number in range(1, len(STATIONS)))]
        self.clients = [self._client(name, *kind) for name, kind in zip(names, STATIONS, strict=True)]
        self.neighbours = [self._client(f"GOOD-{protocol[4:]}", protocol, False) for protocol in (V16, V201)]
        self.kinds: Counter[str] = Counter()
        self.frames = 0

    def _client(self, name: str, protocol: str, deflate: bool) -> Client:
        client = Client(self.server, name, protocol, deflate=deflate, dice=random.Random(f"{self._seed}/{name}"))
        client.boot()
        return client

    def run(self, size: int) -> None:
        """So many frames."""
        for _ in range(size):
            if len(self._report.faults) >= MOST_FAULTS:
                return
            self._one()
            if self.frames % LOOK_EVERY == 0:
                self._look()
        for wrong in self.server.wrong_in_the_database():
            self._fault("the database", wrong)

    def close(self) -> None:
        """Everybody goes; what was ordered ends, and nothing is left that nobody handled."""
        everybody = (*self.clients, *self.neighbours)
        for client in everybody:
            client.hang_up()
        for _ in range(int(PATIENCE_S / 10)):
            self.server.clock.advance(10)
        for client in everybody:
            if client.orders:
                self._fault(client.id, f"{len(client.orders)} commands never end")
        self.server.close()
        gc.collect()
        for trouble in self.server.troubles.taken():
            self._fault("the end", trouble)

    def _one(self) -> None:
        client = self._dice.choice(self.clients)
        if self._dice.random() < 0.1 and len(client.orders) < 3:
            client.order()
        client.tell_maker()
        attempt = client.maker.attempt()
        self.frames += 1
        self.kinds[attempt.kind] += 1
        self._try(client, attempt)
        self._pass(STEP_S)

    def _try(self, client: Client, attempt: Attempt) -> None:
        try:
            client.throw(attempt)
        except Broken as broken:
            self._fault(f"{client.maker.protocol} {attempt.kind} {attempt.shown[:700]}", str(broken))
            client.lose()
        for trouble in self.server.troubles.taken():
            self._fault(f"{client.maker.protocol} {attempt.kind} {attempt.shown[:700]}", trouble)

    def _pass(self, seconds: float) -> None:
        self.server.clock.advance(seconds)
        for client in (*self.clients, *self.neighbours):
            try:
                client.listen()
            except Broken as broken:
                self._fault(client.id, str(broken))
                client.lose()

    def _look(self) -> None:
        """The neighbours are served, and everybody who sends a good call is; now and then time passes, and connections are lost."""
        for client in (*self.neighbours, *self.clients):
            client.maker.calls.clear() if client in self.neighbours else None
            self._try(client, client.maker.right_call("BootNotification"))
            client.tell_maker()
            self._try(client, client.maker.right_call("Heartbeat"))
            if any(self.server.clock.seconds() - began > PATIENCE_S for began in client.orders.values()):
                self._fault(client.id, "a command never ends")
                client.orders.clear()
        if self._dice.random() < 0.3:
            for _ in range(self._dice.choice((7, 40, 300))):
                self._pass(1.0)
        if self._dice.random() < 0.3:
            self._dice.choice(self.clients).lose()

    def _fault(self, what: str, wrong: str) -> None:
        self._report.fault(
            f"{wrong}\n  after frame {self.frames}: {what}\n  python tests/torture/frames.py --seed {self._seed} --size {HOUSE}"
        )


def torture(this: Run, report: Report) -> None:
    """As one of the tools. In the long form houses live side by side, one for each processor."""
    troubles = prepare(this.folder)
    began, done, kinds, growth = time.monotonic(), 0, Counter[str](), 0
    houses = [
        (this.seed + number, min(HOUSE, this.size - start)) for number, start in enumerate(range(0, this.size, HOUSE))
    ]
    width = processors() if this.long else 1
    lives = side_by_side(lambda house: _live(this.folder, troubles, *house), houses, width=width, longest_s=LONGEST_S)
    for number, ((seed, size), life) in enumerate(lives, 1):
        if isinstance(life, str):
            life = Life(size, faults=[f"house {seed} {life}"])
        for fault in life.faults:
            report.fault(fault)
            if this.long:
                this.say(f"found: {fault}")
        done += life.frames
        kinds += life.kinds
        growth = max(growth, life.growth_mib)
        if number % 10 == 0:
            this.say(f"{done:,} frames, {len(report.faults)} faults")
        if len(report.faults) >= MOST_FAULTS:
            break
    report.figures["frames"] = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    report.figures["a second"] = round(done / (time.monotonic() - began))
    report.figures["most growth"] = f"{growth} MiB"


def decorate_nothing() -> None:
    """Autobahn makes texts in colour for its debug log, which nobody reads here."""
    upper.hltype = upper.hlval = lower.hltype = lower.hlval = lower.pformat = type


def compile_all(protocol: str) -> None:
    """Every schema of a version; else each house compiles what it meets."""
    schemas = schemas_of(protocol)
    for action in schemas.actions:
        schemas.problems(action, {})
        if action not in schemas.unconfirmed:
            schemas.problems(action, {}, answer=True)


def prepare(folder: Path) -> Troubles:
    """Do what every house would have to do anew, for their processes inherit it; gives what hears the log in all of them."""
    bomb()
    decorate_nothing()
    for protocol in (V16, V201):
        compile_all(protocol)
    troubles = Troubles()
    with tempfile.TemporaryDirectory(dir=folder) as home:
        Fuzz(Path(home), 0, Report(), troubles).close()
    gc.collect()
    gc.freeze()
    return troubles


@dataclass(slots=True)
class Life:
    """What became of one house."""

    frames: int
    kinds: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    growth_mib: int = 0


def _live(folder: Path, troubles: Troubles, seed: int, size: int) -> Life:
    report = Report()
    with tempfile.TemporaryDirectory(dir=folder) as home:
        fuzz = Fuzz(Path(home), seed, report, troubles)
        fuzz.run(size // 2)
        before = _resident_mib()
        fuzz.run(size - size // 2)
        growth = _resident_mib() - before
        fuzz.close()
    report.expect(growth <= MOST_GROWTH_MIB, f"house {seed} grew by {growth} MiB in its second half")
    return Life(fuzz.frames, fuzz.kinds, report.faults, growth)


def _resident_mib() -> int:
    """What the process holds when all that is free was given back: one call of many megabytes leaves holes, which are no leak."""
    gc.collect()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1]) if Path("/proc/self/statm").exists() else 0
    return pages * resource.getpagesize() >> 20


if __name__ == "__main__":
    main("frames", __doc__ or "", "frames", (50_000, 10_000_000), torture)
