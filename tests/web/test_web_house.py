"""Alerts, plugins and their resources, health, metrics, through the API."""

from __future__ import annotations

import inspect
import time
from typing import Any

import pytest
from api_wire import Wire
from fake_rooms import NOW, FakeAlert, FakeHouse
from prometheus_client.parser import text_string_to_metric_families
from twisted.web.pages import notFound
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from csms.config import Problem, SiteFileError
from csms.model.monitoring import EventData
from csms.model.provisioning import Variable
from csms.web import Metrics, rooms, store_rooms
from csms.web.metrics import MAX_LABELS


def test_health_needs_no_token(api: Wire) -> None:
    answer = api.ask("GET", "/healthz", token=None)
    assert (answer.status, answer.body) == (200, {"status": "alive"})


def test_readiness_is_the_store_s(api: Wire, house: FakeHouse) -> None:
    assert api.ask("GET", "/readyz", token=None).body == {"status": "ready"}
    house.store.healthy = False
    answer = api.ask("GET", "/readyz", token=None)
    assert (answer.status, answer.slug) == (503, "store-unavailable")
    assert api.ask("GET", "/healthz", token=None).status == 200


def test_plugins_are_reported(api: Wire, house: FakeHouse) -> None:
    row = {
        "name": "billing",
        "version": "0.1.0",
        "source": "csms_plugins.billing:Billing",
        "order": 1,
        "hooks": ["price"],
        "state": "well",
        "faults": 0,
        "last_fault": "",
    }
    house.plugins.rows = [row]
    assert api.get("/api/v1/plugins") == {"items": [row], "next": None}


def test_alerts_are_listed(api: Wire, house: FakeHouse) -> None:
    variable = Variable("Connector", "Problem", evse=1)
    data = EventData(31, NOW, "Alerting", "true", variable, "HardWiredNotification", severity=2)
    secret = EventData(32, NOW, "Delta", "hunter2", Variable("SecurityCtrlr", "BasicAuthPassword"), "CustomMonitor")
    house.store.alerts.rows = [
        FakeAlert(1, "CS1", NOW, 0, NOW, data),
        FakeAlert(2, "CS2", NOW, 1, NOW, data),
        FakeAlert(3, "CS1", NOW, 2, NOW, secret),
    ]
    first, third = api.get("/api/v1/alerts?station=CS1")["items"]
    assert (first["id"], first["station"], first["seq_no"], first["event_id"]) == (1, "CS1", 0, 31)
    assert (first["variable"]["component"], first["variable"]["evse"], first["severity"]) == ("Connector", 1, 2)
    assert third["actual_value"] == "(hidden)"
    page = api.get("/api/v1/alerts?limit=2")
    assert [item["id"] for item in api.get(page["next"])["items"]] == [3]


# Metrics


def figures(api: Wire) -> dict[tuple[str, str], float]:
    """Every sample by name and its labels' values, in the order of the labels' names."""
    text = api.ask("GET", "/metrics").raw.decode()
    families = text_string_to_metric_families(text)
    return {
        (one.name, ",".join(value for _, value in sorted(one.labels.items()))): one.value
        for family in families
        for one in family.samples
    }


def test_metrics_tell_what_was_counted(api: Wire, house: FakeHouse) -> None:
    house.station(protocol="ocpp1.6")
    for _ in range(3):
        house.metrics.message("in")
    house.metrics.message_in("Heartbeat")
    house.metrics.message_out("Reset")
    house.metrics.call_error_in("NotSupported")
    house.metrics.call_error_out("SecurityError")
    house.metrics.plugin_fault("billing", "price", "boom")
    house.metrics.commit(3, 0.004)
    house.metrics.commit(1000, 9.0)
    api.get("/api/v1/stations")
    api.ask("GET", "/nowhere")
    found = figures(api)
    assert found["csms_stations_connected", ""] == 1
    assert found["csms_store_healthy", ""] == 1
    assert found["csms_messages_total", "in"] == 3
    assert found["csms_calls_received_total", "Heartbeat"] == 1
    assert found["csms_calls_sent_total", "Reset"] == 1
    assert found["csms_call_errors_received_total", "NotSupported"] == 1
    assert found["csms_call_errors_sent_total", "SecurityError"] == 1
    assert found["csms_plugin_faults_total", "price,billing"] == 1
    assert found["csms_http_requests_total", "GET,200"] == 1
    assert found["csms_http_requests_total", "GET,404"] == 1
    assert found["csms_store_batch_rows_bucket", "2"] == 0
    assert found["csms_store_batch_rows_bucket", "5"] == 1
    assert found["csms_store_batch_rows_bucket", "+Inf"] == 2
    assert found["csms_store_batch_rows_sum", ""] == 1003
    assert found["csms_store_commit_seconds_count", ""] == 2


