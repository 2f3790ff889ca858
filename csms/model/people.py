"""Who calls the HTTP API, and what they may: people, the keys of programs, and the trail of what they did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from csms.model.authorization import IdToken


class Role(StrEnum):
    """What a caller may do; each role may do all that the ones before it may.

    A driver sees its own charging and nothing else; a viewer sees everything but messages and whole tokens; support helps drivers and
    looks into messages; an operator runs the stations; an admin decides who else may.
    """

    DRIVER = "driver"
    VIEWER = "viewer"
    SUPPORT = "support"
    OPERATOR = "operator"
    ADMIN = "admin"

    def may(self, needed: Role) -> bool:
        """Whether this role is the needed one or above it."""
        return RANKS[self] >= RANKS[needed]


RANKS = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request. No ``sites`` means all of them; ``id_tokens`` are a driver's own; ``key`` is None for the site file's token."""

    name: str
    role: Role
    sites: tuple[str, ...] = ()
    id_tokens: tuple[IdToken, ...] = ()
    key: int | None = None
    person: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a password; ``name`` is compared without regard to case."""

    name: str
    role: Role
    sites: tuple[str, ...] = ()
    id_tokens: tuple[IdToken, ...] = ()
    enabled: bool = True
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A program's key, or a person's session (``person`` is set, and the person's role and sites count); the secret is not kept."""

    id: int
    name: str
    role: Role
    sites: tuple[str, ...]
    person: str | None
    created_at: datetime
    created_by: str
    expires: datetime | None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One request that changed something, or tried to; ``status`` is None while it is under way, and stays so if the CSMS died over it."""

    id: int
    at: datetime
    caller: str
    role: str
    address: str
    method: str
    path: str
    status: int | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DoneRequest:
    """What became of a request that carried an Idempotency-Key; ``status`` is None until it was answered."""

    digest: bytes
    at: datetime
    status: int | None = None
    headers: str = ""
    body: bytes | None = None


class TooManyTries(Exception):
    """This address has guessed too many passwords; ``wait_s`` says how long it has to wait."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"too many wrong passwords from this address: wait {wait_s:.0f} s")
        self.wait_s = wait_s
