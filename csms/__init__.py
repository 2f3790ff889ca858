"""csms: a Charging Station Management System for OCPP 2.0.1 and 1.6-J on Twisted."""

__version__ = "0.1.0"
