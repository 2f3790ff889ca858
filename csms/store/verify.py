"""Checks a database file without changing it: ``csms db verify``."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from playhouse.migrations import Migration

from csms.store.connections import reading
from csms.store.faults import SchemaTooNew, fault_of
from csms.store.schema import SCRIPTS, applied, refuse_unknown

MOST_SHOWN = 20
COUNTS = """
    SELECT t."id", t."station", t."revision", COUNT(e."id"), COALESCE(json_extract(t."evidence", '$.events'), 0)
    FROM "transaction" t LEFT JOIN "transaction_event" e ON e."transaction_id" = t."id"
    GROUP BY t."id" HAVING t."revision" <> COUNT(e."id") OR t."revision" <> 3
"""
