"""Frozen dataclasses that are made with every message, at the price of a mutable one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, make_dataclass
from typing import Any, TypeVar

T = TypeVar("T")


def maker(kind: Callable[..., T]) -> Callable[..., T]:
    """Makes what ``kind`` makes, a frozen dataclass with slots and without ``__post_init__``, four times as fast; all fields are given, in order.

    A frozen class sets each field through ``object.__setattr__``. Here a mutable class of the same layout sets them, and then the object becomes
    one of ``kind``.
    """
    twin: Any = make_dataclass(f"{kind.__name__}InTheMaking", [one.name for one in fields(kind)], slots=True)  # type: ignore[arg-type]

    def made(*values: Any) -> T:
        one = twin(*values)
        one.__class__ = kind
        return one  # type: ignore[no-any-return]

    return made
