"""The outbox: what was taken is tried until it is delivered or given up, through restarts, once per id, and never in anybody's way."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from block_kit import Make
from twisted.internet import defer
from twisted.internet.task import Clock

from csms.model.notifications import (
    DeliveryFailed,
    NotificationRecord,
    NotificationState,
    NotificationUndelivered,
    NotifyFailed,
)
from csms.testing import TestCsms, make_csms

PAGER = """
from csms.api import ChannelSettings, DeliveryFailed, hookimpl

class Pager:
    def __init__(self, settings, csms):
        self.got, self.fail, self.hold, self.closed = [], [], None, []

    @hookimpl
    def register_channels(self, register):
        register("pager", ChannelSettings, lambda name, settings: Line(name, self))

class Line:
    def __init__(self, name, pager):
        self.name, self.pager = name, pager

    async def deliver(self, notification):
        self.pager.got.append(notification)
        if self.pager.hold is not None:
            await self.pager.hold
        if self.pager.fail:
            raise self.pager.fail.pop(0)

    async def close(self):
        self.pager.closed.append(self.name)
"""
SITE = '[plugins]\nenabled = ["./pager.py"]\n[notify.ops]\nkind = "pager"\nretry_after = "10s"\ntries = 3\n'


@pytest.fixture
def site(tmp_path: Path) -> str:
    """A site whose channel ``ops`` is a plugin's that remembers."""
    (tmp_path / "pager.py").write_text(PAGER)
    return SITE


def pager(csms: TestCsms) -> Any:
    return csms.house.plugins.loaded[0].instance


async def rows(csms: TestCsms) -> list[NotificationRecord]:
    return await csms.house.store.notifications.list()


@pytest_twisted.ensureDeferred
async def test_a_notification_is_delivered_once_with_all_it_has(make: Make, site: str) -> None:
    csms = await make(site)
    notify = csms.house.facade("night").notify
    assert await notify("ops", "CS1 is faulted", level="warn", title="Fault", station="CS1", data={"evse": 1})
    await csms.settle(lambda: pager(csms).got)
    (got,) = pager(csms).got
    assert (got.text, got.level, got.title, got.station, got.origin) == (
        "CS1 is faulted",
        "warn",
        "Fault",
        "CS1",
        "night",
    )
    assert (got.site, got.channel, got.data, got.at) == ("main", "ops", {"evse": 1}, csms.house.now())
    await csms.advance(3600)
    assert len(pager(csms).got) == 1
    assert [row.state for row in await rows(csms)] == [NotificationState.DELIVERED]


@pytest_twisted.ensureDeferred
async def test_a_failed_try_is_made_again_under_the_same_id_after_a_growing_pause(make: Make, site: str) -> None:
    csms = await make(site)
    pager(csms).fail = [RuntimeError("no line"), RuntimeError("no line")]
    await csms.house.notifications.notify("ops", "hello")
    counts = []
    for seconds in (0, 9, 1, 19, 1):
        await csms.advance(seconds)
        counts.append(len(pager(csms).got))
    assert counts == [1, 1, 2, 2, 3]
    assert len({one.id for one in pager(csms).got}) == 1
    assert [(row.state, row.tries) for row in await rows(csms)] == [(NotificationState.DELIVERED, 3)]


@pytest_twisted.ensureDeferred
async def test_a_try_that_was_planned_by_a_clock_far_ahead_is_made_now(make: Make, site: str) -> None:
    csms = await make(site)
    pager(csms).fail = [RuntimeError("no line")]
    await csms.house.notifications.notify("ops", "hello")
    await csms.settle(lambda: pager(csms).got)
    await csms.settle()
    (row,) = await rows(csms)
    await csms.house.store.notifications.later(row.id, csms.house.now() + timedelta(days=400), "no line")
    await csms.advance(10)
    assert len(pager(csms).got) == 2
    assert [row.state for row in await rows(csms)] == [NotificationState.DELIVERED]


@pytest_twisted.ensureDeferred
async def test_what_is_given_up_is_told_once_and_can_be_retried(make: Make, site: str) -> None:
    csms = await make(site)
    pager(csms).fail = [RuntimeError("no line")] * 3
    await csms.house.notifications.notify("ops", "hello")
    for _ in range(5):
        await csms.advance(30)
    (dead,) = csms.told(NotificationUndelivered)
    assert (dead.channel, dead.tries, dead.error) == ("ops", 3, "RuntimeError: no line")
    (row,) = await rows(csms)
    assert row.state is NotificationState.DEAD
    assert await csms.house.notifications.retry(row.id)
    await csms.settle(lambda: len(pager(csms).got) == 4)
    await csms.settle()
    assert [(one.state, one.tries) for one in await rows(csms)] == [(NotificationState.DELIVERED, 1)]
    assert not await csms.house.notifications.retry(row.id)
    assert b'csms_notifications_total{channel="ops",outcome="dead"} 1.0' in csms.house.metrics.text(
        connected=0, healthy=True
    )


@pytest_twisted.ensureDeferred
async def test_a_final_refusal_is_not_tried_again_and_a_wish_to_wait_is_heeded(make: Make, site: str) -> None:
    csms = await make(site)
    pager(csms).fail = [DeliveryFailed("gone", final=True), DeliveryFailed("busy", again_in_s=100)]
    await csms.house.notifications.notify("ops", "one")
    await csms.settle()
    await csms.house.notifications.notify("ops", "two")
    await csms.settle()
    await csms.advance(99)
    assert [one.text for one in pager(csms).got] == ["one", "two"]
    await csms.advance(2)
    assert [one.text for one in pager(csms).got] == ["one", "two", "two"]
    states = {row.notification.text: row.state for row in await rows(csms)}
    assert states == {"one": NotificationState.DEAD, "two": NotificationState.DELIVERED}


