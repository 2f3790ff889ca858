"""Decisions on tokens: as JSON text beside the event they were made for, and in a table of their own where there was no event."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from csms.model.authorization import Authorization, AuthorizationStatus, Decision, IdToken, Purpose
from csms.store.columns import json_text, micros, moment
from csms.store.connections import Readers
from csms.store.statements import compiled, insertion
from csms.store.tables import Decision as Row
from csms.store.writer import Writer

NEW = compiled(insertion(Row, without=("id",)))


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision on a token that no transaction event carried."""

    station: str
    at: datetime
    id_token: IdToken
    purpose: Purpose
    decision: Decision


class DecisionRows:
    """Decisions by token and time."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def note(self, station: str, token: IdToken, purpose: Purpose, decision: Decision, at: datetime) -> None:
        """Keep one."""
        row = (station, micros(at), token.key, token.type, purpose.value, said(decision))
        await self._writer.submit(lambda connection: connection.execute(NEW, row).rowcount)

    async def list(
        self, token: IdToken, after: datetime, before: datetime, limit: int = 100
    ) -> builtins.list[StoredDecision]:
        """Those on a token between two times, by time."""
        query = Row.select(Row.station, Row.at, Row.token_key, Row.token_type, Row.purpose, Row.said).where(
            Row.token_key == token.key, Row.token_type == token.type, Row.at >= micros(after), Row.at <= micros(before)
        )
        return await self._readers.many(query.order_by(Row.at, Row.id).limit(limit), _stored)


def said(decision: Decision) -> str:
    """A decision as JSON text; what is not said is left out."""
    made = decision.authorization
    facts: dict[str, Any] = {
        "status": made.status.value,
        "plugin": decision.plugin,
        "because": decision.because,
        "reason": made.reason,
        "message": made.message,
        "group": group_text(made.group),
        "expires": made.expires.isoformat() if made.expires else "",
    }
    return json_text({name: fact for name, fact in facts.items() if fact})


def read(text: str | None) -> Decision | None:
    """The decision of such a text; None stays None."""
    if text is None:
        return None
    facts = orjson.loads(text)
    expires = facts.get("expires")
    made = Authorization(
        AuthorizationStatus(facts["status"]),
        group_of(facts.get("group", "")),
        datetime.fromisoformat(expires) if expires else None,
        facts.get("reason", ""),
        facts.get("message", ""),
    )
    return Decision(made, facts.get("plugin", ""), facts.get("because", ""))


def group_text(group: IdToken | None) -> str:
    """A group token in one column; empty for none."""
    return "" if group is None else json_text([group.value, group.type])


def group_of(text: str) -> IdToken | None:
    """The group token of such a column."""
    return IdToken(*orjson.loads(text)) if text else None


def _stored(row: Any) -> StoredDecision:
    decision = read(row[5])
    assert decision is not None
    return StoredDecision(row[0], moment(row[1]), IdToken(row[2], row[3]), Purpose(row[4]), decision)
