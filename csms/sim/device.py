"""The simulated station's device model: a small believable set of variables in OCPP 2.0.1 words, and the 1.6 keys that stand for some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

Key = tuple[str, str, int | None]
"""Component, variable and EVSE, names in lower case: a station compares them so."""


@dataclass(slots=True)
class Variable:
    """One variable with its actual value. ``instance`` is the variable's; ``least`` is the lowest integer that may be set."""

    component: str
    name: str
    value: str
    type: str = "string"
    writable: bool = False
    secret: bool = False
    unit: str | None = None
    evse: int | None = None
    instance: str | None = None
    choices: str | None = None
    least: int = 0

    @property
    def mutability(self) -> str:
        """ReadOnly, ReadWrite or WriteOnly."""
        if self.secret:
            return "WriteOnly"
        return "ReadWrite" if self.writable else "ReadOnly"

    def takes(self, value: str) -> bool:
        """Whether the value fits the type."""
        match self.type:
            case "integer":
                return value.isascii() and value.isdigit() and len(value) <= 9 and int(value) >= self.least
            case "boolean":
                return value.lower() in ("true", "false")
            case "OptionList":
                return value in (self.choices or "").split(",")
            case "MemberList":
                return set(filter(None, value.split(","))) <= set((self.choices or "").split(","))
        return len(value) <= 1000


class DeviceModel:
    """The variables of one station; ``changed`` is told component and name after a set."""

    def __init__(self, variables: list[Variable]) -> None:
        self._variables = variables
        self._index = {(one.component.lower(), one.name.lower(), one.evse, one.instance): one for one in variables}
        self._components = {(one.component.lower(), one.evse) for one in variables}
        self.changed: Callable[[str, str], None] = lambda component, name: None

    def __iter__(self) -> Iterator[Variable]:
        """All variables, the station's own first."""
        return iter(self._variables)

    def has_component(self, component: str, evse: int | None = None) -> bool:
        """Whether there is such a component."""
        return (component.lower(), evse) in self._components

    def find(self, component: str, name: str, evse: int | None = None, instance: str | None = None) -> Variable | None:
        """The variable, or None; names in any case."""
        return self._index.get((component.lower(), name.lower(), evse, instance))

    def text(self, component: str, name: str, instance: str | None = None) -> str:
        """The value of a variable of the station that is known to exist."""
        return self._index[(component.lower(), name.lower(), None, instance)].value

    def set(self, variable: Variable, value: str) -> bool:
        """Set a variable from outside; False when it cannot be written or the value does not fit."""
        if not (variable.writable or variable.secret) or not variable.takes(value):
            return False
        variable.value = value.lower() if variable.type == "boolean" else value
        self.changed(variable.component, variable.name)
        return True


MEASURANDS = "Energy.Active.Import.Register,Power.Active.Import"
VENDOR = "CSMS Simulator"
FIRMWARE = "1.0"


