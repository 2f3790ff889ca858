"""The CSMS's own token list, by value without regard to case, and type."""

from __future__ import annotations

import builtins
import sqlite3
from collections.abc import Iterable
from typing import Any

from csms.model.authorization import AuthorizationStatus, IdToken, TokenRecord
from csms.store.columns import micros_or_none, moment_or_none
from csms.store.connections import Readers
from csms.store.statements import Q, compiled, upsert
from csms.store.tables import Token
from csms.store.writer import Writer

ALL = Token.select(
    Token.value,
    Token.type,
    Token.status,
    Token.group_value,
    Token.group_type,
    Token.expires,
    Token.note,
    Token.concurrent,
)
GET = compiled(ALL.where(Token.key == Q, Token.type == Q))
PUT = upsert(Token, Token.key, Token.type)
DELETE = compiled(Token.delete().where(Token.key == Q, Token.type == Q))


class TokenRows:
    """Tokens in the order of their values as they are compared."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def get(self, token: IdToken) -> TokenRecord | None:
        """The token's record, or None."""
        row = self._readers.one(GET, (token.key, token.type))
        return None if row is None else _record(row)

    async def put(self, record: TokenRecord) -> None:
        """Make or replace a token."""
        await self.put_many((record,))

    async def put_many(self, records: Iterable[TokenRecord]) -> None:
        """Make or replace tokens, all or none."""
        rows = [_row(record) for record in records]
        await self._writer.submit(lambda connection: connection.executemany(PUT, rows).rowcount)

    async def delete(self, token: IdToken) -> bool:
        """Forget a token; False if it is unknown."""
        key = (token.key, token.type)
        return await self._writer.submit(lambda connection: connection.execute(DELETE, key).rowcount == 1)

    async def list(self, *, search: str = "", after: str = "", limit: int = 100) -> builtins.list[TokenRecord]:
        """Tokens whose key is above ``after``, with ``search`` in value or note; types of one value stay together, beyond the limit if need be."""
        query = ALL.where(Token.key > after).order_by(Token.key, Token.type)
        if search:
            query = query.where(Token.key.contains(search.casefold()) | Token.note.contains(search))

        def read(connection: sqlite3.Connection) -> builtins.list[TokenRecord]:
            sql, values = query.limit(limit).sql()
            records = [_record(row) for row in connection.execute(sql, values)]
            if len(records) == limit:
                sql, values = query.where(Token.key == records[-1].id_token.key).sql()
                last = [_record(row) for row in connection.execute(sql, values)]
                records += [one for one in last if one.id_token.type > records[-1].id_token.type]
            return records

        return await self._readers.threaded(read)


def _row(record: TokenRecord) -> tuple[object, ...]:
    token, group = record.id_token, record.group
    return (
        token.key,
        token.type,
        token.value,
        record.status.value,
        group.value if group else None,
        group.type if group else None,
        micros_or_none(record.expires),
        record.note,
        record.concurrent,
    )


def _record(row: Any) -> TokenRecord:
    return TokenRecord(
        id_token=IdToken(row[0], row[1]),
        status=AuthorizationStatus(row[2]),
        group=None if row[3] is None else IdToken(row[3], row[4]),
        expires=moment_or_none(row[5]),
        note=row[6],
        concurrent=row[7],
    )
