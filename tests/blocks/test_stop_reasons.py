"""Why a charge ended: each way is kept, in the words of 2.x, whatever version told it, and stands in the transaction and in its story."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import pytest_twisted
from block_kit import Make
from block_words import event, start16, stop16

from csms.model.authorization import IdToken, TokenRecord
from csms.model.transactions import Completeness, Transaction
from csms.testing import TestCsms

SITE = """
[stations]
unknown = "accept"
[transactions]
read_points = false
master_pass_group = "MASTERPASS"
[plugins]
enabled = ["rfid_list", "billing"]
[plugins.billing]
currency = "EUR"
per_kwh = "1.00"
"""
NAMES = {"TAG": "FAMILY", "BROTHER": "FAMILY", "KEYRING": "MASTERPASS"}


class Way(NamedTuple):
    """How a charge ends: what the station says in 2.0.1 and in 1.6, and what is kept of it."""

    reason: str
    trigger: str
    reason16: str | None
    tag: str | None = None
    because: str = ""


WAYS = {
    "the same card": Way("Local", "StopAuthorized", "Local", "TAG", "the token that began it"),
    "a card of the same group": Way(
        "Local", "StopAuthorized", "Local", "BROTHER", "a token of the group that began it"
    ),
    "the master pass": Way("MasterPass", "StopAuthorized", "Local", "KEYRING", "the master pass"),
    "the app": Way("Remote", "RemoteStop", "Remote"),
    "the cable": Way("EVDisconnected", "EVCommunicationLost", "EVDisconnected"),
    "a button": Way("Local", "StopAuthorized", None),
    "an unlock from afar": Way("Remote", "UnlockCommand", "UnlockCommand"),
    "deauthorization": Way("DeAuthorized", "Deauthorized", "DeAuthorized"),
    "power loss": Way("PowerLoss", "AbnormalCondition", "PowerLoss"),
    "the emergency stop": Way("EmergencyStop", "AbnormalCondition", "EmergencyStop"),
    "a reset that the CSMS ordered": Way("ImmediateReset", "ResetCommand", "HardReset"),
    "a reboot of the station's own": Way("Reboot", "AbnormalCondition", "Reboot"),
}
ALL = [pytest.param(protocol, name, id=f"{name}, {protocol}") for protocol in ("ocpp2.0.1", "ocpp1.6") for name in WAYS]


@pytest.mark.parametrize(("protocol", "name"), ALL)
@pytest_twisted.ensureDeferred
async def test_the_reason_of_every_way_to_end_is_kept(make: Make, protocol: str, name: str) -> None:
    csms, way = await make(SITE), WAYS[name]
    for value, group in NAMES.items():
        await csms.house.store.tokens.put(TokenRecord(IdToken(value), group=IdToken(group, "Central")))
    kept = await (charged16 if protocol == "ocpp1.6" else charged)(csms, way)

    reason = "Local" if protocol == "ocpp1.6" and way.reason == "MasterPass" else way.reason
    assert (kept.completeness, kept.energy_wh, kept.stopped_reason) == (Completeness.COMPLETE, 83, reason)
    assert kept.stop_token == (IdToken(way.tag) if way.tag else None)

    told = await csms.house.explainer.explain(kept)
    ending = next(step for step in told.steps if step.text.startswith("Ended"))
    assert any(f"trigger {way.trigger}" in line and f"reason to stop {reason}" in line for line in ending.details)
    who = [line for step in told.steps for line in step.details if line == way.because]
    assert len(who) == (1 if way.because else 0)


async def charged(csms: TestCsms, way: Way) -> Transaction:
    """A charge told in 2.0.1."""
    station = await csms.station("CS1")
    await station.say("TransactionEvent", event(0, "Started", wh=1000, tag="TAG"))
    end: dict[str, Any] = event(1, "Ended", wh=1083, tag=way.tag, info={"stoppedReason": way.reason})
    await station.say("TransactionEvent", end | {"triggerReason": way.trigger})
    return await only(csms, "T1")


async def charged16(csms: TestCsms, way: Way) -> Transaction:
    """A charge told in 1.6; a stop without a word is a local one."""
    station = await csms.station("CS1", "ocpp1.6")
    id = (await station.say("StartTransaction", start16(tag="TAG")))["transactionId"]
    more = {"reason": way.reason16, "idTag": way.tag}
    stop = stop16(id, 1083, **{name: value for name, value in more.items() if value is not None})
    await station.say("StopTransaction", stop)
    return await only(csms, str(id))


async def only(csms: TestCsms, wire_id: str) -> Transaction:
    found = await csms.house.store.transactions.by_wire_id("CS1", wire_id)
    assert found is not None
    return found
