"""The server's own certificates: told in time that they end."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from twisted.internet.task import Clock

from csms.authority import Authority
from csms.certificate_watch import CertificateWatch
from csms.certificates import read_chain
from csms.tls import Contexts, TlsFiles


def test_certificates_of_the_server_are_told_once_a_day_from_30_days_before_their_end(
    pki: tuple[Path, Authority],
) -> None:
    folder = pki[0] / "tls"
    kinds = ("server-ecdsa", "server-rsa")
    files = TlsFiles(tuple((folder / f"{kind}.pem", folder / f"{kind}.key") for kind in kinds))
    ends = min(read_chain((folder / f"{kind}.pem").read_text())[0].not_valid_after_utc for kind in kinds)
    clock, told = Clock(), list[str]()

    async def raise_event(kind: str, station: str, detail: str) -> None:
        told.append(f"{kind} {detail.partition(':')[0]}")

    begun = ends - timedelta(days=32, hours=12)
    contexts = Contexts(files, frozenset({2}))
    watch = CertificateWatch(
        [contexts, contexts], clock, lambda: begun + timedelta(seconds=clock.seconds()), raise_event
    )
    watch.start()
    by_day = []
    for _ in range(5):
        by_day.append(len(told))
        clock.pump([3600.0] * 24)
    watch.stop()
    assert by_day == [0, 0, 0, 2, 4]
    assert set(told) == {f"CertificateExpires the server's own {kind}.pem ends on {ends:%Y-%m-%d}" for kind in kinds}
    assert not clock.getDelayedCalls()
