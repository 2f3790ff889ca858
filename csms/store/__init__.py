"""The store: the only package that knows the database. It takes and gives model dataclasses; rows, SQL and peewee stay inside.

An awaited write is on the disk (SQLite WAL, synchronous FULL, group commit). What cannot be written raises ``StoreFault``.
"""

from csms.store import shelves
from csms.store.archive import Archive
from csms.store.arrivals import Addition, Recorded, addition
from csms.store.availability import StatusRecorded, ToldStatus
from csms.store.billing import Issuing
from csms.store.decisions import StoredDecision
from csms.store.faults import Fenced, NoSuchRow, SchemaFault, SchemaTooNew, StoreFault
from csms.store.healing import Healing
from csms.store.keepsakes import StoredNotice, StoredTelemetry, ToldValues
from csms.store.monitoring import AlertRecorded, SeriesPosition, StoredAlert, StoredGap
from csms.store.presence import Attached
from csms.store.security import KeptCertificate, Standing
from csms.store.shelves import Shelf, Shelves, Thinning, Walk
from csms.store.sole_use import InUse, SoleUse
from csms.store.state import StoredEvent
from csms.store.store import Store, log_beside
from csms.store.verify import verify

__all__ = [
    "Addition",
    "AlertRecorded",
    "Archive",
    "Attached",
    "Fenced",
    "Healing",
    "InUse",
    "Issuing",
    "KeptCertificate",
    "NoSuchRow",
    "Recorded",
    "SchemaFault",
    "SchemaTooNew",
    "SeriesPosition",
    "Shelf",
    "Shelves",
    "SoleUse",
    "Standing",
    "StatusRecorded",
    "Store",
    "StoreFault",
    "StoredAlert",
    "StoredDecision",
    "StoredEvent",
    "StoredGap",
    "StoredNotice",
    "StoredTelemetry",
    "Thinning",
    "ToldStatus",
    "ToldValues",
    "Walk",
    "addition",
    "log_beside",
    "shelves",
    "verify",
]
