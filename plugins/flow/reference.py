"""The reference of the language as a page, made of the tables that the checker and the engine use themselves."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from typing import Any

from csms_plugins.flow.answers import ANSWERS, SECONDS
from csms_plugins.flow.events import EVENTS, GIVEN, QUESTIONS, STATION, Kind
from csms_plugins.flow.functions import ARGUMENTS
from csms_plugins.flow.grammar import KEYS
from csms_plugins.flow.presets import OPTION_TYPES, SHIPPED, shipped_names
from csms_plugins.flow.rule import FAILURES
from csms_plugins.flow.shapes import Shape, record
from csms_plugins.flow.verbs import AWAITED, COMMON, RETRY, VERBS, WORDS

HEAD = """# Reference of flow rules

Made from csms's own tables; what the words mean is in [rules.md](rules.md). Not to be edited by hand:
`CSMS_WRITE_DOCS=1 pytest tests/plugins/test_rules_reference.py` writes it anew.

Types are text, number, boolean, time (a text in ISO 8601), a list of them in brackets, or the words that there are. Every field may be `none`.
"""
DEEPEST = 3
NAMES = {str: "text", bool: "boolean", int: "number", float: "number", list: "list", object: "any"}


def reference() -> str:
    """The whole page."""
    parts = [HEAD, *_rules(), *_names(), *_events(), *_questions(), *_functions(), *_presets()]
    return "\n".join(parts) + "\n"


def _rules() -> Iterator[str]:
    yield "## Rules and steps\n"
    yield f"A rule has: {_words(KEYS)}.\n"
    yield "| verb | what goes with it |\n|---|---|"
    for verb, keys in VERBS.items():
        said = f"one of {_words(WORDS[verb])}" if verb in WORDS else ""
        yield f"| `{verb}` | {'; '.join(filter(None, [said, _words(keys)]))} |"
    yield f"\nEvery step may have: {_words(COMMON)}. `retry` has {_words(RETRY)}, and its `on` {_words(FAILURES)}."
    yield f"`wait` for an event has {_words(AWAITED)}."
    for key in ("level", "show"):
        yield f"`{key}` is one of {_words(WORDS[key])}."
    yield f"Options of presets have a type: {_words(OPTION_TYPES)}.\n"


def _names() -> Iterator[str]:
    yield "## Names that are always there\n"
    yield from _table({"station": record(STATION), **GIVEN})


def _events() -> Iterator[str]:
    yield "\n## Events\n"
    for name, kind in EVENTS.items():
        yield f"### {name}\n"
        yield from _kind(kind)
        yield f"\nDefault key: `{', '.join(kind.key)}`. The fields of `{kind.main}` stand alone in `where`.\n"


def _questions() -> Iterator[str]:
    yield "## Questions\n"
    for name, kind in QUESTIONS.items():
        word, known = ANSWERS[name]
        yield f"### {name}, answered by decide.{word}\n"
        yield from _kind(kind)
        yield f"\n| decide.{word} | |\n|---|---|"
        for one, wanted in known.items():
            yield f"| `{one}` | {'duration' if wanted is SECONDS and one != 'backoff' else _wanted(wanted)} |"
        yield ""


def _functions() -> Iterator[str]:
    yield "## Functions\n"
    yield "| function | arguments |\n|---|---|"
    for name, (fewest, most) in sorted(ARGUMENTS.items()):
        yield f"| `{name}` | {fewest if fewest == most else f'{fewest} to {most}'} |"
    yield ""


def _presets() -> Iterator[str]:
    yield "## Presets\n"
    for name in shipped_names():
        table = tomllib.loads((files(SHIPPED) / f"{name}.toml").read_text("utf-8"))["preset"]
        yield f"### {name}\n\n{table.get('note', '')}\n\n| option | type | default | |\n|---|---|---|---|"
        for option, about in table["options"].items():
            words = f" of {_words(map(str, filter(None, about['one_of'])))}" if "one_of" in about else ""
            yield f"| `{option}` | {about['type']}{words} | `{_toml(about.get('default', ''))}` | {about.get('note', '')} |"
        yield ""


def _kind(kind: Kind) -> Iterator[str]:
    return _table(kind.roots())


def _table(roots: Mapping[str, Shape]) -> Iterator[str]:
    yield "| name | type |\n|---|---|"
    for root, shape in roots.items():
        yield from _rows(root, shape, 0)


def _rows(path: str, shape: Shape, depth: int) -> Iterator[str]:
    fields = shape.fields
    if shape.kind != "object" or fields is None or depth == DEEPEST:
        yield f"| `{path}` | {_type(shape)} |"
        return
    for name, inner in fields.items():
        yield from _rows(f"{path}.{name}", inner, depth + 1)


def _type(shape: Shape) -> str:
    text = _words(shape.words) if shape.words else shape.kind
    return f"[{text}]" if shape.many else text


def _wanted(wanted: Any) -> str:
    return _words(filter(None, wanted)) if isinstance(wanted, tuple) else NAMES.get(wanted, "any")


def _words(words: Iterable[str]) -> str:
    return " ".join(f"`{word}`" for word in words)


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value).lower()
