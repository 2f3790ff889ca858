"""What the operator asks of a simulation and what comes out of it; no behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

PROTOCOLS = ("ocpp2.0.1", "ocpp1.6")


@dataclass(frozen=True, slots=True)
class SimOptions:
    """One simulated station and one charge on it.

    The charge gives ``energy_wh`` in ``samples`` times ``sample_interval_s`` seconds, or in ``minutes`` when that is set. ``speed`` is how many
    simulated seconds one real second stands for: it only makes the power shown believable. ``forever`` stays connected after the charge; a password
    that the CSMS gives, and where the meters stand, is kept in ``folder`` for the next run; ``start="remote"`` waits for a start command from the
    CSMS instead of a tag held to the reader.
    """

    url: str = "ws://127.0.0.1:9000/ocpp"
    station: str = "SIM1"
    protocol: str = "ocpp2.0.1"
    password: str | None = None
    folder: Path | None = None
    tag: str = "DEMO"
    token_type: str = "ISO14443"
    energy_wh: int = 5000
    minutes: float | None = None
    speed: float = 60.0
    samples: int = 5
    sample_interval_s: float = 2.0
    evses: int = 1
    forever: bool = False
    start: Literal["local", "remote"] = "local"
    deflate: bool = True

    def __post_init__(self) -> None:
        """Raises ValueError in plain words for options that describe no station or no charge."""
        for wrong, why in (
            (self.protocol not in PROTOCOLS, f"protocol is one of {', '.join(PROTOCOLS)}, not {self.protocol}"),
            (not self.url.startswith(("ws://", "wss://")), f"the URL starts with ws:// or wss://, not {self.url}"),
            (not 0 < len(self.station) <= 48, "a station name has 1 to 48 characters"),
            (":" in self.station, "a station name has no colon"),
            (not self.tag or len(self.tag) > 36, "a tag has 1 to 36 characters"),
            (self.protocol == "ocpp1.6" and len(self.tag) > 20, "a tag has at most 20 characters in OCPP 1.6"),
            (self.energy_wh < 1, "energy is at least 1 Wh"),
            (self.samples < 1, "there is at least one sample"),
            (self.sample_interval_s <= 0, "the sample interval is above 0 s"),
            (self.minutes is not None and self.minutes <= 0, "minutes are above 0"),
            (self.speed <= 0, "speed is above 0"),
            (not 1 <= self.evses <= 64, "a station has 1 to 64 EVSEs"),
            (self.start not in ("local", "remote"), "start is local or remote"),
        ):
            if wrong:
                raise ValueError(why)

    def kept_in(self, ending: str) -> Path | None:
        """The file in which the station keeps something for its next run, or None when it forgets."""
        return None if self.folder is None else self.folder / f"sim-{quote(self.station, safe='')}.{ending}"

    @property
    def charge_s(self) -> float:
        """How long a charge takes, in real seconds."""
        return self.samples * self.sample_interval_s if self.minutes is None else self.minutes * 60


@dataclass(frozen=True, slots=True)
class SimResult:
    """How the story ended: ``accepted`` says that the boot and the tag were; ``trouble`` says in words why there was no charge, or is empty."""

    transaction_id: str | None = None
    energy_wh: int = 0
    accepted: bool = False
    trouble: str = ""
