"""``[[test]]``: rules tried out on a clock that only moves when told, in a rehearsal of the whole server.

A test has a name, rules (a preset with options, files, or ``[[rule]]`` in the same file; else those of the site), a start, what is given, and steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from csms_plugins.flow.files import Document, Source, Where, document_of, duration, tables
from csms_plugins.flow.operators import glob
from csms_plugins.flow.staging import Unmade, answer_fits, charge, event_of, holds, question_of
from csms_plugins.flow.trial_checks import VERBS, findings, moment_of, zone_of
from csms_plugins.flow.views import iso, plain

from csms.api import Problem, Rehearsal, SiteFileError

STATION = {"id": "CS1", "protocol": "ocpp2.0.1"}
LONGEST = timedelta(days=400)
START = datetime.fromisoformat("2026-03-02T12:00:00+00:00")
Rehearse = Callable[[Mapping[str, Any], datetime], Rehearsal]


@dataclass(frozen=True)
class Happened:
    """One thing that came of the steps so far: ``what`` is as in ``expect``."""

    what: str
    text: str
    fields: Mapping[str, Any]


@dataclass
class Result:
    """What came of one test; it passed if there are no mistakes."""

    name: str
    place: str
    mistakes: list[Problem] = field(default_factory=list)


def run_file(path: Path, folder: Path, rehearse: Rehearse) -> list[Result]:
    """Run every test of a file."""
    mistakes: list[Problem] = []
    document = document_of(path, folder, mistakes)
    listed = tables(document, "test", mistakes) if document else []
    if mistakes or document is None:
        return [Result(path.name, f"{path}:1", mistakes)]
    return [_run(document, path, index, table, rehearse) for index, table in enumerate(listed)]


def _run(document: Document, path: Path, index: int, table: Mapping[str, Any], rehearse: Rehearse) -> Result:
    where: Where = ("test", index)
    result = Result(str(table.get("name", f"test {index + 1}")), document.source.place(where))
    trial = Trial(document, where, table, path, result)
    if not trial.checked():
        return result
    try:
        trial.run(rehearse)
    except SiteFileError as wrong:
        result.mistakes += wrong.problems
    return result


class Trial:
    """One test on its way."""

    def __init__(self, document: Document, where: Where, table: Mapping[str, Any], path: Path, result: Result) -> None:
        self._document = document
        self._where = where
        self._table = table
        self._path = path
        self._result = result
        self._runs: list[Happened] = []
        self._unseen: list[Happened] = []
        self._start = START
        self._stage: Any = None

    def checked(self, protocols: Sequence[str] = ()) -> bool:
        """Whether the test is written as one."""
        for where, what, cure in findings(self._table, protocols):
            self._wrong(where, what, cure)
        return not self._result.mistakes

    def run(self, rehearse: Rehearse) -> None:
        """Set the scene and go through the steps, up to the first that is not as expected."""
        self._start = self._time(self._table.get("start"))
        own = any(key in self._table for key in ("preset", "files")) or "rule" in self._document.table
        settings: dict[str, Any] = {"reload_every": "0s", "enabled": True}
        stage = self._stage = rehearse({**settings, **({"files": [], "presets": []} if own else {})}, self._start)
        try:
            if not self.checked(stage.plugin.csms.ocpp.protocols):
                return
            self._set_scene(stage, own=own)
            for index, step in enumerate(self._table["steps"]):
                self._step(stage, step, ("steps", index))
                if self._result.mistakes:
                    return
        finally:
            stage.close()

    def _set_scene(self, stage: Any, *, own: bool) -> None:
        engine = stage.plugin.engine
        given = self._table.get("given", {})
        engine.scopes.windows = dict(given.get("windows", {}))
        engine.scopes.timezone = str(self._table.get("timezone", ""))
        if own or given.get("windows") or engine.scopes.timezone:
            stage.plugin.use_more(self._documents() if own else ())
        engine.traces.witness = self._ran
        for table in given.get("stations", [STATION]):
            self._station(stage, {**STATION, **table})
        self._forget(stage)
        self._runs.clear()

    def _documents(self) -> list[Document]:
        """The rules of the test."""
        mistakes: list[Problem] = []
        found = [
            document_of(self._path.parent / name, self._path.parent, mistakes) for name in self._table.get("files", [])
        ]
        if mistakes:
            raise SiteFileError(mistakes)
        source, rules = self._document.source, self._document.table.get("rule", [])
        documents = [one for one in found if one is not None] + [Document(source, {"rule": rules})]
        if "preset" in self._table:
            use = {"preset": self._table["preset"], "with": self._table.get("with", {})}
            documents.append(Document(Source(source.place(self._where).rpartition(":")[0]), {"use": [use]}))
        return documents

    def _station(self, stage: Any, table: Mapping[str, Any]) -> None:
        about = {
            key: str(table.get(key, default)) for key, default in (("vendor", "V"), ("model", "M"), ("firmware", ""))
        }
        stage.connect(table["id"], table["protocol"], **about)
        engine, ref = stage.plugin.engine, stage.ref(table["id"])
        known = ("id", "protocol", "connected", "vendor", "model", "firmware", "active_tx", "tags")
        for name, value in table.items():
            if name not in known:
                engine.stations.set_flag(ref, name, value, (), "")
        if "tags" in table:
            engine.scopes.tags[table["id"]] = tuple(table["tags"])
        for number in range(int(table.get("active_tx", 0))):
            charge(stage, table["id"], table["protocol"], number + 1)
        if table.get("connected") is False:
            stage.lose(table["id"])

    # Steps

    def _step(self, stage: Any, step: Mapping[str, Any], where: Where) -> None:
        if "at" in step and not self._wait(stage, self._time(step["at"]), (*where, "at")):
            return
        station, given = str(step.get("station", self._first_station())), step.get("with", {})
        try:
            match next((key for key in VERBS if key in step), ""):
                case "event":
                    vocabulary = stage.plugin.set.vocabulary
                    stage.tell(event_of(vocabulary, str(step["event"]), given, stage.ref(station), stage.now))
                case "ocpp":
                    self._say(stage, step, station, given, where)
                case "reply":
                    reply = None if step.get("silent") else given or None
                    stage.replies.setdefault(str(step["reply"]), []).append(reply)
                case "connect":
                    stage.connect(str(step["connect"]), str(given.get("protocol", STATION["protocol"])))
                case "lose":
                    stage.lose(str(step["lose"]))
                case "ask":
                    self._ask(stage, step, station, given, where)
                case "expect":
                    self._expect(stage, step, where)
                case "expect_none":
                    self._expect_none(stage, step["expect_none"], where)
        except Unmade as wrong:
            self._wrong(where, f"this step cannot be taken: {wrong}")
        except KeyError as wrong:
            self._wrong(where, f"no station {wrong.args[0]} is connected")

    def _wait(self, stage: Any, at: datetime, where: Where) -> bool:
        """Let time pass; it never goes back, and a test does not last for ever."""
        if at < stage.now:
            self._wrong(where, f"it is {iso(stage.now)} already, and time does not go back")
        elif at - self._start > LONGEST:
            self._wrong(where, f"a test lasts at most {LONGEST.days} days")
        else:
            stage.pass_until(at)
        return not self._result.mistakes

    def _say(self, stage: Any, step: Mapping[str, Any], station: str, given: Mapping[str, Any], where: Where) -> None:
        answer = stage.say(station, str(step["ocpp"]), given)
        if answer is None:
            self._wrong((*where, "ocpp"), f"the server refuses this {step['ocpp']}", "look at its fields")
        elif "answer" in step and not holds(answer, step["answer"]):
            self._wrong((*where, "answer"), f"the server answered {answer}")

    def _ask(self, stage: Any, step: Mapping[str, Any], station: str, given: Mapping[str, Any], where: Where) -> None:
        hook, question = question_of(str(step["ask"]), given, stage.ref(station), stage.now)
        answer = stage.ask(hook, question)
        if not answer_fits(answer, step.get("expect", {})):
            self._wrong((*where, "expect"), f"the answer is {plain(answer) if answer is not None else 'none'}")

    def _expect(self, stage: Any, step: Mapping[str, Any], where: Where) -> None:
        self._gather(stage)
        wanted, times = str(step["expect"]), int(step.get("times", 1))
        pool = self._runs if wanted.startswith("run ") else self._unseen
        fitting = [one for one in pool if _named(one.what, wanted) and _described(one, step)]
        if len(fitting) != times:
            self._wrong(
                where, f"{wanted} is expected {times} time(s), and it happened {len(fitting)} time(s)", self._told()
            )
        for one in fitting:
            pool.remove(one)

    def _expect_none(self, stage: Any, what: Any, where: Where) -> None:
        self._gather(stage)
        pool = self._runs if isinstance(what, str) and what.startswith("run ") else self._unseen
        found = [
            one
            for one in pool
            if (what is True and one.what != "log") or (what is not True and _named(one.what, str(what)))
        ]
        if found:
            self._wrong(where, f"{found[0].what} is not expected", self._told())

    # What happened

    def _gather(self, stage: Any) -> None:
        for station, action, payload in stage.heard:
            self._unseen.append(Happened(action, "", {**plain(payload), "station": station}))
        for channel, text, level in stage.notified:
            self._unseen.append(Happened(f"notify {channel}", text, {"level": level}))
        for name, arguments in stage.called:
            self._unseen.append(Happened(f"call {name}", "", arguments))
        for level, text in stage.logged:
            if text.startswith("rule "):
                self._unseen.append(Happened("log", text.partition(": ")[2], {"level": level}))
        for pile in (stage.heard, stage.notified, stage.called, stage.logged):
            pile.clear()

    def _forget(self, stage: Any) -> None:
        self._gather(stage)
        self._unseen.clear()

    def _ran(self, rule: Any, trace: Any) -> None:
        self._runs.append(Happened(f"run {rule.id}", str(trace.why), {"outcome": trace.outcome, "key": trace.key}))

    def _told(self) -> str:
        """What happened that no step has expected, for the one who mends the test."""
        piles = [f"{one.what} {one.text or dict(one.fields)}" for one in self._unseen[-8:]]
        runs = [f"{one.what}: {one.fields['outcome']} {one.text}" for one in self._runs[-8:]]
        return "happened: " + ("; ".join([*piles, *runs]) or "nothing")

    def _first_station(self) -> str:
        stations: Sequence[Mapping[str, Any]] = self._table.get("given", {}).get("stations") or [STATION]
        return str(stations[0].get("id", STATION["id"]))

    def _time(self, value: Any) -> datetime:
        """A time: as a moment, or as a duration since the start."""
        seconds, at = duration(value), moment_of(value)
        if seconds is not None:
            return self._start + timedelta(seconds=seconds)
        if at is None:
            return START
        zone = zone_of(self._table.get("timezone")) or UTC
        try:
            return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
        except OverflowError:
            return START

    def _wrong(self, where: Where, what: str, cure: str = "") -> None:
        self._result.mistakes.append(self._document.source.mistake((*self._where, *where), what, cure))


def _named(what: str, wanted: str) -> bool:
    return what == wanted or what.startswith(f"{wanted} ")


def _described(one: Happened, step: Mapping[str, Any]) -> bool:
    fits = glob(one.text, step["text"]) if "text" in step else True
    outcome = {"outcome": step["outcome"]} if "outcome" in step else {}
    station = {"station": step["station"]} if "station" in step else {}
    return fits and holds(one.fields, {**step.get("with", {}), **outcome, **station})
