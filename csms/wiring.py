"""Which block answers which request of a station, and which blocks hear which news, in what order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from csms.blocks.authorization import AuthorizationBlock
from csms.blocks.availability import Availability
from csms.blocks.bookkeeping import Bookkeeping
from csms.blocks.certificates import Certificates
from csms.blocks.commands import Commands
from csms.blocks.healing import Healer
from csms.blocks.lanes import Statuses, Telemetry, Updates
from csms.blocks.monitoring import Monitoring
from csms.blocks.outcome import Handler
from csms.blocks.presence import Presence
from csms.blocks.provisioning import Provisioning
from csms.blocks.security import Security
from csms.blocks.station_keys import StationKeys
from csms.blocks.together import Lane
from csms.blocks.transactions import Transactions
from csms.blocks.tx_points import TxPointsBlock
from csms.hooks import Hooks
from csms.model.authorization import Authorize
from csms.model.availability import StatusNotification
from csms.model.certificates import GetCertificateStatus, GetEvCertificate, SignCertificate, SigningWanted
from csms.model.data_transfer import DataTransfer
from csms.model.metering import MeterValues
from csms.model.monitoring import Notice, NotifyEvent
from csms.model.provisioning import BootNotification, Heartbeat, NotifyReport, StationBooted
from csms.model.security import SecurityEventNotification
from csms.model.station import StationConnected, StationLost
from csms.model.transactions import TransactionEvent
from csms.news import News
from csms.store import Store


class Blocks(Protocol):
    """The blocks of a house, by name."""

    authorization: AuthorizationBlock
    availability: Availability
    billing: Bookkeeping
    certificates: Certificates
    commands: Commands
    healer: Healer
    hooks: Hooks
    keys: StationKeys
    monitoring: Monitoring
    presence: Presence
    provisioning: Provisioning
    security: Security
    store: Store
    transactions: Transactions
    tx_points: TxPointsBlock


def routes(blocks: Blocks) -> Mapping[type, Handler]:
    """Who answers a request."""
    return {
        BootNotification: blocks.provisioning.boot,
        Heartbeat: blocks.provisioning.heartbeat,
        NotifyReport: blocks.provisioning.report,
        StatusNotification: blocks.availability.status,
        Authorize: blocks.authorization.authorize,
        TransactionEvent: blocks.transactions.event,
        MeterValues: blocks.transactions.meter_values,
        NotifyEvent: blocks.monitoring.notify_event,
        Notice: blocks.monitoring.notice,
        DataTransfer: blocks.monitoring.data_transfer,
        SecurityEventNotification: blocks.security.notified,
        SignCertificate: blocks.certificates.sign,
        GetCertificateStatus: blocks.certificates.status,
        GetEvCertificate: blocks.certificates.ev_certificate,
    }


def lanes(blocks: Blocks) -> Mapping[type, Lane]:
    """Which requests are answered together, and how."""
    store, provisioning, availability = blocks.store, blocks.provisioning, blocks.availability
    return {
        TransactionEvent: Updates(store, provisioning),
        MeterValues: Telemetry(store),
        StatusNotification: Statuses(store, provisioning, availability),
    }


def listeners(blocks: Blocks) -> News:
    """Who hears news: first the blocks that act on it, then the plugins."""
    news, send = News(), blocks.commands.send
    news.add(blocks.commands.on_event, wants=blocks.commands.wants)
    news.add(lambda event: blocks.keys.on_event(event, send), StationBooted)
    news.add(lambda event: blocks.certificates.on_event(event, send), SigningWanted, StationBooted)
    news.add(blocks.availability.on_event, StationBooted)
    news.add(blocks.presence.on_event, StationBooted, StationLost)
    news.add(blocks.healer.on_event, StationConnected)
    news.add(blocks.tx_points.on_event, StationBooted)
    blocks.billing.listen(news)
    news.add(blocks.hooks.tell, wants=blocks.hooks.wants)
    return news
