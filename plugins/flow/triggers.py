"""Reads ``on``: events, questions, times."""

from __future__ import annotations

from typing import Any

from csms_plugins.flow.cron import CronError, cron_of
from csms_plugins.flow.events import CALL, EVENTS, Kind
from csms_plugins.flow.files import Where, suggestion
from csms_plugins.flow.reader import Reader
from csms_plugins.flow.rule import Trigger

KEYS = ("event", "after", "every", "cron", "catchup")
WAITS = ("status.missing",)
"""The events that are made by waiting, and so have ``after``."""
CATCHUPS = ("none", "once")


def read_on(reader: Reader, on: object, called: Kind) -> tuple[Trigger, ...]:
    """The triggers of a rule, whose kinds the reader knows from now on; ``called`` is what a rule on ``call`` sees."""
    listed = on if isinstance(on, list) else [on]
    if not listed:
        reader.wrong(("on",), "a rule is on events, or on one question", 'as in on = "status"')
        return ()
    found = []
    for index, one in enumerate(listed):
        where: Where = ("on", index) if isinstance(on, list) else ("on",)
        trigger = _table(reader, one, where) if isinstance(one, dict) else _event(reader, one, where)
        if trigger:
            found.append(trigger)
    kinds = {one.event: called if one.event == CALL else _kind(reader, one.event) for one in found}
    asked = [name for name in kinds if reader.words.vocabulary.is_question(name)]
    if (asked or CALL in kinds) and len(kinds) > 1:
        reader.wrong(("on",), "a rule is on events, or on one question", "make two rules of it")
        return ()
    reader.on(kinds)
    return tuple(found)


def _kind(reader: Reader, name: str) -> Kind:
    kind = reader.words.vocabulary.kind(name)
    assert kind is not None
    return kind


def _event(reader: Reader, name: object, where: Where) -> Trigger | None:
    vocabulary = reader.words.vocabulary
    if isinstance(name, str) and name != "timer" and (name == CALL or vocabulary.kind(name)):
        return Trigger(name)
    if name == "timer":
        reader.wrong(where, "a time is written as a table", 'as in { every = "5m" } or { cron = "0 3 * * *" }')
    elif (
        isinstance(name, str)
        and "." in name
        and name.partition(".")[0] not in (*EVENTS, "ocpp", "tx", "station", "rule")
    ):
        known = tuple(sorted(vocabulary.raised)) or vocabulary.names()
        reader.wrong(where, f"no rule raises {name}, and no plugin tells it", suggestion(name, known))
    else:
        reader.wrong(where, f"no event is called {name}", suggestion(name, vocabulary.names()))
    return None


def _table(reader: Reader, table: dict[str, Any], where: Where) -> Trigger | None:
    for key in table:
        if key not in KEYS:
            reader.wrong((*where, key), f"on has no {key}", suggestion(key, KEYS))
    if len([key for key in ("event", "every", "cron") if key in table]) != 1:
        reader.wrong(where, "on has an event, or every, or cron", 'as in { every = "5m" }')
        return None
    if "event" in table:
        return _after(reader, table, where)
    if "after" in table:
        reader.wrong((*where, "after"), "only an event has after", "leave it out")
    if "every" in table:
        seconds = reader.seconds(table["every"], (*where, "every"))
        if 0 < seconds < 1:
            reader.wrong((*where, "every"), "every is at least 1s")
        return Trigger("timer", every_s=max(seconds, 1.0))
    return _cron(reader, table, where)


def _after(reader: Reader, table: dict[str, Any], where: Where) -> Trigger | None:
    trigger = _event(reader, table["event"], (*where, "event"))
    if trigger is None or "after" not in table:
        return trigger
    if trigger.event not in WAITS:
        reader.wrong((*where, "after"), f"{trigger.event} has no after", "only status.missing has; see for")
    return Trigger(trigger.event, after_s=reader.seconds(table["after"], (*where, "after")))


def _cron(reader: Reader, table: dict[str, Any], where: Where) -> Trigger | None:
    catchup = table.get("catchup", "none")
    if catchup not in CATCHUPS:
        reader.wrong((*where, "catchup"), f"catchup is never {catchup}", suggestion(catchup, CATCHUPS))
    _, zone = reader.words.windows(reader.raw.scope)
    try:
        return Trigger("timer", cron=cron_of(table["cron"], zone), catchup=catchup == "once")
    except CronError as wrong:
        reader.wrong((*where, "cron"), str(wrong), 'as in "0 3 * * mon-fri": at three in the morning')
        return None