def test_metrics_are_text_of_prometheus(api: Wire) -> None:
    answer = api.ask("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b"# TYPE csms_messages_total counter" in answer.raw


def test_two_servers_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.message("in")
    assert b'csms_messages_total{direction="in"} 1.0' in one.text(connected=0, healthy=True)
    assert b'csms_messages_total{direction="in"}' not in other.text(connected=0, healthy=True)


def test_words_stations_invent_do_not_fill_the_memory() -> None:
    metrics = Metrics()
    for number in range(MAX_LABELS * 3):
        metrics.message_in(f"Invented{number}")
    text = metrics.text(connected=0, healthy=True).decode()
    assert text.count("csms_calls_received_total{") == MAX_LABELS + 1
    assert f'csms_calls_received_total{{action="other"}} {MAX_LABELS * 2:.1f}' in text


def test_counting_is_cheap() -> None:
    metrics = Metrics()
    metrics.message_in("Heartbeat")
    best = min(_per_call(metrics) for _ in range(5))
    assert best < 1e-6


def _per_call(metrics: Metrics) -> float:
    began = time.perf_counter()
    for _ in range(10_000):
        metrics.message_in("Heartbeat")
    return (time.perf_counter() - began) / 10_000


# Plugins' resources


class Page(Resource):
    """Answers GET with what it was asked, POST later, and breaks when told to."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waiting: list[Any] = []

    def render_GET(self, request: Any) -> bytes:
        if request.postpath == [b"break"]:
            raise RuntimeError("secret inside")
        if request.postpath == [b"none"]:
            return None  # type: ignore[return-value]
        request.setHeader("content-type", "text/plain")
        return b"/".join([*request.prepath, b"|", *request.postpath])

    def render_POST(self, request: Any) -> int:
        self.waiting.append(request)
        return NOT_DONE_YET


@pytest.fixture
def page(house: FakeHouse) -> Page:
    """A plugin's resource at /plugins/demo/page."""
    page = Page()
    branch = Resource()  # type: ignore[no-untyped-call]
    branch.putChild(b"leaf", Page())
    branch.putChild(b"gone", notFound())
    house.plugins.web = {"demo/page": page, "demo/page/deep/er": Page(), "tree/root": branch}
    return page


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/plugins/demo/page", "plugins/demo/page/|"),
        ("/plugins/demo/page/a/b%20c", "plugins/demo/page/|/a/b c"),
        ("/plugins/demo/page/deep/er/x", "plugins/demo/page/deep/er/|/x"),
        ("/plugins/tree/root/leaf", "plugins/tree/root/leaf/|"),
    ],
)
def test_resource_of_a_plugin_answers(api: Wire, page: Page, path: str, text: str) -> None:
    answer = api.ask("GET", path)
    assert (answer.status, answer.raw.decode()) == (200, text)
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_resource_of_a_plugin_is_behind_the_token(api: Wire, page: Page) -> None:
    assert api.ask("GET", "/plugins/demo/page", token=None).status == 401
    assert api.ask("POST", "/plugins/demo/page", {}, token="wrong-token-0123456789").status == 401
    assert page.waiting == []


def test_resource_of_a_plugin_may_answer_later(api: Wire, page: Page, house: FakeHouse) -> None:
    exchange = api.begin("POST", "/plugins/demo/page", {"a": 1})
    request = page.waiting.pop()
    assert request.content.read() == b'{"a": 1}'
    request.setResponseCode(201)
    request.setHeader("content-type", "text/plain")
    request.write(b"done")
    request.finish()
    assert b"201" in exchange.transport.value()
    assert figures(api)["csms_http_requests_total", "POST,201"] == 1