@pytest_twisted.ensureDeferred
async def test_a_target_that_hangs_is_left_after_the_timeout_and_holds_up_its_own_channel_alone(
    make: Make, site: str
) -> None:
    csms = await make(site + '[notify.other]\nkind = "pager"\n')
    pager(csms).hold = defer.Deferred()
    await csms.house.notifications.notify("ops", "one")
    await csms.settle(lambda: pager(csms).got)
    pager(csms).hold = None
    await csms.house.notifications.notify("other", "two")
    await csms.settle(lambda: len(pager(csms).got) == 2)
    await csms.advance(10)
    await csms.settle()
    waiting = [row for row in await rows(csms) if row.state is NotificationState.WAITING]
    assert [(row.notification.text, row.error) for row in waiting] == [("one", "no answer within 10 s")]


@pytest_twisted.ensureDeferred
async def test_once_and_key_and_level_keep_repeats_away(make: Make, site: str) -> None:
    csms = await make(site.replace("tries = 3", 'level = "warn"'))
    notify = csms.house.facade("rules").notify
    assert not await notify("ops", "mild")
    assert await notify("ops", "lost", level="error", once_s=60)
    assert not await notify("ops", "lost", level="error", once_s=60)
    assert await notify("ops", "lost, too", level="error", once_s=60)
    await csms.advance(61)
    assert await notify("ops", "lost", level="error", once_s=60)
    assert await notify("ops", "step", level="warn", key="7:1:1")
    assert not await notify("ops", "step", level="warn", key="7:1:1")
    assert await csms.house.facade("other").notify("ops", "step", level="warn", key="7:1:1")


@pytest_twisted.ensureDeferred
async def test_an_unknown_or_full_channel_refuses(make: Make, site: str) -> None:
    csms = await make(site + "waiting_at_most = 2\n")
    pager(csms).hold = defer.Deferred()
    notifications = csms.house.notifications
    with pytest.raises(NotifyFailed, match=r"no channel called opps.*\[notify.opps\]"):
        await notifications.notify("opps", "x")
    with pytest.raises(NotifyFailed, match="level is never fatal"):
        await notifications.notify("ops", "x", level="fatal")
    for text in ("one", "two"):
        await notifications.notify("ops", text)
    with pytest.raises(NotifyFailed, match="2 notifications wait"):
        await notifications.notify("ops", "three")
    pager(csms).hold.callback(None)
    await csms.settle()
    assert await notifications.notify("ops", "four")


@pytest_twisted.ensureDeferred
async def test_what_waits_outlives_a_restart_and_a_try_that_was_cut_off_is_made_again(
    tmp_path: Path, site: str, installed_plugins: None
) -> None:
    clock = Clock()
    first = await make_csms(tmp_path, site=site, clock=clock)
    pager(first).hold = defer.Deferred()
    await first.house.notifications.notify("ops", "hello")
    await first.settle(lambda: pager(first).got)
    await first.close()
    second = await make_csms(tmp_path, site=site, clock=Clock())
    await second.advance(25)
    assert [one.id for one in pager(second).got] == [one.id for one in pager(first).got]
    assert [(row.state, row.tries) for row in await rows(second)] == [(NotificationState.DELIVERED, 2)]
    await second.close()


@pytest_twisted.ensureDeferred
async def test_what_waits_for_a_channel_that_is_no_more_is_dead_and_said(
    tmp_path: Path, site: str, installed_plugins: None
) -> None:
    first = await make_csms(tmp_path, site=site)
    pager(first).fail = [RuntimeError("no line")]
    await first.house.notifications.notify("ops", "hello")
    await first.settle()
    await first.close()
    second = await make_csms(tmp_path, site=site.replace("notify.ops", "notify.people"))
    await second.settle()
    assert [(row.state, row.error) for row in await rows(second)] == [
        (NotificationState.DEAD, "there is no such channel any more")
    ]
    await second.close()


@pytest_twisted.ensureDeferred
async def test_the_channel_log_is_always_there(make: Make) -> None:
    csms = await make("[plugins]\nenabled = []\n")
    assert csms.house.facade("x").channels() == {"log": "log"}
    await csms.house.notifications.notify("log", "hello")
    await csms.settle()
    assert [row.state for row in await rows(csms)] == [NotificationState.DELIVERED]


@pytest_twisted.ensureDeferred
async def test_a_stop_lets_the_try_under_way_end_and_closes_the_channel(make: Make, site: str) -> None:
    csms = await make(site)
    hold: defer.Deferred[None] = defer.Deferred()
    pager(csms).hold = hold
    await csms.house.notifications.notify("ops", "hello")
    await csms.settle(lambda: pager(csms).got)
    stopped = defer.ensureDeferred(csms.house.notifications.stop())
    assert not pager(csms).closed
    hold.callback(None)
    await csms.settle(lambda: stopped.called)
    assert pager(csms).closed == ["ops"]
    assert [row.state for row in await rows(csms)] == [NotificationState.DELIVERED]


@pytest_twisted.ensureDeferred
async def test_old_ones_are_forgotten_but_not_while_their_text_is_under_its_once(make: Make, site: str) -> None:
    csms = await make(site)
    notify = csms.house.notifications.notify
    await notify("ops", "short")
    await notify("ops", "long", once_s=60 * 86400)
    await csms.settle()
    await csms.advance(31 * 86400)
    assert [row.notification.text for row in await rows(csms)] == ["long"]
    assert not await notify("ops", "long", once_s=60)
