"""What a transaction's energy rests on, and whether its bill may be sent: read from its events each time it is asked, so it is never stale."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase

from csms.evidence import KnownRegister, MeterRules, doubts, meter_evidence, nature_of
from csms.model.metering import MeterEvidence
from csms.model.transactions import Completeness, Judgement, Transaction, TransactionEvent
from csms.model.tx_points import COMPONENT, Nature, TxPoints
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
        points = TxPoints.of(await self._store.variables.list(transaction.station, component=COMPONENT))
        nature = nature_of(evidence, authorized=transaction.id_token is not None)
        held = (*_standing(transaction, evidence, nature, points), *doubts(evidence, known, self.rules(transaction)))
        return Judgement(held, nature, points)

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


def _standing(transaction: Transaction, evidence: MeterEvidence, nature: Nature, points: TxPoints) -> Iterator[str]:
    """What the set of events itself says against it."""
    if transaction.completeness is Completeness.GAVE_UP:
        yield f"not complete, and it will not be: {transaction.gave_up}"
    if transaction.review and not _empty_visit(transaction, evidence, nature, points):
        yield transaction.review
    if transaction.completeness is Completeness.COMPLETE and transaction.id_token is None and points.need_a_token:
        yield f"nobody was authorized, and this station begins transactions at {', '.join(points.start)}"


def _empty_visit(transaction: Transaction, evidence: MeterEvidence, nature: Nature, points: TxPoints) -> bool:
    """A vehicle came and went where transactions begin with it: that no meter was read is as it should be."""
    unread = evidence.begin is None and evidence.end is None
    begins_so = bool(points.start) and not points.need_a_token
    return nature is Nature.VISIT and unread and begins_so and transaction.review == "no begin register"
