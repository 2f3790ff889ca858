"""The page on a PKI of one's own is done as its reader would: the distribution is built, installed, enabled, and asks an EST server on loopback."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from pki_kit import NOON, csr
from tls_kit import WiredClock
from twisted.web.resource import Resource
from twisted.web.server import Site

import csms.plugins
from csms.authority import Authority, new_key
from csms.certificates import read_chain, read_csr
from csms.model.certificates import CertificateInstalled
from csms.model.security import SecurityEventRaised
from csms.testing import TestCsms, running_csms

PAGE = (Path(__file__).parents[2] / "docs" / "external-ca.md").read_text("utf-8")
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL))
PASSWORD = "Basic " + base64.b64encode(b"csms:change me").decode()


@dataclass
class EstServer(Resource):
    """A PKI: signs what it is sent, or something else."""

    authority: Authority = field(default_factory=lambda: Authority.create("PKI", at=NOON - timedelta(days=100)))
    other: str = ""
    at: datetime = NOON
    status: int = 200
    url: str = ""
    heard: list[tuple[bytes, str | None]] = field(default_factory=list)
    isLeaf = True

    def __post_init__(self) -> None:
        super().__init__()

    def render_POST(self, request: Any) -> bytes:
        self.heard.append((request.path, request.getHeader("authorization")))
        request.setResponseCode(self.status)
        request.setHeader("content-type", "application/pkcs7-mime; smime-type=certs-only")
        sent = x509.load_der_x509_csr(base64.b64decode(request.content.read())).public_bytes(Encoding.PEM).decode()
        chain = read_chain(self.authority.sign(read_csr(self.other or sent), self.at, 90))
        return base64.encodebytes(pkcs7.serialize_certificates(chain[::-1], Encoding.DER))


@pytest.fixture(scope="module")
def installed_at(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip has put the distribution."""
    pytest.importorskip("setuptools", "70.1", reason="setuptools builds the distribution of the page")
    source, target = tmp_path_factory.mktemp("est"), tmp_path_factory.mktemp("site-packages")
    for name, text in FILES.items():
        (source / name).write_text(text, "utf-8")
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True, timeout=120)
    return target


@pytest.fixture
def est(installed_at: Path, installed_plugins: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[EstServer]:
    """The plugin is installed beside what comes with csms, and a PKI listens."""
    from twisted.internet import reactor

    monkeypatch.syspath_prepend(str(installed_at))
    points = [point for one in distributions(path=[str(installed_at)]) for point in one.entry_points]
    found = {point.name: point for point in points if point.group == "csms"}
    others = csms.plugins.installed()
    monkeypatch.setattr(csms.plugins, "installed", lambda: {**others, **found})
    server = EstServer()
    port = reactor.listenTCP(0, Site(server), interface="127.0.0.1")  # type: ignore[attr-defined]
    server.url = f"http://127.0.0.1:{port.getHost().port}"
    yield server
    pytest_twisted.blockon(port.stopListening())
    sys.modules.pop("csms_est", None)


def site_of(server: EstServer) -> str:
    return FILES["csms.toml"].replace("https://pki.example.org", server.url)


def told(csms: TestCsms, kind: str) -> list[str]:
    return [one.event.detail for one in csms.told(SecurityEventRaised) if one.event.kind == kind]


@pytest_twisted.ensureDeferred
async def test_a_station_gets_its_certificate_from_the_pki(tmp_path: Path, est: EstServer) -> None:
    key = new_key("ecdsa")
    async with running_csms(tmp_path, site=site_of(est), clock=WiredClock()) as csms:
        station = await csms.station("CS1")
        assert await station.say("SignCertificate", {"csr": csr("CS1", key=key)}) == {"status": "Accepted"}
        call = await station.heard()
        assert call[2] == "CertificateSigned"
        (leaf,) = read_chain(call[3]["certificateChain"])
        assert leaf.public_key() == key.public_key()
        station.answer({"status": "Accepted"})
        await csms.settle(lambda: csms.told(CertificateInstalled))
        assert est.heard == [(b"/.well-known/est/stations/simpleenroll", PASSWORD)]


@pytest.mark.parametrize(
    ("slip", "why"),
    [
        ({"status": 401}, "answered 401"),
        ({"other": csr("CS2")}, "the key of the request"),
        ({"at": NOON - timedelta(days=99)}, "expired"),
    ],
    ids=["refused", "another's", "expired"],
)
@pytest_twisted.ensureDeferred
async def test_what_the_pki_does_wrong_is_told_and_not_sent(
    tmp_path: Path, est: EstServer, slip: dict[str, Any], why: str
) -> None:
    vars(est).update(slip)
    async with running_csms(tmp_path, site=site_of(est), clock=WiredClock()) as csms:
        station = await csms.station("CS1")
        await station.say("SignCertificate", {"csr": csr("CS1")})
        await csms.settle(lambda: told(csms, "CertificateRefused"))
        assert why in told(csms, "CertificateRefused")[0]
        assert station.calls == []
