"""The part of a transaction's story that tells what its station was ordered to do, and what plugins decided about that: pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from csms.explained_bills import when
from csms.model.authorization import IdToken
from csms.model.commands import CommandRecord
from csms.model.explanation import Chapter, PlanDecision, Step
from csms.model.transactions import Transaction

BEFORE = timedelta(minutes=10)
"""What was decided or ordered so long before the first event may have led to it."""
NAMED = ("GetTransactionStatus", "RequestStopTransaction", "ShowCost")
"""Commands that name a transaction."""
MAY_END = ("Reset", "ChangeAvailability", "UnlockConnector")
"""Commands to an EVSE or the whole station that a running transaction feels."""


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """A station's commands and the decisions of plans, in the time of a transaction; ``costs``: when the driver was told what it costs so far."""

    commands: Sequence[CommandRecord] = ()
    plans: Sequence[PlanDecision] = ()
    costs: Sequence[datetime] = ()


def concerns(command: CommandRecord, transaction: Transaction) -> bool:
    """Whether a command to the station has to do with the transaction: it names it, it started it, or it was felt by it."""
    given = command.arguments
    if command.name in NAMED:
        return str(given.get("transaction")) == transaction.station_transaction
    if command.name == "RequestStartTransaction":
        return _started(command, transaction)
    if command.name == "RawCall":
        return _names(given.get("payload"), transaction.station_transaction)
    if command.name in MAY_END:
        here = given.get("evse") in (None, 0, transaction.evse)
        return here and _during(command.created_at, transaction)
    return False


def _started(command: CommandRecord, transaction: Transaction) -> bool:
    """By its number; a start of 1.6 has none, and is known by its token and its time."""
    number = command.arguments.get("remote_start_id")
    if transaction.remote_start_id is not None:
        return number == transaction.remote_start_id
    token: Any = command.arguments.get("id_token")
    same = transaction.id_token is not None and isinstance(token, Mapping)
    if not same or transaction.started_at is None or IdToken(str(token["value"])).key != transaction.id_token.key:  # type: ignore[union-attr]
        return False
    return timedelta(0) <= transaction.started_at - command.created_at <= BEFORE


def _names(payload: Any, wire_id: str) -> bool:
    return isinstance(payload, Mapping) and str(payload.get("transactionId")) == wire_id


def _during(at: datetime, transaction: Transaction) -> bool:
    began = transaction.started_at is not None and at >= transaction.started_at
    return began and (transaction.ended_at is None or at <= transaction.ended_at)


def command_steps(facts: OrderFacts, transaction: Transaction) -> Iterator[Step]:
    """The commands that have to do with the transaction, and what plugins decided about them and about its EVSE while it went on."""
    felt = [one for one in facts.commands if concerns(one, transaction)]
    numbers = {one.id for one in felt}
    for plan in facts.plans:
        here = plan.evse in (None, transaction.evse) and _during(plan.at, transaction)
        if plan.command in numbers or (plan.command is None and here):
            by = f"the plugin {plan.plugin}" if plan.plugin else "the CSMS itself"
            yield Step(plan.at, Chapter.DECISION, plan.text, (f"decided by {by}", plan.reason), plan.plugin or "csms")
    yield from map(_command_step, felt)
    if facts.costs:
        text = f"the driver was told what it costs so far, {len(facts.costs)} times"
        times = f"from {when(facts.costs[0])} to {when(facts.costs[-1])}, as far as the log of messages goes"
        yield Step(facts.costs[-1], Chapter.COMMAND, text, (times,), "csms")


def _command_step(command: CommandRecord) -> Step:
    text = f"{command.name} ordered by {command.origin}: {command.state.value.replace('_', ' ')}"
    return Step(command.created_at, Chapter.COMMAND, text, tuple(_came_of_it(command)), command.origin)


def _came_of_it(command: CommandRecord) -> Iterator[str]:
    if command.sent_at:
        yield f"sent {when(command.sent_at)}" + (f", {command.tries} times" if command.tries > 1 else "")
    if command.answered_at:
        yield f"answered {when(command.answered_at)}: {_shown(command.answer or {})}"
    if command.error:
        yield f"{command.error_code}: {command.error}" if command.error_code else command.error
    if command.closed_at and command.closed_at != command.answered_at:
        yield f"closed {when(command.closed_at)}"


def _shown(answer: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in answer.items()) or "nothing"
