"""Signed meter values on their way from the station to the bill: kept unchanged, verified, and required where the site says so."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
import pytest_twisted
from block_kit import Make
from block_words import event, start16, stop16
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from csms.model.billing import BillIssued

METER = ec.derive_private_key(99, ec.SECP256K1())
KEY = METER.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
SITE = """
[plugins]
enabled = ["ocmf", "billing"]
[plugins.billing]
per_kwh = "0.50"
[plugins.ocmf]
required = ["*"]
"""


def signed(end_kwh: str) -> dict[str, str]:
    """A SignedMeterValue with the readings of a whole transaction from 1 kWh on."""
    marks = (("B", "1.000"), ("E", end_kwh))
    readings = [{"TX": mark, "RV": kwh, "RI": "1-b:1.8.0", "RU": "kWh", "ST": "G"} for mark, kwh in marks]
    payload = json.dumps({"FV": "1.0", "MS": "M1", "RD": readings})
    der = METER.sign(payload.encode(), ec.ECDSA(hashes.SHA256()))
    text = f"OCMF|{payload}|{json.dumps({'SA': 'ECDSA-secp256k1-SHA256', 'SD': der.hex()})}"
    return {
        "signedMeterData": b64encode(text.encode()).decode(),
        "signingMethod": "",
        "encodingMethod": "OCMF",
        "publicKey": b64encode(f"oca:base16:asn1:{KEY.hex()}".encode()).decode(),
    }


async def bill_of(csms: Any) -> Any:
    """The bill, once it is written."""
    await csms.advance(11)
    await csms.settle(lambda: csms.told(BillIssued))
    return csms.told(BillIssued)[-1].bill


@pytest.mark.parametrize(("end", "status"), [("1.600", "final"), ("1.700", "quarantined")])
@pytest_twisted.ensureDeferred
async def test_a_2_0_1_station_signs_its_readings(make: Make, end: str, status: str) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1")
    last = event(1, "Ended", wh=1600)
    last["meterValue"][0]["sampledValue"][0]["signedMeterValue"] = signed(end)
    for payload in (event(0, "Started", wh=1000), last):
        await station.say("TransactionEvent", payload)
    bill = await bill_of(csms)
    assert bill.status.value == status
    (verdict,) = bill.evidence["signatures"]
    assert (verdict.valid, "meter M1" in verdict.detail) == (True, True)
    assert bill.evidence["end"]["signed"] is True
    transaction = await csms.house.store.transactions.get(bill.transaction)
    story = await csms.house.explainer.explain(transaction)
    assert any(
        "(Transaction.End): genuine by the plugin ocmf: " in line for step in story.steps for line in step.details
    )
    kept = (await csms.house.store.transactions.events(bill.transaction))[-1]
    assert json.loads(kept.body) == last, "as it came"
    if status == "quarantined":
        assert bill.reason == "the signed readings say 700 Wh, and 600 Wh would be billed"


@pytest_twisted.ensureDeferred
async def test_a_1_6_station_signs_its_readings(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CP1", "ocpp1.6")
    id = (await station.say("StartTransaction", start16()))["transactionId"]
    sample = {"value": json.dumps(signed("6.000")), "format": "SignedData", "context": "Transaction.End"}
    data = [{"timestamp": "2026-03-01T12:30:00Z", "sampledValue": [sample]}]
    await station.say("StopTransaction", stop16(id, transactionData=data))
    bill = await bill_of(csms)
    assert (bill.status.value, bill.reason) == ("final", "")
    assert [one.valid for one in bill.evidence["signatures"]] == [True]


@pytest_twisted.ensureDeferred
async def test_an_unsigned_charge_is_held_where_signatures_are_required(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1")
    for payload in (event(0, "Started", wh=1000), event(1, "Ended", wh=1600)):
        await station.say("TransactionEvent", payload)
    bill = await bill_of(csms)
    assert (bill.status.value, bill.reason) == ("quarantined", "no reading is signed")
