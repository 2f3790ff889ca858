"""Gathers all that is known of one transaction, and has its story made of it (``csms.explanation``). Writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from itertools import chain

from twisted.logger import Logger

from csms.blocks.evidence import Decode, EvidenceBlock
from csms.explained_bills import BillFacts
from csms.explained_orders import OrderFacts
from csms.explanation import Facts, Told, span, story
from csms.facade import PluginFailed
from csms.hooks import Hooks
from csms.model.explanation import Explanation, StoryNote, StoryNotes, StoryQuestion
from csms.model.messages import MessageQuery
from csms.model.station import StationRef
from csms.model.transactions import Completeness, Transaction
from csms.store import Store, StoredDecision, StoredEvent

TELL_WITHIN_S = 2.0
"""So long each plugin has to say what it knows."""
MOST_BILLS = 1000
MOST_COSTS = 1000


CostAction = Callable[[str], str]
"""The message of a version that tells what a charge costs so far, empty where there is none."""


class Explainer:
    """Explains transactions."""

    log = Logger()

    def __init__(
        self,
        hooks: Hooks,
        store: Store,
        evidence: EvidenceBlock,
        decode: Decode,
        cost_action: CostAction,
        now: Callable[[], datetime],
    ) -> None:
        self._hooks = hooks
        self._store = store
        self._evidence = evidence
        self._decode = decode
        self._cost_action = cost_action
        self._now = now

    async def explain(self, transaction: Transaction) -> Explanation:
        """The story of a transaction so far."""
        store, station = self._store, transaction.station
        events = await store.transactions.events(transaction.id)
        healings = await store.healing.of(transaction.id)
        over = transaction.ended_at is not None or transaction.completeness is Completeness.GAVE_UP
        since, until = span(events, healings, self._now(), over=over)
        facts = Facts(
            transaction,
            await self._evidence.judged(transaction),
            tuple(self._told(event) for event in events),
            await self._decisions(transaction, since, until),
            OrderFacts(
                await store.commands.between(station, since, until),
                await store.plans.between(station, since, until),
                await self._costs(transaction, {event.protocol for event in events}, since, until),
            ),
            healings,
            await self._bills(transaction),
            await self._notes(StoryQuestion(StationRef(station), transaction, since, until)),
        )
        return story(facts)

    def _told(self, event: StoredEvent) -> Told:
        try:
            return Told(event, self._decode(event))
        except Exception:
            self.log.failure("event {key} cannot be decoded", key=event.key)
            return Told(event, None)

    async def _decisions(self, transaction: Transaction, since: datetime, until: datetime) -> Sequence[StoredDecision]:
        """What was decided on its tokens where no event carries it, before it ended."""
        tokens = {one.key: one for one in (transaction.id_token, transaction.stop_token) if one is not None}
        end = transaction.ended_at or until
        found = [await self._store.decisions.list(token, since, end) for token in tokens.values()]
        return tuple(chain.from_iterable(found))

    async def _costs(
        self, transaction: Transaction, protocols: Collection[str], since: datetime, until: datetime
    ) -> Sequence[datetime]:
        """When the driver was told what it costs so far: the newest of what the log of messages has, found in a part of a second."""
        actions = [action for protocol in protocols if (action := self._cost_action(protocol))]
        times: list[datetime] = []
        for action in actions:
            query = MessageQuery(
                stations=(transaction.station,),
                action=action,
                transaction=transaction.station_transaction,
                since=since,
                until=until,
            )
            times += [one.message.at for one in (await self._store.messages.search(query, limit=MOST_COSTS)).found]
        return sorted(times)

    async def _bills(self, transaction: Transaction) -> BillFacts:
        bills = await self._store.bills.list(transaction=transaction.id, limit=MOST_BILLS)
        steps = await self._store.bills.history(transaction.id)
        return BillFacts(bills, steps, {bill.id: await self._store.deliveries.list(bill.id) for bill in bills})

    async def _notes(self, question: StoryQuestion) -> Sequence[tuple[str, StoryNote]]:
        """What each plugin has to tell; one that fails must not keep the rest from being told."""
        found: list[tuple[str, StoryNote]] = []
        for plugin in self._hooks.answerers("explain_transaction"):
            try:
                answer = await self._hooks.consult(plugin, "explain_transaction", TELL_WITHIN_S, {"question": question})
            except PluginFailed as failed:
                found.append((plugin, StoryNote(self._now(), f"the plugin could not tell: {failed}")))
                continue
            if isinstance(answer, StoryNotes):
                found += [(plugin, note) for note in answer.notes]
        return found
