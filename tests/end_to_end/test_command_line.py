"""What an operator types: the simulated station, approval, tokens, the bill; and what is said when something is not so."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from server_process import SITE, ServerProcess, csms_bin, csms_missing

from csms.cli import main

pytestmark = pytest.mark.skipif(bool(csms_missing()), reason=csms_missing())


@pytest.fixture
def office(tmp_path: Path) -> ServerProcess:
    """A server on which unknown stations wait for approval."""
    server = ServerProcess(tmp_path)
    text = server.site_file.read_text()
    server.site_file.write_text(text.replace('unknown = "accept"', 'unknown = "pending"'))
    return server


def typed(server: ServerProcess, *words: str, fails: bool = False) -> str:
    """The output of a command run beside the site file, as an operator runs it."""
    command = [str(csms_bin() / "csms"), *words]
    if words[0] not in ("sim", "db"):
        command += ["--site", str(server.site_file)]
    done = subprocess.run(command, cwd=server.folder, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode != 0) is fails, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def csms(server: ServerProcess, *words: str, fails: bool = False) -> str:
    """The same without the half second in which a program starts; what it says is in the output of the test, where it shows no secret."""
    done = CliRunner().invoke(main, [*words, "--site", str(server.site_file)])
    assert (done.exit_code != 0) is fails, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    if words[:2] != ("key", "make") and words[0] != "login":
        print(done.output)
    return str(done.output)


@contextmanager
def simulated(server: ServerProcess, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A simulated station in a terminal of its own, waiting for its approval."""
    command = [str(csms_bin() / "csms"), "sim", "--url", server.stations_url, *words]
    with subprocess.Popen(command, cwd=server.folder, stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        assert any("waiting for approval" in line for line in iter(one.stdout.readline, ""))
        yield one


def test_a_newcomer_sees_a_bill_and_so_does_the_next_run(office: ServerProcess) -> None:
    office.start()
    try:
        office.wait_ready()
        typed(office, "tag", "add", "DEMO")
        csms(office, "tag", "add", "GUEST")
        new = simulated(office, "--station", "SIM1")
        old = simulated(office, "--station", "SIM2", "--protocol", "ocpp1.6", "--tag", "GUEST")
        with new as first, old as second:
            pending = typed(office, "station", "list", "--pending")
            for name in ("SIM1", "SIM2"):
                assert name in pending
                assert "approved" in csms(office, "station", "approve", name)
            for one in (first, second):
                assert one.stdout is not None
                assert "ended: 5.000 kWh" in one.stdout.read()
        again = typed(office, "sim", "--station", "SIM1", "--url", office.stations_url, "--minutes", "0.02")
        assert "ended: 5.000 kWh" in again
        for number in ("1", "2", "3"):
            assert "bill (final): 3.25 EUR" in csms(office, "tx", "show", number)
            the_story_is_told(office, number)
        assert {one["completeness"] for one in json.loads(csms(office, "tx", "list", "--json"))} == {"complete"}
        the_bill_is_corrected(office)
        the_messages_are_shown(office)
        assert "billing" in csms(office, "plugins")
        assert "DEMO" in csms(office, "tag", "list")
        assert "well" in typed(office, "db", "verify", "csms.sqlite")
        assert "not connected" in csms(office, "station", "reset", "SIM1", fails=True)
        assert "no station" in csms(office, "station", "show", "NOBODY", fails=True)
        assert "not JSON" in csms(office, "station", "call", "SIM1", "Reset", "{", fails=True)
    finally:
        office.terminate()
    assert "start it with: csms run" in typed(office, "station", "list", fails=True)


def the_story_is_told(office: ServerProcess, transaction: str) -> None:
    story = csms(office, "explain", "tx", transaction)
    for said in ("complete: charge", "token …: Accepted", "decided by the plugin rfid_list", "final, 3.25 EUR"):
        assert said in story
    assert json.loads(csms(office, "explain", "tx", transaction, "--json"))["held"] == []
    assert "there is no transaction 99" in csms(office, "explain", "tx", "99", fails=True)


def the_messages_are_shown(office: ServerProcess) -> None:
    for station in ("SIM1", "SIM2"):
        assert "StatusNotification" in csms(office, "station", "tail", station, "--once")
    told = csms(office, "messages", "--tx", "1")
    assert all(text in told for text in ("transactionId", "-> ", "\n    "))
    error = ("--error", "FormatViolation", "--since", "2026-01-01T00:00:00Z")
    assert "No such messages." in csms(office, "messages", *error)
    assert "such as 2026-03-01T00:00:00Z" in csms(office, "messages", "--until", "noon", fails=True)


def the_bill_is_corrected(office: ServerProcess) -> None:
    """What a bookkeeper does with the oldest bill."""
    first = json.loads(csms(office, "bill", "list", "--json"))[-1]
    number = first["number"]
    assert number.endswith("-000001")
    assert "Energy: 5 kWh x 0.45 = 2.25" in csms(office, "bill", "show", number)
    assert "is final: it is not waiting" in csms(office, "bill", "release", "1", "--reason", "r", fails=True)
    end = str(int(first["meter_start_wh"]) + 1000)
    corrected = csms(office, "bill", "correct", number, "--reason", "=misread", "--end-wh", end)
    assert "-3.25 EUR" in corrected
    assert "-000005: final, 1.45 EUR" in corrected
    assert "corrected by" in csms(office, "bill", "show", number)
    assert "only a final bill" in csms(office, "bill", "cancel", number, "--reason", "r", fails=True)
    assert "0 deliveries" in csms(office, "bill", "deliver", "5")
    csms(office, "bill", "export", str(office.folder / "bills.csv"), "--status", "final")
    assert "'=misread" in (office.folder / "bills.csv").read_text()
    csms(office, "bill", "receipt", "5", str(office.folder / "receipt.html"))
    assert number in (office.folder / "receipt.html").read_text()


def test_tokens_are_imported_and_a_bad_line_is_named(office: ServerProcess, tmp_path: Path) -> None:
    tags = tmp_path / "tags.csv"
    tags.write_text("value,status,note\nA1,Accepted,Ann\nB2,Blocked,\n")
    office.start()
    try:
        office.wait_ready()
        assert "2 tokens added" in csms(office, "tag", "import", str(tags))
        listed = json.loads(csms(office, "tag", "list", "--json"))
        assert [(row["id_token"]["value"], row["status"]) for row in listed] == [("A1", "Accepted"), ("B2", "Blocked")]
        tags.write_text("value,status\nC3,Perhaps\n")
        assert "line 2" in csms(office, "tag", "import", str(tags), fails=True)
        tags.write_text("tag\nC3\n")
        assert "name the columns" in csms(office, "tag", "import", str(tags), fails=True)
        tags.write_bytes(b"value\nF\xfcnf\n")
        assert "not UTF-8" in csms(office, "tag", "import", str(tags), fails=True)
    finally:
        office.terminate()


def test_every_list_is_shown_by_a_fresh_server(office: ServerProcess) -> None:
    office.start()
    try:
        office.wait_ready()
        asking = [
            path for path, command in over_the_api() if not any(one.required or one.nargs < 0 for one in command.params)
        ]
        assert {("tx", "list"), ("security", "certificates"), ("plugins",), ("reload",)} <= set(asking)
        for path in asking:
            done = CliRunner().invoke(main, [*path, "--json", "--site", str(office.site_file)])
            assert (path, done.exit_code) == (path, 0), done.output
            json.loads(done.stdout)
        assert "no station is called" in csms(office, "station", "tail", "NOBODY", fails=True)
        assert "at least one character" in csms(office, "tag", "add", "", fails=True)
    finally:
        office.terminate()


def over_the_api() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that asks a running server and can print JSON, by its words."""
    for path, command in commands(main):
        names = {one.name for one in command.params}
        if {"as_json", "token", "url"} <= names:
            yield path, command


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield (*path, name), command


@pytest.mark.parametrize(("path", "command"), [pytest.param(*one, id=" ".join(one[0])) for one in over_the_api()])
def test_without_a_server_a_command_says_where_it_looked(
    path: tuple[str, ...], command: click.Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "1").write_text("value\nA1\n")
    needed = [one for one in command.params if one.required]
    options = [word for one in needed if isinstance(one, click.Option) for word in (one.opts[0], a_value(one))]
    values = [a_value(one) for one in needed if isinstance(one, click.Argument)]
    done = CliRunner().invoke(main, [*path, *options, *values], input="long enough 1\nlong enough 1\n")
    assert "csms.token is not there: run this where the server was started" in done.output
    assert (done.exit_code, type(done.exception)) == (1, SystemExit)


def a_value(parameter: click.Parameter) -> str:
    """A word that the parameter takes."""
    match parameter.type:
        case click.Choice(choices=choices):
            return str(choices[0])
        case click.IntRange(min=int(least)):
            return str(least)
    return "1"


def test_the_site_of_the_tests_checks_well(office: ServerProcess) -> None:
    assert SITE.splitlines()[0] in office.site_file.read_text()
    done = subprocess.run([str(csms_bin() / "csms"), "check", str(office.site_file)], check=False, capture_output=True)
    assert done.returncode == 0


def test_people_and_keys_come_and_go(office: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    office.start()
    try:
        office.wait_ready()
        monkeypatch.setenv("CSMS_NEW_PASSWORD", "correct horse battery")
        assert "may log in as viewer" in csms(office, "person", "add", "Ann", "--role", "viewer", "--tag", "Central:A1")
        monkeypatch.setenv("CSMS_PASSWORD", "correct horse battery")
        token = csms(office, "login", "ann").strip().partition("CSMS_TOKEN=")[2]
        assert token.startswith("csms_")
        assert json.loads(csms(office, "station", "list", "--json", "--token", token)) == []
        refused = csms(office, "tag", "add", "X", "--token", token, fails=True)
        assert "needs the role operator; Ann is viewer" in refused
        assert "csms_" in csms(office, "key", "make", "grafana", "--role", "viewer")
        assert "grafana" in csms(office, "key", "list")
        assert "worth nothing" in csms(office, "key", "revoke", "2")
        assert "shut out" in csms(office, "person", "disable", "Ann")
        assert "does not know this token" in csms(office, "station", "list", "--token", token, fails=True)
        csms(office, "person", "remove", "Ann")
        assert "Nobody yet" in csms(office, "person", "list")
        trail = json.loads(csms(office, "audit", "--json"))
        assert [row["status"] for row in trail if row["caller"] == "Ann"] == [403]
        assert "correct horse" not in json.dumps(trail)
    finally:
        office.terminate()
