"""The search of the message log: what is found, in which order, in parts of any size, and that a part is short."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from csms.model.messages import Direction, FoundMessage, MessageKind, MessageQuery, MessagesFound
from csms.store import message_search
from csms.store.inline import InlineStore

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
CODE = "FormationViolation"


def at(seconds: float) -> datetime:
    """So many seconds after the beginning."""
    return T0 + timedelta(seconds=seconds)


def outcome(work: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine of an inline store gives, at once."""
    found: list[Any] = []
    Deferred.fromCoroutine(work).addCallbacks(found.append, lambda failure: failure.raiseException())
    (one,) = found
    return one


@pytest.fixture
def store() -> Iterator[InlineStore]:
    """An empty store that does all at once."""
    made = InlineStore(Clock())
    outcome(made.open())
    yield made
    outcome(made.close())


def log(store: InlineStore, station: str, second: float, direction: str, *frame: object, ascii: bool = True) -> None:
    """One frame, in the file at once, in a row of its own."""
    store.messages.log(station, at(second), direction, json.dumps(frame, ensure_ascii=ascii))
    outcome(store.messages.flush())


def parts(store: InlineStore, *, limit: int = 100, **query: Any) -> list[MessagesFound]:
    """Every part of a search."""
    found: list[MessagesFound] = []
    before = None
    while not found or before is not None:
        found.append(outcome(store.messages.search(MessageQuery(**query), before=before, limit=limit)))
        before = found[-1].before
    return found


def every(store: InlineStore, **query: Any) -> list[FoundMessage]:
    """All that a search finds."""
    return [one for part in parts(store, **query) for one in part.found]


def ids(store: InlineStore, **query: Any) -> list[int]:
    """The numbers of what a search finds, the first being 1."""
    return [one.message.id for one in every(store, **query)]


@pytest.fixture
def told(store: InlineStore) -> InlineStore:
    """Two stations and some frames: 1 to 4 of a right call and a wrong one, 5 and 6 a command, 7 and 8 a start in 1.6, 9 no message."""
    log(store, "CS1", 1, "in", 2, "a", "TransactionEvent", {"transactionInfo": {"transactionId": "T-1"}})
    log(store, "CS1", 2, "out", 3, "a", {})
    log(store, "CS2", 3, "in", 2, "a", "Authorize", {"idTag": "Größe 7"})
    log(store, "CS2", 4, "out", 4, "a", CODE, "", {})
    log(store, "CS1", 5, "out", 2, "b", "Reset", {"type": "OnIdle"})
    log(store, "CS1", 20, "in", 3, "b", {"status": "Accepted"})
    log(store, "CS2", 21, "in", 2, "c", "StartTransaction", {"idTag": "Authorize"})
    log(store, "CS2", 22, "out", 3, "c", {"transactionId": 17, "idTagInfo": {"status": "Accepted"}})
    log(store, "CS2", 23, "in", "no message")
    return store


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({}, [9, 8, 7, 6, 5, 4, 3, 2, 1]),
        ({"stations": ("CS2",)}, [9, 8, 7, 4, 3]),
        ({"stations": ("CS1", "CS2")}, [9, 8, 7, 6, 5, 4, 3, 2, 1]),
        ({"stations": ("CS3",)}, []),
        ({"direction": Direction.OUT}, [8, 5, 4, 2]),
        ({"kind": MessageKind.CALL}, [7, 5, 3, 1]),
        ({"kind": MessageKind.RESULT}, [8, 6, 2]),
        ({"kind": MessageKind.ERROR}, [4]),
        ({"kind": MessageKind.OTHER}, [9]),
        ({"action": "Authorize"}, [3]),
        ({"action": "Reset"}, [5]),
        ({"action": "Reset", "kind": MessageKind.RESULT}, [6]),
        ({"action": "Authorize", "kind": MessageKind.ERROR}, [4]),
        ({"action": "Reset", "kind": MessageKind.ERROR}, []),
        ({"message_id": "a"}, [4, 3, 2, 1]),
        ({"message_id": "a", "stations": ("CS1",)}, [2, 1]),
        ({"error_code": CODE}, [4]),
        ({"error_code": "GenericError"}, []),
        ({"transaction": "T-1"}, [1]),
        ({"transaction": "17"}, [8]),
        ({"transaction": "1"}, []),
        ({"text": "Größe 7"}, [3]),
        ({"text": '"status": "Accepted"'}, [8, 6]),
        ({"text": "größe 7"}, []),
        ({"since": at(20)}, [9, 8, 7, 6]),
        ({"until": at(20)}, [5, 4, 3, 2, 1]),
        ({"since": at(3), "until": at(5)}, [4, 3]),
        ({"since": at(24)}, []),
        ({"until": at(1)}, []),
    ],
)
def test_what_fits_is_found_the_newest_first(told: InlineStore, query: dict[str, Any], numbers: list[int]) -> None:
    assert ids(told, **query) == numbers
    assert ids(told, **query, limit=1) == numbers
    assert ids(told, **query, limit=2) == numbers


