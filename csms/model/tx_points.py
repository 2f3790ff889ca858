"""When a station begins and ends its transactions: the variables TxStartPoint and TxStopPoint of OCPP 2.x."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from csms.model.provisioning import Variable, VariableValue

COMPONENT = "TxCtrlr"
START, STOP = Variable(COMPONENT, "TxStartPoint"), Variable(COMPONENT, "TxStopPoint")
BEFORE_ANYBODY = frozenset({"ParkingBayOccupancy", "EVConnected"})
"""Points at which nobody needs to be authorized."""


class Nature(StrEnum):
    """What a transaction is: energy flowed; somebody was authorized and none flowed; a vehicle came and went and nobody was authorized."""

    CHARGE = "charge"
    NO_ENERGY = "no_energy"
    VISIT = "visit"


@dataclass(frozen=True, slots=True)
class TxPoints:
    """The points at which transactions begin (any of them) and end; empty: not known, or of 1.6, which has none."""

    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()

    @classmethod
    def of(cls, values: Iterable[VariableValue]) -> TxPoints:
        """The points in what a station told of its variables."""
        told = {one.variable: one.value or "" for one in values if one.attribute == "Actual"}
        return cls(_members(told.get(START, "")), _members(told.get(STOP, "")))

    @property
    def need_a_token(self) -> bool:
        """Whether no transaction can have begun before somebody was authorized; False when it is not known."""
        return bool(self.start) and not BEFORE_ANYBODY.intersection(self.start)


def _members(value: str) -> tuple[str, ...]:
    return tuple(part for part in (part.strip() for part in value.split(",")) if part)
