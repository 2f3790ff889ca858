"""``twistd csms`` and ``twist csms``: Twisted finds the service here."""

import time

from twisted.application.service import ServiceMaker
from twisted.internet.base import ReactorBase

# Timers follow the monotonic clock: with wall time, a clock set back by an hour would freeze every timer for an hour.
ReactorBase.seconds = staticmethod(time.monotonic)  # type: ignore[method-assign]

csms = ServiceMaker("csms", "csms.tap", "Charging Station Management System for OCPP 2.0.1 and 1.6-J", "csms")
