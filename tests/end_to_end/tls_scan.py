"""Hold a running server's TLS against the expected list with sslyze: ``python tests/end_to_end/tls_scan.py``, with SSLYZE the program.

sslyze is a program of its own here (AGPL), started and read, never imported. Security profiles 2 and 3, with ``ciphers`` as ``ocpp`` and as
``modern``. Ends with 1 where anything differs, or if the server's log has a traceback.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from server_process import HOST, ServerProcess, free_ports
from tls_expected import REFUSED, TLS_1_2, TLS_1_3
from tls_listener import certificates

TLS = """
[[server.listeners]]
listen = "tcp:{two}:interface=127.0.0.1"
profiles = [2]
[[server.listeners]]
listen = "tcp:{three}:interface=127.0.0.1"
profiles = [3]

[tls]
certificates = [
  {{ chain = "tls/server-ecdsa.pem", key = "tls/server-ecdsa.key" }},
  {{ chain = "tls/server-rsa.pem", key = "tls/server-rsa.key" }},
]
client_ca = "tls/stations-ca.pem"
ciphers = "{ciphers}"
"""
SAFE: dict[str, dict[str, object]] = {
    "tls_compression": {"supports_compression": False},
    "tls_fallback_scsv": {"supports_fallback_scsv": True},
    "heartbleed": {"is_vulnerable_to_heartbleed": False},
    "openssl_ccs_injection": {"is_vulnerable_to_ccs_injection": False},
    "session_renegotiation": {
        "supports_secure_renegotiation": True,
        "is_vulnerable_to_client_renegotiation_dos": False,
    },
    "tls_1_3_early_data": {"supports_early_data": False},
    "tls_extended_master_secret": {"supports_ems_extension": True},
}
"""The answers that sslyze has to give, by its name of the question."""


def scanned(folder: Path, port: int, profile: int) -> dict[str, Any]:
    """What sslyze found at one listener; being asked for a client certificate counts as a handshake for it."""
    out = folder / f"scan-{port}.json"
    words = [os.environ["SSLYZE"], "--mozilla_config", "disable", f"--json_out={out}"]
    words += ["--sslv2", "--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3"]
    words += ["--heartbleed", "--compression", "--fallback", "--openssl_ccs", "--ems", "--certinfo"]
    if profile == 2:  # These need a handshake that ends well.
        words += ["--robot", "--early_data", "--reneg"]
    subprocess.run([*words, f"{HOST}:{port}"], check=True, timeout=300, stdout=subprocess.DEVNULL)
    (found,) = json.loads(out.read_text())["server_scan_results"]
    if found["scan_result"] is None:
        raise SystemExit(f"sslyze could not connect: {found['connectivity_error_trace']}")
    for question, answer in found["scan_result"].items():
        if answer["status"] == "ERROR":
            raise SystemExit(f"sslyze failed at {question}: {answer['error_trace']}")
    return dict(found["scan_result"])


def differences(found: dict[str, Any], ciphers: str) -> Iterator[str]:
    """Each thing that is not as docs/security.md has it."""

    def suites(version: str) -> set[str]:
        accepted = found[f"{version}_cipher_suites"]["result"]["accepted_cipher_suites"]
        return {one["cipher_suite"]["name"] for one in accepted}

    wanted = {**dict.fromkeys(REFUSED, frozenset()), "tls_1_2": TLS_1_2[ciphers], "tls_1_3": TLS_1_3}
    for version, expected in wanted.items():
        if suites(version) != expected:
            yield f"{version}: {sorted(suites(version) ^ expected)} are too many or too few"
    for question, answers in SAFE.items():
        if found[question]["status"] == "NOT_SCHEDULED":
            continue
        for name, expected_answer in answers.items():
            said = found[question]["result"][name]
            if said is not expected_answer:
                yield f"{question}: {name} is {said}"
    robot = found["robot"]["result"]
    if robot is not None and not robot["robot_result"].startswith("NOT_VULNERABLE"):
        yield f"robot: {robot['robot_result']}"
    kinds = {one["received_certificate_chain"][0]["public_key"]["algorithm"] for one in deployments(found)}
    if len(kinds) != 2:
        yield f"certificates: RSA and ECDSA are wanted side by side, {kinds} came"


def deployments(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The certificates that the server showed."""
    return list(found["certificate_info"]["result"]["certificate_deployments"])


def scan(ciphers: str) -> bool:
    """Scan a fresh server; gives whether all is as expected."""
    well = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificates(folder)
        two, three = free_ports(2)
        server = ServerProcess(folder, more=TLS.format(two=two, three=three, ciphers=ciphers))
        server.start()
        try:
            server.wait_ready()
            for profile, port in ((2, two), (3, three)):
                found = list(differences(scanned(folder, port, profile), ciphers))
                print(f"security profile {profile}, ciphers {ciphers}: {'; '.join(found) or 'as expected'}")
                well = well and not found
        finally:
            server.terminate()
        for trouble in server.troubles:
            print(f"the server's log has: {trouble}")
        return well and not server.troubles


if __name__ == "__main__":
    well = {ciphers: scan(ciphers) for ciphers in ("ocpp", "modern")}
    sys.exit(0 if all(well.values()) else 1)
