"""Why a connection is refused: a closed list, each with its cause and its cure in plain words. What a peer is told is less: ``public``."""

from __future__ import annotations

from enum import Enum


class Refusal(Enum):
    """One reason; ``status`` is the HTTP answer. Whatever is about who it is gets 401, so that nobody learns which stations exist."""

    IDENTITY = (
        "identity",
        404,
        "the path names no station",
        "connect to <path>/<identity>, at most 48 characters, no slash or colon",
    )
    USER = (
        "user_is_not_id",
        401,
        "the user name is not the station's identity",
        "set the same identity at the station for both",
    )
    NO_PASSWORD = (
        "password_missing",
        401,
        "the station sent no password",
        "set its password at the station, or let it have one: csms station approve ID",
    )
    WRONG_PASSWORD = ("password_wrong", 401, "wrong password", "set a new one at both ends: csms station password ID")
    NOT_ENROLLED = (
        "no_key_yet",
        401,
        "the station has no password, and the time to be given one is over",
        "approve it again: csms station approve ID",
    )
    UNKNOWN = ("unknown", 401, "the station is not known", "add it: csms station approve ID")
    LIST_FULL = (
        "approval_list_full",
        401,
        "too many stations wait for approval",
        "approve or block some: csms station list --pending",
    )
    BLOCKED = ("blocked", 401, "the station is blocked", "let it in again: csms station approve ID")
    PLUGIN = ("plugin", 403, "a plugin refused it", "see the plugin that is named in the log")
    CERTIFICATE = (
        "certificate_of_another",
        401,
        "the client certificate is not this station's",
        "its common name has to be the station's identity or serial number, its organization that of [tls] organization",
    )
    NO_CERTIFICATE = (
        "certificate_missing",
        401,
        "this listener wants a client certificate",
        "install one at the station: docs/security.md",
    )
    LISTENER = (
        "profile_not_here",
        401,
        "this listener does not take this security profile",
        "see profiles of the listener in the site file",
    )
    DOWNGRADE = (
        "profile_too_low",
        401,
        "the station has used a higher security profile before",
        "mend the station, or allow the lower one: csms station profile ID N",
    )
    TOO_MANY_TRIES = (
        "rate_limited",
        429,
        "too many failed tries",
        "wait some minutes; the right password is let in all the same",
    )
    DUPLICATE = (
        "duplicate",
        409,
        "this station is connected already, and that connection is alive",
        "look for a second station with this identity",
    )
    BROWSER = (
        "browser",
        403,
        "a browser's request: it has an Origin header",
        "stations send none; browsers = true in the site file lets it in",
    )
    HEADER = ("header_too_large", 431, "the request is too large", "see max_header in the site file")

    def __init__(self, word: str, status: int, cause: str, cure: str) -> None:
        self.word = word
        self.status = status
        self.cause = cause
        self.cure = cure

    @property
    def public(self) -> str:
        """What the peer is told."""
        words = {
            401: "Unauthorized",
            403: "Refused",
            404: "Unknown station",
            409: "Already connected",
            429: "Too many tries",
        }
        return words.get(self.status, "Refused")
