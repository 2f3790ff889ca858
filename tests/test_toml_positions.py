"""The scanner finds what tomllib finds, where it was written: hand-made texts, then random documents whose writer remembers each place."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csms.toml_positions import Path, Positions


@pytest.mark.parametrize(
    ("text", "path", "place"),
    [
        ("a = 1", ("a",), (1, 1)),
        ("\n\n  a = 1", ("a",), (3, 3)),
        ("[t]\na = 1", ("t", "a"), (2, 1)),
        ("[t]\na = 1", ("t",), (1, 1)),
        ("\n [ t . u ] # note\na = 1", ("t", "u", "a"), (3, 1)),
        ("\n [ t . u ] # note\na = 1", ("t",), (2, 2)),
        ("[t.u]\na = 1\n[t]\nb = 2", ("t",), (3, 1)),
        ("a.b . c = 1", ("a", "b"), (1, 3)),
        ("a.b . c = 1", ("a", "b", "c"), (1, 7)),
        ('"a b".c = 1', ("a b", "c"), (1, 7)),
        ("'a.b' = 1", ("a.b",), (1, 1)),
        ('"\\u00e9\\t\\"" = 1', ('é\t"',), (1, 1)),
        ("[[r]]\nx = 1\n[[r]]\nx = 2", ("r", 1, "x"), (4, 1)),
        ("[[r]]\n[[r.s]]\n[[r.s]]\nx = 1\n[[r]]\n[[r.s]]\nx = 2", ("r", 0, "s", 1, "x"), (4, 1)),
        ("[[r]]\n[[r.s]]\n[[r.s]]\nx = 1\n[[r]]\n[[r.s]]\nx = 2", ("r", 1, "s", 0, "x"), (7, 1)),
        ("[[r]]\n[r.t]\nx = 1", ("r", 0, "t", "x"), (3, 1)),
        ("a = { b = 1, c = { d = 2 } }", ("a", "c", "d"), (1, 20)),
        ("a = [\n  1, # one\n  { b = 2 },\n]", ("a", 1, "b"), (3, 5)),
        ('a = "# = [x]"\nb = 1', ("b",), (2, 1)),
        ('a = """\nb = 1\n\\""" x""""\nc = 2', ("c",), (4, 1)),
        ("a = '''\nb = 1\n'''''\nc = 2", ("c",), (4, 1)),
        ('a = ""\nb = 1', ("b",), (2, 1)),
        ("a = 1979-05-27 07:32:00\nb = 1", ("b",), (2, 1)),
        ("a = [[1, 2], [3]]", ("a", 1, 0), (1, 15)),
        ('a = ["""x"""", { b = 1 }]', ("a", 1, "b"), (1, 18)),
        ("a = ['''x''''', { b = 1 }]", ("a", 1, "b"), (1, 19)),
    ],
)
def test_a_key_stands_where_it_was_written(text: str, path: Path, place: tuple[int, int]) -> None:
    tomllib.loads(text)
    positions = Positions(text)
    assert path in positions.offsets
    assert positions.of(path) == place


def test_what_is_not_written_gets_the_place_of_what_is_around_it() -> None:
    positions = Positions("\n[t]\na = 1\n")
    assert positions.of(("t", "missing", 3)) == (2, 1)
    assert positions.of(("nowhere",)) == (1, 1)
    assert positions.of(()) == (1, 1)


@pytest.mark.parametrize(
    ("text", "path", "place"),
    [
        ("a = 1\nb = 2\na = 3", ("a",), (3, 1)),
        ("[t]\na = 1\n[u]\n[t]", ("t",), (4, 1)),
        ("a = { b = 1, b = 2 }", ("a", "b"), (1, 14)),
        ("a.b = 1\na.b = 2", ("a", "b"), (2, 3)),
    ],
)
def test_what_is_written_twice_is_a_repeat(text: str, path: Path, place: tuple[int, int]) -> None:
    positions = Positions(text)
    ((again, offset),) = positions.repeats
    assert (again, positions.at(offset)) == (path, place)


@settings(deadline=None)
@given(st.text(alphabet="ab=.[]{},\"'\\#\n\t 1uU0", max_size=60))
def test_any_text_is_survived(text: str) -> None:
    positions = Positions(text)
    assert all(0 <= offset <= len(text) for offset in positions.offsets.values())


@settings(deadline=None)
@given(st.integers(1, 3000), st.sampled_from(["[", "{a=", "a.", '"""', "[a."]))
def test_deep_nesting_is_survived(depth: int, opening: str) -> None:
    assert Positions("x = " + opening * depth + "\ny = 1").of(("x",)) == (1, 1)


