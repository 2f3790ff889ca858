"""Stations, presence and connectors in the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor

from csms.model.availability import ConnectorRecord, ConnectorStatus, StatusNotification
from csms.model.provisioning import BootNotification
from csms.model.station import Admission
from csms.store import Attached, Fenced, Store

T0 = datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC)
BOOT = BootNotification("PowerUp", "Acme", "Box", "SN1", "1.0")


def status(word: ConnectorStatus, seconds: int = 0, **more: str) -> StatusNotification:
    return StatusNotification(T0 + timedelta(seconds=seconds), word, 1, 2, **more)


@pytest_twisted.ensureDeferred
async def test_a_new_station_is_pending_and_changes_keep_the_rest(store: Store) -> None:
    new = await store.stations.put("CP1", T0)
    assert (new.admission, new.created_at, new.has_password, new.online) == (Admission.PENDING, T0, False, False)
    await store.stations.put("CP1", T0, password_hash="hash", heartbeat_interval_s=60)
    kept = await store.stations.put("CP1", T0 + timedelta(days=1), admission=Admission.APPROVED)
    assert (kept.admission, kept.heartbeat_interval_s, kept.has_password) == (Admission.APPROVED, 60, True)
    assert kept == await store.stations.get("CP1")
    assert kept.created_at == T0
    assert await store.stations.password_hash("CP1") == "hash"
    await store.stations.put("CP1", T0, password_hash="", heartbeat_interval_s=0)
    assert await store.stations.password_hash("CP1") is None
    gone = await store.stations.get("CP1")
    assert gone is not None
    assert (gone.has_password, gone.heartbeat_interval_s) == (False, None)
    assert await store.stations.get("CP2") is None
    assert await store.stations.password_hash("CP2") is None


@pytest_twisted.ensureDeferred
async def test_a_boot_is_kept_for_known_stations_only(store: Store) -> None:
    await store.stations.put("CP1", T0)
    assert await store.stations.boot_status("CP1") == ""
    await store.stations.booted("CP1", 0, BOOT, "ocpp1.6", "Accepted", T0)
    await store.stations.booted("CP2", 0, BOOT, "ocpp1.6", "Rejected", T0)
    await store.stations.skew("CP1", -2.5)
    kept = await store.stations.get("CP1")
    assert kept is not None
    assert (kept.vendor, kept.model, kept.serial_number, kept.firmware) == ("Acme", "Box", "SN1", "1.0")
    assert (kept.protocol, kept.boot_reason, kept.booted_at, kept.clock_skew_s) == ("ocpp1.6", "PowerUp", T0, -2.5)
    assert await store.stations.boot_status("CP1") == "Accepted"
    assert await store.stations.get("CP2") is None


@pytest_twisted.ensureDeferred
async def test_stations_are_listed_by_identity_search_admission_and_presence(store: Store) -> None:
    for id in ("CP3", "CP1", "CP2", "50%_off"):
        await store.stations.put(id, T0, admission=Admission.APPROVED if id == "CP2" else None)
    await store.stations.booted("CP1", 0, BOOT, "ocpp1.6", "Accepted", T0)
    await store.presence.attach("CP3", T0)

    async def found(**query: object) -> list[str]:
        return [one.id for one in await store.stations.list(**query)]  # type: ignore[arg-type]

    assert await found() == ["50%_off", "CP1", "CP2", "CP3"]
    assert await found(after="CP1", limit=1) == ["CP2"]
    assert await found(search="acme") == ["CP1"]
    assert await found(search="%_") == ["50%_off"]
    assert await found(admission=Admission.APPROVED) == ["CP2"]
    assert await found(online=True) == ["CP3"]
    assert await found(online=False, search="CP") == ["CP1", "CP2"]
    assert await store.stations.count(Admission.PENDING) == 3
    assert await store.stations.count() == 4


@pytest_twisted.ensureDeferred
async def test_a_forgotten_station_keeps_its_fence(store: Store) -> None:
    await store.stations.put("CP1", T0)
    await store.availability.record("CP1", 0, status(ConnectorStatus.AVAILABLE), T0)
    first = (await store.presence.attach("CP1", T0)).fence
    assert await store.stations.delete("CP1")
    assert not await store.stations.delete("CP1")
    assert await store.availability.list("CP1") == []
    assert (await store.presence.attach("CP1", T0)).fence > first


@pytest_twisted.ensureDeferred
async def test_a_late_close_of_an_older_connection_leaves_the_station_online(store: Store) -> None:
    first = await store.presence.attach("CP1", T0)
    second = await store.presence.attach("CP1", T0)
    assert (first, second) == (Attached(1, None), Attached(2, "local"))
    assert not await store.presence.detach("CP1", first.fence, T0)
    assert await store.presence.online() == ["CP1"]
    assert await store.presence.detach("CP1", second.fence, T0)
    assert await store.presence.online() == []
    assert await store.presence.attach("CP1", T0) == Attached(3, None)


@pytest_twisted.ensureDeferred
async def test_after_a_restart_nobody_is_online_and_fences_go_on(tmp_path: Path) -> None:
    for fence in (1, 2):
        store = Store(tmp_path / "again.sqlite", reactor)
        await store.open()
        assert await store.presence.online() == []
        assert await store.presence.attach("CP1", T0) == Attached(fence, None)
        await store.close()


@pytest_twisted.ensureDeferred
async def test_seen_never_goes_back(store: Store) -> None:
    await store.stations.put("CP1", T0)
    await store.presence.attach("CP1", T0)
    late = T0 + timedelta(seconds=9)
    await store.stations.seen({"CP1": late, "nobody": late})
    await store.stations.seen({"CP1": T0})
    kept = await store.stations.get("CP1")
    assert kept is not None
    assert (kept.seen_at, kept.online) == (late, True)


@pytest_twisted.ensureDeferred
async def test_the_newest_status_wins_in_any_order(store: Store) -> None:
    old, new = status(ConnectorStatus.AVAILABLE), status(ConnectorStatus.FAULTED, 5, error_code="GroundFailure")
    current = ConnectorRecord("CP1", 1, 2, ConnectorStatus.FAULTED, new.timestamp, "", "GroundFailure", "")
    first = await store.availability.record("CP1", 0, new, T0)
    assert (first.changed, first.previous, first.current) == (True, None, current)
    late = await store.availability.record("CP1", 0, old, T0)
    assert (late.changed, late.current) == (False, current)
    again = await store.availability.record("CP1", 0, new, T0)
    assert (again.changed, again.current) == (False, current)
    assert await store.availability.list("CP1") == [current]


@pytest_twisted.ensureDeferred
async def test_a_newer_status_of_the_same_content_changes_only_the_time(store: Store) -> None:
    await store.availability.record("CP1", 0, status(ConnectorStatus.OCCUPIED, detail="Charging"), T0)
    same = await store.availability.record("CP1", 0, status(ConnectorStatus.OCCUPIED, 9, detail="Charging"), T0)
    assert not same.changed
    assert same.current.timestamp == T0 + timedelta(seconds=9)
    other = await store.availability.record("CP1", 0, status(ConnectorStatus.OCCUPIED, 10, detail="Finishing"), T0)
    assert other.changed
    assert other.previous == same.current


@pytest_twisted.ensureDeferred
async def test_an_older_connection_tells_no_status_and_no_boot(store: Store) -> None:
    old = (await store.presence.attach("CP1", T0)).fence
    await store.presence.attach("CP1", T0)
    with pytest.raises(Fenced):
        await store.availability.record("CP1", old, status(ConnectorStatus.FAULTED), T0)
    with pytest.raises(Fenced):
        await store.stations.booted("CP1", old, BOOT, "ocpp1.6", "Accepted", T0)
    assert await store.availability.list("CP1") == []
