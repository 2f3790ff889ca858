"""What a site file says, in the words of the block that acts on it."""

from __future__ import annotations

from decimal import Decimal

from csms.blocks.bookkeeping import BillRules
from csms.blocks.credentials import hash_password
from csms.blocks.deliveries import DeliveryRules
from csms.blocks.door import DoorPolicy
from csms.blocks.evidence import EvseRules
from csms.blocks.healing import HealingPolicy
from csms.blocks.provisioning import BootPolicy
from csms.blocks.retention import Rule
from csms.blocks.sentry import TryLimits
from csms.blocks.told_urls import UrlRules
from csms.blocks.tx_points import PointPolicy
from csms.blocks.uploads import UploadRules
from csms.config import Site
from csms.evidence import MeterRules
from csms.model.tx_points import TxPoints
from csms.reach import Reach
from csms.socket_care import Limits
from csms.store import Archive, Store, Thinning, shelves
from csms.strain import descriptor_limit


def boot_policy(site: Site) -> BootPolicy:
    """How stations are received when they boot."""
    stations = site.stations
    return BootPolicy(
        heartbeat_interval_s=int(stations.heartbeat_interval.total_seconds()),
        pending_interval_s=int(stations.pending_interval.total_seconds()),
        max_clock_skew_s=stations.max_clock_skew.total_seconds(),
    )


def bill_rules(site: Site) -> BillRules:
    """How bills are numbered and brought to those who want them."""
    bills = site.bills
    return BillRules(
        series=bills.series,
        credit_series=bills.credit_series,
        running_cost=bills.running_cost,
        cost_interval_s=bills.cost_interval.total_seconds(),
        deliveries=DeliveryRules(
            timeout_s=bills.delivery_timeout.total_seconds(),
            retry_s=bills.delivery_retry.total_seconds(),
            most_s=bills.delivery_retry_most.total_seconds(),
            attempts=bills.delivery_attempts,
        ),
    )


def upload_rules(site: Site) -> UploadRules:
    """Where stations leave files, and how much of them."""
    uploads = site.uploads
    return UploadRules(
        url=uploads.url,
        folder=site.folder / uploads.folder,
        max_size=uploads.max_size << 20,
        station_quota=uploads.station_quota << 20,
        quota=uploads.quota << 20,
        expires=uploads.expires,
        keep=uploads.keep,
    )


def url_rules(site: Site) -> UrlRules:
    """Where stations may be sent."""
    return UrlRules(Reach.allowing(site.outgoing.allow), site.stations.unsigned_firmware)


def door_policy(site: Site) -> DoorPolicy:
    """Who may come in."""
    return DoorPolicy(
        unknown=site.stations.unknown,
        enrolment=hash_password(site.stations.enrolment_password) if site.stations.enrolment_password else "",
        pending_limit=site.stations.pending_limit,
        organization=site.tls.organization,
        common_name=site.tls.common_name,
        open=site.open,
        profiles=frozenset(profile for one in site.listeners for profile in one.profiles),
    )


def try_limits(site: Site) -> TryLimits:
    """How often somebody may try to come in."""
    server = site.server
    return TryLimits(
        window_s=server.failed_tries_window.total_seconds(),
        per_address=2 * server.failed_tries,
        per_identity=server.failed_tries,
        penalty_s=min(4.0, 0.8 * server.handshake_timeout.total_seconds()),
        flaps=server.failed_tries,
    )


def healing_policy(site: Site) -> HealingPolicy:
    """When a silent transaction is asked after, and how often."""
    table = site.transactions
    return HealingPolicy(table.silence, table.ask_after, table.ask_again, table.ask_tries)


def point_policy(site: Site) -> PointPolicy:
    """From where to where a transaction goes, and whether stations are asked for it."""
    table = site.transactions
    return PointPolicy(TxPoints(table.start_points, table.stop_points), table.read_points)


def meter_rules(site: Site) -> tuple[MeterRules, tuple[EvseRules, ...]]:
    """What meters may say everywhere, and where something else holds."""
    table = site.transactions
    exceptions = (
        EvseRules(
            one.station,
            one.evse,
            None if one.max_power_kw is None else Decimal(one.max_power_kw),
            None if one.register is None else one.register == "lifetime",
        )
        for one in table.evse
    )
    return MeterRules(Decimal(table.max_power_kw), table.register == "lifetime"), tuple(exceptions)


def kept(store: Store, site: Site) -> list[Rule]:
    """The rules of the site file; what is kept for ever has none."""
    keep, main = site.retention, store.shelves
    rules = [
        Rule(store.log_shelves, shelves.MESSAGES, keep.messages),
        Rule(main, shelves.NOTICES, keep.notices),
        Rule(main, shelves.ALERTS, keep.alerts),
        Rule(main, shelves.ALERT_GAPS, keep.alerts),
        Rule(main, shelves.METER_VALUES, keep.meter_values),
        Rule(
            main,
            shelves.METER_VALUES,
            keep.meter_values_thinned,
            Thinning(keep.meter_values_every, ("station", "evse")),
        ),
        Rule(main, shelves.COMMANDS, keep.commands),
        Rule(main, shelves.PLANS, keep.commands),
        Rule(main, shelves.SECURITY_EVENTS, keep.security_events),
        Rule(main, shelves.AUDIT, keep.audit),
    ]
    return [rule for rule in rules if rule.keep]


def archive(site: Site) -> Archive | None:
    """Where what is no longer kept is written, if anywhere."""
    return Archive(site.folder / site.retention.archive) if site.retention.archive else None


def socket_limits(site: Site) -> Limits:
    """What one station's socket may cost."""
    server = site.server
    return Limits(
        max_message=server.max_message,
        max_header=server.max_header,
        handshake_s=server.handshake_timeout.total_seconds(),
        ping_interval_s=server.ping_interval.total_seconds(),
        ping_timeout_s=server.ping_timeout.total_seconds(),
        call_timeout_s=server.call_timeout.total_seconds(),
        max_unauthenticated=server.max_unauthenticated,
        max_unauthenticated_per_address=server.max_unauthenticated_per_address,
        max_waiting=min(server.max_waiting, descriptor_limit() // 2),
        max_rate=server.max_rate,
        compression=server.compression,
        browsers=server.browsers,
    )
