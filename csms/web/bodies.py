"""What requests may carry: strict pydantic readers; unknown fields, wrong types and values no station could take are refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal, Union

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    WithJsonSchema,
    create_model,
    model_validator,
)

from csms.model.authorization import AuthorizationStatus, ClearCache, IdToken
from csms.model.availability import ChangeAvailability, TriggerMessage, UnlockConnector
from csms.model.certificates import DeleteCertificate, GetInstalledCertificateIds, InstallCertificate
from csms.model.data_transfer import DataTransfer
from csms.model.diagnostics import GetLog
from csms.model.firmware import UpdateFirmware
from csms.model.provisioning import GetBaseReport, GetVariables, Reset, SetVariables
from csms.model.security_commands import SetNetworkProfile, SetPassword, UpgradeSecurityProfile
from csms.model.transactions import GetTransactionStatus, RequestStartTransaction, RequestStopTransaction
from csms.web.problems import Mistake
from csms.web.reading import pointer_of

STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)
"""pydantic hands it down to the model's dataclasses inside."""

COMMANDS: tuple[type, ...] = (
    ChangeAvailability,
    ClearCache,
    DataTransfer,
    DeleteCertificate,
    GetBaseReport,
    GetInstalledCertificateIds,
    GetLog,
    GetTransactionStatus,
    GetVariables,
    InstallCertificate,
    RequestStartTransaction,
    RequestStopTransaction,
    Reset,
    SetNetworkProfile,
    SetPassword,
    SetVariables,
    TriggerMessage,
    UnlockConnector,
    UpdateFirmware,
    UpgradeSecurityProfile,
)
LARGEST_NUMBER = 2**31 - 1
LONGEST_TEXT = 5500
MAX_ID = 48


# Stations


def _password(given: object) -> str | bool:
    if given is True:
        return True
    if isinstance(given, str) and 16 <= len(given) <= 40 and given.isprintable():
        return given
    raise ValueError("a text of 16 to 40 printable characters is wanted, or true to have one made")


_PASSWORD_SCHEMA = {"anyOf": [{"type": "string", "minLength": 16, "maxLength": 40}, {"const": True}, {"type": "null"}]}
Password = Annotated[
    str | bool | None,
    PlainValidator(lambda given: None if given is None else _password(given)),
    WithJsonSchema(_PASSWORD_SCHEMA),
]


class StationBody(BaseModel):
    """What to change about a station; what is left out stays. A new station is approved unless said otherwise."""

    model_config = STRICT
    approved: bool | None = None
    blocked: bool | None = None
    password: Password = None
    heartbeat_interval: Annotated[int, Field(ge=1, le=86400)] | None = None
    security_profile: Annotated[int, Field(ge=0, le=3)] | None = None
    """The least security profile that it must use from now on."""

    @model_validator(mode="after")
    def _one_word(self) -> StationBody:
        if self.approved and self.blocked:
            raise ValueError("approved and blocked exclude each other")
        return self


def station_id_fault(id: str) -> str:
    """Why a text is no station identity, or an empty text."""
    if len(id) > MAX_ID:
        return f"it has {len(id)} characters, {MAX_ID} are allowed"
    if ":" in id:
        return "it has a colon"
    return "it has a slash" if "/" in id else ""


# Tokens


def printable(value: str) -> str:
    """The text; ValueError if something in it cannot be printed."""
    if not value.isprintable():
        raise ValueError("printable characters are wanted")
    return value


def known_token(token: IdToken) -> IdToken:
    """The token; ValueError if it is none of OCPP's."""
    fault = token_fault(token.type, token.value)
    if fault:
        raise ValueError(fault)
    return token


class TokenBody(BaseModel):
    """What the CSMS knows of a token; ``concurrent`` null: one transaction at a time, 0: no limit."""

    model_config = STRICT
    status: AuthorizationStatus = AuthorizationStatus.ACCEPTED
    group: Annotated[IdToken, AfterValidator(known_token)] | None = None
    expires: AwareDatetime | None = None
    note: Annotated[str, Field(max_length=500), AfterValidator(printable)] = ""
    concurrent: Annotated[int, Field(ge=0, le=1000)] | None = None


