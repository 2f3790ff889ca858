"""How values stand in columns. Times are whole microseconds since 1970 UTC: exact, small, and number order is time order.

Decimals are text, so that no digit is lost; words are their text; what is never searched is JSON text.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import orjson

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def micros(at: datetime) -> int:
    """Microseconds since 1970 UTC; a time without a zone is refused with ValueError."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def micros_or_none(at: datetime | None) -> int | None:
    """As ``micros``, None stays None."""
    return None if at is None else micros(at)


def moment(stored: int) -> datetime:
    """The aware UTC time of a stored number."""
    return EPOCH + MICROSECOND * stored


def moment_or_none(stored: int | None) -> datetime | None:
    """As ``moment``, None stays None."""
    return None if stored is None else EPOCH + MICROSECOND * stored


def text_or_none(value: Decimal | None) -> str | None:
    """A Decimal as text, None stays None."""
    return None if value is None else str(value)


def decimal_or_none(stored: str | None) -> Decimal | None:
    """The Decimal of a stored text, None stays None."""
    return None if stored is None else Decimal(stored)


def json_text(value: object) -> str:
    """JSON text; Decimals become text, dataclasses objects, words their text."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS).decode()


def _plain(value: object) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if hasattr(value, "items"):
        return dict(value.items())
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} cannot be stored as JSON")


def digest(*parts: bytes) -> bytes:
    """Sixteen bytes that are equal for equal contents only."""
    hashed = blake2b(digest_size=16)
    for part in parts:
        hashed.update(len(part).to_bytes(8, "big"))
        hashed.update(part)
    return hashed.digest()
