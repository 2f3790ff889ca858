"""Frames to throw at a server, each with what has to follow from it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any

from frame_judge import (
    LONGEST,
    NOTHING,
    RESULT,
    Answer,
    Expected,
    closed,
    crowded,
    judged,
    refused,
    unreadable,
)
from frame_payloads import Payloads
from frame_texts import Texts
from frame_wire import BINARY, CLOSE, CONTINUED, PING, TEXT, deflated, frame, head

from csms.dialects import DIALECTS

UNASKED, ASKED = (tuple(accumulate((45, 20, 4, 22, 6, answers))) for answers in (2, 25))
"""How often each kind comes: wrong calls, right ones, no actions, raw texts, the layer below, and answers, of which there are more where the
server has asked."""
WRITTEN = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Attempt:
    """What to send, piece by piece, and what has to follow; ``shown`` is the text for people."""

    kind: str
    pieces: tuple[bytes, ...]
    expected: Expected
    shown: str = ""


class Maker:
    """Makes attempts for one station, which tells it whether it is ``accepted``, and for what it was ``asked`` or called by the server."""

    def __init__(self, protocol: str, dice: random.Random, *, deflate: bool) -> None:
        self.protocol = protocol
        self.payloads = Payloads(protocol, dice)
        self.deflate = deflate
        self.accepted = False
        self.asked: set[str] = set()
        self.calls: list[list[Any]] = []
        self._dice = dice
        self._texts = Texts(dice, self._some)
        self._number = 0
        self._handled = sorted(DIALECTS[protocol].requests)
        self._makers = (
            self._wrong_call, self.right_call, self._wrong_action, self._raw, self._websocket, self._answer,
        )  # fmt: skip

    def attempt(self) -> Attempt:
        """The next one."""
        return self._dice.choices(self._makers, cum_weights=ASKED if self.calls else UNASKED)[0]()

    def right_call(self, action: str = "") -> Attempt:
        """A call that fits its schema."""
        action = action or self._action()
        id, text = self._call(action, self.payloads.good(action))
        codes = {RESULT if action in self._handled else "NotSupported"}
        if not (self.accepted or action in self.asked or action == "BootNotification"):
            codes = {"SecurityError"}
        return self._text("right call", text, Expected((Answer(id, frozenset(codes)),)))

    def _wrong_call(self) -> Attempt:
        action = self._action()
        payload, kinds = self.payloads.wrong(action)
        id, text = self._call(action, payload)
        return self._text("wrong call", text, refused(self.protocol, id, kinds))

    def _wrong_action(self) -> Attempt:
        action = self._dice.choice(
            (
                "",
                "heartbeat",
                "Heartbeat ",
                "__class__",
                "HeartbeatRequest",
                "é" * 300,
                "Reset\n",
                "../Heartbeat",
                "\x7f",
            )
        )
        id, text = self._call(action, {})
        return self._text("no action", text, Expected((Answer(id, frozenset(("NotImplemented",))),)))

    def _action(self) -> str:
        """Mostly one that the server handles."""
        return self._dice.choice(self.payloads.actions if self._dice.random() < 0.25 else self._handled)

    def _call(self, action: str, payload: object) -> tuple[str, bytes]:
        self._number += 1
        id = (
            f"f{self._number}"
            if self._dice.random() < 0.9
            else self._dice.choice(("é" * 36, "😀", "-1", "'\"<&>", "\u202e", " "))
        )
        return id, _json([2, id, action, payload])

    # Answers to what the server asked

    def _answer(self) -> Attempt:
        if not self.calls:
            return self._text("answer to nothing", _json([3, self._dice.choice(("nobody", "1.1", "")), {}]), NOTHING)
        _, id, action, _ = self.calls.pop(0)
        ways: tuple[Callable[[str, str], Any], ...] = (
            self._result,
            self._result,
            self._wrong_result,
            self._error,
            self._odd_answer,
        )
        return self._text("answer", _json(self._dice.choice(ways)(id, action)), NOTHING)

    def _result(self, id: str, action: str) -> Any:
        return [3, id, self.payloads.good(action, answer=True)]

    def _wrong_result(self, id: str, action: str) -> Any:
        return [3, id, self.payloads.wrong(action, answer=True)[0]]

    def _error(self, id: str, action: str) -> Any:
        code = self._dice.choice(
            ("NotSupported", "GenericError", "InternalError", "", "x" * 10_000, 7, None, {"a": 1}, "\u202e\x1b[2J")
        )
        text = self._dice.choice(("", "no", "é" * 300, 1, None, ["x"], "\r\nInjected: yes", "%s {0} {a!r}"))
        return [4, id, code, text, self._dice.choice(({}, [], None, {"a": [1, {"b": None}]}, "x"))]

    def _odd_answer(self, id: str, action: str) -> Any:
        return self._dice.choice(
            (
                [3, id],
                [3, id, None],
                [3, id, []],
                [3, id, {}, {}],
                [3, id, "x"],
                [4, id],
                [4, id, "GenericError"],
                [4, id, "A", "b", {}, 1],
            )
        )

    def _raw(self) -> Attempt:
        raw = self._texts.one()
        return self._text("raw", raw, judged(raw, self.protocol))

    def _some(self) -> bytes:
        action = self._dice.choice(self._handled)
        return self._call(action, self.payloads.good(action))[1]

    # The layer below

    def _websocket(self) -> Attempt:
        ways = [
            self._binary,
            self._fragmented,
            self._several,
            self._in_drops,
            self._against_the_protocol,
            self._closing,
            self._too_large,
        ]
        kind, pieces, expected = self._dice.choice(ways + ([self._bomb] if self.deflate else []))()
        return Attempt(kind, pieces, expected, repr(b"".join(pieces)[:200]))

    def _binary(self) -> Any:
        return "binary", (frame(BINARY, self._some()),), closed(1003)

    def _fragmented(self) -> Any:
        one = self.right_call()
        raw = one.shown.encode()
        cuts = sorted(self._dice.randrange(len(raw) + 1) for _ in range(self._dice.randint(1, 8)))
        parts = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
        wire = [
            frame(CONTINUED if number else TEXT, part, fin=number == len(cuts)) for number, part in enumerate(parts)
        ]
        pings = [frame(PING, b"x") for _ in range(self._dice.randint(0, 2))]
        for ping in pings:
            wire.insert(self._dice.randrange(len(wire) + 1), ping)
        return "fragments", tuple(wire), one.expected

    def _several(self) -> Any:
        many = [self.right_call("Heartbeat") for _ in range(self._dice.randint(2, 40))]
        seen: dict[str, Attempt] = {one.expected.answers[0].id: one for one in many}
        answers = tuple(one.expected.answers[0] for one in seen.values())
        return "several", (b"".join(one.pieces[0] for one in seen.values()),), Expected(answers)

    def _in_drops(self) -> Any:
        one = self.right_call()
        wire = one.pieces[0]
        step = self._dice.randint(1, 1 + len(wire) // 10)
        return "drops", tuple(wire[at : at + step] for at in range(0, len(wire), step)), one.expected

    def _against_the_protocol(self) -> Any:
        raw = self._some()
        wires = (
            frame(TEXT, raw, masked=False), frame(TEXT, raw, bits=0x20), frame(TEXT, raw, bits=0x10), frame(3, raw), frame(7), frame(11), frame(15),
            frame(CONTINUED, raw), frame(TEXT, raw, fin=False) + frame(TEXT, raw), frame(PING, b"x" * 126), frame(PING, b"x", fin=False),
            *(frame(CLOSE, code) for code in (b"x", b"\x03\xe7", b"\x03\xed", b"\x13\x88")),
            b"\x81\xfe\x00\x05" + b"\0\0\0\0" + b"[3,1]", b"\x81\xff" + (5).to_bytes(8, "big") + b"\0\0\0\0" + b"[3,1]",
        )  # fmt: skip
        if not self.deflate:
            wires += (frame(TEXT, raw, bits=0x40),)
        return "protocol error", (self._dice.choice(wires),), closed(1002)

    def _closing(self) -> Any:
        if self._dice.random() < 0.2:
            return "close", (frame(CLOSE, b"\x03\xe8\xff\xfe"),), closed(1002, 1007)
        body = self._dice.choice((b"", b"\x03\xe8", b"\x03\xe8bye", b"\x0b\xb8" + b"x" * 123))
        return "close", (frame(CLOSE, body) + self._after(),), closed(1000, 1005, 3000)

    def _after(self) -> bytes:
        """What nobody may answer any more."""
        return frame(TEXT, self._some()) if self._dice.random() < 0.5 else b""

    def _too_large(self) -> Any:
        claim = self._dice.choice((LONGEST + 1, 2**31, 2**63 - 1))
        begun = tuple(frame(CONTINUED if number else TEXT, b" " * 60_000, fin=False) for number in range(5))
        return "too large", self._dice.choice(((head(TEXT, claim),), begun)), closed(1009)

    def _bomb(self) -> Any:
        one = self.right_call()
        ways: tuple[Any, ...] = (
            ("deflated", (deflated(one.shown.encode()),), one.expected),
            ("deflated", (bomb(),), closed(1009)),
            ("deflated", (frame(TEXT, b"\xff" * 40, bits=0x40),), closed(1002, 1007)),
        )
        return self._dice.choice(ways)

    def _text(self, kind: str, raw: bytes, expected: Expected) -> Attempt:
        if crowded(raw):
            expected = unreadable(self.protocol)
        if len(raw) > LONGEST:
            expected = closed(1009)
        return Attempt(kind, (frame(TEXT, raw),), expected, raw.decode("utf-8", "backslashreplace"))


@cache
def bomb() -> bytes:
    """Fifty million spaces in a small frame; made once, for that takes long."""
    return deflated(b" " * 50_000_000)


def _json(value: object) -> bytes:
    return WRITTEN(value).encode("utf-8", "surrogatepass")
