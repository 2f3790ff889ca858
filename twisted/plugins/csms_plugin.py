"""``twistd csms`` and ``twist csms``: Twisted finds the service here."""

from twisted.application.service import ServiceMaker

csms = ServiceMaker("csms", "csms.tap", "Charging Station Management System for OCPP 2.0.1 and 1.6-J", "csms")
