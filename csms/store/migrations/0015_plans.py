"""What plans decided, for the stories of transactions."""

from __future__ import annotations

from typing import Any


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(
        """
        CREATE TABLE "plan_decision" (
            "id" INTEGER NOT NULL PRIMARY KEY, "station" TEXT NOT NULL, "at" INTEGER NOT NULL, "said" TEXT NOT NULL, "plugin" TEXT NOT NULL,
            "reason" TEXT NOT NULL, "command" INTEGER, "evse" INTEGER
        ) STRICT
        """
    )
    db.execute_sql('CREATE INDEX "plan_decision_station_at" ON "plan_decision" ("station", "at")')
