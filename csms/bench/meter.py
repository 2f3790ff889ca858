"""What a run measures: latencies, mistakes, and the processor time and memory of the server's process where that is on this machine (Linux)."""

from __future__ import annotations

from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """Processor time that a process and all its threads have used so far, to the nanosecond; 0 where nobody tells."""
    used = 0
    for stat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        used += int(stat.read_text().split()[0])
    return used / 1e9


def resident_kib(pid: int) -> int:
    """Memory of a process in KiB; 0 where nobody tells."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if pid and status.exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)


class Meter:
    """Latencies in seconds while it is open, and what was answered wrongly at any time."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.errors: list[str] = []
        self.open = False
        self.pausing = False

    def begin(self) -> None:
        """Forget the latencies so far; talk goes on."""
        self.latencies, self.open, self.pausing = [], False, False

    def figures(self, seconds: float, cpu: float) -> dict[str, float]:
        """Messages per second, latencies in milliseconds, and the server's processor time in microseconds a message."""
        ordered = sorted(self.latencies)
        if not ordered:
            return {"rate": 0.0, "p50_ms": 0.0, "p99_ms": 0.0, "cpu_us": 0.0, "messages": 0}
        number = len(ordered)
        p50, p99 = (ordered[min(int(number * share), number - 1)] * 1000 for share in (0.5, 0.99))
        return {
            "rate": number / seconds,
            "p50_ms": p50,
            "p99_ms": p99,
            "cpu_us": cpu / number * 1e6,
            "messages": number,
        }
