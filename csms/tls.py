"""TLS for stations: contexts from certificate files, client certificates, and why a handshake failed. The only file that knows OpenSSL.

RSA and ECDSA certificates stand side by side in one context, and OpenSSL takes the one that the station can use. New files are taken over for new
connections; open ones keep what they have. TLS 1.2 and 1.3 only, no compression, no renegotiation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from csms.model.security import ClientCertificate, SecurityEventKind

OCPP_SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384"
    ":AES128-GCM-SHA256:AES256-GCM-SHA384"
)
MODERN_SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
    ":ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
SUITES = {"ocpp": OCPP_SUITES, "modern": MODERN_SUITES}
"""``ocpp`` has the four suites that OCPP asks of a CSMS, two of them without forward secrecy, behind two that have it."""
OPTIONS = SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE
LEAST_RSA_BITS, LEAST_EC_BITS = 2048, 224


class TlsFault(Exception):
    """Files that make no TLS listener; the text says which, and what to do."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Pairs of certificate chain and private key, and the CA that signs stations' certificates."""

    pairs: tuple[tuple[Path, Path], ...]
    client_ca: Path | None = None
    suites: str = "ocpp"

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file."""
        pairs = tuple(file for pair in self.pairs for file in pair)
        return pairs if self.client_ca is None else (*pairs, self.client_ca)


def context_of(files: TlsFiles, profiles: frozenset[int]) -> SSL.Context:
    """The context of one listener; raises TlsFault."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(OPTIONS)
    # An idle connection keeps no buffers: a third of what it costs, times ten thousand stations.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_cipher_list(SUITES[files.suites].encode())
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(b"csms")
    if not files.pairs:
        raise TlsFault("a listener with TLS needs a certificate: [tls] certificates, or make one with csms ca init")
    for chain, key in files.pairs:
        _use(context, chain, key)
    if 3 in profiles:
        _ask_for_certificates(context, files.client_ca, must=2 not in profiles)
    return context


def _use(context: SSL.Context, chain: Path, key: Path) -> None:
    try:
        certificate = crypto.load_certificate(crypto.FILETYPE_PEM, chain.read_bytes())
        context.use_certificate_chain_file(str(chain))
        context.use_privatekey_file(str(key))
        context.check_privatekey()
    except OSError as fault:
        raise TlsFault(f"{fault.filename or chain}: {fault.strerror or fault}") from None
    except (SSL.Error, crypto.Error) as fault:
        raise TlsFault(
            f"{chain} and {key} are no certificate and key in PEM that belong together ({_words(fault)})"
        ) from None
    bits, kind = certificate.get_pubkey().bits(), certificate.get_pubkey().type()
    least = LEAST_RSA_BITS if kind == crypto.TYPE_RSA else LEAST_EC_BITS
    if bits < least:
        raise TlsFault(f"the key of {chain} has {bits} bits, at least {least} are wanted")


def _ask_for_certificates(context: SSL.Context, client_ca: Path | None, *, must: bool) -> None:
    if client_ca is None:
        raise TlsFault(
            "a listener with security profile 3 needs [tls] client_ca, the CA that signs stations' certificates"
        )
    try:
        context.load_verify_locations(str(client_ca))
        context.load_client_ca(str(client_ca).encode())
    except (SSL.Error, crypto.Error) as fault:
        raise TlsFault(f"{client_ca} holds no CA certificates in PEM ({_words(fault)})") from None
    mode = SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if must else 0)
    context.set_verify(mode, lambda connection, certificate, error, depth, ok: bool(ok))


@implementer(IOpenSSLServerConnectionCreator)
class Contexts:
    """The present context of one listener; ``reload`` takes changed files over, or leaves all as it is."""

    log = Logger(namespace="csms.tls")

    def __init__(self, files: TlsFiles, profiles: frozenset[int]) -> None:
        self._files = files
        self._profiles = profiles
        self._context = context_of(files, profiles)
        self._stamp = _stamp(files.all)

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """Twisted asks for a connection."""
        return SSL.Connection(self._context, None)

    def reload(self) -> bool:
        """Take new files over for new connections; raises TlsFault and changes nothing when they will not do."""
        stamp = _stamp(self._files.all)
        if stamp == self._stamp:
            return False
        self._context = context_of(self._files, self._profiles)
        self._stamp = stamp
        return True

    def ending(self, before: datetime) -> list[str]:
        """Which of the files hold a certificate that ends before a time, and when."""
        found = []
        for file in (
            *(chain for chain, _ in self._files.pairs),
            *([self._files.client_ca] if self._files.client_ca else []),
        ):
            ends = crypto.load_certificate(crypto.FILETYPE_PEM, file.read_bytes()).to_cryptography().not_valid_after_utc
            if ends < before:
                found.append(f"{file.name} ends on {ends:%Y-%m-%d}")
        return found

    def look(self) -> None:
        """As ``reload``, for a timer: what is wrong is told in the log, once for each change."""
        stamp = _stamp(self._files.all)
        try:
            if self.reload():
                self.log.info("new certificates are in use for new connections")
        except TlsFault as fault:
            self._stamp = stamp
            self.log.error("the new certificates will not do, the old ones stay: {fault}", fault=str(fault))


def _stamp(files: Sequence[Path]) -> tuple[tuple[int, int], ...]:
    return tuple((one.stat().st_mtime_ns, one.stat().st_size) if one.exists() else (0, 0) for one in files)


def wrapped(factory: Any, contexts: Contexts, clock: Any) -> TLSMemoryBIOFactory:
    """A factory whose connections speak TLS first."""
    made = TLSMemoryBIOFactory(contexts, False, factory, clock)
    made.noisy = False
    return made


def client_certificate(transport: Any) -> ClientCertificate | None:
    """The verified certificate that the other end of a TLS connection showed, or None."""
    shown = getattr(transport, "getPeerCertificate", lambda: None)()
    if shown is None:
        return None
    certificate = shown.to_cryptography()
    names = {one.rfc4514_attribute_name: str(one.value) for one in certificate.subject}
    return ClientCertificate(
        common_name=names.get("CN", ""),
        organization=names.get("O", ""),
        serial_number=f"{certificate.serial_number:x}",
        expires=certificate.not_valid_after_utc,
        fingerprint=shown.digest("sha256").decode(),
    )


def why_failed(reason: BaseException) -> tuple[SecurityEventKind, str] | None:
    """What a failed handshake means for security, and in which words; None for an ordinary end of a connection."""
    if not isinstance(reason, SSL.Error):
        return None
    said = _words(reason)
    for kind, marks in _FAULTS:
        if any(mark in said for mark in marks):
            return kind, said
    return None


_FAULTS = (
    (
        SecurityEventKind.INVALID_TLS_VERSION,
        ("unsupported protocol", "wrong version", "version too low", "no protocols available"),
    ),
    (SecurityEventKind.INVALID_TLS_CIPHER_SUITE, ("no shared cipher",)),
    (
        SecurityEventKind.INVALID_CLIENT_CERTIFICATE,
        (
            "certificate verify failed",
            "did not return a certificate",
            "certificate expired",
            "ca md too weak",
            "key too small",
        ),
    ),
)


def _words(fault: Exception) -> str:
    reasons = fault.args[0] if fault.args and isinstance(fault.args[0], list) else []
    return "; ".join(str(one[-1]) for one in reasons) or "no reason given"
