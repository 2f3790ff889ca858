"""Check, test and replay over the API: the commands of ``csms rules`` for the files of this site, or for a text that lies in no file yet."""

from __future__ import annotations

import json
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from csms_plugins.flow.explaining import Refused
from csms_plugins.flow.files import duration

from csms.api import Busy, Csms

FOLDER = Path(tempfile.gettempdir()).resolve()
LONGEST_S = 120.0
LAST = "1d"
"""How much of the recorded traffic is replayed unless somebody asks for more."""


async def check(csms: Csms, body: Any) -> dict[str, Any]:
    """The mistakes and warnings in the rules as they lie there now, or in ``{"text": ".."}``."""
    found = await _asked(csms, ["check", "--json"], _given(body, text=str))
    levels = {"mistakes": "error", "warnings": "warning"}
    return {name: [one for one in found if one["level"] == level] for name, level in levels.items()}


async def test(csms: Csms, body: Any) -> dict[str, Any]:
    """The tests of the site, or those of ``{"text": ".."}``: how many passed, and each with its mistakes."""
    given = _given(body, text=str)
    if "files" in _keys_of_tests(given.get("text", "")):
        raise Refused(
            400, "a test that lies in no file has its rules beside it, or a preset: files is for tests in files"
        )
    results = await _asked(csms, ["test", "--json"], given)
    return {"passed": sum(not one["mistakes"] for one in results), "tests": results}


async def replay(csms: Csms, body: Any) -> Any:
    """What the rules make of the site's traffic of ``{"last": "1d"}``; with ``{"rules": ".."}`` also what those would."""
    given = _given(body, last=str, rules=str)
    last = given.get("last", LAST)
    if duration(last) is None:
        raise Refused(400, f"last is a duration such as 1d, not {last!r}")
    files = {"text": given["rules"]} if "rules" in given else {}
    return await _asked(csms, ["replay", "--json", "--last", last], files, option=("--rules",))


def _given(body: Any, **known: type) -> Mapping[str, Any]:
    """The body, if it has nothing but these keys; none at all is an empty one."""
    body = {} if body is None else body
    if not isinstance(body, dict) or not all(isinstance(one, known.get(key, type(None))) for key, one in body.items()):
        raise Refused(400, f"the body is an object with texts, and may have {' and '.join(known)}")
    return body


def _keys_of_tests(text: str) -> set[str]:
    try:
        tests = tomllib.loads(text).get("test", [])
    except (tomllib.TOMLDecodeError, RecursionError):
        return set()
    return {key for one in tests if isinstance(one, dict) for key in one} if isinstance(tests, list) else set()


async def _asked(csms: Csms, words: Sequence[str], given: Mapping[str, Any], option: Sequence[str] = ()) -> Any:
    """What a command of ``csms rules`` prints as JSON; a text is given to it as a file."""
    with tempfile.TemporaryDirectory(prefix="csms-rules-", dir=FOLDER) as folder:
        files: list[str] = []
        if "text" in given:
            files = [*option, _written(folder, given["text"])]
        try:
            ran = await csms.errand(["rules", *words, *files], LONGEST_S)
        except Busy as busy:
            raise Refused(409, str(busy)) from None
        if ran.code is None:
            raise Refused(503, f"this takes longer than {LONGEST_S:g} s: use csms rules on the command line")
        try:
            return json.loads(ran.output.replace(f"{folder}/", ""))
        except ValueError:
            raise Refused(400, ran.errors.replace(f"{folder}/", "").removeprefix("Error: ").strip()) from None


def _written(folder: str, text: str) -> str:
    file = Path(folder, "text.toml")
    file.write_text(text, "utf-8", "replace")
    return str(file)
