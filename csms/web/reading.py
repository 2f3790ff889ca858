"""Reads a request: path, query, Prefer and body; what cannot be read ends in a ``Refused`` that says where and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from pydantic import TypeAdapter, ValidationError

from csms.ocpp.strict_json import NotStrictJson, loads
from csms.web.problems import Kind, Mistake, QueryMistake, Refused
from csms.web.routes import Param, enum_words

WANTED = "application/json"
MAX_BODY = 2**20
MAX_WAIT_S = 60
MAX_MISTAKES = 50
_WAIT = re.compile(r"(?:^|,)\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?:$|[,;])", re.IGNORECASE)
_BOOLS = {"true": True, "false": False}


def segments_of(path: bytes) -> tuple[str, ...]:
    """The segments of a path, each percent-decoded once."""
    if not path.startswith(b"/"):
        raise Refused(Kind.BAD_REQUEST, "the path does not start with /")
    try:
        segments = tuple(unquote_to_bytes(part).decode() for part in path[1:].split(b"/"))
    except UnicodeDecodeError:
        raise Refused(Kind.BAD_REQUEST, "the path is not UTF-8") from None
    if not all(segment.isprintable() for segment in segments):
        raise Refused(Kind.BAD_REQUEST, "the path has a character that cannot be printed")
    return segments


def wait_of(prefer: str | None) -> float:
    """The seconds of ``Prefer: wait=N``, at most MAX_WAIT_S; 0 without it. What is not understood is ignored, as RFC 7240 says."""
    found = _WAIT.search(prefer or "")
    return min(float(found[1]), MAX_WAIT_S) if found else 0.0


# The query


def query_of(raw: bytes, params: tuple[Param, ...]) -> tuple[dict[str, Any], dict[str, str | list[str]]]:
    """The parameters by name, checked and with defaults; and those given, as text."""
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError:
        raise Refused(Kind.BAD_REQUEST, "the query cannot be read") from None
    known = {param.name: param for param in params}
    mistakes: list[QueryMistake] = []
    texts: dict[str, list[str]] = {}
    values = {param.name: () if param.many > 1 else param.default for param in params}
    for name, text in pairs:
        try:
            if name not in known:
                raise ValueError(f"not known here; there is: {', '.join(known) or 'none'}")
            param = known[name]
            if len(texts.setdefault(name, [])) == param.many:
                raise ValueError("given twice" if param.many == 1 else f"given more than {param.many} times")
            texts[name].append(text)
            value = _value(param, text)
            values[name] = (*values[name], value) if param.many > 1 else value
        except ValueError as wrong:
            mistakes.append(QueryMistake(name[:100], str(wrong)))
    if mistakes:
        names = ", ".join(mistake.parameter for mistake in mistakes)
        raise Refused(Kind.BAD_QUERY, f"wrong: {names}", errors=tuple(mistakes[:MAX_MISTAKES]))
    return values, {name: given if known[name].many > 1 else given[0] for name, given in texts.items()}


def _value(param: Param, text: str) -> Any:
    words = enum_words(param.kind)
    if words is not None:
        if text not in words:
            raise ValueError(f"one of {', '.join(words)} is wanted")
        return param.kind(text)
    if param.kind is bool:
        if text not in _BOOLS:
            raise ValueError("true or false is wanted")
        return _BOOLS[text]
    if param.kind is int:
        if not re.fullmatch(r"\d{1,19}", text, re.ASCII) or not param.low <= int(text) <= param.high:
            raise ValueError(f"a whole number from {param.low} to {param.high} is wanted")
        return int(text)
    if param.kind is datetime:
        return _time(text)
    if len(text) > 300 or not text.isprintable():
        raise ValueError("a text of at most 300 printable characters is wanted")
    return text


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError("a time such as 2026-03-01T00:00:00Z is wanted")
    return at


# The body


def body_of(raw: bytes, content_type: str | None, adapter: TypeAdapter[Any]) -> Any:
    """The body as its type; refuses with 415, 400 or 422."""
    kind = (content_type or "").partition(";")[0].strip().casefold()
    if kind != WANTED:
        raise Refused(Kind.UNSUPPORTED_MEDIA_TYPE, f"send Content-Type: {WANTED}", headers={"Accept": WANTED})
    try:
        loads(raw)
    except NotStrictJson as wrong:
        raise Refused(Kind.NOT_JSON, str(wrong)) from None
    try:
        body = adapter.validate_json(raw)
    except ValidationError as wrong:
        raise invalid([_mistake(dict(error)) for error in wrong.errors(include_url=False)]) from None
    return body


def invalid(mistakes: list[Mistake]) -> Refused:
    """422 with each mistake at its JSON pointer."""
    count = len(mistakes)
    first = mistakes[0]
    more = f" (and {count - 1} more)" if count > 1 else ""
    detail = f"{first.pointer or 'the body'}: {first.detail}{more}"
    return Refused(Kind.INVALID, detail, errors=tuple(mistakes[:MAX_MISTAKES]))


def pointer_of(path: tuple[str | int, ...]) -> str:
    """An RFC 6901 JSON pointer."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


_WORDS: Mapping[str, str] = {
    "unexpected_keyword_argument": "this field is not known",
    "extra_forbidden": "this field is not known",
    "missing": "this field is needed",
    "missing_argument": "this field is needed",
    "int_type": "a whole number is wanted",
    "string_type": "a text is wanted",
    "bool_type": "true or false is wanted",
    "dict_type": "an object is wanted",
    "dataclass_type": "an object is wanted",
    "model_type": "an object is wanted",
    "tuple_type": "a list is wanted",
    "datetime_type": "a time is wanted, such as 2026-03-02T12:00:00Z",
    "datetime_parsing": "a time is wanted, such as 2026-03-02T12:00:00Z",
    "datetime_from_date_parsing": "a time is wanted, such as 2026-03-02T12:00:00Z",
    "timezone_aware": "the time needs its offset, such as 2026-03-02T12:00:00Z",
}


def _mistake(error: dict[str, Any]) -> Mistake:
    """pydantic's words in ours; the tag of a union is no part of the pointer."""
    place = tuple(error["loc"])
    match error["type"]:
        case "union_tag_invalid":
            words = error["ctx"]["expected_tags"].replace("'", "")
            return Mistake(pointer_of((*place, _tag(error))), f"one of {words} is wanted")
        case "union_tag_not_found":
            return Mistake(pointer_of((*place, _tag(error))), "this field is needed")
        case "value_error":
            text = str(error["ctx"]["error"])
        case other:
            text = _WORDS.get(other, error["msg"])
    if place and isinstance(place[0], str) and place[0][:1].isupper():
        place = place[1:]
    return Mistake(pointer_of(place), text)


def _tag(error: dict[str, Any]) -> str:
    return str(error["ctx"]["discriminator"]).strip("'")
