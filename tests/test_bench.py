"""The load generator's messages are valid and each its own; what is printed, and what is said where the client is missing."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from click.testing import CliRunner

from csms.bench.meter import Meter
from csms.bench.words import ACTIONS, SCENARIOS, Words
from csms.cli import main
from csms.cli.bench import lines
from csms.ocpp.schemas import check


def words() -> Words:
    return Words("BENCH-00007", lambda: b"2026-03-01T12:00:00.000Z")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_message_is_valid_and_has_an_id_of_its_own(scenario: str) -> None:
    speaker, ids = words(), set()
    for build in speaker.scenario(scenario, 1) * 3:
        kind, id, action, payload = json.loads(build())
        assert kind == 2
        assert id.encode() == speaker.message_id
        assert scenario in ("mix", action)
        check("ocpp2.0.1", action, payload)
        ids.add(id)
    assert len(ids) == 3 * len(speaker.scenario(scenario, 1))
    assert scenario in (*ACTIONS, "mix")


def test_a_transaction_starts_once_and_its_numbers_and_register_grow() -> None:
    speaker = words()
    boot, started, first, second = (
        json.loads(text) for text in (speaker.boot(), speaker.started(), speaker.updated(), speaker.updated())
    )
    check("ocpp2.0.1", boot[2], boot[3])
    check("ocpp2.0.1", started[2], started[3])
    events = [one[3] for one in (started, first, second)]
    assert [one["eventType"] for one in events] == ["Started", "Updated", "Updated"]
    assert [one["seqNo"] for one in events] == [0, 1, 2]
    assert len({one["transactionInfo"]["transactionId"] for one in events}) == 1
    registers = [one["meterValue"][0]["sampledValue"][0]["value"] for one in events]
    assert registers == sorted(set(registers))


def test_figures_are_rates_percentiles_and_processor_time() -> None:
    meter = Meter()
    meter.latencies = [number / 1000 for number in range(1, 101)]
    assert meter.figures(2.0, 0.01) == {"rate": 50.0, "p50_ms": 51.0, "p99_ms": 100.0, "cpu_us": 100.0, "messages": 100}
    meter.begin()
    assert meter.figures(2.0, 0.0)["messages"] == 0


def test_the_figures_are_said_in_lines_with_the_first_mistake() -> None:
    told: dict[str, Any] = {
        "stations": 2,
        "connecting_s": 0.5,
        "booting_s": 0.25,
        "waiting": 1,
        "resident_kib": [1000, 1040],
        "figures": {"mix": {"rate": 1234.5, "p50_ms": 1.0, "p99_ms": 2.0, "cpu_us": 60.0}},
        "storm": {"connected_s": 1.0, "booted_s": 2.0},
        "errors": 1,
        "first_errors": ['[4,"1","InternalError","",{}]'],
    }
    assert lines(told) == [
        "2 stations: connected in 0.5 s, booted in 0.2 s more, 20.0 KiB each; 1 of them have to wait",
        "mix: 1,234/s, p50 1.0 ms, p99 2.0 ms, server 60 us of CPU a message",
        "all back at once: connected in 1.0 s, booted after 2.0 s",
        '1 messages were answered wrongly, the first: [4,"1","InternalError","",{}]',
    ]


def test_without_the_compiled_client_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picows", None)
    monkeypatch.delitem(sys.modules, "csms.bench.load", raising=False)
    said = CliRunner().invoke(main, ["bench"])
    assert said.exit_code == 1
    assert "pip install 'csms[bench]'" in said.output


def test_where_nobody_listens_the_command_says_so() -> None:
    pytest.importorskip("picows", reason="the load generator's client is not installed (extra bench)")
    said = CliRunner().invoke(main, ["bench", "--url", "ws://127.0.0.1:9/ocpp", "--stations", "1"])
    assert said.exit_code == 1
    assert "the load on ws://127.0.0.1:9/ocpp ended" in said.output


def test_a_station_that_was_cut_off_says_so_and_is_no_mystery() -> None:
    load = pytest.importorskip("csms.bench.load")
    station = load.LoadStation(Words("CS1", lambda: b"2026-03-01T12:00:00.000Z"), load.Meter(), kind=b"3")
    station.on_ws_connected(object())
    station.on_ws_disconnected(object())
    with pytest.raises(ConnectionResetError, match="closed the connection"):
        station.say(b"[]")
