"""The crowd before the door: who begins, who waits, in which order, and for how long."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from csms.crowd import LOOK_S, PATIENCE_S, Crowd, Places


class Guest:
    """A connection that writes down what it is told."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.told: list[str] = []

    def begin(self) -> None:
        self.told.append("begin")

    def wait(self) -> None:
        self.told.append("wait")

    def cut_off(self) -> None:
        self.told.append("cut off")


def crowd(clock: Clock | None = None, *, at_once: int = 100, of_one: int = 2, waiting: int = 3) -> Crowd:
    return Crowd(Places(at_once, of_one, waiting), clock or Clock())


def test_beyond_its_places_an_address_waits_and_others_do_not() -> None:
    room = crowd()
    guests = [Guest("A") for _ in range(6)]
    assert [room.came(one) for one in guests] == [True] * 5 + [False]
    assert [one.told for one in guests] == [["begin"]] * 2 + [["wait"]] * 3 + [["cut off"]]
    other = Guest("B")
    room.came(other)
    assert other.told == ["begin"]


def test_who_is_through_lets_the_next_of_its_address_begin_in_the_order_of_coming() -> None:
    room = crowd()
    guests = [Guest("A") for _ in range(5)]
    for one in guests:
        room.came(one)
    room.left(guests[0])
    room.left(guests[1])
    assert [one.told for one in guests[2:]] == [["wait", "begin"], ["wait", "begin"], ["wait"]]


def test_who_is_gone_before_its_turn_is_passed_over() -> None:
    room = crowd()
    guests = [Guest("A") for _ in range(5)]
    for one in guests:
        room.came(one)
    room.left(guests[2])
    room.left(guests[0])
    assert guests[2].told == ["wait"]
    assert guests[3].told == ["wait", "begin"]
    assert room.waiting == 1


def test_where_the_whole_door_is_full_addresses_take_turns() -> None:
    room = crowd(at_once=1, of_one=1, waiting=10)
    first, *waiting = [Guest(address) for address in "AAAAB"]
    for one in (first, *waiting):
        room.came(one)
    order = []
    present = first
    while room.waiting:
        room.left(present)
        present = next(one for one in waiting if one.told == ["wait", "begin"] and one not in order)
        order.append(present)
    assert [one.address for one in order] == ["A", "B", "A", "A"]


def test_who_has_waited_for_too_long_is_cut_off() -> None:
    clock = Clock()
    room = crowd(clock)
    guests = [Guest("A") for _ in range(4)]
    for one in guests[:3]:
        room.came(one)
    clock.advance(PATIENCE_S - 1)
    room.came(guests[3])
    clock.advance(LOOK_S)
    assert [one.told for one in guests[2:]] == [["wait", "cut off"], ["wait"]]
    assert room.waiting == 1


def test_an_empty_room_leaves_no_timer() -> None:
    clock = Clock()
    room = crowd(clock)
    guests = [Guest("A") for _ in range(3)]
    for one in guests:
        room.came(one)
    assert clock.getDelayedCalls()
    room.left(guests[2])
    assert clock.getDelayedCalls() == []


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 5)), max_size=60))
def test_never_more_than_the_limits_and_nobody_waits_where_there_is_room(steps: list[tuple[str, int]]) -> None:
    room = crowd(at_once=4, of_one=2, waiting=5)
    inside: list[Guest] = []
    for address, which in steps:
        if which < 3:
            guest = Guest(address)
            if room.came(guest):
                inside.append(guest)
        elif inside:
            room.left(inside.pop(which % len(inside)))
        begun = Counter(one.address for one in inside if one.told[-1] == "begin")
        waits = Counter(one.address for one in inside if one.told == ["wait"])
        assert begun.total() <= 4
        assert max(begun.values(), default=0) <= 2
        assert waits.total() == room.waiting <= 5
        assert begun.total() == 4 or all(begun[address] == 2 for address in waits)
