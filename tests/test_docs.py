"""What the documentation says of hooks, names, settings and files is true, and nothing is left out of it."""

from __future__ import annotations

import inspect
import re
import tomllib
from dataclasses import MISSING, Field, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import pluggy
import pytest
from csms_plugins.flow.presets import shipped_names
from twisted.web.static import Data

import csms.api
from csms import hookspecs
from csms.api import (
    ActionRegistry,
    AdmitDecision,
    Authorization,
    AuthorizationRequest,
    Bill,
    BillDelivered,
    BillDelivery,
    BillStatus,
    BootDecision,
    BootNotification,
    CertificateHash,
    CertificateStatusAnswer,
    CertificateUse,
    CommandFailure,
    CommandState,
    ConditionRegistry,
    ContractCheck,
    ContractQuestion,
    EvCertificateAnswer,
    EventRegistry,
    GetCertificateStatus,
    GetEvCertificate,
    Handshake,
    IdToken,
    OcspData,
    PresetRegistry,
    Price,
    QuestionRegistry,
    ReadingVerdicts,
    Reset,
    ResetPlan,
    RetryPlan,
    SignedCertificate,
    SignedReadings,
    SigningRequest,
    StationRef,
    StatusCheckPlan,
    StatusSilence,
    StoryNotes,
    StoryQuestion,
    TariffChoice,
    TariffQuestion,
    Transaction,
    WebRegistry,
)
from csms.cli import main
from csms.config import load_site
from csms.model.transactions import Completeness
from csms.settings import TABLES, parse_duration
from csms.starter import starter

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
HOOKS = (DOCS / "hooks.md").read_text("utf-8")
API = (DOCS / "plugin-api.md").read_text("utf-8")
SITE_FILE = (DOCS / "site-file.md").read_text("utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "changelog.d").glob("*.md")])
KNOWN = (*hookspecs.DECISIONS, *hookspecs.NEWS, *hookspecs.REGISTRATIONS)
NAMES: dict[str, Any] = {name: getattr(csms.api, name) for name in csms.api.__all__}
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CS1 = StationRef("CS1", "ocpp2.0.1")
CHARGE = Transaction(1, "CS1", "T1", Completeness.COMPLETE)
BILL = Bill(1, "CS1", BillStatus.FINAL, Price("EUR", (), Decimal("1.00")), None, None, None, None, None, NOON)

ANSWERS: dict[str, tuple[dict[str, Any], type]] = {
    "admit_station": ({"handshake": Handshake("CS1", "10.0.0.1", ("ocpp2.0.1",))}, AdmitDecision),
    "decide_boot": ({"station": CS1, "boot": BootNotification("PowerUp", "ACME", "One", "", "0.9")}, BootDecision),
    "authorize": ({"request": AuthorizationRequest(CS1, IdToken("FLEET-1"), NOON)}, Authorization),
    "plan_reset": ({"station": CS1, "reset": Reset(), "active_transactions": 1}, ResetPlan),
    "plan_status_check": ({"silence": StatusSilence(CS1, 1, 1, 60.0, 1, known=False)}, StatusCheckPlan),
    "plan_retry": (
        {"failure": CommandFailure(CS1, "GetVariables", CommandState.TIMED_OUT, "late", 1, idempotent=True)},
        RetryPlan,
    ),
    "choose_tariff": ({"question": TariffQuestion(CS1, CHARGE, datetime(2026, 3, 1, tzinfo=UTC))}, TariffChoice),
    "price": ({"transaction": CHARGE}, Price),
    "answer_question": ({"name": "parking.which_lane", "question": CS1}, dict),
    "verify_readings": ({"question": SignedReadings(CS1, CHARGE, ())}, ReadingVerdicts),
    "deliver_bill": ({"delivery": BillDelivery("main-2026-000001", 1, BILL)}, BillDelivered),
    "explain_transaction": ({"question": StoryQuestion(CS1, CHARGE, NOON, NOON)}, StoryNotes),
    "sign_certificate": (
        {"request": SigningRequest(CS1, CertificateUse.CHARGING_STATION, "", "CS1", "", NOON)},
        SignedCertificate,
    ),
    "check_contract": (
        {"contract": ContractQuestion(CS1, IdToken("DE-XYZ-1", "eMAID"), NOON, None, ())},
        ContractCheck,
    ),
    "certificate_status": (
        {"station": CS1, "request": GetCertificateStatus(OcspData(CertificateHash("SHA256", "", "", "1")))},
        CertificateStatusAnswer,
    ),
    "ev_certificate": ({"station": CS1, "request": GetEvCertificate("urn", "gAE=")}, EvCertificateAnswer),
    "answer_call": ({"station": CS1, "action": "DataTransfer", "payload": {"vendorId": "com.acme"}}, dict),
}
"""For each decision: a question on which the example in the docs has an opinion, and the type of its answer."""


def sections(text: str, level: str) -> dict[str, str]:
    """The parts of a page below headings of one level, by heading."""
    _, *parts = re.split(rf"^{level} (.+)$", text, flags=re.MULTILINE)
    return {
        name: re.split(r"^#{1,3} ", body, maxsplit=1, flags=re.MULTILINE)[0]
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


HOOK_SECTIONS = sections(HOOKS, "###")


def example(hook: str) -> Any:
    """The plugin in a hook's example, built."""
    (text,) = re.findall(r"```python\n(.*?)```", HOOK_SECTIONS[hook], re.DOTALL)
    given = NAMES | {"Decimal": Decimal, "Data": Data, "Path": Path, "datetime": datetime, "UTC": UTC}
    made = dict(given)
    exec(compile(text, f"the example of {hook}", "exec"), made)
    (kind,) = [value for name, value in made.items() if name not in given and inspect.isclass(value)]
    return kind()


# Hooks


def test_every_hook_has_a_section_and_every_section_is_a_hook() -> None:
    specified = [name for name, value in vars(hookspecs.CsmsHooks).items() if hasattr(value, "csms_spec")]
    assert list(HOOK_SECTIONS) == specified
    assert sorted(KNOWN) == sorted(specified)


@pytest.mark.parametrize("hook", KNOWN)
def test_a_hooks_section_says_everything(hook: str) -> None:
    section = HOOK_SECTIONS[hook]
    for label in ("Question", "Answer", "Default", "Since"):
        assert f"- **{label}**: " in section
    question = section.split("- **Question**: ")[1].split("- **Answer**")[0]
    _, *arguments = inspect.signature(getattr(hookspecs.CsmsHooks, hook)).parameters
    assert [one for one in arguments if not re.search(rf"`{one}\b", question)] == []


@pytest.mark.parametrize("hook", KNOWN)
def test_a_hooks_example_implements_that_hook(hook: str) -> None:
    plugin = example(hook)
    manager = pluggy.PluginManager("csms")
    manager.add_hookspecs(hookspecs.CsmsHooks)
    manager.register(plugin)
    manager.check_pending()
    assert [caller.name for caller in manager.get_hookcallers(plugin) or ()] == [hook]


@pytest.mark.parametrize("hook", hookspecs.DECISIONS)
def test_a_decisions_example_answers_its_question(hook: str) -> None:
    question, answer = ANSWERS[hook]
    assert isinstance(getattr(example(hook), hook)(**question), answer)
    assert answer is dict or f"`{answer.__name__}`" in HOOK_SECTIONS[hook]


def test_the_examples_of_news_and_registrations_do_what_they_say() -> None:
    faults = example("on_event")
    (kind,) = faults.listens_to
    faults.on_event(kind(CS1, NOON, 1, 1, csms.api.ConnectorStatus.FAULTED, None))
    assert faults.faulted == "CS1"
    actions, conditions, web = ActionRegistry("lamp"), ConditionRegistry("weekend"), WebRegistry("hello")
    example("register_actions").register_actions(actions)
    example("register_conditions").register_conditions(conditions)
    example("register_web").register_web(web)
    assert actions.found["lamp.blink"].run({"times": 2}) == {"blinked": 2}
    assert conditions.found["is_weekend"]("sun") is True
    assert list(web.found) == ["hello/hello"]
    events, questions, presets = EventRegistry("parking"), QuestionRegistry("gate"), PresetRegistry("mine")
    example("register_events").register_events(events)
    example("register_questions").register_questions(questions)
    example("register_presets").register_presets(presets)
    assert list(events.found) == ["parking.bay_free"]
    assert questions.found["gate.which_lane"].asked is StationRef
    assert presets.found == [Path("presets")]


# The plugin API


@pytest.mark.parametrize("name", csms.api.__all__)
def test_every_promised_name_is_there_and_documented(name: str) -> None:
    assert hasattr(csms.api, name)
    rows = [line for line in API.splitlines() if line.startswith("| `")]
    assert any(f"`{name}`" in row.split("|")[1] for row in rows)


def test_every_documented_name_is_promised() -> None:
    cells = [line.split("|")[1] for line in API.splitlines() if line.startswith("| `")]
    words = {
        word
        for cell in cells
        for word in re.findall(r"`([A-Z]\w+|check_chain|hookimpl|key_text|parsed|read_chain|read_csr|read_toml)`", cell)
    }
    assert words == set(csms.api.__all__)
    assert list(csms.api.__all__) == sorted(csms.api.__all__)


@pytest.mark.parametrize("one", fields(csms.api.Csms), ids=lambda one: one.name)
def test_everything_of_the_facade_is_documented(one: Field[Any]) -> None:
    facade = sections(API, "###")["What `Csms` can do"]
    assert re.search(rf"[`. ]{one.name}[`(.]", facade)


# The site file

SITE_ROWS = {
    (table, row[0]): row[1]
    for table in TABLES
    for row in re.findall(r"^\| `(\w+)` \| `(.+?)` \|", sections(SITE_FILE, "##")[f"[{table}]"], re.MULTILINE)
}
SETTINGS = [(table, one) for table, kind in TABLES.items() for one in fields(kind)]


@pytest.mark.parametrize(("table", "one"), SETTINGS, ids=lambda part: getattr(part, "name", part))
def test_every_setting_is_documented_with_its_default(table: str, one: Field[Any]) -> None:
    told = tomllib.loads(f"it = {SITE_ROWS[table, one.name]}")["it"]
    default = one.default if one.default is not MISSING else None
    match default:
        case timedelta():
            assert parse_duration(told) == default
        case tuple():
            assert tuple(told) == default
        case _:
            assert (type(told), told) == (type(default), default)


def test_every_documented_setting_is_one() -> None:
    assert set(SITE_ROWS) == {(table, one.name) for table, one in SETTINGS}
    named = {"window.&lt;name&gt;", "notify.&lt;name&gt;", "More than one site", "Changing it while the server runs"}
    assert [name for name in sections(SITE_FILE, "##") if name.strip("[]") not in {*TABLES, *named}] == []


# Files and links


@pytest.mark.parametrize("file", sorted((ROOT / "rules").glob("*.toml")), ids=lambda file: file.name)
def test_every_shipped_toml_file_loads(tmp_path: Path, file: Path) -> None:
    if file.stem in shipped_names():
        assert tomllib.loads(file.read_text("utf-8"))["preset"]["name"] == file.stem
        return
    assert file.name == "site.toml", "a file in rules/ is a preset or the starter"
    site = tmp_path / "csms.toml"
    site.write_text(starter(), "utf-8")
    assert load_site(site).site.id
    assert "@SECRET@" not in site.read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    prose = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    wrong = [link for link in re.findall(r"\]\(([^)\s]+)\)", prose) if not link_is_good(page, link)]
    assert wrong == []


def link_is_good(page: Path, link: str) -> bool:
    """Whether a link within the project has its target; links to the world are not looked at."""
    if re.match(r"(https?|mailto):", link):
        return True
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or anchor in anchors(target.read_text("utf-8"))


def anchors(text: str) -> set[str]:
    """The names that a page's headings have in links."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_can_be_reached_from_the_docs_first_page() -> None:
    seen: set[Path] = set()
    waiting = [DOCS / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        links = re.findall(r"\]\(([^)#\s:]+)[^)]*\)", page.read_text("utf-8"))
        waiting += [(page.parent / link).resolve() for link in links if (page.parent / link).exists()]
    assert [str(page.relative_to(ROOT)) for page in DOCS.rglob("*.md") if page not in seen] == []


def test_a_link_to_nothing_is_found() -> None:
    assert not link_is_good(ROOT / "README.md", "docs/nothing.md")
    assert not link_is_good(ROOT / "README.md", "docs/rules.md#nothing")
    assert link_is_good(ROOT / "README.md", "docs/rules.md#a-first-rule")


@pytest.mark.usefixtures("installed_plugins")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_line_is_one(page: Path) -> None:
    assert [line for line in command_lines(page.read_text("utf-8")) if not is_a_command(line)] == []


def command_lines(text: str) -> list[list[str]]:
    """What a page says to type: csms, nox, and python with a file of ours, in code."""
    typed = re.sub(r"^```(\w*)\n(.*?)^```", _typed, text, flags=re.DOTALL | re.MULTILINE)
    code = "\n".join(re.findall(r"^ {4}\S.*$|`[^`\n]+`", typed, re.MULTILINE))
    found = re.findall(r"(?<![\w/.-])((?:\.venv/bin/)?(?:csms |nox -|python (?:tests|benchmarks)/)[^`\n;&|#(]*)", code)
    return [re.sub(r"^\.venv/bin/|^python ", "", one).split() for one in found]


def _typed(fence: re.Match[str]) -> str:
    """What is typed in a shell, as commands; nothing of other languages."""
    return "".join(f"`{line}`\n" for line in fence[2].splitlines()) if fence[1] == "sh" else ""


def is_a_command(words: list[str]) -> bool:
    """Whether the program has such a command, and the command each option."""
    options = {word.split("=")[0].strip("[]") for word in words if word.strip("[").startswith("--") and len(word) > 2}
    if words[0] == "nox":
        return words[1] in ("-l", "-s") and (
            words[1] == "-l" or f"def {words[2]}(" in (ROOT / "noxfile.py").read_text()
        )
    if words[0] != "csms":
        known = "".join((ROOT / file).read_text() for file in (words[0], "tests/torture/torture_tool.py"))
        return all(f'"{option}"' in known for option in options)
    command: click.Command = main
    for word in words[1:]:
        if not isinstance(command, click.Group):
            break
        named = command.get_command(click.Context(command), word)
        if named is None:
            return word.startswith(("-", "...")) and command is main
        command = named
    return options <= {"--help", *(option for one in command.params for option in one.opts)}


@pytest.mark.parametrize(
    "line",
    [
        "csms certificate list",
        "csms tx explain 1",
        "csms run --rule=off",
        "nox -s tortures",
        "python tests/torture/kills.py --cycles 200",
        "python benchmarks/run.py --fastest",
    ],
)
def test_a_command_that_is_none_is_found(line: str) -> None:
    (words,) = command_lines(f"Type `{line}`.")
    assert not is_a_command(words)
