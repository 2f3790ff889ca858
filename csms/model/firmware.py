"""Block L: firmware that a station fetches and installs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class UpdateFirmware:
    """Command: fetch firmware from ``url`` at ``retrieve_at`` (now, where it is not given) and install it, at once or at ``install_at``.

    ``signing_certificate`` is PEM and ``signature`` base64; firmware without them is refused unless the site file allows it. Effective once the
    station says Installed.
    """

    url: str = field(repr=False)
    retrieve_at: datetime | None = None
    install_at: datetime | None = None
    signing_certificate: str = ""
    signature: str = ""
    retries: int | None = None
    retry_interval_s: int | None = None
    request_id: int | None = None

    @property
    def signed(self) -> bool:
        """Whether the station can check where the firmware is from."""
        return bool(self.signing_certificate and self.signature)
