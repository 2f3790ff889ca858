"""HTTP API v1: one route table that serves, and of which the OpenAPI document is made. Nothing but the composition root knows this package."""

from __future__ import annotations

from csms.web.metrics import Metrics
from csms.web.rooms import Rooms
from csms.web.server import api_site

__all__ = ["Metrics", "Rooms", "api_site"]
