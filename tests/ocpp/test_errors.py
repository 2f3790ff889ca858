"""Error codes are spelt as each version spells them; descriptions fit the wire and the log."""

from __future__ import annotations

import pytest

from csms.ocpp.errors import V16, V21, V201, ErrorCode, OcppError, spell

IN_16 = {
    "NotImplemented",
    "NotSupported",
    "InternalError",
    "ProtocolError",
    "SecurityError",
    "FormationViolation",
    "PropertyConstraintViolation",
    "OccurenceConstraintViolation",
    "TypeConstraintViolation",
    "GenericError",
}
"""1.6-J, table 7."""


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_has_a_word_that_16_knows(code: ErrorCode) -> None:
    assert spell(code, V16) in IN_16


def test_16_loses_none_of_its_words() -> None:
    assert {spell(code, V16) for code in ErrorCode} == IN_16


@pytest.mark.parametrize("protocol", [V201, V21])
@pytest.mark.parametrize("code", ErrorCode)
def test_2x_spells_codes_as_they_are(code: ErrorCode, protocol: str) -> None:
    assert spell(code, protocol) == code.value


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (ErrorCode.FORMAT_VIOLATION, "FormationViolation"),
        (ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION, "OccurenceConstraintViolation"),
        (ErrorCode.RPC_FRAMEWORK_ERROR, "ProtocolError"),
        (ErrorCode.MESSAGE_TYPE_NOT_SUPPORTED, "GenericError"),
    ],
)
def test_16_spells_four_codes_its_own_way(code: ErrorCode, word: str) -> None:
    assert spell(code, V16) == word


def test_description_is_cut_at_255_characters() -> None:
    assert OcppError(ErrorCode.GENERIC_ERROR, "é" * 300).description == "é" * 255


def test_description_holds_nothing_that_moves_a_terminal() -> None:
    error = OcppError(ErrorCode.GENERIC_ERROR, "a\x1b[2J\nb\ud800\u202e")
    assert error.description == "a?[2J?b??"
    assert str(error) == error.description


def test_details_are_a_copy() -> None:
    details = {"a": 1}
    error = OcppError(ErrorCode.GENERIC_ERROR, details=details)
    details["a"] = 2
    assert error.details == {"a": 1}
    assert OcppError(ErrorCode.GENERIC_ERROR).details == {}
