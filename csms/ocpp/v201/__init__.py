"""OCPP 2.0.1: the tables of the functional blocks, put together; the model speaks its words, so little is translated."""

from __future__ import annotations

from types import MappingProxyType

from csms.ocpp.dialect import Dialect
from csms.ocpp.errors import V201
from csms.ocpp.v201 import (
    answers,
    authorization,
    availability,
    certificates,
    data_transfer,
    files,
    metering,
    monitoring,
    notices,
    provisioning,
    security,
    transactions,
    variables,
)

DIALECT = Dialect(
    V201,
    requests=MappingProxyType(
        {
            **provisioning.REQUESTS,
            **availability.REQUESTS,
            **authorization.REQUESTS,
            **transactions.REQUESTS,
            **metering.REQUESTS,
            **monitoring.REQUESTS,
            **data_transfer.REQUESTS,
            **notices.REQUESTS,
            **security.REQUESTS,
            **certificates.REQUESTS,
        }
    ),
    commands=MappingProxyType(
        {
            **provisioning.COMMANDS,
            **variables.COMMANDS,
            **availability.COMMANDS,
            **authorization.COMMANDS,
            **transactions.COMMANDS,
            **data_transfer.COMMANDS,
            **answers.COMMANDS,
            **security.COMMANDS,
            **certificates.COMMANDS,
            **files.COMMANDS,
        }
    ),
    network_priority=security.NETWORK_PRIORITY,
)

__all__ = ["DIALECT"]
