"""Cron and windows to the minute, and ``where`` with each of its comparisons."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from csms_plugins.flow.cron import CronError, cron_of
from csms_plugins.flow.matching import clause_of
from csms_plugins.flow.windows import Window, clock, minute_of, window_of

BERLIN, UTC_ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# Cron


@pytest.mark.parametrize(
    ("text", "now", "next_"),
    [
        ("0 3 * * *", "2026-03-02T03:00", "2026-03-03T03:00"),
        ("0 3 * * *", "2026-03-02T02:59:59", "2026-03-02T03:00"),
        ("0 0 * * *", "2026-12-31T23:59", "2027-01-01T00:00"),
        ("59 23 31 12 *", "2026-01-01T00:00", "2026-12-31T23:59"),
        ("5/20 * * * *", "2026-03-02T12:25", "2026-03-02T12:45"),
        ("5/20 * * * *", "2026-03-02T12:45", "2026-03-02T13:05"),
        ("1-10/3 0 * * *", "2026-03-02T00:07", "2026-03-02T00:10"),
        ("1-10/3 0 * * *", "2026-03-02T00:10", "2026-03-03T00:01"),
        ("7 0 * JAN *", "2026-03-02T00:00", "2027-01-01T00:07"),
        ("0 0 * dec *", "2026-03-02T00:00", "2026-12-01T00:00"),
        ("0 0 * * 0", "2026-03-02T00:00", "2026-03-08T00:00"),
        ("0 0 * * 7", "2026-03-02T00:00", "2026-03-08T00:00"),
        ("0 0 * * sat", "2026-03-02T00:00", "2026-03-07T00:00"),
        ("0 0 * * 5-7", "2026-03-02T00:00", "2026-03-06T00:00"),
        ("0 0 13 * fri", "2026-03-02T00:00", "2026-03-06T00:00"),
        ("0 0 13 * *", "2026-03-02T00:00", "2026-03-13T00:00"),
        ("0 0 29 feb *", "2096-03-01T00:00", "2104-02-29T00:00"),
    ],
)
def test_the_next_moment_of_a_cron_text(text: str, now: str, next_: str) -> None:
    assert cron_of(text, UTC_ZONE).after(at(now)) == at(next_)


def test_a_moment_of_every_hour_comes_in_both_hours_that_are_called_alike() -> None:
    hourly = cron_of("30 * * * *", BERLIN)
    assert hourly.after(at("2026-10-25T00:00")) == at("2026-10-25T00:30")
    assert hourly.after(at("2026-10-25T00:30")) == at("2026-10-25T01:30")
    assert cron_of("30 0-22 * * *", BERLIN).after(at("2026-10-25T00:30")) == at("2026-10-25T02:30")


def test_the_day_of_a_cron_text_is_the_zones() -> None:
    tokyo = cron_of("30 1 1 * *", ZoneInfo("Asia/Tokyo"))
    assert tokyo.after(at("2026-03-02T00:00")) == at("2026-03-31T16:30")
    honolulu = cron_of("30 23 31 mar *", ZoneInfo("Pacific/Honolulu"))
    assert honolulu.after(at("2026-04-01T09:00")) == at("2026-04-01T09:30")


def test_a_cron_keeps_its_text() -> None:
    assert cron_of("0 3 * * MON", BERLIN).text == "0 3 * * MON"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cron has five fields: minute, hour, day of the month, month, day of the week"),
        ("60 * * * *", "'60' is no minute: it goes from 0 to 59"),
        ("* 24 * * *", "'24' is no hour: it goes from 0 to 23"),
        ("* * 0 * *", "'0' is no day of the month: it goes from 1 to 31"),
        ("* * 32 * *", "'32' is no day of the month: it goes from 1 to 31"),
        ("* * * 13 *", "'13' is no month: it goes from 1 to 12"),
        ("* * * mon *", "'mon' is no month: it goes from 1 to 12"),
        ("* * * * 8", "'8' is no day of the week: it goes from 0 to 7"),
        ("* * * * jan", "'jan' is no day of the week: it goes from 0 to 7"),
        ("0000 * * * *", "'0000' is no minute: it goes from 0 to 59"),
        ("9-8 * * * *", "'9-8' is no minute"),
        ("1-2-3 * * * *", "'1-2-3' is no minute"),
        ("1,,2 * * * *", "'' is no minute"),
        ("*/0 * * * *", "'*/0' is no minute"),
        ("*-5 * * * *", "'*-5' is no minute"),
        ("0 0 30 feb *", "'0 0 30 feb *' names no day that there is"),
    ],
)
def test_a_text_that_is_not_crons_says_why(text: object, words: str) -> None:
    with pytest.raises(CronError) as wrong:
        cron_of(text, BERLIN)
    assert str(wrong.value) == words


# Windows


def window(from_: str, to: str, **more: Any) -> Window:
    made = window_of("w", {"from": from_, "to": to, **more}, UTC_ZONE)
    assert isinstance(made, Window), made
    return made


@pytest.mark.parametrize(
    ("made", "now", "open_"),
    [
        (window("08:30", "17:45"), "2026-03-02T08:29:59", False),
        (window("08:30", "17:45"), "2026-03-02T08:30", True),
        (window("08:30", "17:45"), "2026-03-02T17:44:59", True),
        (window("08:30", "17:45"), "2026-03-02T17:45", False),
        (window("08:30", "17:45", days=["mon"]), "2026-03-02T12:00", True),
        (window("08:30", "17:45", days=["tue"]), "2026-03-02T12:00", False),
        (window("22:15", "06:30", days=["mon"]), "2026-03-02T22:14", False),
        (window("22:15", "06:30", days=["mon"]), "2026-03-02T22:15", True),
        (window("22:15", "06:30", days=["mon"]), "2026-03-03T06:29", True),
        (window("22:15", "06:30", days=["mon"]), "2026-03-03T06:30", False),
        (window("22:15", "06:30", days=["mon"]), "2026-03-03T22:30", False),
        (window("22:15", "06:30", days=["mon"]), "2026-03-02T05:00", False),
        (window("00:00", "24:00"), "2026-03-02T23:59:59", True),
        (window("06:00", "06:00", days=["mon"]), "2026-03-02T06:00", True),
        (window("06:00", "06:00", days=["mon"]), "2026-03-03T05:59", True),
        (window("06:00", "06:00", days=["mon"]), "2026-03-03T06:00", False),
    ],
)
def test_when_a_window_is_open(made: Window, now: str, open_: bool) -> None:
    assert made.holds(at(now)) is open_


def test_how_a_window_is_called() -> None:
    assert str(window("08:30", "17:45")) == "w (08:30-17:45 UTC)"
    assert str(window("8:05", "24:00", days=["fri", "mon"])) == "w (08:05-24:00 mon,fri UTC)"
    assert window("08:00", "17:00", days=[]).never
    assert not window("08:00", "17:00").never


@pytest.mark.parametrize(
    ("text", "minute"),
    [("00:00", 0), ("7:05", 425), ("23:59", 1439), ("24:00", 1440), ("24:01", None), ("12:60", None), (1200, None)],
)
def test_a_minute_of_the_day(text: object, minute: int | None) -> None:
    assert minute_of(text) == minute
    assert minute is None or minute_of(clock(minute)) == minute


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"until": "6:00", "b": 1}, "a window has from, to, days and tz, not b"),
        ({"from": "22:00"}, 'a window has from and to, as in from = "22:00", to = "06:00"'),
        ({"to": "22:00"}, 'a window has from and to, as in from = "22:00", to = "06:00"'),
        ({"from": "1:00", "to": "2:00", "days": "mon"}, "days are a list of mon, tue, wed, thu, fri, sat, sun"),
        ({"from": "1:00", "to": "2:00", "days": ["mon", 1]}, "days are a list of mon, tue, wed, thu, fri, sat, sun"),
        ({"from": "1:00", "to": "2:00", "tz": "Mars"}, "Mars is not the name of a time zone"),
    ],
)
def test_a_wrong_window_says_why(table: dict[str, Any], words: str) -> None:
    assert window_of("w", table, BERLIN) == words


# Where


@pytest.mark.parametrize(
    ("wanted", "value", "fits"),
    [
        (3, 3, True),
        (3, 4, False),
        ([3, 4], 4, True),
        ([3, 4], 5, False),
        ({"ne": 3}, 4, True),
        ({"ne": 3}, 3, False),
        ({"lt": 3}, 2, True),
        ({"lt": 3}, 3, False),
        ({"le": 3}, 3, True),
        ({"gt": 3}, 3, False),
        ({"ge": 3}, 3, True),
        ({"gt": 3}, "4", False),
        ({"glob": "CS*"}, "CS1", True),
        ({"glob": "CS*"}, "DS1", False),
        ({"exists": True}, 0, True),
        ({"exists": True}, None, False),
        ({"exists": False}, None, True),
        ({"gt": 1, "lt": 3}, 2, True),
        ({"gt": 1, "lt": 3}, 3, False),
        (3, [1, 2, 3], True),
        (3, [1, 2], False),
        ({"gt": 1, "lt": 3}, [1, 3], False),
        (3, [], False),
    ],
)
def test_a_field_and_what_it_must_be(wanted: object, value: object, fits: bool) -> None:
    clause = clause_of("msg.n", {"status": ("msg", "n"), "other": ("event", "deep", "n")}, wanted, "a.toml:3")
    assert clause.holds("status", {"msg": {"n": value}}) is fits
    assert clause.holds("other", {"event": {"deep": {"n": value}}}) is fits
    assert clause.value("status", {"msg": {"n": value}}) == value
    assert (clause.text, clause.place) == ("msg.n", "a.toml:3")


def test_a_field_that_an_event_does_not_have_is_none() -> None:
    clause = clause_of("msg.n", {"status": ("msg", "n")}, {"exists": False})
    assert clause.holds("boot", {"msg": {"n": 3}})
    assert clause.holds("status", {})
    assert not clause.holds("status", {"msg": {"n": 3}})
    assert clause.value("boot", {"msg": {"n": 3}}) is None
    assert clause_of("n", {"status": ("n",)}, 3).holds("status", {"n": 3})


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("a", ("a",)),
        (["a", "b"], ("a", "b")),
        ({"eq": "a", "ne": "b", "in": ["c", "d"], "glob": "e*", "lt": 3}, ("a", "b", "c", "d")),
    ],
)
def test_the_words_of_a_clause_are_those_it_is_compared_with(wanted: object, words: tuple[str, ...]) -> None:
    assert clause_of("n", {}, wanted).words == words
