"""What a station has to be able to say in one OCPP version; the versions are ``v201.py`` and ``v16.py``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred

from csms.ocpp.rpc import Call
from csms.sim.evse import Charge, Evse, Token
from csms.sim.session import Answer, Lane


@dataclass(frozen=True, slots=True)
class BootAnswer:
    """``status`` is Accepted, Pending or Rejected; ``interval_s`` is 0 when the CSMS leaves it to the station."""

    status: str
    interval_s: int


class Voice(Protocol):
    """One OCPP version. Triggers, reasons and contexts are given in OCPP 2.x words."""

    def word(self, evse: Evse) -> str:
        """The connector's status word in this version."""

    def boot(self, reason: str) -> Deferred[BootAnswer]:
        """Tell that the station booted."""

    def heartbeat(self, lane: Lane = Lane.ROUTINE) -> None:
        """Tell that the station is alive."""

    def status(self, evse: Evse, lane: Lane = Lane.ROUTINE) -> None:
        """Tell the status of one connector."""

    def station_status(self, lane: Lane = Lane.ROUTINE) -> None:
        """Tell the status of the station as a whole, where the version has a word for it."""

    def authorize(self, token: Token) -> Deferred[str]:
        """Ask whether a token may charge; the status word of the answer."""

    def started(self, evse: Evse, charge: Charge, trigger: str) -> Deferred[str]:
        """Tell that a charge began; the token's status word in the answer, ``Accepted`` when it has none."""

    def updated(self, evse: Evse, charge: Charge, trigger: str, context: str = "") -> Deferred[None]:
        """Tell how a charge goes on, with a meter reading in that context unless it is empty."""

    def ended(self, evse: Evse, charge: Charge, trigger: str, reason: str, token: Token | None) -> Deferred[None]:
        """Tell that a charge ended."""

    def meter_values(self, evse: Evse, lane: Lane = Lane.ASKED) -> None:
        """Tell a meter reading that was asked for."""

    def answer(self, call: Call) -> Answer:
        """Answer a call of the CSMS; raises OcppError to refuse it."""
