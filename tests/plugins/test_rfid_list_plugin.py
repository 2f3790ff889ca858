"""Tokens from a file that may change, and from the token table."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from csms_plugins.rfid_list import COLUMNS, ListError, RfidList, read_list
from fake_csms import NOON, OLD_STATION, STATION, FakeCsms, result

from csms.api import (
    Authorization,
    AuthorizationRequest,
    AuthorizationStatus,
    IdToken,
    StationRef,
    TokenRecord,
)

CSV = """value,type,status,group,expires,note,concurrent
04A1,,,FLEET,,"Ann, van 3",2
04B2,ISO14443,Blocked,,,,
04C3,ISO15693,,,2026-03-02,,
04D4,ISO15693,,,2026-03-02T12:00:00,,0
APP1,Central,,,,,
"""


def asked(
    value: str, kind: str = "ISO14443", station: StationRef = STATION, at: datetime = NOON
) -> AuthorizationRequest:
    return AuthorizationRequest(station, IdToken(value, kind), at)


def plugin_of(folder: Path, text: str, name: str = "tokens.csv") -> tuple[RfidList, FakeCsms]:
    (folder / name).write_text(text, "utf-8")
    fake = FakeCsms(folder)
    return RfidList(RfidList.Settings(file=name), fake.csms), fake


def judged(plugin: RfidList, request: AuthorizationRequest) -> Authorization | None:
    answer: Authorization | None = result(plugin.authorize(request))
    return answer


def test_a_listed_token_is_accepted_whatever_its_case(tmp_path: Path) -> None:
    plugin, _ = plugin_of(tmp_path, CSV)
    answer = judged(plugin, asked("04a1"))
    assert answer == Authorization(AuthorizationStatus.ACCEPTED, IdToken("FLEET", "Central"), concurrent=2)


def test_a_blocked_and_an_unknown_token(tmp_path: Path) -> None:
    plugin, _ = plugin_of(tmp_path, CSV)
    blocked = judged(plugin, asked("04B2"))
    assert blocked is not None
    assert blocked.status is AuthorizationStatus.BLOCKED
    assert judged(plugin, asked("NOBODY")) is None


def test_a_day_lasts_until_its_end_and_a_time_is_the_sites(tmp_path: Path) -> None:
    plugin, _ = plugin_of(tmp_path, CSV)
    evening = datetime(2026, 3, 2, 22, 59, tzinfo=UTC)
    for at, status in ((evening, "Accepted"), (evening + timedelta(minutes=1), "Expired")):
        answer = judged(plugin, asked("04C3", "ISO15693", at=at))
        assert answer is not None
        assert answer.status == status
    noon_in_berlin = judged(plugin, asked("04D4", "ISO15693"))
    assert noon_in_berlin is not None
    assert noon_in_berlin.status is AuthorizationStatus.EXPIRED
    assert noon_in_berlin.expires == NOON - timedelta(hours=1)


def test_a_listed_type_must_fit_but_a_1_6_station_cannot_tell_cards_apart(tmp_path: Path) -> None:
    plugin, _ = plugin_of(tmp_path, CSV)
    assert judged(plugin, asked("04B2", "ISO15693")) is None
    assert judged(plugin, asked("04A1", "ISO15693")) is not None, "no type in the list: either card"
    assert judged(plugin, asked("04A1", "KeyCode")) is None
    assert judged(plugin, asked("APP1")) is None
    assert judged(plugin, asked("04C3")) is None
    assert judged(plugin, asked("04C3", station=OLD_STATION)) is not None


def test_the_token_table_is_asked_when_the_file_does_not_know(tmp_path: Path) -> None:
    plugin, fake = plugin_of(tmp_path, CSV)
    fake.read.tokens = [
        TokenRecord(IdToken("DB1", "ISO15693"), expires=NOON + timedelta(hours=1)),
        TokenRecord(IdToken("04B2", "ISO14443")),
    ]
    assert judged(plugin, asked("DB1")) is None
    answer = judged(plugin, asked("db1", station=OLD_STATION))
    assert answer is not None
    assert (answer.status, answer.expires) == (AuthorizationStatus.ACCEPTED, NOON + timedelta(hours=1))
    late = judged(plugin, asked("DB1", "ISO15693", at=NOON + timedelta(hours=1)))
    assert late is not None
    assert late.status is AuthorizationStatus.EXPIRED
    blocked = judged(plugin, asked("04B2"))
    assert blocked is not None
    assert blocked.status is AuthorizationStatus.BLOCKED, "the file comes first"


def test_without_a_file_the_table_alone_counts(tmp_path: Path) -> None:
    fake = FakeCsms(tmp_path)
    plugin = RfidList(RfidList.Settings(), fake.csms)
    result(plugin.start())
    assert fake.clock.getDelayedCalls() == []
    assert judged(plugin, asked("04A1")) is None


def test_a_toml_list_says_the_same(tmp_path: Path) -> None:
    text = '[[token]]\nvalue = "04A1"\nconcurrent = 3\nexpires = 2026-03-03T00:00:00Z\n\n[[token]]\nvalue = "X"\nstatus = "blocked"\n'
    plugin, _ = plugin_of(tmp_path, text, "tokens.toml")
    answer = judged(plugin, asked("04a1"))
    assert answer is not None
    assert (answer.concurrent, answer.expires) == (3, datetime(2026, 3, 3, tzinfo=UTC))
    other = judged(plugin, asked("x"))
    assert other is not None
    assert other.status is AuthorizationStatus.BLOCKED


def rewrite(path: Path, text: str, second: int) -> None:
    path.write_text(text, "utf-8")
    os.utime(path, (second, second))


def test_a_changed_file_is_read_again_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    plugin, fake = plugin_of(tmp_path, CSV)
    path = tmp_path / "tokens.csv"
    result(plugin.start())
    rewrite(path, "value\nNEW\n", 1)
    assert judged(plugin, asked("NEW")) is None
    fake.settle(5)
    assert judged(plugin, asked("NEW")) is not None
    assert judged(plugin, asked("04A1")) is None
    rewrite(path, "value,statsu\nOTHER,Blocked\n", 2)
    fake.settle(5)
    fake.settle(5)
    assert judged(plugin, asked("NEW")) is not None
    errors = fake.said("error")
    assert errors == [f"the token list stays as it was: {path}:1: unknown column statsu: did you mean status?"], (
        "said once"
    )
    path.unlink()
    fake.settle(5)
    assert judged(plugin, asked("NEW")) is not None
    assert "cannot be read" in fake.said("error")[1]
    rewrite(path, "value\nBACK\n", 3)
    fake.settle(5)
    assert judged(plugin, asked("BACK")) is not None
    assert fake.said("info") == [f"{path}: 1 token values"] * 2
    rewrite(path, "value,expires\nDAY,2026-03-02\n", 4)
    fake.settle(5)
    answer = judged(plugin, asked("DAY"))
    assert answer is not None
    assert answer.expires == datetime(2026, 3, 2, 23, tzinfo=UTC), "the day is the site's here too"
    result(plugin.stop())
    assert fake.clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "", "a.csv:1: the file is empty"),
        ("a.csv", "tag\nX\n", f"a.csv:1: unknown column tag: known are {', '.join(COLUMNS)}$"),
        ("a.csv", "type,status\nX,Y\n", f"no column is called value: the first line is {','.join(COLUMNS)}$"),
        ("a.csv", "value,status\nA,Blockt\n", "a.csv:2: status Blockt is not one of Accepted, Blocked"),
        ("a.csv", "value,expires\nA,soon\n", "a.csv:2: expires soon is not a day"),
        ("a.csv", "value,concurrent\nA,many\n", "concurrent many is not a number"),
        ("a.csv", "value\nA,B\n", "a.csv:2: more cells than columns"),
        ("a.csv", "value\nA\n\na\n", "a.csv:4: this token .…. is listed in line 2 already"),
        ("a.csv", 'value,note\nA,"open\n', "look for a quote"),
        ("a.csv", "value,note\n,nobody\n", "a token has a value of 1 to 255 characters$"),
        ("a.csv", "value\n" + "x" * 256 + "\n", "a.csv:2: a token has a value of 1 to 255"),
        ("a.csv", "value,concurrent\nA,1000000\n", "concurrent 1000000 is not a number"),
        (
            "a.toml",
            "[[token]]\nvalue = 1\n",
            "a.toml:1: a token has a value of 1 to 255 characters, as text in quotes$",
        ),
        ("a.toml", "[[token]]\nnote = 'x'\n", "a.toml:1: a token has a value of 1 to 255 characters$"),
        ("a.toml", '[[token]]\nvalue = "A"\n[[token]]\nvalu = "B"\n', "a.toml:3: unknown column valu"),
        ("a.toml", "[[token]\n", "a.toml:1: "),
        ("a.toml", '[[token]]\nvalue = "A"\nnote =\n[[token]]\n', "a.toml:3: .*: mend the TOML there$"),
        ("a.toml", '[[token]]\nvalue = "A"\nnote = """x\n\n', "a.toml:4: .*: mend the TOML there$"),
        ("a.toml", "[tokens]\n", r"has \[\[token\]\] tables only, not tokens$"),
        ("a.toml", 'token = ["X"]\n', 'a.toml:1: a token is a table such as {value = "04A1"}$'),
        ("a.toml", "x = 1\ny = 2\n", r"a.toml:1: a token list has \[\[token\]\] tables only, not x, y$"),
        ("a.toml", "token = 1\n", r"tables only, not token = \.\.\.$"),
        ("a.toml", '\ntoken = [{value = "A"}, {valu = "B"}]\n', "a.toml:1: unknown column valu: did you mean value"),
    ],
)
def test_a_list_with_a_mistake_is_refused_at_start_with_the_place(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    with pytest.raises(ListError, match=words):
        plugin_of(tmp_path, text, name)


def test_a_list_without_a_token_is_a_list(tmp_path: Path) -> None:
    for name, text in (("a.toml", ""), ("a.csv", "value\n")):
        plugin, _ = plugin_of(tmp_path, text, name)
        assert judged(plugin, asked("A")) is None


def test_every_column_of_a_row_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    path.write_text(
        "Value, Type, Status, Group, Expires, Note, Concurrent\n"
        " 04A1 , ISO15693 , accepted , FLEET , 2026-03-02T12:00:00+01:00 , Ann's card , 999999 \n"
        f"{'x' * 255}\n",
        "utf-8",
    )
    found = read_list(path, ZoneInfo("Europe/Berlin"))
    noon = datetime(2026, 3, 2, 11, tzinfo=UTC)
    fleet = IdToken("FLEET", "Central")
    assert found["04a1"] == [
        TokenRecord(IdToken("04A1", "ISO15693"), AuthorizationStatus.ACCEPTED, fleet, noon, "Ann's card", 999999)
    ]
    assert found["x" * 255] == [TokenRecord(IdToken("x" * 255, ""), AuthorizationStatus.ACCEPTED)]


def test_all_mistakes_are_told_at_once_but_not_without_end(tmp_path: Path) -> None:
    rows = "".join(f"T{number},Wrong\n" for number in range(15))
    with pytest.raises(ListError, match="and 5 more") as told:
        plugin_of(tmp_path, "value,status\n" + rows)
    assert str(told.value).count("is not one of") == 10
    with pytest.raises(ListError) as told:
        plugin_of(tmp_path, "value,status\n" + "".join(f"T{number},Wrong\n" for number in range(10)))
    assert "more" not in str(told.value)
    assert len(str(told.value).splitlines()) == 10


def test_semicolons_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    plugin, _ = plugin_of(tmp_path, "\ufeffvalue;status;note\nA;Blocked;a, b\n")
    answer = judged(plugin, asked("A"))
    assert answer is not None
    assert answer.status is AuthorizationStatus.BLOCKED


def test_bytes_that_are_no_text_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"value\n\xff\xfe\n")
    with pytest.raises(ListError, match="is not UTF-8 text"):
        RfidList(RfidList.Settings(file="t.csv"), FakeCsms(tmp_path).csms)


@pytest.mark.parametrize("wrong", [{"file": "tokens.xls"}, {"reload_every": timedelta(0)}])
def test_wrong_settings_are_told_in_words(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RfidList.Settings(**wrong)  # type: ignore[arg-type]
