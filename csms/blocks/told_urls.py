"""URLs that stations are told: made by the CSMS where the caller gave none, and checked wherever they come from, raw calls of rules and plugins too.

Judged are the fields in which OCPP tells a station where to go, and every other text that is a URL, such as the value of a variable.

A station goes where it is told, from inside the site's network: nobody who may only order things here may send it to addresses of its neighbours.
The CSMS itself may well be one, so that sockets may go to private addresses.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from csms.blocks.uploads import Uploads
from csms.certificates import CertificateFault, read_chain
from csms.model.commands import CommandFailed, CommandState, RawCall
from csms.model.data_transfer import DataTransfer
from csms.model.diagnostics import GetLog
from csms.model.firmware import UpdateFirmware
from csms.model.provisioning import SetVariables
from csms.model.security_commands import SetNetworkProfile, UpgradeSecurityProfile
from csms.reach import Reach

FILES = frozenset({"http", "https", "ftp", "ftps", "sftp"})
SOCKETS = frozenset({"ws", "wss"})
FIELDS: Mapping[str, frozenset[str]] = {
    "remoteLocation": FILES,
    "location": FILES,
    "ocppCsmsUrl": SOCKETS,
}
"""Fields of OCPP messages in which a station is told where to go, and by which schemes."""
FIRMWARE = frozenset({"UpdateFirmware", "SignedUpdateFirmware"})
"""Actions that make a station install something."""
URL = re.compile(r"\s*[a-z][a-z0-9+.-]+:[/\\]", re.IGNORECASE)
"""How a text begins that a station may take for a URL, if it is not strict."""


@dataclass(frozen=True, slots=True)
class UrlRules:
    """Which addresses stations may be sent to, and whether they may be given firmware that nobody signed."""

    reach: Reach
    unsigned_firmware: bool = False


class ToldUrls:
    """Makes and judges the URLs in commands."""

    def __init__(self, uploads: Uploads, rules: UrlRules) -> None:
        self._uploads = uploads
        self._rules = rules

    async def settled(self, station: str, command: object) -> object:
        """The command as it may be sent; raises CommandFailed."""
        match command:
            case GetLog(url=None):
                return replace(
                    command, url=await self._uploads.offer(station, command.log.value, command.request_id or 0)
                )
            case GetLog(url=str() as url):
                self._check(url, FILES)
            case UpdateFirmware():
                self._check(command.url, FILES)
                self._check_signature(command.signing_certificate, command.signature)
            case SetNetworkProfile() | UpgradeSecurityProfile():
                self._check(command.url, SOCKETS)
            case SetVariables() | DataTransfer():
                self._check_texts(asdict(command), {})
            case RawCall():
                # What is in a vendor's message, and may be called a location too, only the vendor knows.
                self._check_texts(command.payload, {} if command.action == "DataTransfer" else FIELDS)
                if command.action in FIRMWARE:
                    self._check_raw_firmware(command.payload.get("firmware"))
        return command

    def _check(self, url: str, schemes: frozenset[str] | None) -> None:
        fault = url_fault(url, schemes, self._rules.reach)
        if fault:
            raise CommandFailed(CommandState.FAILED, "UrlNotAllowed", f"no station is told to go there: {fault}")

    def _check_texts(self, payload: object, fields: Mapping[str, frozenset[str]]) -> None:
        for field, text in _texts_in(payload):
            if field in fields or URL.match(text):
                self._check(text, fields.get(field))

    def _check_raw_firmware(self, firmware: object) -> None:
        given = firmware if isinstance(firmware, Mapping) else {}
        self._check_signature(str(given.get("signingCertificate", "")), str(given.get("signature", "")))

    def _check_signature(self, certificate: str, signature: str) -> None:
        if not certificate and not signature:
            self._allow_unsigned()
            return
        wrong = signature_fault(certificate, signature)
        if wrong:
            raise CommandFailed(CommandState.FAILED, "NoSignature", wrong)

    def _allow_unsigned(self) -> None:
        if not self._rules.unsigned_firmware:
            text = (
                "the firmware is not signed: give signing_certificate and signature, "
                "or say [stations] unsigned_firmware = true in the site file"
            )
            raise CommandFailed(CommandState.FAILED, "UnsignedFirmware", text)


def url_fault(url: str, schemes: frozenset[str] | None, reach: Reach) -> str:
    """Why no station should be told to go to a URL, or an empty text. Names are not looked up: the station does that, in its own network.

    Without ``schemes`` any will do. Sockets may go to private addresses, since the CSMS may have one.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return "it is no URL"
    # Some read a backslash as a slash, and so another host.
    if not url.isascii() or not url.isprintable() or set(url) & set(" \\") or not host or port == 0:
        return "it is no URL"
    if schemes is not None and parts.scheme not in schemes:
        return f"its scheme is none of {', '.join(sorted(schemes))}"
    if parts.scheme in SOCKETS:
        reach = replace(reach, private=True)
    if host == "localhost" or host.endswith(".localhost"):
        host = "127.0.0.1"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # Resolvers read a last label that begins with a digit as a number, and so as an address; some undo escapes first.
        named = host.rpartition(".")[2][:1].isalpha() and "%" not in host
        return "" if named else f"{host} is no name of a host"
    return reach.fault(host)


def signature_fault(certificate: str, signature: str) -> str:
    """What is wrong with the shape of a signature, or an empty text; only the station can say whether it fits the firmware."""
    if not (certificate and signature):
        return "a signature needs its signing certificate, and the other way round"
    try:
        read_chain(certificate)
    except CertificateFault as fault:
        return f"the signing certificate cannot be read: {fault}"
    try:
        base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return "the signature is not base64"
    return ""


def _texts_in(payload: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """All texts of a payload, at any depth, each with the name of its field."""
    match payload:
        case Mapping():
            for name, value in payload.items():
                yield from _texts_in(value, str(name))
        case list() | tuple():
            for value in payload:
                yield from _texts_in(value, field)
        case str():
            yield field, payload