@pytest.mark.parametrize("ascii", [True, False])
def test_letters_beyond_ascii_are_found_however_they_are_written(store: InlineStore, ascii: bool) -> None:
    log(store, "CS1", 1, "in", 2, "ü-1", "Authorize", {"idTag": 'a "Größe"'}, ascii=ascii)
    for query in ({"text": "Größe"}, {"text": 'a "G'}, {"message_id": "ü-1"}):
        assert ids(store, **query) == [1], query


def test_a_frame_comes_with_its_other_side(told: InlineStore) -> None:
    sides = {
        one.message.id: (one.kind.value, one.action, one.error_code, one.other and one.other.id) for one in every(told)
    }
    assert sides == {
        1: ("call", "TransactionEvent", None, 2),
        2: ("result", "TransactionEvent", None, 1),
        3: ("call", "Authorize", None, 4),
        4: ("error", "Authorize", CODE, 3),
        5: ("call", "Reset", None, 6),
        6: ("result", "Reset", None, 5),
        7: ("call", "StartTransaction", None, 8),
        8: ("result", "StartTransaction", None, 7),
        9: ("other", None, None, None),
    }


def test_an_answer_to_an_older_call_with_the_same_id_is_not_its_other_side(store: InlineStore) -> None:
    log(store, "CS1", 0, "in", 2, "1", "BootNotification", {})
    log(store, "CS1", 1, "out", 3, "1", {})
    log(store, "CS1", 2, "out", 2, "1", "Reset", {})
    log(store, "CS1", 2000, "in", 3, "1", {})
    assert [(one.message.id, one.other and one.other.id) for one in every(store)] == [
        (4, None),
        (3, None),
        (2, 1),
        (1, 2),
    ]


