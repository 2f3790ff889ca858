"""A payload that is parsed when somebody looks is to everybody what the parsed one would be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from csms_plugins.flow.views import plain

from csms.blocks.outcome import Received
from csms.ocpp import unparsed
from csms.ocpp.rpc import Call
from csms.ocpp.unparsed import Unparsed

WIRE = b'{"evseId":1,"meterValue":[{"timestamp":"2026-03-01T12:00:00Z"}],"b":null}'
PARSED = {"evseId": 1, "meterValue": [{"timestamp": "2026-03-01T12:00:00Z"}], "b": None}


def test_it_is_a_mapping_like_the_parsed_one() -> None:
    payload = Unparsed(WIRE)
    assert isinstance(payload, Mapping)
    assert payload == PARSED
    plain_dict = dict(PARSED)
    assert plain_dict == payload
    assert (dict(payload), repr(payload)) == (PARSED, repr(PARSED))
    assert (list(payload), len(payload), payload["evseId"], payload.get("no")) == (list(PARSED), 3, 1, None)
    assert "b" in payload
    with pytest.raises(KeyError):
        payload["no"]
    match payload:
        case {"evseId": evse}:
            assert evse == 1
        case _:
            raise AssertionError("it matches no mapping pattern")


def test_rules_see_it_as_plain_values() -> None:
    assert plain(Unparsed(WIRE)) == PARSED


def test_it_is_parsed_once_and_only_if_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []
    real = unparsed.loads
    monkeypatch.setattr(unparsed, "loads", lambda wire: (parsed.append(wire), real(wire))[1])
    payload = Unparsed(WIRE)
    assert parsed == []
    assert (payload["evseId"], len(payload), next(iter(payload))) == (1, 3, "evseId")
    assert parsed == [WIRE]


def test_a_call_that_was_parsed_already_is_not_parsed_again() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    assert Received(Call("1", "MeterValues", PARSED, WIRE), at).payload is PARSED
    assert Received(Call("1", "MeterValues", None, WIRE, object()), at).payload == PARSED
