"""One visit of a station over TLS, as a process of its own: ``python tls_station.py URL FOLDER``; prints what came of it as JSON.

Shows the certificate ``station.pem`` of its folder if it has one, else its password. Boots, answers, asks for a certificate when told to, or if it
has none, and keeps what it gets, unless it is told to ``--refuse``. What was said to it is in the order in which it came.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import sys
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

QUIET_S = 0.7
"""A visit is over when the CSMS has nothing to say for so long."""
ANSWER_S = 20.0


class Visit:
    """The station while it is connected."""

    def __init__(self, socket: ClientConnection, folder: Path, *, refuse: bool) -> None:
        self._socket = socket
        self._folder = folder
        self._refuse = refuse
        self._ids = count(1)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.heard: list[str] = []

    async def run(self) -> None:
        """Boot, ask for a first certificate, and do what is said."""
        station = {"model": "M", "vendorName": "V"}
        await self.say("BootNotification", {"reason": "PowerUp", "chargingStation": station})
        if not (self._folder / "station.pem").exists():
            await self.say("SignCertificate", {"csr": self._request()})
        while True:
            try:
                frame = json.loads(await asyncio.wait_for(self._socket.recv(), QUIET_S))
            except TimeoutError:
                return
            if frame[0] == 2:
                await self._answer(frame)

    async def say(self, action: str, payload: dict[str, Any]) -> None:
        """A call; what the CSMS calls meanwhile is answered."""
        id = f"s{next(self._ids)}"
        await self._socket.send(json.dumps([2, id, action, payload]))
        while True:
            frame = json.loads(await asyncio.wait_for(self._socket.recv(), ANSWER_S))
            if frame[:2] == [3, id]:
                self.heard.append(f"{action} {frame[2].get('status', '')}".strip())
                return
            if frame[0] == 2:
                await self._answer(frame)

    async def _answer(self, call: list[Any]) -> None:
        _, id, action, payload = call
        self.heard.append(action)
        status = "Rejected" if self._refuse else "Accepted"
        await self._socket.send(json.dumps([3, id, {"status": status}]))
        if self._refuse:
            return
        if action == "TriggerMessage":
            await self.say("SignCertificate", {"csr": self._request()})
        elif action == "CertificateSigned":
            key = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            (self._folder / "station.pem").write_bytes(key + payload["certificateChain"].encode())

    def _request(self) -> str:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._folder.name)])
        builder = x509.CertificateSigningRequestBuilder().subject_name(name)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


async def visited(url: str, folder: Path, password: str, *, refuse: bool) -> dict[str, Any]:
    """What came of a visit: an HTTP status (101 is open) or a fault of TLS, what was heard, and the time that it was here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(folder / "ca.pem")
    certificate = folder / "station.pem"
    headers = {}
    if certificate.exists():
        context.load_cert_chain(certificate)
    else:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{folder.name}:{password}".encode()).decode()
    came: dict[str, Any] = {"status": 0, "fault": "", "heard": [], "now": datetime.now(UTC).isoformat()}
    opening = connect(
        f"{url}/{folder.name}",
        ssl=context,
        subprotocols=[Subprotocol("ocpp2.0.1")],
        additional_headers=headers,
        open_timeout=ANSWER_S,
    )
    try:
        async with opening as socket:
            came["status"] = 101
            visit = Visit(socket, folder, refuse=refuse)
            came["heard"] = visit.heard
            await visit.run()
    except InvalidStatus as refused:
        came["status"] = refused.response.status_code
    except (ssl.SSLError, OSError, EOFError, WebSocketException) as fault:
        came["fault"] = str(fault) or type(fault).__name__
    return came


if __name__ == "__main__":
    url, folder, password, *more = sys.argv[1:]
    print(json.dumps(asyncio.run(visited(url, Path(folder), password, refuse="--refuse" in more))))
