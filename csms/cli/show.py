"""How answers are printed: JSON for programs, tables for people; texts of stations never reach the terminal raw."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

FRACTION = re.compile(r"(?<=T\d\d:\d\d:\d\d)\.\d+Z$")
"""What a time has beyond its seconds: too much for a table."""


def plain(value: object) -> str:
    """A value as one line of printable text."""
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(plain(one) for one in value) or "-"
        case dict():
            return plain(value.get("value", json.dumps(value)))
    return "".join(sign if sign.isprintable() else "?" for sign in str(value))


def rows(items: Iterable[Mapping[str, Any]], columns: Mapping[str, str], *, as_json: bool, none: str) -> None:
    """A list: JSON, or a table with these columns (heading -> field, dots for fields in fields)."""
    kept = list(items)
    if as_json:
        click.echo(json.dumps(kept, indent=2))
        return
    if not kept:
        click.echo(none)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns:
        table.add_column(heading, overflow="fold")
    for item in kept:
        table.add_row(*(Text(FRACTION.sub("Z", plain(_field(item, name)))) for name in columns.values()))
    Console().print(table)


def one(item: Mapping[str, Any], *, as_json: bool) -> None:
    """One thing: JSON, or a line a field; fields without a value are left out."""
    if as_json:
        click.echo(json.dumps(item, indent=2))
        return
    for name, value in item.items():
        if value in (None, "", [], {}):
            continue
        text = json.dumps(value) if isinstance(value, dict | list) else plain(value)
        click.echo(f"{name.replace('_', ' ')}: {text}")


def _field(item: Mapping[str, Any], name: str) -> Any:
    value: Any = item
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
