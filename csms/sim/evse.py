"""One simulated EVSE: its cable, its availability, its meter and the charge on it. Plain state; it knows no messages and no timers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Token:
    """What a driver holds to the reader; ``type`` in OCPP 2.x words."""

    value: str
    type: str = "ISO14443"


@dataclass(slots=True)
class Charge:
    """One transaction as the station sees it. ``given_id`` is the number a 1.6 CSMS gives; ``seq_no`` is the number of the next event."""

    local_id: str
    token: Token
    begun_at: datetime
    begun_wh: int
    remote: bool = False
    remote_start_id: int | None = None
    given_id: int | None = None
    state: str = "EVConnected"
    seq_no: int = 0
    ended: bool = False

    @property
    def id(self) -> str:
        """The transaction id that both sides know."""
        return self.local_id if self.given_id is None else str(self.given_id)

    def next_seq_no(self) -> int:
        """The number of one more event."""
        number = self.seq_no
        self.seq_no += 1
        return number


class Meter:
    """An energy register in Wh that only grows. ``seconds`` is a monotonic clock."""

    def __init__(self, seconds: Callable[[], float], begin_wh: int) -> None:
        self._seconds = seconds
        self._settled_wh = float(begin_wh)
        self._since = 0.0
        self._wh_per_s = 0.0
        self._at_most_wh = 0.0

    def flow(self, wh_per_s: float, at_most_wh: float) -> None:
        """Let energy flow from now on, and no more than ``at_most_wh`` of it."""
        self.halt()
        self._since, self._wh_per_s, self._at_most_wh = self._seconds(), wh_per_s, at_most_wh

    def halt(self) -> None:
        """Let no more energy flow."""
        self._settled_wh += self._flown()
        self._wh_per_s = 0.0

    @property
    def flowing(self) -> bool:
        """Whether energy flows now."""
        return self._wh_per_s > 0 and self._flown() < self._at_most_wh

    @property
    def register_wh(self) -> int:
        """The reading, whole Wh."""
        return int(self._settled_wh + self._flown() + 1e-6)

    def _flown(self) -> float:
        if not self._wh_per_s:
            return 0.0
        return min(max(0.0, self._seconds() - self._since) * self._wh_per_s, self._at_most_wh)


@dataclass(slots=True)
class Evse:
    """One EVSE with one connector, number 1. ``operative`` is what the CSMS ordered; ``after_charge`` is what it ordered for later."""

    number: int
    meter: Meter
    operative: bool = True
    after_charge: bool | None = None
    plugged: bool = False
    finishing: bool = False
    charge: Charge | None = None
    reported: str = field(default="")

    @property
    def availability(self) -> str:
        """The connector's state in OCPP 2.x words; a charge is never cut short by an ordered outage."""
        if not self.operative and self.charge is None:
            return "Unavailable"
        return "Occupied" if self.plugged else "Available"

    def order(self, *, operative: bool) -> str:
        """Obey an availability order: ``Accepted``, or ``Scheduled`` when a charge has to end first."""
        if self.charge is not None and not operative:
            self.after_charge = operative
            return "Scheduled"
        self.operative, self.after_charge = operative, None
        return "Accepted"

    def free(self) -> bool:
        """Whether a charge may start here."""
        return self.operative and self.charge is None
