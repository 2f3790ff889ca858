"""What the server's TLS takes and refuses, suite by suite: the list of docs/security.md (``nox -s tls`` asks sslyze the same)."""

from __future__ import annotations

import socket
import ssl
import warnings
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from tls_expected import TLS_1_2, TLS_1_3
from tls_kit import HOST, Door

from csms.authority import write_pair

IN_OPENSSL = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}
OLD = [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1]
DOCS = Path(__file__).parents[2] / "docs" / "security.md"


def every_suite() -> list[str]:
    """The TLS 1.2 suites that this Python's OpenSSL can offer at all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFALL:eNULL:@SECLEVEL=0")
    return [one["name"] for one in context.get_ciphers() if one["protocol"] != "TLSv1.3"]


def shakes(door: Door, context: ssl.SSLContext) -> tuple[str, str, object] | None:
    """Suite, version and compression of a handshake, or None where it was refused; the first byte is waited for, as TLS 1.3 refuses late."""
    with socket.create_connection((HOST, door.number(tls=True)), timeout=30) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=HOST) as shaken:
                shaken.sendall(b"GET / HTTP/1.1\r\n\r\n")
                if not shaken.recv(1):
                    return None
                suite = shaken.cipher()
                assert suite is not None
                return suite[0], str(shaken.version()), shaken.compression()
        except (ssl.SSLError, ConnectionError):
            return None


@pytest.mark.parametrize("profile", [2, 3])
@pytest.mark.parametrize("ciphers", ["ocpp", "modern"])
@pytest_twisted.ensureDeferred
async def test_suites_are_those_of_the_list(door: Any, ciphers: str, profile: int) -> None:
    here = await door(tls=f"[{profile}]", ciphers=ciphers)
    write_pair(here.folder / "tls", "cs1", *here.authority.station("CS1", "ecdsa", 30))
    shown = "cs1" if profile == 3 else ""

    def accepted() -> set[str]:
        taken = set()
        for suite in every_suite():
            context = here.context(shown, maximum_version=ssl.TLSVersion.TLSv1_2)
            context.set_ciphers(f"{suite}:@SECLEVEL=0")
            if shaken := shakes(here, context):
                assert shaken == (suite, "TLSv1.2", None)
                taken.add(suite)
        return taken

    assert await here.wait(accepted) == {IN_OPENSSL[one] for one in TLS_1_2[ciphers]}
    newest = await here.wait(lambda: shakes(here, here.context(shown)))
    assert newest is not None
    assert newest[0] in TLS_1_3
    assert newest[1:] == ("TLSv1.3", None)


@pytest.mark.parametrize("version", OLD)
@pytest_twisted.ensureDeferred
async def test_old_versions_are_refused(door: Any, version: ssl.TLSVersion) -> None:
    here = await door()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context = here.context(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=version)
    context.set_ciphers("ALL:@SECLEVEL=0")
    assert await here.wait(lambda: shakes(here, context)) is None
    await here.until(lambda: here.expect("InvalidTLSVersion"))


@pytest_twisted.ensureDeferred
async def test_without_a_client_certificate_profile_3_is_no_handshake(door: Any) -> None:
    here = await door(tls="[3]")
    assert await here.wait(lambda: shakes(here, here.context())) is None
    await here.until(lambda: here.expect("InvalidChargingStationCertificate"))


def test_the_documentation_has_the_list() -> None:
    text = DOCS.read_text("utf-8")
    missing = [one for one in TLS_1_3 | TLS_1_2["ocpp"] | TLS_1_2["modern"] if f"`{one}`" not in text]
    assert missing == []
