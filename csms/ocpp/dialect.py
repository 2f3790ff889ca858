"""What a dialect is: two tables between wire payloads of one OCPP version and the neutral words of ``csms.model``.

A dialect holds no policy and no state. Payloads that reach ``decode`` have passed the schema; what ``encode`` makes must pass it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from csms.model.commands import CommandAnswer
from csms.model.provisioning import Variable
from csms.ocpp.quick import QuickReader, Said

Payload = dict[str, Any]


def whole(command: Any, most: int | None) -> tuple[Any, ...]:
    """A command that is said in one call."""
    return (command,)


class NotSupportedByStation(Exception):
    """The station's OCPP version has no word for this command, or not in this form; the text says what to do instead."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """One action that stations send: payload to model, model answer to payload. ``read`` makes the model of a payload read the short way
    (``csms.ocpp.quick``) and its JSON; None where that is not worth it."""

    decode: Callable[[Payload], Any]
    encode_answer: Callable[[Any], Payload]
    read: Callable[[Any, bytes], Any] | None = None


def common(read: Callable[..., Any], encode_answer: Callable[[Any], Payload], *, light: bool = False) -> Incoming:
    """An action that comes all the time: ``read`` takes its fields by name, whichever way they came in.

    A ``light`` one is given the JSON too where it is read the short way, and holds on to that alone.
    """
    quickly = read if light else lambda said, body: read(said)
    return Incoming(lambda payload: read(Said(payload)), encode_answer, quickly)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One command that the CSMS sends: ``encode`` gives action and payload and may raise NotSupportedByStation.

    ``split`` is for commands that this version must say in several calls, or that have more items than ``most`` if that is known; the answers are
    merged by the sender. ``most`` is the variable in which a station tells how many items it takes in one message.
    """

    encode: Callable[[Any], tuple[str, Payload]]
    decode_answer: Callable[[Any, Payload], CommandAnswer]
    split: Callable[[Any, int | None], tuple[Any, ...]] = whole
    most: Variable | None = None


@dataclass(frozen=True)
class Dialect:
    """Everything that differs between OCPP versions above the RPC frame."""

    protocol: str
    requests: Mapping[str, Incoming]
    commands: Mapping[type, Outgoing]
    network_priority: Variable | None = None
    """In which variable a station keeps the order of its network slots; None where the version knows no slots."""

    @cached_property
    def quick(self) -> QuickReader:
        """The short way in for the actions that have one."""
        return QuickReader(self.protocol, {action: row.read for action, row in self.requests.items() if row.read})

    def outgoing(self, command: object) -> Outgoing:
        """The table row of a command; raises NotSupportedByStation where the version has none."""
        try:
            return self.commands[type(command)]
        except KeyError:
            name = type(command).__name__
            raise NotSupportedByStation(f"{name} does not exist in {self.protocol}") from None
