"""Lists in parts: a full part names where the next one is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import urlencode

from csms.web.routes import Asked
from csms.web.views import Page

T = TypeVar("T")


def page(
    asked: Asked,
    items: Sequence[T],
    cursor: Callable[[T], object],
    *,
    key: str = "after",
    edge: int = -1,
    cut: bool = False,
) -> Page[T]:
    """The items; if there may be more, with the path of the next part: the same question from the cursor of the item at the edge.

    There may be more when the part is full, or when it was ``cut`` short for its size.
    """
    if len(items) < asked.query["limit"] and not cut:
        return Page(items)
    question = {name: text for name, text in asked.given.items() if name != key}
    return Page(items, f"{asked.path}?{urlencode({**question, key: cursor(items[edge])}, doseq=True)}")
