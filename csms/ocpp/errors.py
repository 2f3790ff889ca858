"""The error codes of the OCPP RPC framework: neutral inside, spelt on the wire as each version spells them. Knows no message and no frame."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

V16: Final = "ocpp1.6"
V201: Final = "ocpp2.0.1"
V21: Final = "ocpp2.1"

MAX_DESCRIPTION: Final = 255


class ErrorCode(StrEnum):
    """The codes in the spelling of 2.x, which knows them all."""

    FORMAT_VIOLATION = "FormatViolation"
    GENERIC_ERROR = "GenericError"
    INTERNAL_ERROR = "InternalError"
    MESSAGE_TYPE_NOT_SUPPORTED = "MessageTypeNotSupported"
    NOT_IMPLEMENTED = "NotImplemented"
    NOT_SUPPORTED = "NotSupported"
    OCCURRENCE_CONSTRAINT_VIOLATION = "OccurrenceConstraintViolation"
    PROPERTY_CONSTRAINT_VIOLATION = "PropertyConstraintViolation"
    PROTOCOL_ERROR = "ProtocolError"
    RPC_FRAMEWORK_ERROR = "RpcFrameworkError"
    SECURITY_ERROR = "SecurityError"
    TYPE_CONSTRAINT_VIOLATION = "TypeConstraintViolation"


SPELT_IN_16: Final[Mapping[ErrorCode, str]] = {
    ErrorCode.FORMAT_VIOLATION: "FormationViolation",
    ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION: "OccurenceConstraintViolation",
    ErrorCode.MESSAGE_TYPE_NOT_SUPPORTED: "GenericError",
    ErrorCode.RPC_FRAMEWORK_ERROR: "ProtocolError",
}
"""1.6-J keeps two misspellings (its errata, section 5: not to be mended), and has no word for two later codes."""


def spell(code: ErrorCode, protocol: str) -> str:
    """The code as this version writes it."""
    return SPELT_IN_16.get(code, code.value) if protocol == V16 else code.value


class OcppError(Exception):
    """A call is refused: the code, a description of at most 255 printable characters, and details."""

    def __init__(self, code: ErrorCode, description: str = "", details: Mapping[str, Any] | None = None) -> None:
        self.code = code
        self.description = printable(description, MAX_DESCRIPTION)
        self.details: dict[str, Any] = dict(details or {})
        super().__init__(self.description)


def printable(text: str, longest: int) -> str:
    """The text cut to so many characters, with ``?`` for each that cannot be printed: foreign words reach logs and terminals."""
    text = text[:longest]
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)
