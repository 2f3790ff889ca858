"""The doors close before the descriptors or the memory are used up, and open again with some room."""

from __future__ import annotations

import os

from twisted.internet.task import Clock

from csms.strain import LOOK_S, Strain, descriptor_limit, lowest_free, resident_bytes


class FakeDoor:
    """A listening port."""

    open = True

    def stopReading(self) -> None:
        self.open = False

    def startReading(self) -> None:
        self.open = True


class FakeProcess:
    """What a process has in use."""

    used, limit, memory = 100, 1024, 50 << 20

    def strain(self, clock: Clock, max_memory: int = 0) -> Strain:
        return Strain(
            clock,
            max_memory=max_memory,
            descriptors=lambda: self.used,
            limit=lambda: self.limit,
            memory=lambda: self.memory,
        )


def test_doors_close_near_the_limit_and_open_with_room() -> None:
    clock, door, process = Clock(), FakeDoor(), FakeProcess()
    strain = process.strain(clock)
    strain.start([door, object()])
    seen = []
    for process.used in (100, 895, 896, 895, 769, 767):
        clock.advance(LOOK_S)
        seen.append(door.open)
    assert seen == [True, True, False, False, False, True]
    assert strain.why == ""
    strain.stop()


class FakeFactory:
    """Builds a protocol for every connection."""

    def buildProtocol(self, address: object) -> str:
        return "protocol"


def test_connections_between_two_looks_do_not_use_up_what_is_kept() -> None:
    process, door = FakeProcess(), FakeDoor()
    strain = process.strain(Clock())
    stations, operators = strain.guarded(FakeFactory()), strain.guarded(FakeFactory(), operators=True)
    strain.start([door])
    built = {}
    for process.used in (895, 896, 959, 960):
        built[process.used] = stations.buildProtocol(None), operators.buildProtocol(None)
    assert built == {
        895: ("protocol", "protocol"),
        896: (None, "protocol"),
        959: (None, "protocol"),
        960: (None, None),
    }
    assert not door.open
    strain.stop()


def test_doors_close_when_memory_is_short() -> None:
    clock, door, process = Clock(), FakeDoor(), FakeProcess()
    strain = process.strain(clock, max_memory=100 << 20)
    strain.start([door])
    seen = []
    for mib in (99, 101, 99, 94):
        process.memory = mib << 20
        clock.advance(LOOK_S)
        seen.append(door.open)
    assert seen == [True, False, False, True]
    strain.stop()


def test_the_operators_door_is_open_for_longer() -> None:
    clock, door, operators, process = Clock(), FakeDoor(), FakeDoor(), FakeProcess()
    strain = process.strain(clock, max_memory=100 << 20)
    strain.start([door], [operators])
    seen = []
    for process.used, mib in ((100, 50), (100, 101), (959, 50), (960, 50), (1024, 50), (959, 50)):
        process.memory = mib << 20
        clock.advance(LOOK_S)
        seen.append((door.open, operators.open))
    assert seen == [(True, True), (False, True), (False, True), (False, False), (False, False), (False, True)]
    strain.stop()


def test_the_lowest_free_descriptor_tells_how_many_are_used() -> None:
    before = lowest_free()
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(20)]
    after = lowest_free()
    for one in opened:
        os.close(one)
    assert before + 20 <= after <= descriptor_limit()
    assert lowest_free() == before


def test_the_process_has_some_memory() -> None:
    assert resident_bytes() > 1 << 20