def token_fault(type: str, value: str) -> str:
    """Why type and value are no token of OCPP, or an empty text."""
    if not 0 < len(type) <= 20 or not type.isascii() or not type.isalnum():
        return "a token's type is 1 to 20 letters and digits, such as ISO14443"
    if not 0 < len(value) <= 255 or not value.isprintable():
        return "a token's value is 1 to 255 printable characters"
    return ""


# Notifications


class NotificationBody(BaseModel):
    """What to tell over a channel of the site file."""

    model_config = STRICT
    channel: Annotated[str, Field(min_length=1, max_length=64)]
    text: Annotated[str, Field(min_length=1, max_length=20000)]
    level: Literal["info", "warn", "error"] = "info"
    title: Annotated[str, Field(max_length=200)] = ""
    station: Annotated[str, Field(max_length=MAX_ID)] = ""


def notification_body() -> TypeAdapter[Any]:
    """The reader of a notification."""
    return TypeAdapter(NotificationBody)


# Calls and commands


class CallBody(BaseModel):
    """A raw call in the station's own version; ``timeout`` in seconds is how long the caller waits."""

    model_config = STRICT
    action: Annotated[str, Field(min_length=1, max_length=50)]
    payload: dict[str, Any]
    timeout: Annotated[float, Field(gt=0, le=300)] | None = None


class Order(BaseModel):
    """A version-neutral command: its name, and its arguments in ``with``."""

    model_config = STRICT
    command: str
    with_: Any = Field(alias="with")


def _order(kind: type) -> type[Order]:
    """The body of one command; ``with`` may be left out where nothing in it is needed."""
    needed = any(one.default is MISSING and one.default_factory is MISSING for one in fields(kind))
    inner = Field(alias="with") if needed else Field(alias="with", default_factory=kind)
    name: Any = Literal[kind.__name__]
    parts: dict[str, Any] = {"command": (name, ...), "with_": (kind, inner)}
    return create_model(f"{kind.__name__}Order", __base__=Order, __doc__=kind.__doc__, **parts)


ORDERS: Any = Annotated[Union[tuple(_order(kind) for kind in COMMANDS)], Field(discriminator="command")]  # noqa: UP007


def excesses(command: object) -> list[Mistake]:
    """Numbers and texts in a command that no OCPP version can carry, each at its JSON pointer."""
    return list(_excesses(command, ("with",), 0))


def _excesses(value: object, place: tuple[str | int, ...], depth: int) -> Iterator[Mistake]:
    match value:
        case bool() | None | Enum():
            return
        case int() if not 0 <= value <= LARGEST_NUMBER:
            yield Mistake(pointer_of(place), f"a number from 0 to {LARGEST_NUMBER} is wanted")
        case datetime() if value.tzinfo is None:
            yield Mistake(pointer_of(place), "a moment with its offset is wanted, such as 2027-01-31T00:00:00Z")
        case str() if len(value) > LONGEST_TEXT:
            yield Mistake(pointer_of(place), f"a text of at most {LONGEST_TEXT} characters is wanted")
        case tuple() if depth and not 0 < len(value) <= 100:
            yield Mistake(pointer_of(place), "a list of 1 to 100 is wanted")
        case tuple():
            for index, inner in enumerate(value):
                yield from _excesses(inner, (*place, index), depth + 1)
        case _ if is_dataclass(value):
            for one in fields(value):
                if not (isinstance(value, DataTransfer) and one.name == "data"):
                    yield from _excesses(getattr(value, one.name), (*place, one.name), depth + 1)


def station_body() -> TypeAdapter[Any]:
    """The reader of PUT on a station."""
    return TypeAdapter(StationBody)


def token_body() -> TypeAdapter[Any]:
    """The reader of PUT on a token."""
    return TypeAdapter(TokenBody)


def call_body() -> TypeAdapter[Any]:
    """The reader of a raw call."""
    return TypeAdapter(CallBody)


def order_body() -> TypeAdapter[Any]:
    """The reader of a command."""
    return TypeAdapter(ORDERS)
