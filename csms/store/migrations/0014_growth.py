"""Bills are found by the time of their issue without looking at all of them."""

from __future__ import annotations

from typing import Any


def up(migrator: Any, db: Any) -> None:
    db.execute_sql('CREATE INDEX "bill_issued_at" ON "bill" ("issued_at")')
