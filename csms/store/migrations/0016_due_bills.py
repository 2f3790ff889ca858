"""Bills are due of transactions that have ended: an index of those alone, which events of a transaction that goes on need not touch."""

from __future__ import annotations

from typing import Any


def up(migrator: Any, db: Any) -> None:
    db.execute_sql('DROP INDEX "transaction_due"')
    db.execute_sql(
        'CREATE INDEX "transaction_due" ON "transaction" ("id") WHERE (("active" = 0) AND ("revision" > "billed_revision"))'
    )
