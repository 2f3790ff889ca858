"""Who may import whom: the imports of every file are read, and any arrow that is not in the tables here fails.

A new arrow is a decision about the house. Draw it in a table here in the same change that needs it, as narrowly as it is.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"csms": "csms", "csms_plugins": "plugins", "twisted.plugins": "twisted/plugins"}

MAY: dict[str, str] = {
    "csms": "",
    "csms.addresses": "",
    "csms.api": "csms.authority csms.certificates csms.config csms.errands csms.facade csms.hookspecs csms.model csms.outgoing csms.reach "
    "csms.registries csms.workbench",
    "csms.authority": "csms.certificates",
    "csms.blocks": "csms.blocks csms.hooks csms.model csms.news csms.running csms.stations csms.store csms.switchboard "
    "csms.ocpp.times",
    "csms.blocks.door": "csms.model csms.refusals",
    "csms.blocks.evidence": "csms.evidence csms.model csms.store",
    "csms.blocks.explanation": (
        "csms.blocks.evidence csms.explained_bills csms.explained_orders csms.explanation csms.facade csms.hooks csms.model csms.store"
    ),
    "csms.blocks.deliveries": "csms.facade csms.hooks csms.model csms.running csms.store",
    "csms.blocks.pricing": "csms.blocks.evidence csms.consumption csms.hooks csms.model csms.store",
    # URLs are judged as those of our own requests are, and signing certificates read.
    # An order whose URL was blanked out in the ledger cannot be given again.
    "csms.blocks.profile_upgrade": "csms.blocks csms.model csms.redaction csms.stations csms.store",
    "csms.blocks.told_urls": "csms.blocks csms.certificates csms.model csms.reach",
    "csms.blocks.certificates": "csms.certificates csms.blocks csms.hooks csms.model csms.running csms.stations csms.store csms.switchboard",
    "csms.blocks.security": "csms.blocks csms.hooks csms.model csms.refusals csms.stations csms.store",
    # Which token begins a transaction and which ends it, the ledger says.
    "csms.blocks.transactions": "csms.blocks csms.ledger csms.model csms.stations csms.store",
    "csms.blocks.postman": "csms.model csms.registries csms.settings csms.store",
    # Who is counted as one address is the same at every door.
    "csms.blocks.sentry": "csms.socket_care",
    "csms.blocks.outcome": "csms.stations csms.ocpp.rpc csms.ocpp.unparsed",
    # A raw call out is checked like a raw call in; no password gets into the ledger.
    "csms.blocks.commands": "csms.redaction csms.blocks csms.hooks csms.model csms.running csms.stations csms.store csms.switchboard "
    "csms.ocpp.dialect csms.ocpp.errors csms.ocpp.schemas",
    # Channels are opened by plugins and used here.
    "csms.blocks.notifications": "csms.blocks.postman csms.model csms.registries csms.running csms.settings csms.store",
    # The one block that takes a raw call in: it checks the words before any other block sees them.
    "csms.blocks.reception": "csms.blocks.outcome csms.hooks csms.model csms.stations csms.store "
    "csms.ocpp.dialect csms.ocpp.errors csms.ocpp.rpc csms.ocpp.schemas",
    "csms.bench": "csms.bench",
    "csms.cli": "csms csms.authority csms.bench csms.certificates csms.cli csms.config csms.sim.command csms.starter csms.tap",
    # Commands of plugins try things out on a whole server that is not started.
    "csms.cli.workbench": "csms.cli.client csms.config csms.house csms.rehearsal csms.starter csms.store csms.store.inline",
    # csms db works on the file itself, and reads its events as the house does.
    "csms.cli.database": "csms.config csms.dialects csms.store csms.tap",
    "csms.certificate_watch": "csms.model csms.running csms.tls",
    "csms.certificates": "",
    "csms.config": "csms.door_settings csms.settings csms.settings_reader csms.site_files csms.site_problems csms.toml_mistakes csms.toml_positions",
    "csms.crowd": "",
    "csms.connection": "csms.blocks.sentry csms.frames csms.gate csms.model csms.running csms.socket_care csms.stations csms.tls",
    "csms.dialects": "csms.model csms.ocpp csms.store",
    "csms.door_settings": "csms.setting_types",
    "csms.errands": "",
    "csms.evidence": "csms.model",
    "csms.consumption": "csms.model",
    "csms.explained_bills": "csms.model",
    "csms.explained_orders": "csms.explained_bills csms.model",
    # What the store has of a transaction is what its story is made of.
    "csms.explanation": "csms.explained_bills csms.explained_orders csms.model csms.store",
    "csms.facade": "csms.errands csms.model csms.outgoing csms.registries csms.running",
    # The narrow things that a plugin is given, cut from the pieces of the house.
    "csms.facades": "csms.blocks.commands csms.blocks.notifications csms.config csms.dialects csms.errands csms.facade csms.hooks csms.model "
    "csms.ocpp.schemas csms.outgoing csms.plugins csms.reach csms.site_map csms.store csms.switchboard",
    "csms.frames": "",
    # Who comes in; the socket asks and does as it is told.
    "csms.gate": "csms.blocks.door csms.blocks.provisioning csms.blocks.security csms.crowd csms.hooks csms.model csms.ocpp.dialect csms.refusals "
    "csms.rounds csms.socket_care csms.stations csms.switchboard",
    "csms.hooks": "csms.facade",
    "csms.hookspecs": "csms.model csms.registries",
    "csms.http_door": "csms.socket_care",
    # Builds and joins: the one place that knows every piece, and which reactor it is given.
    "csms.house": "csms.blocks csms.config csms.connection csms.dialects csms.errands csms.facade csms.facades csms.gate csms.hooks "
    "csms.hookspecs csms.model csms.ocpp csms.plugins csms.policies csms.redaction csms.registries csms.rounds csms.site_changes csms.site_map "
    "csms.store csms.switchboard csms.web csms.wiring",
    "csms.log_lines": "",
    "csms.ledger": "csms.model",
    "csms.model": "csms.model",
    "csms.news": "",
    "csms.ocpp": "csms.model csms.ocpp",
    "csms.outgoing": "csms.reach",
    "csms.reach": "",
    "csms.service": "csms.addresses csms.certificate_watch csms.config csms.connection csms.house csms.plugins csms.running csms.station_sockets "
    "csms.store csms.strain csms.tls csms.upload_door csms.watchdog csms.web",
    "csms.site_changes": "csms.model csms.settings csms.site_files csms.site_problems",
    "csms.site_files": "csms.model csms.setting_types csms.settings csms.settings_reader csms.site_problems",
    "csms.site_map": "csms.model csms.settings",
    "csms.site_routing": "csms.hooks csms.model",
    "csms.plugin_finding": "csms.config csms.plugin_set",
    "csms.plugin_set": "csms.config csms.facade csms.hooks csms.hookspecs csms.registries csms.site_files csms.site_routing",
    "csms.plugins": "csms.config csms.hooks csms.plugin_finding csms.plugin_set csms.registries csms.running csms.site_files "
    "csms.site_routing",
    # The site file, in the words of each block.
    "csms.policies": "csms.blocks csms.config csms.evidence csms.model csms.reach csms.socket_care csms.store csms.strain",
    "csms.redaction": "",
    "csms.registries": "csms.model csms.settings",
    # A house on a clock that stands still, with the test kit's stations.
    "csms.rehearsal": "csms.config csms.facade csms.house csms.model csms.ocpp.schemas csms.registries csms.store.inline csms.testing",
    "csms.refusals": "",
    "csms.running": "",
    "csms.setting_types": "",
    "csms.settings": "csms.door_settings csms.setting_types",
    "csms.settings_reader": "csms.settings csms.site_problems csms.toml_positions",
    # The simulated station is a client: of the core it knows the wire and nothing else.
    "csms.sim": "csms.sim csms.ocpp.errors csms.ocpp.rpc csms.ocpp.schemas csms.ocpp.times",
    "csms.site_problems": "",
    "csms.socket_care": "",
    "csms.starter": "csms.model csms.settings csms.settings_reader",
    "csms.rounds": "",
    "csms.station_reactor": "csms.rounds csms.socket_care",
    "csms.station_sockets": "csms.rounds csms.station_reactor",
    "csms.stations": "csms.model csms.ocpp csms.rounds csms.running csms.turns",
    "csms.store": "csms.store csms.model csms.ledger csms.running",
    "csms.strain": "",
    "csms.watchdog": "",
    "csms.switchboard": "csms.model csms.stations csms.store",
    "csms.tap": "csms.config csms.house csms.log_lines csms.service",
    "csms.testing": "csms.blocks.door csms.config csms.dialects csms.house csms.model csms.stations csms.store",
    "csms.tls": "csms.model",
    "csms.turns": "",
    "csms.toml_mistakes": "csms.site_problems csms.toml_positions",
    "csms.toml_positions": "",
    # The API reaches the house through its own Rooms protocols, which house fills; it knows no block, no station and no store.
    "csms.web": "csms csms.web csms.config csms.model csms.ocpp.errors csms.ocpp.schemas csms.ocpp.strict_json csms.redaction",
    # The limits of connections are those of the other doors.
    "csms.web.server": "csms.crowd csms.http_door csms.model csms.web",
    "csms.web.wire": "csms.http_door csms.web",
    # Where stations leave files, beside the door where they connect.
    "csms.upload_door": "csms.blocks.uploads csms.crowd csms.http_door",
    "csms.wiring": "csms.blocks csms.hooks csms.model csms.news csms.store",
    "csms.workbench": "csms.model",
    "csms_plugins": "csms.api",
    "twisted.plugins": "",
}
"""What of our own each part may import, the longest name that fits counting; a name stands for itself and what is below it."""

LIBRARIES: dict[str, str] = {
    "autobahn": "csms.connection csms.sim.link",
    "argon2": "csms.blocks.people",
    "peewee": "csms.store",
    "playhouse": "csms.store",
    "multipart": "csms.upload_door",
    "paho": "csms_plugins.notify_mqtt",
    "pluggy": "csms.hookspecs csms.plugin_set",
    "pydantic": "csms.setting_types csms.settings_reader csms.web",
    "pydantic_core": "csms.settings_reader",
    "prometheus_client": "csms.web",
    "jinja2": "csms.web",
    "markupsafe": "csms.web",
    "picows": "csms.bench.load",
    "click": "csms.cli csms_plugins.flow.commands",
    "rich": "csms.cli",
    "jsonschema_rs": "csms.ocpp.schemas",
    "msgspec": "csms.ocpp.quick",
    "orjson": "csms.ocpp csms.redaction csms.store csms.web",
    "websockets": "csms.frames",
    "OpenSSL": "csms.tls",
    "cryptography": "csms.authority csms.certificates csms_plugins.ocmf_keys csms_plugins.plug_and_charge csms_plugins.plug_and_charge_ocsp",
    "zope": "csms.outgoing csms.reach csms.rehearsal csms.socket_care csms.tls csms.web",
    "twisted": "csms.blocks csms.cli csms.connection csms.facade csms.facades csms.gate csms.hooks csms.house csms.outgoing csms.plugin_set "
    "csms.plugins csms.registries csms.rehearsal csms.rounds csms.running csms.sim csms.socket_care csms.station_reactor csms.stations "
    "csms.store csms.switchboard csms.tap csms.testing csms.tls csms.web csms_plugins twisted.plugins csms.strain "
    "csms.certificate_watch csms.crowd csms.errands csms.http_door csms.reach csms.service csms.log_lines csms.turns csms.upload_door csms.watchdog",
}
"""Which parts may import which library; a library that is not here may be imported by nobody."""

FAMILIES = ("csms_plugins.flow", "csms_plugins.billing", "csms_plugins.ocmf", "csms_plugins.plug_and_charge")
"""Plugins in several modules, which import one another."""


@dataclass(frozen=True)
class Arrow:
    """One import: the module, the full dotted name it asks for, the line, and whether it happens when the module is loaded."""

    module: str
    name: str
    line: int
    at_load: bool

    def __str__(self) -> str:
        return f"{self.module}, line {self.line}: imports {self.name}"


def below(name: str, part: str) -> bool:
    """Whether a dotted name is a part or stands below it; ``csms`` alone stands for the package and its own names."""
    if part == "csms":
        return name == "csms" or (name.startswith("csms.") and name not in modules() and not _of_module(name))
    return name == part or name.startswith(part + ".")


def _of_module(name: str) -> bool:
    return any(name.startswith(module + ".") for module in modules() if module != "csms")


def allowed(name: str, parts: str) -> bool:
    """Whether one of the parts, divided by spaces, holds the name."""
    return any(below(name, part) for part in parts.split())


@cache
def modules() -> dict[str, Path]:
    """Every file of ours by its dotted name as it is installed."""
    found: dict[str, Path] = {}
    for package, folder in FOLDERS.items():
        for file in sorted((ROOT / folder).rglob("*.py")):
            dotted = ".".join([package, *file.relative_to(ROOT / folder).with_suffix("").parts])
            found[dotted.removesuffix(".__init__")] = file
    return found


def arrows_of(module: str, text: str) -> Iterator[Arrow]:
    """Every import of a text, as full names: ``from a import b`` asks for ``a.b``."""
    tree = ast.parse(text)
    lazy = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(outer)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                names = [alias.name for alias in node.names]
            case ast.ImportFrom(module=str(source), level=0):
                names = [f"{source}.{alias.name}" for alias in node.names]
            case ast.ImportFrom():
                names = ["." * node.level + (node.module or "")]
            case _:
                continue
        for name in names:
            yield Arrow(module, name, node.lineno, id(node) not in lazy)


@cache
def arrows() -> tuple[Arrow, ...]:
    """Every import of the whole house."""
    return tuple(one for name, file in modules().items() for one in arrows_of(name, file.read_text("utf-8")))


def home(module: str) -> str | None:
    """The row of the table that a module falls under: the longest that fits."""
    rows = [row for row in MAY if module == row or (row != "csms" and module.startswith(row + "."))]
    return max(rows, key=len, default=None)


def ours(name: str) -> bool:
    """Whether a name is of this project, and not of a library or the standard library."""
    return name.split(".")[0] in ("csms", "csms_plugins", "csms_rules") or name.startswith("twisted.plugins.")


def own_faults(found: tuple[Arrow, ...]) -> list[str]:
    """The arrows between our own parts that the table does not have."""
    return [str(one) for one in found if ours(one.name) and not _may(one)]


def _may(arrow: Arrow) -> bool:
    row = home(arrow.module)
    if row is None:
        return False
    if allowed(arrow.name, MAY[row]):
        return True
    return any(arrow.module.startswith(one) and arrow.name.startswith(one) for one in FAMILIES)


def library_faults(found: tuple[Arrow, ...]) -> list[str]:
    """The arrows to libraries that the table does not have."""
    foreign = [one for one in found if not ours(one.name) and one.name.split(".")[0] not in sys.stdlib_module_names]
    return [str(one) for one in foreign if not allowed(one.module, LIBRARIES.get(one.name.split(".")[0], ""))]


def test_every_file_has_a_row() -> None:
    assert len(modules()) > 100
    assert [name for name in modules() if home(name) is None] == []


@pytest.mark.parametrize("row", MAY)
def test_every_row_has_a_file(row: str) -> None:
    assert any(home(name) == row for name in modules())


@pytest.mark.parametrize("row", MAY)
def test_every_arrow_of_a_row_is_used(row: str) -> None:
    used = [one.name for one in arrows() if home(one.module) == row]
    assert [part for part in MAY[row].split() if not any(below(name, part) for name in used)] == []


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_place_of_a_library_uses_it(library: str) -> None:
    used = {one.module for one in arrows() if one.name.split(".")[0] == library}
    assert [part for part in LIBRARIES[library].split() if not any(below(name, part) for name in used)] == []


def test_our_parts_import_only_what_the_table_allows() -> None:
    assert own_faults(arrows()) == []


def test_libraries_are_imported_only_where_the_table_allows() -> None:
    assert library_faults(arrows()) == []


def test_words_of_the_model_need_the_standard_library_alone() -> None:
    model = [one for one in arrows() if below(one.module, "csms.model")]
    outside = [str(one) for one in model if not below(one.name, "csms.model")]
    assert [one for one in outside if one.split("imports ")[1].split(".")[0] not in sys.stdlib_module_names] == []


def test_the_reactor_is_never_imported_when_a_module_is_loaded() -> None:
    wanted = [one for one in arrows() if one.name.startswith("twisted.internet.reactor")]
    assert [str(one) for one in wanted if one.at_load] == []
    assert {one.module for one in wanted} <= {"csms.tap", "csms.testing"}


def test_nothing_is_imported_by_a_relative_name_or_with_a_star() -> None:
    assert [str(one) for one in arrows() if one.name.startswith(".") or one.name.endswith(".*")] == []


def test_what_a_plugin_imports_is_promised() -> None:
    import csms.api

    names = [one.name.removeprefix("csms.api.") for one in arrows() if one.name.startswith("csms.api.")]
    assert names
    assert set(names) <= set(csms.api.__all__)


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("csms.web.house", "from csms.store import Store"),
        ("csms.blocks.billing", "import csms.web.server"),
        ("csms.blocks.billing", "from csms.tap import make"),
        ("csms.blocks.billing", "from csms import connection"),
        ("csms.model.station", "from csms.ocpp.times import instant"),
        ("csms_plugins.billing", "from csms.model.billing import Price"),
        ("csms_plugins.billing", "from csms_plugins.rfid_list import RfidList"),
        ("csms_plugins.billing", "def run():\n    from csms_plugins.flow_rules import FlowRules"),
        ("csms.unheard_of", "import csms.model.station"),
    ],
)
def test_a_wrong_arrow_between_our_parts_is_found(module: str, line: str) -> None:
    assert len(own_faults(tuple(arrows_of(module, line)))) == 1


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("csms.stations", "import autobahn.websocket"),
        ("csms.sim.session", "from autobahn.twisted.websocket import connectWS"),
        ("csms.blocks.billing", "from peewee import Model"),
        ("csms.ocpp.rpc", "from twisted.internet import defer"),
        ("csms.model.station", "import orjson"),
        ("csms.tap", "import requests"),
    ],
)
def test_a_library_in_the_wrong_place_is_found(module: str, line: str) -> None:
    assert len(library_faults(tuple(arrows_of(module, line)))) == 1


def test_test_modules_have_names_of_their_own() -> None:
    """pytest imports tests by their bare names: two of one name end a whole run, and only a whole run."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name not in ("conftest.py", "__init__.py")]
    assert sorted(names) == sorted(set(names))
