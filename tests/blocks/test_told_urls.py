"""Where stations are sent: files and sockets by their schemes, and no address of a neighbour unless the site file allows it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
import pytest_twisted
from block_kit import Make

from csms.authority import Authority
from csms.blocks.told_urls import FILES, SOCKETS, url_fault
from csms.model.commands import RawCall
from csms.model.data_transfer import DataTransfer
from csms.model.diagnostics import GetLog
from csms.model.firmware import UpdateFirmware
from csms.model.provisioning import SetVariables, Variable, VariableValue
from csms.model.security_commands import SetNetworkProfile
from csms.reach import Reach

GOOD = (
    "https://firmware.example/1.bin",
    "http://firmware.example:8080/a?b=c",
    "ftp://user:secret@files.example/logs/",
    "sftp://files.example/",
    "https://8.8.8.8/x",
    "https://[2001:4860:4860::8888]/x",
    "https://intranet/x",
)
BAD = (
    "",
    "firmware.bin",
    "file:///etc/passwd",
    "gopher://firmware.example/",
    "javascript:alert(1)",
    "https://",
    "https:///x",
    "https://firmware.example:0/",
    "https://firmware.example:99999/",
    "https://firm ware.example/",
    "https://firmware.example/\n",
    "https://f\u00edrmware.example/",
    "http://127.0.0.1/",
    "http://localhost:9001/api",
    "http://a.localhost/",
    "http://10.0.0.5/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data",
    "http://[::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[::ffff:10.0.0.5]/",
    "http://0.0.0.0/",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://017700000001/",
    "http://[::1/",
    "http://localhost./",
    "http://loc%61lhost/",
    "http://10.0.0.5\\@firmware.example/",
    "http:\\\\10.0.0.5\\x",
    "http://[64:ff9b::a00:5]/",
    "http://[2002:a00:5::]/",
)


@pytest.mark.parametrize("url", GOOD)
def test_a_place_that_stations_may_be_told(url: str) -> None:
    assert url_fault(url, FILES, Reach()) == ""


@pytest.mark.parametrize("url", BAD)
def test_a_place_that_they_may_not(url: str) -> None:
    assert url_fault(url, FILES, Reach())


def test_a_site_may_allow_its_own_network() -> None:
    reach = Reach((ip_network("10.0.0.0/8"),))
    assert url_fault("http://10.0.0.5/", FILES, reach) == ""
    assert url_fault("http://192.168.1.1/", FILES, reach)
    assert url_fault("wss://10.0.0.5/ocpp", SOCKETS, reach) == ""
    assert url_fault("https://10.0.0.5/ocpp", SOCKETS, reach)


NEAR = "http://10.0.0.5/x"
SIGNED = UpdateFirmware(NEAR, signing_certificate=Authority.create("Firmware").pem, signature="c2ln")
HOME = VariableValue(Variable("OCPPCommCtrlr", "FileServer"), NEAR)
ORDERS_201: list[Any] = [
    SetVariables((HOME,)),
    RawCall(
        "SetVariables",
        {
            "setVariableData": [
                {"component": {"name": "X"}, "variable": {"name": "Y"}, "attributeValue": url}
                for url in ("https://files.example/", " HTTP:/169.254.169.254/latest")
            ]
        },
    ),
    DataTransfer("Vendor", "Config", {"servers": [{"where": NEAR}]}),
    RawCall("DataTransfer", {"vendorId": "Vendor", "data": "ftp://192.168.1.1/"}),
    RawCall("DataTransfer", {"vendorId": "Vendor", "data": {"location": "Parking lot 5", "at": "wss://[fe80::1]/"}}),
    GetLog(url=NEAR),
    SIGNED,
    SetNetworkProfile(1, "ws://169.254.169.254/ocpp", 1),
    RawCall("GetLog", {"logType": "SecurityLog", "requestId": 1, "log": {"remoteLocation": NEAR}}),
    RawCall("PublishFirmware", {"location": NEAR, "checksum": "x", "requestId": 1}),
    RawCall(
        "SetNetworkProfile",
        {
            "configurationSlot": 1,
            "connectionData": {
                "ocppVersion": "OCPP20",
                "ocppTransport": "JSON",
                "ocppCsmsUrl": "ws://169.254.169.254/",
                "messageTimeout": 30,
                "securityProfile": 1,
                "ocppInterface": "Wired0",
            },
        },
    ),
]
ORDERS_16: list[Any] = [
    SetVariables((replace(HOME, variable=Variable("", "FileServer")),)),
    RawCall("ChangeConfiguration", {"key": "FileServer", "value": NEAR}),
    RawCall("ChangeConfiguration", {"key": "CentralSystemURL", "value": "ws://169.254.169.254/"}),
    RawCall("GetLog", {"logType": "SecurityLog", "requestId": 1, "log": {"remoteLocation": NEAR}}),
    GetLog(url=NEAR),
    SIGNED,
    RawCall("GetDiagnostics", {"location": NEAR}),
    RawCall("UpdateFirmware", {"location": NEAR, "retrieveDate": "2026-03-01T12:00:00Z"}),
]


@pytest.mark.parametrize(
    ("protocol", "order"),
    [*(("ocpp2.0.1", order) for order in ORDERS_201), *(("ocpp1.6", order) for order in ORDERS_16)],
)
@pytest_twisted.ensureDeferred
async def test_no_order_sends_a_station_to_its_neighbours(make: Make, protocol: str, order: Any) -> None:
    csms = await make("")
    station = await csms.station("CS1", protocol)
    record = await csms.house.commands.send("CS1", order, origin="test")
    assert (record.state, record.error_code) == ("failed", "UrlNotAllowed")
    assert station.calls == []


VALUES = ("wss://10.0.0.5/ocpp", "https://files.example/", "ntp://time.example", "10.0.0.5", "C:\\logs", "Outlet")


@pytest.mark.parametrize("value", VALUES)
@pytest_twisted.ensureDeferred
async def test_values_of_variables_that_lead_to_no_neighbour_are_sent(make: Make, value: str) -> None:
    csms = await make("")
    station = await csms.station("CS1", "ocpp1.6")
    order = RawCall("ChangeConfiguration", {"key": "Vendor", "value": value})
    await csms.house.commands.submit("CS1", order, origin="test")
    await csms.settle(lambda: station.calls)
    assert station.calls[0][3] == order.payload


@pytest_twisted.ensureDeferred
async def test_sockets_may_go_to_private_addresses(make: Make) -> None:
    csms = await make("")
    station = await csms.station("CS1")
    await csms.house.commands.submit("CS1", SetNetworkProfile(1, "wss://10.0.0.5/ocpp", 2), origin="test")
    await csms.settle(lambda: station.calls)
    assert [call[2] for call in station.calls] == ["SetNetworkProfile"]


@pytest_twisted.ensureDeferred
async def test_what_the_site_allows_is_sent(make: Make) -> None:
    csms = await make('[outgoing]\nallow = ["10.0.0.0/8"]\n')
    station = await csms.station("CS1")
    for order in (GetLog(url=NEAR), replace(SIGNED)):
        await csms.house.commands.submit("CS1", order, origin="test")
        await csms.settle(lambda: station.calls)
        station.answer({"status": "Accepted"})
        assert station.calls == []
