"""A station's certificate over 400 days: a real server and a real station over TLS, both under libfaketime, and what they do as the days go by."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from api_client import Api
from fake_time import FakeTime, library
from server_process import CLEAN_ENDS, HOST, ServerProcess, csms_bin, csms_missing, free_ports

PASSWORD = "a-password-of-20-chr"
ID = "CS1"
RENEWED = ["BootNotification Accepted", "TriggerMessage", "SignCertificate Accepted", "CertificateSigned"]
SITE = """
[[server.listeners]]
listen = "tcp:{port}:interface=127.0.0.1"
profiles = [2, 3]

[tls]
certificates = [
  {{ chain = "tls/server-ecdsa.pem", key = "tls/server-ecdsa.key" }},
  {{ chain = "tls/server-rsa.pem", key = "tls/server-rsa.key" }},
]
client_ca = "tls/stations-ca.pem"

[plugins.local_ca]
validity = "90d"
"""


class World:
    """A server, its station, and their clock."""

    def __init__(self, folder: Path, clock: FakeTime) -> None:
        self.clock = clock
        self.folder = folder
        (self.port,) = free_ports(1)
        self.make_certificates()
        self.server = ServerProcess(folder, environment=clock.environment, more=SITE.format(port=self.port))
        site = self.server.site_file.read_text().replace('"flow_rules",', '"flow_rules", "local_ca",')
        self.server.site_file.write_text(site.replace('unknown = "accept"', 'unknown = "refuse"'))
        self.api = Api(self.server)
        self.station = folder / ID
        self.station.mkdir()
        shutil.copy(folder / "tls" / "stations-ca.pem", self.station / "ca.pem")

    def make_certificates(self) -> None:
        """The operator's command for new certificates of the server."""
        words = [csms_bin() / "csms", "ca", "init", HOST]
        environment = {**os.environ, **self.clock.environment}
        subprocess.run(words, cwd=self.folder, env=environment, check=True, timeout=60, stdout=subprocess.DEVNULL)

    def visit(self, *more: str) -> Any:
        """The station comes, with its certificate or its password."""
        script = Path(__file__).with_name("tls_station.py")
        url = f"wss://{HOST}:{self.port}/ocpp"
        words = [sys.executable, str(script), url, str(self.station), PASSWORD, *more]
        environment = {**os.environ, **self.clock.environment}
        done = subprocess.run(words, env=environment, check=True, timeout=60, stdout=subprocess.PIPE)
        return json.loads(done.stdout)

    def restart(self, days: int) -> None:
        """The server stops, and starts so many days later than it was at first."""
        assert self.server.terminate() in CLEAN_ENDS
        self.clock.move(days)
        self.start()

    def start(self) -> None:
        """The server starts."""
        self.server.start()
        self.server.wait_ready()

    def certificate(self) -> Any:
        """What the server knows of the station's newest certificate."""
        items = self.api.expect(200, "GET", f"/api/v1/certificates?station={ID}")["items"]
        return max(items, key=lambda one: str(one["expires"]))

    def told(self, kind: str, *words: str) -> None:
        """A security event of this kind, and with these words, has been or will soon be told."""
        path = f"/api/v1/security-events?kind={kind}&limit=500"
        self.api.until(path, lambda page: any(all(word in one["detail"] for word in words) for one in page["items"]))

    def day_of_expiry(self, came: Any) -> int:
        """In how many days the station's certificate ends."""
        left = datetime.fromisoformat(self.certificate()["expires"]) - datetime.fromisoformat(came["now"])
        return round(left.total_seconds() / 86400)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A server that is ready on the first day."""
    if missing := csms_missing():
        pytest.skip(missing)
    shared = library()
    if shared is None:
        told = "no libfaketime here: apt-get install faketime, or set CSMS_LIBFAKETIME"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(told)
    made = World(tmp_path, FakeTime(tmp_path, shared))
    made.start()
    try:
        made.api.expect(201, "PUT", f"/api/v1/stations/{ID}", {"password": PASSWORD})
        yield made
        assert made.server.terminate() in CLEAN_ENDS
        assert not made.server.troubles
    finally:
        if made.server.running:
            made.server.kill()
        print(made.server.log[-8000:])


def test_threat_a_certificate_over_400_days(world: World) -> None:
    """Issued, renewed after a restart, not renewed and told, expired and refused, and got back again."""
    came = world.visit()
    assert (came["status"], came["heard"]) == (101, ["BootNotification Accepted", *RENEWED[2:]]), came
    assert world.day_of_expiry(came) == 90
    first = world.certificate()["serial_number"]

    came = world.visit()
    assert (came["status"], came["heard"]) == (101, RENEWED[:1]), "it shows its certificate, which is new"
    assert f"{ID} connected" in world.server.log
    assert "security profile 3" in world.server.log

    world.restart(65)
    came = world.visit()
    assert (came["status"], came["heard"]) == (101, RENEWED), "25 days before its end"
    assert world.day_of_expiry(came) == 90
    assert world.certificate()["serial_number"] != first

    world.clock.move(65 + 86)
    came = world.visit("--refuse")
    assert (came["status"], came["heard"]) == (101, RENEWED[:2]), "while the server runs, and the station will not"
    ends = str(world.certificate()["expires"])[:10]
    world.told("CertificateExpires", f"its ChargingStationCertificate expires on {ends}")

    world.restart(380)
    world.told("CertificateExpires", "the server's own server-ecdsa.pem ends", "csms ca init")

    world.clock.move(400)
    came = world.visit()
    assert "certificate has expired" in came["fault"], "the station does not trust the server's old one"
    world.make_certificates()
    world.api.until("/healthz", lambda _: "new certificates are in use" in world.server.log, 15)
    came = world.visit()
    assert (came["status"], came["heard"]) == (0, []), "and the server does not trust the station's"
    world.told("InvalidChargingStationCertificate", "certificate verify failed")

    (world.station / "station.pem").unlink()
    came = world.visit()
    assert came["status"] == 401, "it does not get in with less than it has shown"
    world.told("FailedToAuthenticateAtCsms", "with security profile 2 and has used 3")
    world.api.expect(200, "PUT", f"/api/v1/stations/{ID}", {"security_profile": 2})
    came = world.visit()
    assert came["status"] == 101
    assert "CertificateSigned" in came["heard"]
    came = world.visit()
    assert (came["status"], came["heard"]) == (101, RENEWED[:1])
    assert world.day_of_expiry(came) == 90
