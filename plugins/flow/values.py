"""Values with ``{EXPR}`` in their texts, compiled once; a text that is exactly one expression keeps its type."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from csms_plugins.flow.expressions import Expression, Names

Value = Callable[[Names], Any]
LONGEST = 10_000
TOKENS = frozenset(
    {"token", "id_token", "stop_token", "group", "group_id_token", "id_tokens", "additional_info"}
) | frozenset({"idToken", "idTag", "parentIdTag", "groupIdToken", "additionalInfo"})
"""Fields in which, or below which, a driver's token stands."""
OPEN = frozenset({"type", "status"})
"""What is no secret of it."""
TOKEN_END = 4


def compile_value(value: object, compile_: Callable[[str], Expression | None], wrong: Callable[[str], None]) -> Value:
    """A function from names to the value; ``compile_`` notes its own mistakes, ``wrong`` is told of braces that do not match."""
    match value:
        case str():
            return _text(value, compile_, wrong)
        case dict():
            fields = {key: compile_value(one, compile_, wrong) for key, one in value.items()}
            return lambda names: {key: one(names) for key, one in fields.items()}
        case list():
            items = [compile_value(one, compile_, wrong) for one in value]
            return lambda names: [one(names) for one in items]
    return lambda names: value


def _text(text: str, compile_: Callable[[str], Expression | None], wrong: Callable[[str], None]) -> Value:
    pieces = split(text)
    if pieces is None:
        wrong(f"a brace in {text!r} has no partner: write {{{{ or }}}} for a brace that is meant")
        return lambda names: text
    parts: list[str | Expression] = []
    for piece, is_expression in pieces:
        part = compile_(piece) if is_expression else piece
        if part is not None:
            parts.append(part)
    if len(parts) == 1 and isinstance(parts[0], Expression):
        return parts[0].value
    return lambda names: "".join(one if isinstance(one, str) else shown(one.value(names)) for one in parts)[:LONGEST]


def split(text: str) -> list[tuple[str, bool]] | None:
    """The pieces of a text, with whether each is an expression; None when braces do not match."""
    pieces: list[tuple[str, bool]] = []
    literal, at = "", 0
    while at < len(text):
        here = text[at]
        if here in "{}" and text[at : at + 2] == here * 2:
            literal, at = literal + here, at + 2
        elif here == "{":
            end = _closing(text, at + 1)
            if end < 0:
                return None
            pieces += [(literal, False)] if literal else []
            pieces.append((text[at + 1 : end], True))
            literal, at = "", end + 1
        elif here == "}":
            return None
        else:
            literal, at = literal + here, at + 1
    return [*pieces, (literal, False)] if literal or not pieces else pieces


def _closing(text: str, at: int) -> int:
    quote = ""
    for index in range(at, len(text)):
        here = text[index]
        if quote:
            quote = "" if here == quote else quote
        elif here in "'\"":
            quote = here
        elif here == "}":
            return index
    return -1


def discreet(path: str, value: Any) -> str:
    """What stands at a path, as traces tell it: of drivers' tokens the last characters only."""
    hide = False
    for part in path.split("."):
        hide = _hides(part, hide)
    return shown(_masked(value, hide))


def _hides(key: str, above: bool) -> bool:
    return key not in OPEN and (above or key in TOKENS)


def _masked(value: Any, hide: bool) -> Any:
    match value:
        case dict():
            return {key: _masked(one, _hides(str(key), hide)) for key, one in value.items()}
        case list() | tuple():
            return [_masked(one, hide) for one in value]
        case str() if hide:
            return "…" + value[-TOKEN_END:] if len(value) > 2 * TOKEN_END else "…"
    return value


def shown(value: Any) -> str:
    """A value inside a text."""
    match value:
        case str():
            return value
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.10g}"
    try:
        return str(value) if type(value) is int else json.dumps(value, default=str)
    except ValueError:
        return "a number too long to write"
