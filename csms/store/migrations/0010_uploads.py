"""Which request a file answers."""

from __future__ import annotations

from typing import Any


def up(migrator: Any, db: Any) -> None:
    db.execute_sql('ALTER TABLE "upload" ADD COLUMN "request_id" INTEGER NOT NULL DEFAULT 0')
