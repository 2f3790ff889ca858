"""Which test cases of OCPP 2.0.1 part 6 have a test here: a list that fails when it is stale, in both directions."""

from __future__ import annotations

import re
from pathlib import Path

FOLDERS = (Path(__file__).parent, Path(__file__).parent.parent / "security")
CASES = {
    "A": "01 02 03 04 06 07 08 09 10 11 12 13 14 19",
    "B": "01 02 06 07 08 09 10 12 13 14 18 20 21 22 25 26 27 30 31 42 44",
    "C": "02 06 07 08 20 37 38 39 40 43 47 48 49 50 51 52",
    "E": "01 02 03 04 07 08 09 10 11 12 14 15 16 17 19 20 21 22 26 29 30 31 33 34 38 39 53",
    "F": "01 02 03 04 06 11 12 13 14 15 18 20 23 24 27",
    "G": "03 04 05 06 07 08 11 14 17 20",
    "I": "01 02",
    "J": "01 02 03 04 07 08 09 10 11",
    "L": "01 02 03 04 05 06 07 08 09 10 11 13 17 19 20 21 22 23 24",
    "M": "01 02 03 04 05 12 13 14 15 16 17 18 19 20 21 24 26 28",
    "N": "25 34 35 36",
}
"""The cases for a CSMS in these blocks of part 6, edition 3; of block N those about logs."""
WITHOUT: dict[str, str] = {}
"""Those that have no test here, each with the reason."""
NAMED = re.compile(r'def test_(tc_[a-z]_\d\d)_csms|id="(TC_[A-Z]_\d\d)_CSMS\b|"(TC_[A-Z]_\d\d)_CSMS\b[^"]*":')


def tested() -> set[str]:
    """The cases that a test is named after, or that stand in a table of one."""
    texts = (file.read_text("utf-8") for folder in FOLDERS for file in folder.glob("test_*.py"))
    found = (name for text in texts for names in NAMED.findall(text) for name in names if name)
    return {name.upper() for name in found}


def test_every_case_has_a_test_or_a_reason() -> None:
    cases = {f"TC_{block}_{number}" for block, numbers in CASES.items() for number in numbers.split()}
    assert cases - tested() == set(WITHOUT), "these have no test and no reason, or a test and still a reason"
    assert tested() - cases == set(), "tests are named after these, which part 6 does not have for a CSMS"
