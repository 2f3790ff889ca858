"""Fixtures of the end-to-end tests: a server process from an installed environment, its API, and stations made of independent clients."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from api_client import Api
from node_link import NodeLink, NoNode, install
from server_process import CLEAN_ENDS, STOPPED, ServerProcess, csms_missing
from station_links import Link, PackageLink

LOG_SHOWN = 8000
Connect = Callable[[str, str], Link]
"""Makes a link from a station's identity and its subprotocol; not yet connected."""


def running(folder: Path) -> Iterator[ServerProcess]:
    """A ready server in a folder, ended by SIGTERM, which must end it cleanly."""
    missing = csms_missing()
    if missing:
        pytest.skip(missing)
    server = ServerProcess(folder)
    server.start()
    try:
        server.wait_ready()
        yield server
    finally:
        code = server.terminate() if server.running else "none: it was gone before SIGTERM"
        print(f"--- the end of the server's log ---\n{server.log[-LOG_SHOWN:]}")
    assert code in CLEAN_ENDS, f"SIGTERM ended the server with exit code {code}"
    assert STOPPED in server.log, "SIGTERM ended the server before it had closed everything"
    assert not server.troubles, f"{len(server.troubles)} faults in the server's log, the first:\n{server.troubles[0]}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for the tests of a module; each test has its own stations."""
    yield from running(tmp_path_factory.mktemp("server"))


@pytest.fixture
def own(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server for one test alone."""
    yield from running(tmp_path)


@pytest.fixture
def api(server: ServerProcess) -> Api:
    """The server's HTTP API."""
    return Api(server)


def node_station(cache: pytest.Cache) -> Path:
    """The installed Node.js station; skips with the reason where it cannot be had, or fails if CSMS_REQUIRE_NODE is set."""
    try:
        return install(cache.mkdir("ocpp-rpc"))
    except NoNode as why:
        if os.environ.get("CSMS_REQUIRE_NODE"):
            pytest.fail(f"CSMS_REQUIRE_NODE is set: {why}")
        pytest.skip(f"the ocpp-rpc station is not tested: {why}")


@pytest.fixture(params=["ocpp", "ocpp-rpc"])
def link(request: pytest.FixtureRequest, server: ServerProcess) -> Connect:
    """Makes links of one independent client: the ``ocpp`` package, or ``ocpp-rpc`` in Node.js."""
    if request.param == "ocpp":
        return lambda station, protocol: PackageLink(server.stations_url, station, protocol)
    assert request.config.cache is not None
    script = node_station(request.config.cache)
    return lambda station, protocol: NodeLink(script, server.stations_url, station, protocol)
