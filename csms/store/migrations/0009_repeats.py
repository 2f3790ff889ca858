"""How often an event came again, and when last."""

from __future__ import annotations

from typing import Any

COLUMNS = ('"repeats" INTEGER NOT NULL DEFAULT 0', '"repeated_at" INTEGER')


def up(migrator: Any, db: Any) -> None:
    for column in COLUMNS:
        db.execute_sql(f'ALTER TABLE "transaction_event" ADD COLUMN {column}')
