"""No secrets in answers and logs: station passwords, and what is secret in URLs, are blanked out in logged frames, command arguments and variables.

Knows how OCPP 1.6 and 2.x spell a password's name, that a URL may have a password before its host, and the places of our own that take files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

HIDDEN = "(hidden)"
SECRET_VARIABLES = frozenset({"basicauthpassword", "authorizationkey"})
"""Variables and configuration keys whose values are passwords, in small letters: OCPP compares them without regard to case."""
SECRET_FIELDS = frozenset({"basicAuthPassword", "password", "old_password", "new_password", "apnPassword", "simPin"})
"""Fields that are passwords wherever they stand (network profiles of 2.x; VPN and APN)."""
_URL_SECRETS = re.compile(r"(?<=://)[^/?#\s]*(?=@)|(?<=/upload/)[A-Za-z0-9_-]{16,}|(?<=\?)[^#\s]+")
"""A user name with its password, the word that opens a place for one file, and a query, where others' signed URLs have their signature."""
VALUES = frozenset({"value", "attributeValue", "variableAttribute", "attributes"})


def redacted(value: Any, *, hide: bool = False) -> Any:
    """The same structure with passwords replaced; mappings become dicts."""
    match value:
        case Mapping():
            below = _names_secret(value)
            shared = "key" if "password" in value and "server" in value else None  # the shared secret of a VPN
            return {
                key: redacted(inner, hide=hide or key in SECRET_FIELDS or key == shared or (below and key in VALUES))
                for key, inner in value.items()
            }
        case list() | tuple():
            return [redacted(inner, hide=hide) for inner in value]
        case bool():
            return value
        case str() | int() if hide and value:
            return HIDDEN
        case str() if "://" in value:
            return _URL_SECRETS.sub(HIDDEN, value)
    return value


def redacted_frame(frame: str) -> str:
    """A frame as it was logged, or with its passwords replaced where it has any."""
    if not _may_hold_secrets(frame.casefold().encode("utf-8", "replace")):
        return frame
    try:
        return orjson.dumps(redacted(orjson.loads(frame))).decode()
    except ValueError:
        return HIDDEN


def without_secrets(frames: list[bytes]) -> list[bytes]:
    """Frames for the log of messages: as they are, but for those in which a password may be. All are searched at once, for this is done with
    every frame."""
    if not _may_hold_secrets(b"\n".join(frames).lower()):
        return frames
    return [
        redacted_frame(one.decode("utf-8", "replace")).encode() if _may_hold_secrets(one.lower()) else one
        for one in frames
    ]


def _may_hold_secrets(small: bytes) -> bool:
    """Whether a closer look at a text in small letters is due."""
    # Plain searches: a regular expression takes ten times as long.
    return b"password" in small or b"authorizationkey" in small or (b"/" in small and b"://" in small)


def is_secret(variable: str) -> bool:
    """Whether a variable or configuration key holds a password."""
    return variable.casefold() in SECRET_VARIABLES


def _names_secret(value: Mapping[Any, Any]) -> bool:
    """Whether this object is about one variable that holds a password."""
    variable = value.get("variable")
    name = variable.get("name") if isinstance(variable, Mapping) else variable
    return any(isinstance(one, str) and is_secret(one) for one in (name, value.get("key")))
