"""Who gets in: the matrix of profiles, proofs and stations, and each threat at the door by its name."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from socket_kit import Socket
from tls_kit import deferred

from csms.blocks.credentials import generate_password, hash_password, password_matches
from csms.blocks.door import Entry, Proof
from csms.model.security import ClientCertificate, SecurityEventRaised
from csms.model.station import Handshake
from csms.refusals import Refusal
from csms.testing import FakeStation, NotAdmitted, TestCsms, make_csms

Make = Callable[..., Awaitable[TestCsms]]
KEY = "k" * 20
OTHER_KEY = "o" * 20


@pytest.fixture
def make(tmp_path: Path, installed_plugins: None) -> Iterator[Make]:
    made: list[TestCsms] = []

    async def start(site: str = "") -> TestCsms:
        made.append(await make_csms(tmp_path, site=site))
        return made[-1]

    yield start
    for csms in made:
        pytest_twisted.blockon(deferred(csms.close()))


def certificate(name: str) -> ClientCertificate:
    return ClientCertificate(name, "Example", "1f", datetime(2027, 1, 1, tzinfo=UTC), name)


async def knock(csms: TestCsms, station: str, profile: int, proof: str) -> Entry:
    """A connection attempt with one kind of proof, on a listener that takes one profile."""
    passwords = {
        "right": KEY.encode(),
        "wrong": b"wrong",
        "another's": OTHER_KEY.encode(),
        "empty": b"",
        "huge": b"x" * 2**20,
    }
    names = {"right": station, "wrong": "nobody", "another's": "OTHER", "empty": "", "huge": "x" * 2**20}
    password = passwords.get(proof) if profile < 3 else None
    shown = certificate(names[proof]) if profile == 3 and proof in names else None
    handshake = Handshake(station, "tcp4:192.0.2.1:1", ("ocpp2.0.1",), password is not None, profile >= 2)
    return await csms.house.security.admit(handshake, Proof(frozenset({profile}), password, shown))


async def stations(csms: TestCsms) -> None:
    provision = csms.house.provisioning.provision
    await provision("KNOWN", password=KEY)
    await provision("OTHER", password=OTHER_KEY)
    await provision("OPEN")
    await provision("BLOCKED", password=KEY, blocked=True)
    await csms.house.store.stations.put("WAITING", csms.house.now())


@pytest.mark.parametrize("profile", [0, 1, 2, 3])
@pytest.mark.parametrize("proof", ["none", "right", "wrong", "another's", "empty", "huge"])
@pytest_twisted.ensureDeferred
async def test_matrix_of_profiles_proofs_and_stations(make: Make, profile: int, proof: str) -> None:
    csms = await make('[stations]\nunknown = "refuse"\n')
    await stations(csms)
    entries = {name: await knock(csms, name, profile, proof) for name in ("KNOWN", "BLOCKED", "STRANGER", "WAITING")}
    right = proof == "right"
    assert entries["KNOWN"].admit is (right and profile > 0)
    assert not entries["BLOCKED"].admit
    assert not entries["STRANGER"].admit
    # Somebody who waits for approval may go on waiting, but a client certificate has to be its own.
    assert entries["WAITING"].admit is (right or profile < 3)
    refused = {name: entry.status for name, entry in entries.items() if not entry.admit}
    assert set(refused.values()) <= {401}, "whoever it is, the answer is the same"


async def given_a_key(csms: TestCsms, station: FakeStation) -> str:
    """What happens to an approved station without a password: it waits, is given one, boots again, and goes."""
    assert (await station.boot())["status"] == "Pending"
    password = await station.take_password()
    await csms.settle(lambda: station.calls)
    station.answer({"status": "Accepted"})
    assert (await station.boot())["status"] == "Accepted"
    await station.close()
    return password


@pytest_twisted.ensureDeferred
async def test_threat_no_authentication_on_the_socket(make: Make) -> None:
    """A station that was approved and has no password may come for one within an hour, and work only with it."""
    csms = await make('[stations]\nunknown = "pending"\n')
    await csms.house.provisioning.provision("CS1", approved=True)
    station = await csms.station("CS1", booted=False)
    password = await given_a_key(csms, station)
    assert not (await knock(csms, "CS1", 1, "none")).admit
    assert (await csms.station("CS1", password=password)).station.accepted


@pytest_twisted.ensureDeferred
async def test_threat_a_key_is_given_to_whoever_comes_late(make: Make) -> None:
    csms = await make('[stations]\nunknown = "pending"\n')
    await csms.house.provisioning.provision("CS1", approved=True)
    csms.clock.advance(3601)
    assert (await knock(csms, "CS1", 1, "none")).refusal is Refusal.NOT_ENROLLED


@pytest_twisted.ensureDeferred
async def test_a_station_that_takes_no_password_stays_pending_and_is_told(make: Make) -> None:
    csms = await make('[stations]\nunknown = "pending"\n')
    await csms.house.provisioning.provision("CS1", approved=True)
    station = await csms.station("CS1", "ocpp1.6", booted=False)
    await station.boot()
    await station.heard()
    station.answer({"status": "NotSupported"})
    await csms.settle(lambda: events(csms, "EnrolmentFailed"))
    assert (await station.boot())["status"] == "Pending"
    assert "csms station password CS1" in events(csms, "EnrolmentFailed")[0]


def events(csms: TestCsms, kind: str) -> list[str]:
    return [one.event.detail for one in csms.told(SecurityEventRaised) if one.event.kind == kind]


@pytest_twisted.ensureDeferred
async def test_threat_impersonation_of_one_that_waits(make: Make) -> None:
    """The password that a waiting station showed is its own: nobody else with that identity gets in, before or after the approval."""
    csms = await make('[stations]\nunknown = "pending"\n')
    first = await csms.station("CS1", password="the-one-it-came-with", booted=False)
    assert not (await knock(csms, "CS1", 1, "wrong")).admit
    approving = deferred(csms.house.provisioning.provision("CS1", approved=True))
    assert (await first.heard())[2] == "TriggerMessage"
    first.answer({"status": "Accepted"})
    await approving
    assert (await first.boot())["status"] == "Accepted", "it has a password already"
    assert not (await knock(csms, "CS1", 1, "none")).admit
    await first.close()
    await csms.station("CS1", password="the-one-it-came-with")


ONLY_1 = frozenset({1})
ENROLMENT = "typed-in-by-the-installer"
NEWCOMERS = f'[stations]\nunknown = "pending"\nenrolment_password = "{ENROLMENT}"\n'


@pytest_twisted.ensureDeferred
async def test_threat_identities_are_found_by_trying_where_newcomers_wait(make: Make) -> None:
    """Who does not know the installers' password gets the same bytes for every identity, whatever it is."""
    csms = await make(NEWCOMERS)
    await stations(csms)
    names = ("KNOWN", "BLOCKED", "WAITING", "OPEN", "STRANGER")
    for password in (None, "wrong", "x" * 5000):
        answers = {name: await Socket(csms, ONLY_1).ask(f"/ocpp/{name}", password=password) for name in names}
        assert len(set(answers.values())) == 1, answers
        assert answers["KNOWN"].startswith("HTTP/1.1 401")
    assert await csms.house.store.stations.get("STRANGER") is None


