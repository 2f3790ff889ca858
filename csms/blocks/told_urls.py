"""URLs that stations are told: made by the CSMS where the caller gave none, and checked wherever they come from, raw calls of rules and plugins too.

A station goes where it is told, from inside the site's network: nobody who may only order things here may send it to addresses of its neighbours.
The CSMS itself may well be one, so that sockets may go to private addresses.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from csms.blocks.uploads import Uploads
from csms.certificates import CertificateFault, read_chain
from csms.model.commands import CommandState, RawCall
from csms.model.diagnostics import GetLog
from csms.model.firmware import UpdateFirmware
from csms.model.security_commands import SetNetworkProfile, UpgradeSecurityProfile
from csms.outgoing import Reach
from csms.stations import CommandFailed

FILES = frozenset({"http", "https", "ftp", "ftps", "sftp"})
SOCKETS = frozenset({"ws", "wss"})
FIELDS: Mapping[str, frozenset[str]] = {
    "remoteLocation": FILES,
    "location": FILES,
    "ocppCsmsUrl": SOCKETS,
}
"""Fields of OCPP messages in which a station is told where to go, and by which schemes."""


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
                self._check_signature(command)
            case SetNetworkProfile() | UpgradeSecurityProfile():
                self._check(command.url, SOCKETS)
            case RawCall():
                self._check_raw(command)
        return command

    def _check(self, url: str, schemes: frozenset[str]) -> None:
        reach = replace(self._rules.reach, private=True) if schemes is SOCKETS else self._rules.reach
        fault = url_fault(url, schemes, reach)
        if fault:
            raise CommandFailed(CommandState.FAILED, "UrlNotAllowed", f"no station is told to go there: {fault}")

    def _check_signature(self, command: UpdateFirmware) -> None:
        if not command.signing_certificate and not command.signature:
            self._allow_unsigned()
            return
        wrong = signature_fault(command)
        if wrong:
            raise CommandFailed(CommandState.FAILED, "NoSignature", wrong)

    def _allow_unsigned(self) -> None:
        if not self._rules.unsigned_firmware:
            text = (
                "the firmware is not signed: give signing_certificate and signature, "
                "or say [stations] unsigned_firmware = true in the site file"
            )
            raise CommandFailed(CommandState.FAILED, "UnsignedFirmware", text)

    def _check_raw(self, call: RawCall) -> None:
        for field, value in _urls_in(call.payload):
            # A place in a meter value, such as Outlet, has this name too, and is no URL.
            if call.action != "UpdateFirmware" and field == "location" and "://" not in value:
                continue
            self._check(value, FIELDS[field])
        if call.action == "UpdateFirmware":
            firmware = call.payload.get("firmware", {})
            if not (isinstance(firmware, Mapping) and firmware.get("signature") and firmware.get("signingCertificate")):
                self._allow_unsigned()


def url_fault(url: str, schemes: frozenset[str], reach: Reach) -> str:
    """Why no station should be told to go to a URL, or an empty text. Names are not looked up: the station does that, in its own network."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "it is no URL"
    if not url.isascii() or not url.isprintable() or " " in url or not host or port == 0:
        return "it is no URL"
    if parts.scheme not in schemes:
        return f"its scheme is none of {', '.join(sorted(schemes))}"
    if host == "localhost" or host.endswith(".localhost"):
        host = "127.0.0.1"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # Resolvers read a last label that begins with a digit as a number, and so as an address.
        return "" if host.rstrip(".").rpartition(".")[2][:1].isalpha() else f"{host} is no name of a host"
    return reach.fault(host)


def signature_fault(command: UpdateFirmware) -> str:
    """What is wrong with the shape of a signature, or an empty text; only the station can say whether it fits the firmware."""
    if not command.signed:
        return "a signature needs its signing_certificate, and the other way round"
    try:
        read_chain(command.signing_certificate)
    except CertificateFault as fault:
        return f"the signing certificate cannot be read: {fault}"
    try:
        base64.b64decode(command.signature, validate=True)
    except (binascii.Error, ValueError):
        return "the signature is not base64"
    return ""


def _urls_in(payload: Any) -> Iterator[tuple[str, str]]:
    """The fields of a payload, at any depth, that say where to go."""
    match payload:
        case Mapping():
            for name, value in payload.items():
                if name in FIELDS and isinstance(value, str):
                    yield name, value
                else:
                    yield from _urls_in(value)
        case list() | tuple():
            for value in payload:
                yield from _urls_in(value)
