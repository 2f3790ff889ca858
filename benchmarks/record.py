"""Processor time that the store spends on one recorded meter event, without sockets and dialects.

python benchmarks/record.py --events 20000
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from twisted.internet import defer, reactor

from csms.model.metering import MeterValue, SampledValue
from csms.model.transactions import EventType, TransactionEvent
from csms.store import Store

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
AT_ONCE = 50
"""Events of different transactions that come in one turn of the reactor."""
BODY = b'{"eventType":"Updated","seqNo":1,"transactionInfo":{"transactionId":"T1"}}' + b" " * 300


def event(transaction: int, number: int) -> TransactionEvent:
    """One periodic reading."""
    at = NOON + timedelta(minutes=number)
    values = (MeterValue(at, (SampledValue(Decimal(1000 + 10 * number)),)),)
    kind = EventType.UPDATED if number else EventType.STARTED
    return TransactionEvent(
        f"T{transaction}", kind, at, "MeterValuePeriodic", str(number), number, evse=1, connector=1, meter_values=values
    )


async def measure(events: int) -> float:
    """Seconds of processor time for each event, all threads counted."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "csms.sqlite", reactor)
        await store.open()
        began = time.process_time()
        for number in range(events // AT_ONCE):
            told = [event(one, number) for one in range(AT_ONCE)]
            await defer.gatherResults([defer.ensureDeferred(_keep(store, one)) for one in told])
        spent = time.process_time() - began
        await store.close()
    return spent / events


async def _keep(store: Store, told: TransactionEvent) -> None:
    await store.transactions.record("CP1", 0, "ocpp2.0.1", "TransactionEvent", told, BODY, NOON)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=20000)
    options = parser.parse_args()

    async def run() -> None:
        seconds = await measure(options.events)
        print(f"{seconds * 1e6:.1f} us of processor time for each of {options.events} events")
        reactor.stop()  # type: ignore[attr-defined]

    reactor.callWhenRunning(lambda: defer.ensureDeferred(run()).addErrback(_failed))  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]


def _failed(failure: object) -> None:
    print(failure, file=sys.stderr)
    reactor.stop()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
