"""Asks the plugins what a transaction costs, and gathers what the price rests on. Writes nothing; bills, running costs and exports ask here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from csms.blocks.evidence import EvidenceBlock
from csms.consumption import consumption_of
from csms.hooks import Answer, Hooks
from csms.model.authorization import IdToken
from csms.model.billing import (
    BillChange,
    Consumption,
    Price,
    ReadingVerdicts,
    SignedReadings,
    TariffChoice,
    TariffQuestion,
)
from csms.model.metering import MeterEvidence, Reading
from csms.model.station import StationRef
from csms.model.transactions import Transaction
from csms.store import Store

UNCHANGED = BillChange()
REJECTED_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Priced:
    """A price, the transaction as it was priced, what it rests on in words for the bill, and reasons not to send it."""

    transaction: Transaction
    price: Price
    evidence: Mapping[str, object]
    hold: str


class Pricing:
    """One question for everybody who wants to know a price."""

    def __init__(self, hooks: Hooks, store: Store, evidence: EvidenceBlock, now: Callable[[], datetime]) -> None:
        self._hooks = hooks
        self._store = store
        self._evidence = evidence
        self._now = now

    @property
    def possible(self) -> bool:
        """Whether any plugin prices."""
        return self._hooks.has("price")

    async def cost(self, transaction: Transaction) -> Price | None:
        """What a transaction has cost until now, and nothing else; None where nobody says. Of one that goes on, time counts on."""
        evidence = await self._evidence.of(transaction)
        choice = await self._choice(transaction, UNCHANGED)
        consumption = consumption_of(transaction, evidence, self._now())
        chosen = choice.value if choice else None
        answer = await self._hooks.ask("price", transaction=transaction, consumption=consumption, choice=chosen)
        price: Price | None = answer.value if answer else None
        return price

    async def priced(self, transaction: Transaction, change: BillChange = UNCHANGED) -> Priced | None:
        """The price of a transaction with what it rests on, as a person changed it; None where nobody says."""
        found = await self._evidence.of(transaction)
        judged = await self._evidence.judged(transaction, found)
        transaction, evidence = _changed(transaction, found, change)
        choice = await self._choice(transaction, change)
        consumption = consumption_of(transaction, evidence)
        chosen = choice.value if choice else None
        answer = await self._hooks.ask("price", transaction=transaction, consumption=consumption, choice=chosen)
        if answer is None:
            return None
        verdicts = await self._verdicts(transaction, evidence)
        reasons = [*judged.quarantine, answer.value.hold, verdicts.value.hold if verdicts else ""]
        told = _told(answer.plugin, choice, consumption, evidence, verdicts)
        return Priced(transaction, answer.value, told, "; ".join(filter(None, reasons)))

    async def _choice(self, transaction: Transaction, change: BillChange) -> Answer[TariffChoice] | None:
        if change.tariff is not None:
            return Answer(TariffChoice(change.tariff, "chosen by hand"), "")
        if not self._hooks.has("choose_tariff"):
            return None
        at = transaction.started_at or transaction.last_event_at or self._now()
        question = TariffQuestion(await self._station(transaction), transaction, at, await self._group(transaction))
        return await self._hooks.ask("choose_tariff", question=question)

    async def _group(self, transaction: Transaction) -> IdToken | None:
        if transaction.group is not None or transaction.id_token is None:
            return transaction.group
        token = await self._store.tokens.get(transaction.id_token)
        return token.group if token else None

    async def _station(self, transaction: Transaction) -> StationRef:
        record = await self._store.stations.get(transaction.station)
        if record is None:
            return StationRef(transaction.station)
        return StationRef(
            record.id, record.protocol, record.vendor, record.model, record.firmware, connected=record.online
        )

    async def _verdicts(self, transaction: Transaction, evidence: MeterEvidence) -> Answer[ReadingVerdicts] | None:
        if transaction.ended_at is None or not self._hooks.has("verify_readings"):
            return None
        station = await self._station(transaction)
        question = SignedReadings(station, transaction, evidence.signed, evidence.begin, evidence.end)
        return await self._hooks.ask("verify_readings", question=question)


def _changed(
    transaction: Transaction, evidence: MeterEvidence, change: BillChange
) -> tuple[Transaction, MeterEvidence]:
    """Registers that a person gave stand in place of the station's; readings that do not go with them no longer count."""
    if change.meter_start_wh is None and change.meter_stop_wh is None:
        return transaction, evidence
    begin = _given(change.meter_start_wh, transaction.started_at, "Transaction.Begin") or evidence.begin
    end = _given(change.meter_stop_wh, transaction.ended_at, "Transaction.End") or evidence.end
    series = [one for one in evidence.series if one not in (evidence.begin, evidence.end)]
    if begin is not None and end is not None:
        series = [begin, *(one for one in series if _between(begin, one, end)), end]
    changed = replace(
        transaction,
        meter_start_wh=begin.value_wh if begin else None,
        meter_stop_wh=end.value_wh if end else None,
    )
    return changed, replace(evidence, begin=begin, end=end, series=tuple(series))


def _given(wh: Decimal | None, at: datetime | None, context: str) -> Reading | None:
    return None if wh is None or at is None else Reading(wh, at, "by hand", context)


def _between(begin: Reading, one: Reading, end: Reading) -> bool:
    return begin.value_wh <= one.value_wh <= end.value_wh and begin.at <= one.at <= end.at


def _told(
    plugin: str,
    choice: Answer[TariffChoice] | None,
    consumption: Consumption,
    evidence: MeterEvidence,
    verdicts: Answer[ReadingVerdicts] | None,
) -> dict[str, object]:
    """What a bill says of itself: who priced it, which register and readings, what was rejected and why, what signatures are worth."""
    told: dict[str, object] = {"priced_by": plugin}
    if choice is not None:
        told["tariff"] = {"name": choice.value.tariff, "reason": choice.value.reason, "by": choice.plugin}
    if evidence.begin is not None:
        told["register"] = evidence.begin.measurand
        told["begin"] = _reading(evidence.begin)
    if evidence.end is not None:
        told["end"] = _reading(evidence.end)
    if consumption.idle_since is not None and consumption.idle_since != consumption.end:
        told["idle_since"] = consumption.idle_since
    if evidence.rejected:
        told["rejected"] = [{**_reading(one.reading), "why": one.why} for one in evidence.rejected[:REJECTED_SHOWN]]
    if verdicts is not None:
        told["signatures"] = verdicts.value.verdicts
        told["verified_by"] = verdicts.plugin
    return told


def _reading(reading: Reading) -> dict[str, object]:
    return {
        "wh": reading.value_wh,
        "at": reading.at,
        "context": reading.context,
        "event": reading.event,
        "signed": bool(reading.signed),
    }
