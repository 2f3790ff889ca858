"""What is counted: plain integers on the hot path, made into Prometheus families when somebody asks.

One object per running CSMS, no globals. Labels that stations can invent are bounded: beyond MAX_LABELS different words the rest is ``other``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from csms import __version__

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_LABELS = 200
OTHER = "other"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
BATCH_BOUNDS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)
COMMIT_BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


class Tally:
    """Counts by word, for at most MAX_LABELS words."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, word: str, count: int = 1) -> None:
        """One more of this word, or several."""
        counts = self.counts
        try:
            counts[word] += count
        except KeyError:
            if len(counts) >= MAX_LABELS:
                word = OTHER
            counts[word] = counts.get(word, 0) + count


class Spread:
    """A histogram: how many observations fell at or below each bound, and their sum."""

    __slots__ = ("bounds", "buckets", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """One more observation."""
        self.buckets[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, float]]:
        """The buckets as Prometheus wants them."""
        seen, rows = 0, []
        for bound, count in zip((*self.bounds, None), self.buckets, strict=True):
            seen += count
            rows.append(("+Inf" if bound is None else f"{bound:g}", float(seen)))
        return rows


@dataclass(slots=True)
class Stall:
    """A place where the reactor stood still: how often, for how long at most and in all."""

    place: str
    times: int = 0
    longest_s: float = 0.0
    total_s: float = 0.0


class Metrics:
    """The counters of one CSMS; each method costs well under a microsecond and never raises."""

    def __init__(self) -> None:
        self._frames = Tally()
        self._calls_in = Tally()
        self._calls_out = Tally()
        self._errors_in = Tally()
        self._errors_out = Tally()
        self._plugin_faults: dict[tuple[str, str], int] = {}
        self._reloads = Tally()
        self.reload = self._reloads.add
        """``reload(outcome)``: the site file was read again; ``done`` or ``refused``."""
        self._notifications: dict[tuple[str, str], int] = {}
        self._requests: dict[tuple[str, int], int] = {}
        self._batches = Spread(BATCH_BOUNDS)
        self._commits = Spread(COMMIT_BOUNDS)
        self._stalls: dict[str, Stall] = {}
        self.accepting: Callable[[], bool] = lambda: True
        """Whether new connections are taken."""
        self.message = self._frames.add
        """``message(direction)``: one OCPP frame, ``in`` or ``out``."""
        self.message_in = self._calls_in.add
        """``message_in(action, count)``: one call of a station, or several of one action."""
        self.message_out = self._calls_out.add
        """``message_out(action)``: one call to a station."""
        self.call_error_in = self._errors_in.add
        """``call_error_in(code)``: a station answered a call with a CALLERROR."""
        self.call_error_out = self._errors_out.add
        """``call_error_out(code)``: a station's call was answered with a CALLERROR."""

    def plugin_fault(self, plugin: str, hook: str, what: str) -> None:
        """A plugin raised or was too slow in a hook."""
        key = (plugin, hook)
        self._plugin_faults[key] = self._plugin_faults.get(key, 0) + 1

    def notification(self, channel: str, outcome: str) -> None:
        """A channel's try ended: ``delivered`` or ``failed``; or a notification was given up (``dead``) or not taken (``refused``)."""
        key = (channel, outcome)
        self._notifications[key] = self._notifications.get(key, 0) + 1

    def commit(self, rows: int, seconds: float) -> None:
        """The store committed a batch of writes."""
        self._batches.add(rows)
        self._commits.add(seconds)

    def stall(self, place: str, seconds: float) -> None:
        """The reactor stood still at a place of the code."""
        if place not in self._stalls and len(self._stalls) >= MAX_LABELS:
            place = OTHER
        stall = self._stalls.setdefault(place, Stall(place))
        stall.times += 1
        stall.total_s += seconds
        stall.longest_s = max(stall.longest_s, seconds)

    def stalls(self) -> list[Stall]:
        """Where the reactor stood still, the longest first."""
        return sorted(self._stalls.values(), key=lambda stall: -stall.longest_s)

    def request(self, method: str, status: int) -> None:
        """The API answered a request."""
        key = (method if method in METHODS else OTHER, status)
        self._requests[key] = self._requests.get(key, 0) + 1

    def text(self, *, connected: int, healthy: bool) -> bytes:
        """Everything in Prometheus' text format, with the gauges given and the process's own figures."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Families(lambda: self._families(connected, healthy)))
        ProcessCollector(registry=registry)
        return generate_latest(registry)

    def _families(self, connected: int, healthy: bool) -> Iterator[Metric]:
        info = GaugeMetricFamily("csms_info", "Which version runs.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        yield GaugeMetricFamily("csms_stations_connected", "Stations with an open socket.", value=connected)
        yield GaugeMetricFamily("csms_store_healthy", "1 while the database takes writes.", value=int(healthy))
        yield GaugeMetricFamily("csms_accepting", "1 while new connections are taken.", value=int(self.accepting()))
        stalls = CounterMetricFamily("csms_loop_stalls", "How often the reactor stood still.", labels=["place"])
        seconds = CounterMetricFamily("csms_loop_stall_seconds", "For how long in all.", labels=["place"])
        for stall in self._stalls.values():
            stalls.add_metric([stall.place], stall.times)
            seconds.add_metric([stall.place], stall.total_s)
        yield stalls
        yield seconds
        yield _counter("csms_messages", "OCPP frames.", {"direction": self._frames})
        yield _counter("csms_calls_received", "Calls of stations, by action.", {"action": self._calls_in})
        yield _counter("csms_calls_sent", "Calls to stations, by action.", {"action": self._calls_out})
        yield _counter("csms_call_errors_received", "Errors stations answered with.", {"code": self._errors_in})
        yield _counter("csms_call_errors_sent", "Errors stations were answered with.", {"code": self._errors_out})
        faults = CounterMetricFamily("csms_plugin_faults", "Faults of plugins.", labels=["plugin", "hook"])
        for (plugin, hook), count in self._plugin_faults.items():
            faults.add_metric([plugin, hook], count)
        yield faults
        yield _counter("csms_reloads", "Times the site file was read again.", {"outcome": self._reloads})
        told = CounterMetricFamily("csms_notifications", "Notifications by outcome.", labels=["channel", "outcome"])
        for (channel, outcome), count in self._notifications.items():
            told.add_metric([channel, outcome], count)
        yield told
        requests = CounterMetricFamily("csms_http_requests", "Requests to the API.", labels=["method", "status"])
        for (method, status), count in self._requests.items():
            requests.add_metric([method, str(status)], count)
        yield requests
        yield _histogram("csms_store_batch_rows", "Writes committed together.", self._batches)
        yield _histogram("csms_store_commit_seconds", "How long a commit took.", self._commits)


class _Families:
    """What prometheus_client takes for a collector."""

    def __init__(self, families: Callable[[], Iterable[Metric]]) -> None:
        self._make = families

    def collect(self) -> Iterable[Metric]:
        """Called once per scrape."""
        return self._make()


def _counter(name: str, text: str, tallies: dict[str, Tally]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=list(tallies))
    for tally in tallies.values():
        for word, count in tally.counts.items():
            family.add_metric([word], count)
    return family


def _histogram(name: str, text: str, spread: Spread) -> HistogramMetricFamily:
    return HistogramMetricFamily(name, text, buckets=spread.cumulative(), sum_value=spread.total)