def station_variables(evses: int, model: str, serial: str, sample_s: float) -> list[Variable]:
    """The device model of a station with so many EVSEs; ``sample_s`` is shown as whole seconds, at least 1."""
    interval = str(max(1, round(sample_s)))
    station = [
        Variable("ChargingStation", "VendorName", VENDOR),
        Variable("ChargingStation", "Model", model),
        Variable("ChargingStation", "SerialNumber", serial),
        Variable("ChargingStation", "FirmwareVersion", FIRMWARE),
        Variable("ChargingStation", "AvailabilityState", "Available", "OptionList", choices=STATES),
        Variable("ChargingStation", "Available", "true", "boolean"),
        Variable("ChargingStation", "SupplyPhases", "3", "integer"),
        Variable("OCPPCommCtrlr", "HeartbeatInterval", "300", "integer", writable=True, unit="s", least=1),
        Variable("OCPPCommCtrlr", "MessageTimeout", "30", "integer", unit="s", instance="Default"),
        Variable(
            "OCPPCommCtrlr", "MessageAttempts", "3", "integer", writable=True, instance="TransactionEvent", least=1
        ),
        Variable(
            "OCPPCommCtrlr",
            "MessageAttemptInterval",
            "10",
            "integer",
            writable=True,
            unit="s",
            instance="TransactionEvent",
        ),
        Variable("OCPPCommCtrlr", "WebSocketPingInterval", "0", "integer", writable=True, unit="s"),
        Variable("OCPPCommCtrlr", "OfflineThreshold", "0", "integer", writable=True, unit="s"),
        Variable("OCPPCommCtrlr", "ResetRetries", "1", "integer", writable=True),
        Variable("OCPPCommCtrlr", "FileTransferProtocols", "HTTPS", "MemberList", choices="HTTPS"),
        Variable("SecurityCtrlr", "BasicAuthPassword", "", secret=True),
        Variable("SecurityCtrlr", "Identity", serial),
        Variable("SecurityCtrlr", "SecurityProfile", "1", "integer"),
        Variable("SecurityCtrlr", "OrganizationName", "Example", writable=True),
        Variable("TariffCostCtrlr", "Available", "true", "boolean", instance="Cost"),
        Variable("TariffCostCtrlr", "Enabled", "true", "boolean", instance="Cost"),
        Variable("TariffCostCtrlr", "Currency", "EUR"),
        Variable("AuthCtrlr", "AuthorizeRemoteStart", "false", "boolean", writable=True),
        Variable("AuthCtrlr", "LocalPreAuthorize", "false", "boolean", writable=True),
        Variable("TxCtrlr", "EVConnectionTimeOut", "60", "integer", writable=True, unit="s"),
        Variable("TxCtrlr", "StopTxOnInvalidId", "true", "boolean", writable=True),
        Variable("TxCtrlr", "StopTxOnEVSideDisconnect", "true", "boolean"),
        Variable("TxCtrlr", "TxStartPoint", "EVConnected", "MemberList", choices="EVConnected"),
        Variable("TxCtrlr", "TxStopPoint", "Authorized", "MemberList", choices="Authorized,EVConnected"),
        Variable("SampledDataCtrlr", "TxUpdatedInterval", interval, "integer", writable=True, unit="s", least=1),
        Variable("SampledDataCtrlr", "TxUpdatedMeasurands", MEASURANDS, "MemberList", choices=MEASURANDS),
        Variable("SampledDataCtrlr", "TxEndedMeasurands", MEASURANDS, "MemberList", choices=MEASURANDS),
        Variable("DeviceDataCtrlr", "ItemsPerMessage", "4", "integer", instance="GetVariables"),
        Variable("ClockCtrlr", "TimeSource", "Heartbeat", "MemberList", choices="Heartbeat"),
    ]
    return station + [one for number in range(1, evses + 1) for one in _evse_variables(number)]


STATES = "Available,Occupied,Reserved,Unavailable,Faulted"


def _evse_variables(number: int) -> list[Variable]:
    return [
        Variable("EVSE", "AvailabilityState", "Available", "OptionList", evse=number, choices=STATES),
        Variable("EVSE", "Available", "true", "boolean", evse=number),
        Variable("EVSE", "AllowReset", "true", "boolean", evse=number),
        Variable("EVSE", "SupplyPhases", "3", "integer", evse=number),
        Variable("Connector", "ConnectorType", "cCCS2", evse=number),
        Variable("Connector", "Available", "true", "boolean", evse=number),
    ]


CONFIGURATION_16: dict[str, tuple[str, str, str | None]] = {
    "HeartbeatInterval": ("OCPPCommCtrlr", "HeartbeatInterval", None),
    "MeterValueSampleInterval": ("SampledDataCtrlr", "TxUpdatedInterval", None),
    "MeterValuesSampledData": ("SampledDataCtrlr", "TxUpdatedMeasurands", None),
    "StopTxnSampledData": ("SampledDataCtrlr", "TxEndedMeasurands", None),
    "ConnectionTimeOut": ("TxCtrlr", "EVConnectionTimeOut", None),
    "AuthorizeRemoteTxRequests": ("AuthCtrlr", "AuthorizeRemoteStart", None),
    "LocalPreAuthorize": ("AuthCtrlr", "LocalPreAuthorize", None),
    "StopTransactionOnInvalidId": ("TxCtrlr", "StopTxOnInvalidId", None),
    "StopTransactionOnEVSideDisconnect": ("TxCtrlr", "StopTxOnEVSideDisconnect", None),
    "TransactionMessageAttempts": ("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent"),
    "TransactionMessageRetryInterval": ("OCPPCommCtrlr", "MessageAttemptInterval", "TransactionEvent"),
    "ResetRetries": ("OCPPCommCtrlr", "ResetRetries", None),
    "WebSocketPingInterval": ("OCPPCommCtrlr", "WebSocketPingInterval", None),
    "AuthorizationKey": ("SecurityCtrlr", "BasicAuthPassword", None),
}
"""The 1.6 keys that are other names for variables; NumberOfConnectors and SupportedFeatureProfiles have no variable of their own."""
