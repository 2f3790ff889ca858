"""Recorded traffic given to the rules again, in a rehearsal: what they would decide, the same byte for byte each time. Nothing is sent."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from csms_plugins.flow.files import document_of
from csms_plugins.flow.rule import Rule
from csms_plugins.flow.traces import Trace
from csms_plugins.flow.views import iso

from csms.api import Problem, SiteFileError, Workbench

SETTINGS: Mapping[str, Any] = {"enabled": True, "reload_every": "0s"}
NO_FILES: Mapping[str, Any] = {"files": [], "presets": []}
SETTLE = timedelta(minutes=10)
"""How long the rules may go on after the last frame."""
DECIDED = ("ran", "failed", "stopped", "decided", "dry")


@dataclass(frozen=True, slots=True)
class Frame:
    """One recorded message."""

    station: str
    at: datetime
    direction: str
    text: str


@dataclass
class Replay:
    """What the rules made of the traffic."""

    frames: int
    decisions: list[dict[str, Any]] = field(default_factory=list)
    orders: list[tuple[str, str]] = field(default_factory=list)
    """What would have gone out: the call (or ``notify <channel>``, ``call <action>``) and the station."""

    def report(self) -> dict[str, Any]:
        """All of it, as JSON."""
        return {
            "frames": self.frames,
            "rules": {rule: dict(sorted(counts.items())) for rule, counts in sorted(self._counts().items())},
            "orders": {what: {"count": count, "stations": len(who)} for what, (count, who) in self.actions().items()},
            "decisions": self.decisions,
        }

    def lines(self) -> Iterator[str]:
        """The counts, for people."""
        yield f"{self.frames} frames"
        for rule, counts in sorted(self._counts().items()):
            yield f"{rule}: " + ", ".join(f"{outcome} {count}" for outcome, count in sorted(counts.items()))
        for what, (count, stations) in self.actions().items():
            yield f"{what}: {count} times, {len(stations)} stations"

    def actions(self) -> dict[str, tuple[int, set[str]]]:
        """How often each thing would have gone out, and to which stations."""
        counted: dict[str, tuple[int, set[str]]] = {}
        for what, station in sorted(self.orders):
            count, stations = counted.get(what, (0, set()))
            counted[what] = count + 1, stations | {station}
        return counted

    def _counts(self) -> dict[str, Counter[str]]:
        counted: dict[str, Counter[str]] = {}
        for one in self.decisions:
            counted.setdefault(one["rule"], Counter())[one["outcome"]] += 1
        return counted


def recent(frames: Sequence[Frame], last_s: float) -> list[Frame]:
    """The frames of the last so many seconds before the newest one."""
    since = frames[-1].at - timedelta(seconds=min(last_s, 3e8)) if frames else None
    return [one for one in frames if since is None or one.at >= since]


def read_log(bench: Workbench, site_file: Path | None, path: Path | None) -> list[Frame]:
    """The frames of a message log (none: the site's own), or of lines of JSON with station, at, direction and frame; raises ValueError."""
    if path is None or path.suffix in (".sqlite", ".db"):
        return [Frame(*one) for one in bench.frames(path, site_file)]
    found = []
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else "it is not UTF-8 text"
        raise ValueError(f"{path} cannot be read: {why}") from None
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        try:
            found.append(_frame(json.loads(line)))
        except KeyError as missing:
            raise ValueError(f"{path}:{number}: no frame: it has no {missing.args[0]}") from None
        except (ValueError, TypeError, RecursionError) as wrong:
            raise ValueError(f"{path}:{number}: no frame: {wrong}") from None
    return sorted(found, key=lambda one: one.at)


def _frame(one: Any) -> Frame:
    station, at, direction, text = one["station"], one["at"], one["direction"], one["frame"]
    if direction not in ("in", "out"):
        raise ValueError(f"direction is in or out, not {direction!r}")
    if not isinstance(station, str) or not isinstance(text, str):
        raise ValueError("station and frame are texts")
    moment = datetime.fromisoformat(at)
    return Frame(station, moment if moment.tzinfo else moment.replace(tzinfo=UTC), direction, text)


def replayed(bench: Workbench, site_file: Path | None, frames: Sequence[Frame], files: Sequence[Path]) -> Replay:
    """What the rules of the site, or those of files, make of the frames; raises SiteFileError."""
    if not frames:
        raise ValueError("the log is empty")
    settings = {**SETTINGS, **(NO_FILES if files else {})}
    stage = bench.rehearse(site_file, "flow_rules", settings, frames[0].at, dry=True)
    try:
        if files:
            _use(stage.plugin, files)
        return _Player(stage, frames).play()
    finally:
        stage.close()


def _use(plugin: Any, files: Sequence[Path]) -> None:
    mistakes: list[Problem] = []
    documents = [document_of(path.resolve(), plugin.csms.folder, mistakes) for path in files]
    if mistakes:
        raise SiteFileError(mistakes)
    plugin.use_more([one for one in documents if one is not None])


class _Player:
    """One replay on its way."""

    def __init__(self, stage: Any, frames: Sequence[Frame]) -> None:
        self._stage = stage
        self._frames = frames
        self._joined: set[str] = set()
        self._replay = Replay(len(frames))
        stage.plugin.engine.traces.witness = self._noted

    def play(self) -> Replay:
        self._recall_answers()
        for frame in self._frames:
            self._stage.pass_until(frame.at)
            if frame.direction == "in":
                self._say(frame)
        self._stage.pass_until(self._frames[-1].at + SETTLE)
        self._replay.orders = [
            *((action, station) for station, action, _ in self._stage.heard),
            *((f"notify {channel}", "") for channel, _, _ in self._stage.notified),
            *((f"call {name}", "") for name, _ in self._stage.called),
        ]
        return self._replay

    def _say(self, frame: Frame) -> None:
        message = _parsed(frame.text)
        if not (isinstance(message, list) and len(message) == 4 and message[0] == 2 and isinstance(message[3], dict)):
            return
        if frame.station not in self._joined:
            self._joined.add(frame.station)
            self._stage.join(frame.station, _protocol(self._stage.plugin.csms.ocpp, message[2], message[3]))
        self._stage.say(frame.station, message[2], message[3])

    def _recall_answers(self) -> None:
        """The answers of stations to calls that went out, for the same calls of the rules."""
        calls: dict[tuple[str, str], str] = {}
        for frame in self._frames:
            match _parsed(frame.text):
                case [2, str(id), str(action), dict()] if frame.direction == "out":
                    calls[frame.station, id] = action
                case [3, str(id), dict(payload)] if frame.direction == "in" and (frame.station, id) in calls:
                    action = calls.pop((frame.station, id))
                    self._stage.replies.setdefault(f"{frame.station} {action}", []).append(payload)

    def _noted(self, rule: Rule, trace: Trace) -> None:
        if trace.outcome in DECIDED:
            told = {
                "rule": rule.id,
                "at": iso(trace.at),
                "event": trace.event,
                "station": trace.station,
                "key": trace.key,
            }
            answer = trace.steps if trace.outcome == "decided" else []
            self._replay.decisions.append(
                {**told, "outcome": trace.outcome, "reason": str(trace.why), "answer": answer}
            )


def compare(now: Replay, then: Replay) -> Iterator[str]:
    """What would be another one with the new rules, such as ``Reset: 12 to 4 stations``."""
    before, after = now.actions(), then.actions()
    for what in sorted({*before, *after}):
        (count, stations), (new_count, new_stations) = before.get(what, (0, set())), after.get(what, (0, set()))
        if (count, stations) != (new_count, new_stations):
            yield f"{what}: {count} to {new_count} times, {len(stations)} to {len(new_stations)} stations"
    if before == after:
        yield "the same goes out"


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _protocol(ocpp: Any, action: str, payload: Mapping[str, Any]) -> str:
    """The version whose request this is, by the fields that are required."""
    for protocol in ocpp.protocols:
        schema = ocpp.schema(protocol, action) if action in ocpp.heard(protocol) else None
        if schema is not None and all(key in payload for key in schema.get("required", ())):
            return str(protocol)
    return str(ocpp.protocols[0])