@pytest_twisted.ensureDeferred
async def test_a_newcomer_with_the_installers_password_waits_and_is_given_its_own(make: Make) -> None:
    csms = await make(NEWCOMERS)
    station = await csms.station("CS1", password=ENROLMENT, booted=False)
    assert (await station.boot())["status"] == "Pending"
    other = await csms.station("CS2", password=ENROLMENT, booted=False)
    assert not station.station.accepted
    assert not other.station.accepted
    await station.close()
    await csms.house.provisioning.provision("CS1", approved=True)
    assert not (await knock(csms, "CS1", 1, "none")).admit, "within its hour, too"
    station = await csms.station("CS1", password=ENROLMENT, booted=False)
    password = await given_a_key(csms, station)
    with pytest.raises(NotAdmitted):
        await csms.station("CS1", password=ENROLMENT)
    assert (await csms.station("CS1", password=password)).station.accepted


@pytest_twisted.ensureDeferred
async def test_threat_downgrade_to_a_weaker_profile(make: Make) -> None:
    csms = await make('[stations]\nunknown = "refuse"\n')
    await stations(csms)
    assert (await knock(csms, "KNOWN", 1, "right")).admit
    assert (await knock(csms, "KNOWN", 2, "right")).admit
    assert (await knock(csms, "KNOWN", 1, "right")).refusal is Refusal.DOWNGRADE
    await csms.house.provisioning.provision("KNOWN", security_profile=1)
    assert (await knock(csms, "KNOWN", 1, "right")).admit


