"""The e-mail channel against a real mail server (aiosmtpd) on the loopback: encryption, passwords, refusals."""

from __future__ import annotations

import datetime
import email
import email.policy
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from csms_plugins.notify_email import EmailChannel, EmailSettings, letter
from fake_csms import NOON, FakeCsms
from twisted.internet import defer, reactor

from csms.api import DeliveryFailed, Notification
from csms.reach import dialled

aiosmtpd = pytest.importorskip("aiosmtpd", reason="aiosmtpd is not installed: pip install '.[test]'")
from aiosmtpd.controller import Controller  # noqa: E402
from aiosmtpd.smtp import SMTP, AuthResult  # noqa: E402

TOLD = Notification(
    "msg_1", NOON, "ops", "CS1 is faulted:\nGrüße", "warn", "Störung\r\nBcc: x@y", "main", "CS1", "rules", {"evse": 1}
)


@dataclass
class Inbox:
    """What the mail server took."""

    letters: list[Any]
    answer: str = "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """One letter."""
        self.letters.append((session, envelope))
        return self.answer


class Server(Controller):  # type: ignore[misc]
    """aiosmtpd on a port that is free."""

    def factory(self) -> SMTP:
        """As the controller's, with its options."""
        return SMTP(self.handler, **self.SMTP_kwargs)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost with its key, that nobody else trusts."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return file


def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    good = (getattr(data, "login", b""), getattr(data, "password", b"")) == (b"csms", b"s3cret")
    return AuthResult(success=good, handled=False)


Start = Callable[..., tuple[Inbox, int]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts mail servers; all are stopped after the test."""
    running: list[Server] = []

    def make(**options: Any) -> tuple[Inbox, int]:
        inbox = Inbox([])
        ssl_context = options.pop("ssl_context", None)
        server = Server(inbox, hostname="localhost", port=0, ssl_context=ssl_context, **options)
        server.port = free_port()
        server.start()
        running.append(server)
        return inbox, server.port

    yield make
    for server in running:
        server.stop()


def free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def context(certificate: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate)
    return made


def channel(tmp_path: Path, port: int, **more: Any) -> EmailChannel:
    house = FakeCsms(tmp_path, dial=partial(dialled, reactor))
    settings = EmailSettings(
        kind="email", host="localhost", port=port, sender="csms@example.org", to=("ops@example.org",), **more
    )
    return EmailChannel(settings, house.csms)


def deliver(one: EmailChannel) -> defer.Deferred[None]:
    return defer.ensureDeferred(one.deliver(TOLD)).addTimeout(10, reactor)  # type: ignore[arg-type]


@pytest_twisted.ensureDeferred
async def test_a_letter_goes_over_starttls_with_the_password(tmp_path: Path, start: Start, certificate: Path) -> None:
    inbox, port = start(
        tls_context=context(certificate), require_starttls=True, authenticator=authenticate, auth_required=True
    )
    one = channel(tmp_path, port, username="csms", password="s3cret", ca_file=str(certificate))
    await deliver(one)
    ((session, envelope),) = inbox.letters
    assert session.ssl is not None
    assert (envelope.mail_from, envelope.rcpt_tos) == ("csms@example.org", ["ops@example.org"])
    read = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert read["Subject"] == "[main] warn: Störung Bcc: x@y"
    assert (read["Message-ID"], read["Bcc"]) == ("<msg_1@example.org>", None)
    text = read.get_content().replace("\r\n", "\n")
    assert text.startswith("CS1 is faulted:\nGrüße\n")
    assert "Station: CS1" in text
    assert "evse: 1" in text


@pytest_twisted.ensureDeferred
async def test_a_letter_goes_over_tls_from_the_first_byte(tmp_path: Path, start: Start, certificate: Path) -> None:
    inbox, port = start(ssl_context=context(certificate))
    await deliver(channel(tmp_path, port, security="tls", ca_file=str(certificate)))
    assert len(inbox.letters) == 1


@pytest_twisted.ensureDeferred
async def test_a_server_without_encryption_gets_nothing_unless_the_site_says_so(tmp_path: Path, start: Start) -> None:
    inbox, port = start()
    with pytest.raises(DeliveryFailed, match="TLS"):
        await deliver(channel(tmp_path, port))
    assert inbox.letters == []
    await deliver(channel(tmp_path, port, security="none"))
    assert len(inbox.letters) == 1


@pytest_twisted.ensureDeferred
async def test_a_certificate_that_nobody_trusts_is_refused(tmp_path: Path, start: Start, certificate: Path) -> None:
    inbox, port = start(tls_context=context(certificate))
    with pytest.raises(DeliveryFailed, match="lost"):
        await deliver(channel(tmp_path, port))
    assert inbox.letters == []


@pytest_twisted.ensureDeferred
async def test_a_wrong_password_is_a_failure_that_may_be_mended(
    tmp_path: Path, start: Start, certificate: Path
) -> None:
    _, port = start(tls_context=context(certificate), authenticator=authenticate, auth_required=True)
    with pytest.raises(DeliveryFailed, match="535") as failed:
        await deliver(channel(tmp_path, port, username="csms", password="wrong", ca_file=str(certificate)))
    assert not failed.value.final


@pytest.mark.parametrize(("answer", "final"), [("451 later", False), ("550 no such mailbox", True)])
@pytest_twisted.ensureDeferred
async def test_a_refusal_is_told_with_the_servers_words(tmp_path: Path, start: Start, answer: str, final: bool) -> None:
    inbox, port = start()
    inbox.answer = answer
    with pytest.raises(DeliveryFailed, match=answer) as failed:
        await deliver(channel(tmp_path, port, security="none"))
    assert failed.value.final is final


@pytest_twisted.ensureDeferred
async def test_a_server_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(DeliveryFailed, match="localhost"):
        await deliver(channel(tmp_path, free_port(), security="none"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"host": "a b"}, "host is the name"),
        ({"port": 0}, "port is"),
        ({"sender": "csms"}, "sender is an address"),
        ({"to": ()}, "to is a list"),
        ({"to": ("a@b\r\nDATA",)}, "to is a list"),
        ({"username": "x"}, "password goes with username"),
        ({"username": "x", "password": "y", "security": "none"}, "in the clear"),
    ],
)
def test_wrong_settings_are_told(change: dict[str, Any], words: str) -> None:
    good = EmailSettings(kind="email", host="localhost", sender="a@b", to=("c@d",))
    with pytest.raises(ValueError, match=words):
        replace(good, **change)


@pytest.mark.parametrize("text", ["", "no certificate"])
def test_a_file_without_certificates_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "ca.pem").write_text(text)
    with pytest.raises(ValueError, match="has no certificate"):
        channel(tmp_path, 25, ca_file="ca.pem")
    with pytest.raises(ValueError, match="cannot be read"):
        channel(tmp_path, 25, ca_file="none.pem")


def test_a_long_text_makes_a_short_subject() -> None:
    settings = EmailSettings(kind="email", host="localhost", sender="a@b", to=("c@d",))
    told = replace(TOLD, title="", text="x" * 5000)
    read = email.message_from_bytes(letter(told, settings), policy=email.policy.default)
    assert len(read["Subject"]) == 120
    assert "x" * 5000 in read.get_content().replace("=\n", "")
