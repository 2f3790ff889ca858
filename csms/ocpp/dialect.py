"""What a dialect is: two tables between wire payloads of one OCPP version and the neutral words of ``csms.model``.

A dialect holds no policy and no state. Payloads that reach ``decode`` have passed the schema; what ``encode`` makes must pass it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from csms.model.commands import CommandAnswer

Payload = dict[str, Any]


class NotSupportedByStation(Exception):
    """The station's OCPP version has no word for this command, or not in this form; the text says what to do instead."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """One action that stations send: payload to model, model answer to payload."""

    decode: Callable[[Payload], Any]
    encode_answer: Callable[[Any], Payload]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One command that the CSMS sends: ``encode`` gives action and payload and may raise NotSupportedByStation.

    ``split`` is for commands that this version must say in several calls; the answers are merged by the sender.
    """

    encode: Callable[[Any], tuple[str, Payload]]
    decode_answer: Callable[[Any, Payload], CommandAnswer]
    split: Callable[[Any], tuple[Any, ...]] = lambda command: (command,)


@dataclass(frozen=True, slots=True)
class Dialect:
    """Everything that differs between OCPP versions above the RPC frame."""

    protocol: str
    requests: Mapping[str, Incoming]
    commands: Mapping[type, Outgoing]

    def outgoing(self, command: object) -> Outgoing:
        """The table row of a command; raises NotSupportedByStation where the version has none."""
        try:
            return self.commands[type(command)]
        except KeyError:
            name = type(command).__name__
            raise NotSupportedByStation(f"{name} does not exist in {self.protocol}") from None