@pytest_twisted.ensureDeferred
async def test_threat_a_weak_key_is_guessed(make: Make) -> None:
    """No key that the CSMS makes can be guessed, and none is kept as it is."""
    made = {generate_password() for _ in range(100)}
    assert len(made) == 100
    assert {len(bytes.fromhex(one)) for one in made} == {20}
    csms = await make()
    await csms.house.provisioning.provision("CS1", password=KEY)
    assert KEY not in str(await csms.house.store.stations.password_hash("CS1"))


@pytest.mark.parametrize("form", ["digits", "upper", "bytes", "mixed"])
def test_a_key_of_1_6_is_known_in_every_form(form: str) -> None:
    key = generate_password()
    given = {
        "digits": key.encode(),
        "upper": key.upper().encode(),
        "bytes": bytes.fromhex(key),
        "mixed": key.title().encode(),
    }
    assert password_matches(hash_password(key), given[form])
    assert password_matches(hash_password(key.upper()), given[form])
    assert not password_matches(hash_password(generate_password()), given[form])


def test_threat_timing_tells_unknown_from_wrong() -> None:
    """A hash is compared for everybody; the medians of many tries are alike."""
    from csms.blocks.security import _shown

    def median(hashes: list[str]) -> float:
        times = []
        for _ in range(400):
            began = time.perf_counter()
            _shown(b"wrong-password-here", hashes)
            times.append(time.perf_counter() - began)
        return sorted(times)[200]

    known, unknown = [hash_password(KEY)], []
    ratio = min(median(unknown) / median(known) for _ in range(5))
    assert 0.3 < ratio < 3


@pytest_twisted.ensureDeferred
async def test_threat_no_limit_on_tries(make: Make) -> None:
    """After ten wrong passwords each further one waits four seconds for its 429; the right one is let in at once."""
    csms = await make("[server]\nfailed_tries = 10\n[stations]\nunknown = 'refuse'\n")
    await csms.house.provisioning.provision("CS1", password=KEY)
    for _ in range(10):
        assert (await Socket(csms).ask("/ocpp/CS1", password="wrong")).startswith("HTTP/1.1 401")
    slow = Socket(csms)
    slow.ask_for("/ocpp/CS1", password="wrong")
    await csms.settle()
    assert slow.transport.value() == b""
    assert (await Socket(csms).ask("/ocpp/CS1", password=KEY)).startswith("HTTP/1.1 101")
    await csms.advance(4.1)
    await csms.settle(lambda: slow.transport.value())
    assert slow.transport.value().startswith(b"HTTP/1.1 429")
    assert len(events(csms, "FailedToAuthenticateAtCsms")) == 1, "one event a minute, however many tries"


@pytest_twisted.ensureDeferred
async def test_threat_crowds_without_a_handshake(make: Make) -> None:
    """Three have their handshake, two wait and are not read, one is cut off; who is through makes room for the next."""
    limits = "max_unauthenticated_per_address = 3\nmax_waiting = 2"
    csms = await make(f"[server]\n{limits}\n[stations]\nunknown = 'accept'\n")
    gate = csms.house.gate()
    sockets = [Socket(csms, gate=gate) for _ in range(6)]
    assert [one.aborted for one in sockets] == [False] * 5 + [True]
    assert [one.transport.producerState for one in sockets[:5]] == ["producing"] * 3 + ["paused"] * 2
    assert (await sockets[0].ask("/ocpp/CS1")).startswith("HTTP/1.1 101")
    assert [one.transport.producerState for one in sockets[3:5]] == ["producing", "paused"]
    assert (await sockets[3].ask("/ocpp/CS2")).startswith("HTTP/1.1 101")


@pytest_twisted.ensureDeferred
async def test_threat_a_browser_opens_a_station_socket(make: Make) -> None:
    csms = await make()
    head = await Socket(csms).ask("/ocpp/CS1", headers=("Origin: https://evil.example",))
    assert head.startswith("HTTP/1.1 403")
    assert await csms.house.store.stations.list() == []


