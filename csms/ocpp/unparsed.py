"""Payloads that nobody has looked at yet: most calls pass by plugins that want to know the action alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from csms.ocpp.strict_json import loads


class Unparsed(Mapping[str, Any]):
    """A payload as it stood on the wire, right by its schema: parsed when somebody looks, once."""

    __slots__ = ("_parsed", "_wire")

    def __init__(self, wire: bytes) -> None:
        self._wire = wire
        self._parsed: dict[str, Any] | None = None

    def _whole(self) -> dict[str, Any]:
        if self._parsed is None:
            self._parsed = loads(self._wire)
        return self._parsed

    def __getitem__(self, field: str) -> Any:
        """A field's value; raises KeyError."""
        return self._whole()[field]

    def __iter__(self) -> Iterator[str]:
        """The fields' names, in the station's order."""
        return iter(self._whole())

    def __len__(self) -> int:
        """How many fields there are."""
        return len(self._whole())

    def __repr__(self) -> str:
        """As a dict is shown."""
        return repr(self._whole())