class Writer:
    """Writes a document in one of the ways TOML allows and remembers where each key was put."""

    def __init__(self, choose: Any) -> None:
        self.text = ""
        self.places: dict[Path, int] = {}
        self.choose = choose

    def one_of(self, *ways: str) -> str:
        return self.choose(st.sampled_from(ways))

    def key(self, path: Path) -> None:
        name = path[-1]
        assert isinstance(name, str)
        self.places[path] = len(self.text)
        bare = name.isascii() and name.replace("-", "a").replace("_", "a").isalnum()
        literal = "'" not in name and name.isprintable()
        ways = [json.dumps(name), *([name] if bare else []), *([f"'{name}'"] if literal else [])]
        self.text += self.one_of(*ways)

    def pair(self, path: Path, value: Any) -> None:
        self.key(path)
        self.text += self.one_of(" = ", "=", "\t=  ")
        self.value(path, value)

    def value(self, path: Path, value: Any) -> None:
        match value:
            case dict():
                self.inline(path, value)
            case list():
                self.array(path, value)
            case str():
                self.text += self.string(value)
            case bool():
                self.text += str(value).lower()
            case _:
                self.text += repr(value)

    def string(self, value: str) -> str:
        basic = json.dumps(value, ensure_ascii=True)[1:-1]
        plain = value.isprintable() and "'" not in value
        literal = [f"'{value}'", f"'''{value}'''", f"'''\n{value}'''"] if plain else []
        continued = [] if value.startswith(" ") else [f'"""\\\n  {basic}"""']
        return self.one_of(f'"{basic}"', f'"""{basic}"""', f'"""\n{basic}"""', *continued, *literal)

    def inline(self, path: Path, table: dict[str, Any]) -> None:
        self.text += "{" + self.one_of("", " ")
        for count, (name, value) in enumerate(table.items()):
            self.text += self.one_of(", ", ",", " ,  ") if count else ""
            self.pair((*path, name), value)
        self.text += self.one_of("", " ") + "}"

    def array(self, path: Path, values: list[Any]) -> None:
        self.text += "[" + self.one_of("", " ", "\n  ", " # ] [\n")
        for index, value in enumerate(values):
            self.text += self.one_of(", ", ",", "\n,\n", ' , # "\n ') if index else ""
            self.places[(*path, index)] = len(self.text)
            self.value((*path, index), value)
        self.text += self.one_of("", ",", "\n", " # '\n") if values else ""
        self.text += "]"

    def table(self, path: Path, table: dict[str, Any]) -> None:
        """Plain keys first, then each inner table inline, by dotted keys or under a header of its own."""
        later = []
        for name, value in table.items():
            own = isinstance(value, dict) or (
                isinstance(value, list) and value and all(isinstance(one, dict) for one in value)
            )
            if own and self.one_of("header", "here") == "header":
                later.append((name, value))
                continue
            self.text += self.one_of("", "\n", "  ", "# a = 1\n", "\t")
            self.pair((*path, name), value)
            self.text += self.one_of("\n", " # b = [\n", "\r\n")
        for name, value in later:
            for index, one in enumerate(value if isinstance(value, list) else [value]):
                many = isinstance(value, list)
                self.header((*path, name), many=many, first=index == 0)
                inner = (*path, name, index) if many else (*path, name)
                self.table(inner, one)

    def header(self, path: Path, *, many: bool, first: bool) -> None:
        start = len(self.text)
        self.text += "[[" if many else "["
        names = [part for part in path if isinstance(part, str)]
        self.text += self.one_of(".", " . ").join(json.dumps(name) for name in names)
        self.text += ("]]" if many else "]") + self.one_of("\n", " # [x]\n")
        if first:
            self.places[path] = start


keys = st.text(st.sampled_from("ab0-_ .\"#é=[\t]'"), max_size=4).filter(lambda key: key.isprintable() or "\t" in key)
strings = st.text(st.sampled_from("ab \"'#=[]{},\\\n\té\x00"), max_size=8)
leaves = st.one_of(strings, st.integers(-1000, 1000), st.booleans(), st.sampled_from([0.5, -2.25, 1e20]))
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=12
)
documents = st.dictionaries(keys, values, max_size=4)


def leaf_paths(value: Any, path: Path = ()) -> Iterator[Path]:
    match value:
        case dict() if value:
            for name, inner in value.items():
                yield from leaf_paths(inner, (*path, name))
        case list() if value:
            for index, inner in enumerate(value):
                yield from leaf_paths(inner, (*path, index))
        case _:
            yield path


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents, st.data())
def test_every_leaf_of_a_random_document_is_found_where_it_was_written(document: dict[str, Any], data: Any) -> None:
    writer = Writer(data.draw)
    writer.table((), document)
    assert tomllib.loads(writer.text) == document
    text = writer.text.replace("\r\n", "\n")
    positions = Positions(text)
    assert positions.repeats == []
    for path in leaf_paths(document):
        assert path in positions.offsets
    for path, offset in writer.places.items():
        assert positions.offsets[path] == offset - writer.text.count("\r\n", 0, offset)
