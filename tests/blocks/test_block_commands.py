"""The ledger of commands: queued, sent, accepted, effective; and what becomes of the others."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from block_kit import Make
from block_words import event, start16, stop16
from twisted.internet import defer

from csms.model.authorization import IdToken, TokenRecord
from csms.model.availability import ChangeAvailability, TriggerMessage
from csms.model.commands import CommandClosed, CommandRecord, CommandState, RawCall
from csms.model.provisioning import GetBaseReport, GetVariables, Reset, ResetWhen, Variable
from csms.model.transactions import RequestStartTransaction, RequestStopTransaction
from csms.testing import FakeStation, TestCsms


def order(csms: TestCsms, command: object) -> defer.Deferred[CommandRecord]:
    return defer.Deferred.fromCoroutine(csms.house.commands.send("CS1", command, origin="test"))


async def state(csms: TestCsms, id: int) -> CommandState:
    record = await csms.house.store.commands.get(id)
    assert record is not None
    return record.state


async def said(csms: TestCsms, station: FakeStation, command: object, answer: dict[str, Any]) -> CommandRecord:
    waiting = order(csms, command)
    await station.heard()
    station.answer(answer)
    return await waiting


@pytest_twisted.ensureDeferred
async def test_an_answer_is_the_effect_where_nothing_else_shows_it(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    record = await said(csms, station, TriggerMessage("Heartbeat"), {"status": "Accepted"})
    assert (record.state, record.tries, record.answer) == (CommandState.EFFECTIVE, 1, {"status": "Accepted"})
    assert record.wire == "TriggerMessage"
    assert [event.command.id for event in csms.told(CommandClosed)] == [record.id]


@pytest_twisted.ensureDeferred
async def test_a_refusal_an_error_and_silence_are_told_apart(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    record = await said(csms, station, TriggerMessage("Heartbeat"), {"status": "Rejected"})
    assert (record.state, record.error_code) == (CommandState.REJECTED, "Rejected")
    waiting = order(csms, TriggerMessage("Heartbeat"))
    await station.heard()
    station.refuse("NotSupported", "no")
    record = await waiting
    assert (record.state, record.error_code, record.error) == (CommandState.REJECTED, "NotSupported", "no")
    waiting = order(csms, TriggerMessage("Heartbeat"))
    await station.heard()
    await csms.advance(31)
    assert (await waiting).state is CommandState.TIMED_OUT


@pytest_twisted.ensureDeferred
async def test_a_lost_connection_leaves_a_command_uncertain(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    waiting = order(csms, Reset(ResetWhen.IMMEDIATE))
    await station.heard()
    await station.close()
    assert (await waiting).state is CommandState.UNCERTAIN
    assert (await order(csms, TriggerMessage("Heartbeat"))).error_code == "NotConnected"


@pytest_twisted.ensureDeferred
async def test_a_command_a_version_cannot_say_is_not_sent(make: Make) -> None:
    csms = await make()
    await csms.station("CS1", "ocpp1.6")
    record = await order(csms, Reset(ResetWhen.IMMEDIATE, evse=1))
    assert (record.state, record.error_code) == (CommandState.FAILED, "NotSupportedByStation")


@pytest_twisted.ensureDeferred
async def test_a_raw_call_against_its_schema_is_not_sent(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    record = await order(csms, RawCall("Reset", {"type": "Sideways"}))
    assert (record.state, record.error_code) == (CommandState.FAILED, "PropertyConstraintViolation")
    assert "/type" in record.error
    assert station.calls == []


@pytest.mark.parametrize(("protocol", "word"), [("ocpp2.0.1", "OnIdle"), ("ocpp1.6", "Soft")])
@pytest_twisted.ensureDeferred
async def test_a_reset_is_effective_when_the_station_booted(make: Make, protocol: str, word: str) -> None:
    csms = await make()
    station = await csms.station("CS1", protocol)
    waiting = order(csms, Reset())
    assert (await station.heard())[2:] == ["Reset", {"type": word}]
    station.answer({"status": "Accepted"})
    record = await waiting
    assert record.state is CommandState.ACCEPTED
    await station.boot()
    await csms.settle(lambda: csms.told(CommandClosed))
    assert await state(csms, record.id) is CommandState.EFFECTIVE


@pytest_twisted.ensureDeferred
async def test_a_reset_without_effect_waits_for_the_driver_and_then_escalates(make: Make) -> None:
    site = '[plugins]\nenabled = ["reset_policy"]\n[plugins.reset_policy]\nescalate_after = "10m"\nescalate = "Immediate"\n'
    csms = await make(site)
    station = await csms.station("CS1")
    await station.say("TransactionEvent", event(0, "Started"))
    record = await said(csms, station, Reset(), {"status": "Scheduled"})
    await csms.advance(601)
    assert await state(csms, record.id) is CommandState.ACCEPTED
    await station.say("TransactionEvent", event(1, "Ended"))
    await csms.advance(601)
    assert (await station.heard())[2:] == ["Reset", {"type": "Immediate"}]
    assert await state(csms, record.id) is CommandState.FAILED


@pytest_twisted.ensureDeferred
async def test_a_remote_start_is_effective_when_its_transaction_started(make: Make) -> None:
    csms = await make()
    await csms.house.store.tokens.put(TokenRecord(IdToken("TAG")))
    station = await csms.station("CS1")
    waiting = order(csms, RequestStartTransaction(IdToken("TAG"), evse=1))
    number = (await station.heard())[3]["remoteStartId"]
    station.answer({"status": "Accepted"})
    record = await waiting
    assert record.state is CommandState.ACCEPTED
    await station.say("TransactionEvent", event(0, "Started", tag="TAG", info={"remoteStartId": number}))
    await csms.settle(lambda: csms.told(CommandClosed))
    assert await state(csms, record.id) is CommandState.EFFECTIVE
    record = await said(csms, station, RequestStopTransaction("T1"), {"status": "Accepted"})
    await station.say("TransactionEvent", event(1, "Ended"))
    await csms.settle(lambda: len(csms.told(CommandClosed)) == 2)
    assert await state(csms, record.id) is CommandState.EFFECTIVE


@pytest_twisted.ensureDeferred
async def test_in_16_the_token_shows_a_remote_start(make: Make) -> None:
    csms = await make()
    await csms.house.store.tokens.put(TokenRecord(IdToken("TAG")))
    station = await csms.station("CS1", "ocpp1.6")
    record = await said(csms, station, RequestStartTransaction(IdToken("TAG")), {"status": "Accepted"})
    id = (await station.say("StartTransaction", start16()))["transactionId"]
    await csms.settle(lambda: csms.told(CommandClosed))
    assert await state(csms, record.id) is CommandState.EFFECTIVE
    record = await said(csms, station, RequestStopTransaction(str(id)), {"status": "Accepted"})
    await station.say("StopTransaction", stop16(id))
    await csms.settle(lambda: len(csms.told(CommandClosed)) == 2)
    assert await state(csms, record.id) is CommandState.EFFECTIVE


@pytest_twisted.ensureDeferred
async def test_an_unknown_token_is_not_sent_to_start(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    record = await order(csms, RequestStartTransaction(IdToken("WHO")))
    assert (record.state, record.error_code) == (CommandState.FAILED, "NotAuthorized")
    assert station.calls == []


@pytest_twisted.ensureDeferred
async def test_a_scheduled_change_is_effective_when_the_status_shows_it(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    record = await said(csms, station, ChangeAvailability(operative=False, evse=1), {"status": "Scheduled"})
    assert record.state is CommandState.ACCEPTED
    at = "2026-03-01T12:00:00Z"
    await station.say(
        "StatusNotification", {"timestamp": at, "connectorStatus": "Unavailable", "evseId": 1, "connectorId": 1}
    )
    await csms.settle(lambda: csms.told(CommandClosed))
    assert await state(csms, record.id) is CommandState.EFFECTIVE


@pytest_twisted.ensureDeferred
async def test_what_variables_say_is_kept(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1", "ocpp1.6")
    command = GetVariables((Variable("Configuration", "HeartbeatInterval"),))
    answer = {"configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "60"}]}
    await said(csms, station, command, answer)
    assert [value.value for value in await csms.house.store.variables.list("CS1")] == ["60"]


@pytest_twisted.ensureDeferred
async def test_a_report_is_effective_when_its_last_part_came(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    waiting = order(csms, GetBaseReport())
    number = (await station.heard())[3]["requestId"]
    station.answer({"status": "Accepted"})
    record = await waiting
    data = [{"component": {"name": "C"}, "variable": {"name": "V"}, "variableAttribute": [{"value": "1"}]}]
    part = {"requestId": number, "generatedAt": "2026-03-01T12:00:00Z", "seqNo": 0, "reportData": data}
    await station.say("NotifyReport", part)
    await csms.settle(lambda: csms.told(CommandClosed))
    assert await state(csms, record.id) is CommandState.EFFECTIVE


@pytest_twisted.ensureDeferred
async def test_a_restart_knows_what_was_under_way(make: Make) -> None:
    csms = await make()
    store, now = csms.house.store, csms.house.now()
    ids = [(await store.commands.add("CS1", "Reset", {"when": "OnIdle"}, "test", now)).id for _ in range(3)]
    await store.commands.update(ids[1], state=CommandState.SENT)
    await store.commands.update(ids[2], state=CommandState.ACCEPTED)
    await csms.house.commands.recover()
    assert [await state(csms, id) for id in ids] == [CommandState.FAILED, CommandState.UNCERTAIN, CommandState.ACCEPTED]
    await csms.station("CS1")
    await csms.settle(lambda: len(csms.told(CommandClosed)) == 3)
    assert await state(csms, ids[2]) is CommandState.EFFECTIVE


@pytest_twisted.ensureDeferred
async def test_who_waits_for_a_command_is_told_or_has_its_state_in_time(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    record = await csms.house.commands.submit("CS1", TriggerMessage("Heartbeat"), origin="test")
    assert record.state is CommandState.QUEUED
    waiting = defer.Deferred.fromCoroutine(csms.house.commands.finished(record.id, 20))
    await station.heard()
    await csms.advance(21)
    late = await waiting
    assert late is not None
    assert late.state is CommandState.SENT
    station.answer({"status": "Accepted"})
    done = await csms.house.commands.finished(record.id, 20)
    assert done is not None
    assert done.state is CommandState.EFFECTIVE
    assert await csms.house.commands.finished(999, 1) is None
