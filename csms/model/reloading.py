"""Words for a site file that is read again while the server runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SiteReloaded:
    """Event: the site file was taken over. ``changed`` says what is different now, ``needs_restart`` what is written but waits for a restart."""

    at: datetime
    changed: tuple[str, ...]
    needs_restart: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteNotReloaded:
    """Event: the site file has mistakes; everything stays as it was."""

    at: datetime
    mistakes: tuple[str, ...]
