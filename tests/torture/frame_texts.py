"""Texts that are no messages of OCPP, or hardly: broken, deep, long, against JSON's rules, and arrays of the wrong form."""

from __future__ import annotations

import random
from collections.abc import Callable

from frame_judge import LONGEST

NUMBERS = (
    "NaN", "Infinity", "-Infinity", "1e400", "-1e999", "9223372036854775808", "-9223372036854775809", "1" * 5000, "0123", "+1", ".5", "1.", "0x10",
    "-", "1e", "- 1",
)  # fmt: skip
TEXTS = (
    '"\\ud800"',
    '"\\udfff\\ud800"',
    '"\\u0000"',
    '"\\x41"',
    "'a'",
    '"\t"',
    '"\\u12"',
    '"a',
    "undefined",
    '"\\ud83d\\ude00"',
)
WRAPS = ("\ufeff%s", "%s,", "// x\n%s", "%s%s", " \t\r\n%s \n", "\x00%s", "[%s]", '{"a":%s}', "(%s)", "\v%s")
ARRAYS = (
    "[]", "{}", "null", "2", '""', "[2]", '[2,"a"]', '[2,"a","Heartbeat"]', '[2,"a","Heartbeat",{},1]', '["2","a","Heartbeat",{}]',
    '[2.0,"a","Heartbeat",{}]', '[true,"a","Heartbeat",{}]', '[2,1,"Heartbeat",{}]', '[2,null,"Heartbeat",{}]', '[2,"","Heartbeat",{}]',
    '[2,["a"],"Heartbeat",{}]', '[2,"a",1,{}]', '[2,"a",null,{}]', '[2,"a",["Heartbeat"],{}]', '[2,"a","Heartbeat",[]]',
    '[2,"a","Heartbeat",null]', '[2,"a","Heartbeat","x"]', '[3]', '[3,"a"]', '[3,"a",{}]', '[3,"-1",{},{}]', '[3,null,null]', "[4]",
    '[4,"a"]', '[4,"-1","GenericError","",{}]', '[4,{},[],1,"x"]', '[0,"a"]', '[1,"a","Heartbeat",{}]', '[5,"a","GenericError","",{}]',
    '[6,"a","NotifyPeriodicEventStream",{}]', '[-2,"a"]', '[9223372036854775807,"a",{}]', '[99,{}]', '[7]', "[[2]]", '[2,"a","",{}]',
)  # fmt: skip


class Texts:
    """Makes such texts, some of them from messages that are right."""

    def __init__(self, dice: random.Random, right: Callable[[], bytes]) -> None:
        self._dice = dice
        self._right = right

    def one(self) -> bytes:
        """The next one."""
        broken = (self._bits, self._cut, self._spliced, self._wrapped, self._twice)
        made = (self._nested, self._odd_value, self._array, self._garbage, self._long)
        return self._dice.choice(broken + made)()

    def _bits(self) -> bytes:
        raw = bytearray(self._right())
        for _ in range(self._dice.randint(1, 4)):
            raw[self._dice.randrange(len(raw))] = self._dice.choice((self._dice.randrange(256), *b'"{}[],:\\0-'))
        return bytes(raw)

    def _cut(self) -> bytes:
        raw = self._right()
        return raw[: self._dice.randrange(len(raw))]

    def _spliced(self) -> bytes:
        one, other = self._right(), self._right()
        return one[: self._dice.randrange(len(one))] + other[self._dice.randrange(len(other)) :]

    def _nested(self) -> bytes:
        depth = self._dice.choice((5, 28, 29, 30, 31, 32, 33, 200, 900, 1100, 20_000, 100_000))
        left, right = self._dice.choice((("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")))
        inside = left * depth + "1" + right * depth * self._dice.choice((1, 1, 0))
        return self._dice.choice((inside, f'[2,"n","DataTransfer",{{"vendorId":"x","data":{inside}}}]')).encode()

    def _odd_value(self) -> bytes:
        odd = self._dice.choice(NUMBERS + TEXTS)
        frames = (
            '[2,"o","DataTransfer",{"vendorId":"x","data":%s}]',
            '[2,%s,"Heartbeat",{}]',
            '[%s,"o","Heartbeat",{}]',
            '[2,"o",%s,{}]',
            '[2,"o","Heartbeat",%s]',
            "%s",
            "[3,%s,{}]",
        )
        return (self._dice.choice(frames) % odd).encode()

    def _wrapped(self) -> bytes:
        text = self._right().decode()
        return self._dice.choice(WRAPS).replace("%s", text).encode()

    def _array(self) -> bytes:
        return self._dice.choice(ARRAYS).encode()

    def _twice(self) -> bytes:
        """Names that stand in their object twice."""
        text = self._right().decode()
        return (
            text.replace("{", '{"customData":{"vendorId":"x"},"customData":1,', 1)
            .replace('"timestamp":', '"timestamp":1,"timestamp":')
            .encode()
        )

    def _garbage(self) -> bytes:
        alphabet = self._dice.choice((bytes(range(256)), b'[]{}",:0123456789.eE-\\ntf ', bytes(range(32, 127))))
        return bytes(self._dice.choice(alphabet) for _ in range(self._dice.choice((0, 1, 2, 10, 100, 1000))))

    def _long(self) -> bytes:
        length = self._dice.choice((37, 300, 65_500, LONGEST - 100, LONGEST, LONGEST + 1, LONGEST * 2))
        frames = (
            '[2,"%s","Heartbeat",{}]',
            '[2,"l","%s",{}]',
            '[2,"l","DataTransfer",{"vendorId":"x","data":"%s"}]',
            '[2,"l","Heartbeat",{"%s":1}]',
            '[4,"l","%s","",{}]',
        )
        form = self._dice.choice(frames)
        return (form % (self._dice.choice("x é") * length)).encode()[: LONGEST * 3]
