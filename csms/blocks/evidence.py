"""What a transaction's energy rests on, and whether its bill may be sent: read from its events each time it is asked, so it is never stale."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase

from csms.evidence import KnownRegister, MeterRules, doubts, meter_evidence
from csms.model.metering import MeterEvidence
from csms.model.transactions import Completeness, Judgement, Transaction, TransactionEvent
from csms.store import Store, StoredEvent

Decode = Callable[[StoredEvent], TransactionEvent]


@dataclass(frozen=True, slots=True)
class EvseRules:
    """Rules for the EVSEs of some stations: ``station`` is a pattern, ``evse`` None means all of them; None leaves the site's own rule."""

    station: str
    evse: int | None
    max_power_kw: Decimal | None
    lifetime: bool | None


class EvidenceBlock:
    """Reads transactions as bills and explanations need them."""

    def __init__(
        self,
        store: Store,
        decode: Decode,
        rules: MeterRules,
        exceptions: Sequence[EvseRules] = (),
    ) -> None:
        self._store = store
        self._decode = decode
        self._rules = rules
        self._exceptions = exceptions

    async def events(self, transaction: Transaction) -> list[TransactionEvent]:
        """Its events in the order of their own times."""
        return [self._decode(event) for event in await self._store.transactions.events(transaction.id)]

    async def of(self, transaction: Transaction) -> MeterEvidence:
        """Its meter evidence."""
        return meter_evidence(await self.events(transaction), self.rules(transaction))

    async def judged(self, transaction: Transaction, evidence: MeterEvidence | None = None) -> Judgement:
        """Whether its bill may be sent; what was read before need not be read again."""
        evidence = evidence or await self.of(transaction)
        known = await self._known(transaction, evidence)
        return Judgement((*_standing(transaction), *doubts(evidence, known, self.rules(transaction))))

    async def _known(self, transaction: Transaction, evidence: MeterEvidence) -> KnownRegister | None:
        if evidence.begin is None or transaction.started_at is None or not transaction.evse:
            return None
        found = await self._store.transactions.register_before(
            transaction.station, transaction.evse, transaction.started_at
        )
        return None if found is None else KnownRegister(found[1], found[2], found[0])

    def rules(self, transaction: Transaction) -> MeterRules:
        """What is possible where it charges; the first exception that fits and says something counts."""
        fitting = [one for one in self._exceptions if _fits(one, transaction)]
        power = next((one.max_power_kw for one in fitting if one.max_power_kw is not None), self._rules.max_power_kw)
        lifetime = next((one.lifetime for one in fitting if one.lifetime is not None), self._rules.lifetime)
        return MeterRules(power, lifetime)


def _fits(rules: EvseRules, transaction: Transaction) -> bool:
    return fnmatchcase(transaction.station, rules.station) and rules.evse in (None, transaction.evse)


def _standing(transaction: Transaction) -> Iterator[str]:
    """What the set of events itself says against it."""
    if transaction.completeness is Completeness.GAVE_UP:
        yield f"not complete, and it will not be: {transaction.gave_up}"
    if transaction.review:
        yield transaction.review
