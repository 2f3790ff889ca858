"""Channels of kind ``email``: each notification is a message to a mail server, by Twisted's SMTP client, over TLS unless told otherwise."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from email.utils import format_datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from twisted.internet import defer
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import connectionDone
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.mail.smtp import ESMTPSender, ESMTPSenderFactory, SMTPClientError
from twisted.python.failure import Failure

from csms.api import ChannelRegistry, ChannelSettings, Csms, DeliveryFailed, Notification, hookimpl

ADDRESS = re.compile(r"[^@\s<>,;:\"]{1,64}@[A-Za-z0-9.-]{1,253}", re.ASCII)
LONGEST_SUBJECT = 120


@dataclass(frozen=True, kw_only=True)
class EmailSettings(ChannelSettings):
    """``security``: ``starttls`` begins plainly and goes on encrypted or not at all, ``tls`` is encrypted from the first byte, ``none`` never is."""

    host: str
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: str = field(default="", repr=False)
    sender: str
    to: tuple[str, ...]
    ca_file: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError in plain words."""
        if not re.fullmatch(r"[A-Za-z0-9.:_-]+", self.host, re.ASCII):
            raise ValueError("host is the name or address of a mail server")
        if not 0 < self.port < 65536:
            raise ValueError("port is 1 to 65535")
        if not ADDRESS.fullmatch(self.sender):
            raise ValueError("sender is an address such as csms@example.org")
        if not self.to or not all(map(ADDRESS.fullmatch, self.to)):
            raise ValueError("to is a list of addresses such as ops@example.org")
        if bool(self.username) != bool(self.password):
            raise ValueError("password goes with username: give both or none")
        if self.username and self.security == "none":
            raise ValueError("password would be sent in the clear: security is starttls or tls")


class NotifyEmail:
    """Offers the kind ``email``."""

    def __init__(self, settings: None, csms: Csms) -> None:
        self._csms = csms

    @hookimpl
    def register_channels(self, register: ChannelRegistry) -> None:
        """``[notify.<name>] kind = "email"``."""
        register("email", EmailSettings, lambda name, settings: EmailChannel(settings, self._csms))


class EmailChannel:
    """One mail server and who is written to."""

    def __init__(self, settings: EmailSettings, csms: Csms) -> None:
        self._settings = settings
        self._csms = csms
        self._trust: IOpenSSLClientConnectionCreator | None = None
        if settings.security != "none":
            self._trust = trusting(settings.host, csms.folder / settings.ca_file if settings.ca_file else None)

    async def deliver(self, notification: Notification) -> None:
        """Hand the message over; the server's yes is the end of it."""
        settings = self._settings
        sent: defer.Deferred[Any] = defer.Deferred()
        factory = ESMTPSenderFactory(  # type: ignore[no-untyped-call]
            settings.username.encode() or None,
            settings.password.encode() or None,
            settings.sender,
            list(settings.to),
            BytesIO(letter(notification, settings)),
            sent,
            retries=0,
            timeout=settings.timeout.total_seconds(),
            contextFactory=self._trust if settings.security == "starttls" else None,
            requireAuthentication=bool(settings.username),
            requireTransportSecurity=settings.security == "starttls",
        )
        factory.protocol = Sender
        connection = await self._connect(factory)
        try:
            await sent
        except SMTPClientError as refused:
            raise _refusal(refused, settings.host) from None
        except defer.CancelledError:
            connection.abortConnection()
            raise

    async def _connect(self, factory: ESMTPSenderFactory) -> Any:
        settings = self._settings
        host = settings.host.replace(":", r"\:")
        endpoint = self._csms.dial(f"tcp:host={host}:port={settings.port}")
        if settings.security == "tls" and self._trust is not None:
            endpoint = wrapClientTLS(self._trust, endpoint)
        try:
            protocol: Any = await endpoint.connect(factory)
        except (ConnectError, DNSLookupError) as fault:
            raise DeliveryFailed(f"{settings.host}: {fault}") from None
        return protocol.transport

    async def close(self) -> None:
        """No connection is kept."""


class Sender(ESMTPSender):
    """As Twisted's, but a connection that ends too early is told wherever the connection came from."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is over; if the message is not, it failed."""
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        waiting = getattr(self.factory, "result", None)
        if waiting is not None:
            waiting.errback(SMTPClientError(-1, f"the connection was lost: {reason.getErrorMessage()}".encode()))


def trusting(host: str, ca_file: Path | None) -> IOpenSSLClientConnectionCreator:
    """Checks the server's name and certificate, against the system's authorities or those of a file; ValueError if that cannot be read."""
    if ca_file is None:
        return optionsForClientTLS(host)
    try:
        text = ca_file.read_bytes()
        roots = [Certificate.loadPEM(b"-----BEGIN CERT" + part) for part in text.split(b"-----BEGIN CERT")[1:]]
    except Exception as fault:
        raise ValueError(f"ca_file {ca_file} cannot be read: {fault}") from None
    if not roots:
        raise ValueError(f"ca_file {ca_file} has no certificate")
    return optionsForClientTLS(host, trustRootFromCertificates(roots))  # type: ignore[no-untyped-call]


def letter(notification: Notification, settings: EmailSettings) -> bytes:
    """The message: a subject of one line, the text, and what is known beside it."""
    message = EmailMessage(policy=default.clone(cte_type="7bit"))
    first_line = " ".join((notification.title or notification.text).split())
    message["Subject"] = f"[{notification.site or 'csms'}] {notification.level}: {first_line}"[:LONGEST_SUBJECT]
    message["From"] = settings.sender
    message["To"] = ", ".join(settings.to)
    message["Date"] = format_datetime(notification.at)
    message["Message-ID"] = f"<{notification.id}@{settings.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    known = {"Station": notification.station, "Time": notification.at.isoformat(), "Level": notification.level}
    facts = [f"{name}: {value}" for name, value in {**known, **notification.data}.items() if value not in ("", None)]
    message.set_content("\n".join([notification.text, "", *facts, ""]))
    return message.as_bytes()


def _refusal(refused: SMTPClientError, host: str) -> DeliveryFailed:
    text = refused.resp.decode("utf-8", "replace") if isinstance(refused.resp, bytes) else str(refused.resp)
    code = refused.code if isinstance(refused.code, int) and refused.code > 0 else 0
    return DeliveryFailed(f"{host} said {code} {text}" if code else f"{host}: {text}", final=550 <= code <= 559)