@pytest.mark.parametrize(
    "path",
    [
        "/plugins/demo",
        "/plugins/demo/pages",
        "/plugins/other/page",
        "/plugins/tree/root/gone",
        "/plugins/tree/root/no",
        "/plugins/tree/root",
    ],
)
def test_what_a_plugin_does_not_have_is_not_found(api: Wire, page: Page, path: str) -> None:
    answer = api.ask("GET", path)
    assert (answer.status, answer.slug) in ((404, "no-such-path"), (405, "method-not-allowed"))
    assert answer.headers["content-type"] == "application/problem+json"


def test_method_a_plugin_does_not_have_is_a_problem(api: Wire, page: Page) -> None:
    answer = api.ask("DELETE", "/plugins/demo/page")
    assert (answer.status, answer.slug, answer.headers["allow"]) == (405, "method-not-allowed", "GET, HEAD, POST")


@pytest.mark.parametrize("what", ["break", "none"])
def test_fault_of_a_plugin_is_its_own(api: Wire, page: Page, what: str) -> None:
    path = f"/plugins/demo/page/{what}"
    exchange = api.begin("GET", path)
    raw = exchange.transport.value()
    assert raw.startswith(b"HTTP/1.1 500")
    assert b"application/problem+json" in raw
    assert b"secret" not in raw
    assert figures(api)["csms_plugin_faults_total", "register_web,demo"] == 1


def test_body_too_large_never_reaches_a_plugin(api: Wire, page: Page) -> None:
    answer = api.ask("POST", "/plugins/demo/page", raw=b" " * (2**20 + 1))
    assert (answer.status, answer.slug) == (413, "too-large")
    assert page.waiting == []


# The fakes


def _methods(kind: type) -> dict[str, list[tuple[str, Any, Any]]]:
    return {
        name: [(one.name, one.kind, one.default) for one in inspect.signature(method).parameters.values()]
        for name, method in vars(kind).items()
        if inspect.isfunction(method) and not name.startswith("_")
    }


def test_fakes_are_what_the_api_asks_for(house: FakeHouse) -> None:
    store = house.store
    pairs = [
        (store_rooms.StationRows, store.stations),
        (store_rooms.ConnectorRows, store.availability),
        (store_rooms.TokenRows, store.tokens),
        (store_rooms.TransactionRows, store.transactions),
        (store_rooms.BillRows, store.bills),
        (store_rooms.DeliveryRows, store.deliveries),
        (rooms.BillsRoom, house.decisions),
        (rooms.DeliveriesRoom, house.decisions),
        (store_rooms.CommandRows, store.commands),
        (store_rooms.UploadRows, store.uploads),
        (rooms.UploadsRoom, store.uploads),
        (store_rooms.MessageRows, store.messages),
        (store_rooms.AlertRows, store.alerts),
        (store_rooms.VariableRows, store.variables),
        (rooms.ProvisioningRoom, house.provisioning),
        (rooms.CommandsRoom, house.commands),
        (rooms.SwitchboardRoom, house.switchboard),
        (rooms.PluginsRoom, house.plugins),
    ]
    for protocol, fake in pairs:
        wanted, there = _methods(protocol), _methods(type(fake))
        for name, signature in wanted.items():
            assert there.get(name) == signature, f"{type(fake).__name__}.{name}"


def test_a_reload_says_what_is_different_and_what_needs_a_restart(api: Wire) -> None:
    answer = api.ask("POST", "/api/v1/reload")
    assert answer.status == 200
    assert answer.body["changed"] == ["stations.unknown: changed"]
    assert answer.body["needs_restart"] == ["server.listen: changed"]


def test_a_reload_of_a_wrong_file_tells_each_mistake(api: Wire, house: FakeHouse) -> None:
    house.reloaded = SiteFileError(
        [Problem("csms.toml", 3, 1, "server.listne", "this key is not known", "did you mean listen?")]
    )
    answer = api.ask("POST", "/api/v1/reload")
    assert (answer.status, answer.slug) == (409, "site-file-wrong")
    (mistake,) = answer.body["errors"]
    assert mistake == {
        "file": "csms.toml",
        "line": 3,
        "column": 1,
        "key": "server.listne",
        "detail": "this key is not known",
        "cure": "did you mean listen?",
    }