frames = st.tuples(
    st.sampled_from(["CS1", "CS2", "CS3"]),
    st.sampled_from(["in", "out"]),
    st.one_of(
        st.tuples(st.just(2), st.sampled_from("abc"), st.sampled_from(["Reset", "Authorize"]), st.just({})),
        st.tuples(st.just(3), st.sampled_from("abc"), st.just({})),
        st.tuples(
            st.just(4), st.sampled_from("abc"), st.sampled_from([CODE, "GenericError"]), st.just(""), st.just({})
        ),
    ),
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(frames, st.none()), max_size=60),
    st.fixed_dictionaries(
        {},
        optional={
            "stations": st.sampled_from([("CS1",), ("CS1", "CS3")]),
            "direction": st.sampled_from(Direction),
            "kind": st.sampled_from([MessageKind.CALL, MessageKind.RESULT, MessageKind.ERROR]),
            "message_id": st.sampled_from("ab"),
            "since": st.integers(0, 40).map(at),
            "until": st.integers(0, 60).map(at),
            "text": st.sampled_from(["Reset", "Violation"]),
        },
    ),
    st.integers(1, 7),
    st.integers(1, 9),
    st.integers(1, 5),
)
def test_parts_of_any_size_have_all_that_fits_and_each_once(
    said: list[Any], query: dict[str, Any], limit: int, stretch: int, longest: int
) -> None:
    """``None`` is a flush; rows, stretches and parts are so short that all of their borders are met."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(message_search, "STRETCH", stretch)
        patch.setattr(message_search, "PART_S", 0.0)
        patch.setattr("csms.store.messages.LONGEST_CHUNK", longest)
        store = InlineStore(Clock())
        outcome(store.open())
        try:
            for second, one in enumerate(said):
                if one is None:
                    outcome(store.messages.flush())
                else:
                    store.messages.log(one[0], at(second), one[1], json.dumps(one[2]))
            whole = outcome(store.messages.list(limit=1000))
            fitting = [row.id for row in reversed(whole) if fits(row, **query)]
            assert ids(store, limit=limit, **query) == fitting
        finally:
            outcome(store.close())


def fits(row: Any, **query: Any) -> bool:
    """The same question, asked of one frame in the plainest way."""
    kinds = {2: MessageKind.CALL, 3: MessageKind.RESULT, 4: MessageKind.ERROR}
    frame = json.loads(row.frame)
    said = {"direction": row.direction, "kind": kinds[frame[0]], "message_id": frame[1]}
    return (
        all(said[name] == query[name] for name in said if name in query)
        and row.station in query.get("stations", (row.station,))
        and query.get("since", row.at) <= row.at
        and (row.at < query["until"] if "until" in query else True)
        and query.get("text", "") in row.frame
    )


def test_a_part_ends_when_its_time_is_over_and_says_how_far_it_came(
    store: InlineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        log(store, "CS1", number, "in", 2, str(number), "Heartbeat", {})
    monkeypatch.setattr(message_search, "STRETCH", 10)
    monkeypatch.setattr(message_search, "PART_S", 0.0)
    some = parts(store, text="nothing like this")
    assert len(some) == 3
    assert all(part.found == () for part in some)
    reached = [part.searched_to for part in some if part.searched_to]
    assert reached == sorted(reached, reverse=True)
    assert (some[-1].before, reached[-1]) == (None, T0)


def test_a_part_that_finds_a_lot_ends_in_time_too(store: InlineStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        log(store, "CS1", number, "in", 2, str(number), "Heartbeat", {})
    monkeypatch.setattr(message_search, "PART_S", -1.0)
    first = outcome(store.messages.search(MessageQuery()))
    assert [one.message.id for one in first.found] == [10]
    assert (first.before, first.searched_to) == (10, at(9))


def test_rows_that_retention_removed_are_no_end(store: InlineStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(60):
        log(store, "CS1", number, "in", 2, str(number), "Heartbeat", {})
    with sqlite3.connect(store.messages_file) as connection:
        connection.execute('DELETE FROM "message_chunk" WHERE "id" BETWEEN 5 AND 55')
    connection.close()
    monkeypatch.setattr(message_search, "STRETCH", 4)
    assert ids(store) == [60, 59, 58, 57, 56, 4, 3, 2, 1]


@pytest.mark.parametrize(
    "query", [lambda last: {"since": at(last - 30)}, lambda _: {"until": at(30)}, lambda _: {"stations": ("CS9",)}]
)
def test_times_and_stations_make_a_search_short(store: InlineStore, query: Callable[[int], dict[str, Any]]) -> None:
    """Counted in steps of SQLite's machine: ten times the rows, less than twice the steps."""
    steps = []
    logged = 0
    for many in (400, 4000):
        while logged < many:
            store.messages.log("CS1", at(logged), "in", f'[2,"{logged}","Heartbeat",{{}}]')
            logged += 1
            if logged % 2 == 0:
                outcome(store.messages.flush())
        steps.append(_steps(store, query(many)))
    assert steps[1] < 2 * steps[0]


def _steps(store: InlineStore, query: dict[str, Any]) -> int:
    counted = [0]

    def step() -> int:
        counted[0] += 1
        return 0

    here = store.messages._readers._here
    assert here is not None
    here.set_progress_handler(step, 10)
    every(store, **query)
    here.set_progress_handler(None, 0)
    return counted[0]
