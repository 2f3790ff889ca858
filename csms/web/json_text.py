"""How the API writes JSON: dataclasses by their field names, times as RFC 3339 in UTC, Decimals as text."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson


def dumps(value: object) -> bytes:
    """Compact JSON of dataclasses, mappings, sequences and plain values."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_UTC_Z)


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            return format(value, "f")
        case Mapping():
            return dict(value)
        case set() | frozenset():
            return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