@pytest_twisted.ensureDeferred
async def test_threat_a_flood_from_a_valid_station_is_slowed_and_nothing_refused(make: Make) -> None:
    csms = await make("[server]\nmax_rate = 2\n[stations]\nunknown = 'accept'\n")
    socket = Socket(csms)
    await socket.ask("/ocpp/CS1")
    await csms.settle(lambda: csms.house.switchboard.count)
    for number in range(21):
        socket.send(f'[2,"{number}","Heartbeat",{{}}]')
    await csms.settle(lambda: events(csms, "Flood"))
    assert socket.transport.producerState == "paused"
    assert b'[4,"' in socket.transport.value(), "it has not booted, so it is answered SecurityError"
    await csms.advance(10.1)
    assert socket.transport.producerState == "producing"


@pytest_twisted.ensureDeferred
async def test_threat_the_newest_duplicate_wins(make: Make) -> None:
    csms = await make()
    first, second = Socket(csms), Socket(csms)
    await first.ask("/ocpp/CS1")
    await csms.settle(lambda: csms.house.switchboard.count)
    second.ask_for("/ocpp/CS1")
    await csms.settle(lambda: b"\x89\x04csms" in first.transport.value())
    first.protocol.dataReceived(b"\x8a\x84\0\0\0\0csms")
    await csms.settle(lambda: second.transport.value())
    assert second.transport.value().startswith(b"HTTP/1.1 409")
    assert "the older stays" in events(csms, "DuplicateIdentity")[0]


@pytest_twisted.ensureDeferred
async def test_flapping_is_told_once(make: Make) -> None:
    csms = await make("[server]\nfailed_tries = 3\n[stations]\nunknown = 'accept'\n")
    for _ in range(5):
        socket = Socket(csms)
        await socket.ask("/ocpp/CS1")
        await csms.settle(lambda: csms.house.switchboard.count)
        await csms.settle()
        socket.close()
        await csms.settle(lambda: not csms.house.switchboard.count)
    assert len(events(csms, "Flapping")) == 1


@pytest_twisted.ensureDeferred
async def test_a_stations_own_security_event_is_kept_and_told(make: Make) -> None:
    csms = await make()
    for protocol in ("ocpp2.0.1", "ocpp1.6"):
        station = await csms.station(f"CS-{protocol}", protocol)
        payload = {"type": "TamperDetectionActivated", "timestamp": "2026-03-01T12:00:00Z", "techInfo": "lid"}
        assert await station.say("SecurityEventNotification", payload) == {}
    kept = await csms.house.store.security_events.list(critical=True)
    assert [(one.kind, one.source, one.detail) for one in kept] == [("TamperDetectionActivated", "station", "lid")] * 2
    assert len(csms.told(SecurityEventRaised)) == 2


def test_every_refusal_has_cause_and_cure_and_a_test_of_its_own() -> None:
    assert len({one.word for one in Refusal}) == len(list(Refusal))
    for one in Refusal:
        assert one.cause
        assert one.cure
        assert one.public


@pytest_twisted.ensureDeferred
async def test_threat_secrets_in_ledger_log_and_answers(make: Make, capsys: Any) -> None:
    """A canary password is looked for in the database, the log of messages and everything that was told."""
    from csms.model.provisioning import SetVariables, Variable, VariableValue

    canary = "canary-0123456789abc"
    csms = await make()
    station = await csms.station("CS1")
    change = SetVariables((VariableValue(Variable("SecurityCtrlr", "BasicAuthPassword"), canary),))
    sending = deferred(csms.house.commands.send("CS1", change, origin="test"))
    call = await station.heard()
    csms.house._logged("CS1", "out", str(call).replace("'", '"').encode())
    told = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
    station.answer({"setVariableResult": [{**told, "attributeStatus": "Accepted"}]})
    record = await sending
    await csms.house.store.messages.flush()
    assert canary not in repr(record)
    assert canary not in repr(csms.events)
    await csms.house.store.close()
    for file in csms.house.site.folder.glob("*.sqlite*"):
        assert canary.encode() not in file.read_bytes(), file
    assert canary not in "".join(capsys.readouterr())
