"""OCPP 1.6: the tables of the functional blocks, put together; every message is translated to and from the words of 2.x."""

from __future__ import annotations

from types import MappingProxyType

from csms.ocpp.dialect import Dialect
from csms.ocpp.errors import V16
from csms.ocpp.v16 import (
    authorization,
    availability,
    certificates,
    configuration,
    data_transfer,
    files,
    metering,
    notices,
    provisioning,
    security,
    transactions,
)
from csms.ocpp.v201 import answers

DIALECT = Dialect(
    V16,
    requests=MappingProxyType(
        {
            **provisioning.REQUESTS,
            **availability.REQUESTS,
            **authorization.REQUESTS,
            **transactions.REQUESTS,
            **metering.REQUESTS,
            **data_transfer.REQUESTS,
            **notices.REQUESTS,
            **security.REQUESTS,
            **certificates.REQUESTS,
        }
    ),
    commands=MappingProxyType(
        {
            **provisioning.COMMANDS,
            **configuration.COMMANDS,
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
)

__all__ = ["DIALECT"]
