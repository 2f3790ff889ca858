"""``csms init`` and ``csms check`` as an operator uses them."""

from __future__ import annotations

import json
import stat
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from click.testing import CliRunner

from csms.cli import main
from csms.config import load_site

pytestmark = pytest.mark.usefixtures("installed_plugins")


def test_init_writes_a_private_file_that_checks_well(tmp_path: Path) -> None:
    file = tmp_path / "csms.toml"
    assert CliRunner().invoke(main, ["init", str(file)]).exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert CliRunner().invoke(main, ["check", str(file)]).exit_code == 0
    site = load_site(file)
    assert len(site.api.token) >= 32
    assert site.plugin_tables["app_tokens"]["secret"] != site.api.token


def test_init_never_overwrites(tmp_path: Path) -> None:
    file = tmp_path / "csms.toml"
    file.write_text("# mine\n")
    answer = CliRunner().invoke(main, ["init", str(file)])
    assert answer.exit_code == 1
    assert file.read_text() == "# mine\n"


def test_check_tells_every_mistake_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "csms.toml"
    file.write_text('[server]\nlissten = "tcp:1"\nping_interval = 30\n[stations]\nunknown = "pendign"\n')
    answer = CliRunner().invoke(main, ["check", str(file)])
    assert answer.exit_code == 1
    for said in (":2:1", "did you mean listen?", ":3:1", '"90s"', ":5:1", 'did you mean "pending"?', "3 mistakes"):
        assert said in answer.output


def test_check_of_a_missing_or_broken_file_says_the_cure(tmp_path: Path) -> None:
    missing = CliRunner().invoke(main, ["check", str(tmp_path / "none.toml")])
    assert (missing.exit_code, "csms init" in missing.output) == (1, True)
    broken = tmp_path / "broken.toml"
    broken.write_text("[server]\ncompression = True\n")
    answer = CliRunner().invoke(main, ["check", str(broken)])
    assert ":2:" in answer.output
    assert "write true in small letters" in answer.output


def test_check_reads_the_settings_of_plugins_too(tmp_path: Path) -> None:
    file = tmp_path / "csms.toml"
    plugin = (
        "from dataclasses import dataclass\nfrom csms.api import hookimpl\nclass Night:\n    @dataclass(frozen=True)\n"
    )
    plugin += "    class Settings:\n        hours: int = 8\n    def __init__(self, settings, csms):\n        pass\n"
    plugin += "    @hookimpl\n    def on_event(self, event):\n        pass\n"
    (tmp_path / "night.py").write_text(plugin)
    file.write_text('[plugins]\nenabled = ["./night.py"]\n[plugins.night]\nhours = "x"\n')
    answer = CliRunner().invoke(main, ["check", str(file), "--json"])
    assert answer.exit_code == 1
    (problem,) = json.loads(answer.stdout)
    assert (problem["line"], problem["key"]) == (4, "plugins.night.hours")


def test_check_looks_where_the_database_and_the_certificates_are_to_be(tmp_path: Path) -> None:
    file = tmp_path / "csms.toml"
    file.write_text('[database]\nfile = "data/csms.sqlite"\n')
    answer = CliRunner().invoke(main, ["check", str(file)])
    assert answer.exit_code == 1
    for said in (":2:1", f"there is no folder {tmp_path / 'data'}", f"mkdir -p {tmp_path / 'data'}"):
        assert said in answer.output
    (tmp_path / "data").mkdir()
    assert CliRunner().invoke(main, ["check", str(file)]).exit_code == 0
    file.write_text('[server]\nprofiles = [2]\n[tls]\ncertificates = [{ chain = "no.pem", key = "no.key" }]\n')
    answer = CliRunner().invoke(main, ["check", str(file)])
    assert answer.exit_code == 1
    assert "no.pem" in answer.output


def test_a_plugins_command_that_cannot_be_loaded_costs_nothing_but_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("lamp", "no_such_package:lamp", "csms.commands")]
    monkeypatch.setattr("csms.cli.workbench.entry_points", lambda group: points)
    shown = CliRunner().invoke(main, ["--help"])
    assert shown.exit_code == 0
    assert "(cannot be loaded)" in shown.output
    used = CliRunner().invoke(main, ["lamp", "on", "--bright"])
    assert used.exit_code == 1
    assert "no_such_package:lamp cannot be loaded: ModuleNotFoundError" in used.output


@pytest.mark.parametrize("host", ["csms.example.org", "10.0.0.1", "::1", "*.example.org"])
def test_ca_init_makes_certificates_for_names_and_addresses(host: str, tmp_path: Path) -> None:
    answer = CliRunner().invoke(main, ["ca", "init", host, "--folder", str(tmp_path / "tls")])
    assert answer.exit_code == 0
    assert (tmp_path / "tls" / "server-rsa.pem").exists()


@pytest.mark.parametrize(
    "host", ["../..", "a b", "ws://csms.example.org", "-x.example.org", "x" * 64, "münchen.example"]
)
def test_ca_init_refuses_what_is_no_host(host: str, tmp_path: Path) -> None:
    answer = CliRunner().invoke(main, ["ca", "init", "--folder", str(tmp_path / "tls"), "--", host])
    assert (answer.exit_code, "neither a host's name nor an IP address" in answer.output) == (1, True)
