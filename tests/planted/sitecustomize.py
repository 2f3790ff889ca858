"""For the processes that tests start: what they draw as a secret is written down for the canaries of the run (``tests/canaries.py``).

Found by Python at its start, where PYTHONPATH names this folder; knows nothing of csms.
"""

from __future__ import annotations

import os
import secrets

STATION_KEY_BYTES = 20
FILE = os.environ.get("CSMS_CANARIES", "")
_urlsafe, _hexadecimal = secrets.token_urlsafe, secrets.token_hex


def _noted(made: str, counts: bool) -> str:
    if counts:
        with open(FILE, "a") as file:
            file.write(made + "\n")
    return made


def token_urlsafe(nbytes: int | None = None) -> str:
    """As Python's own: a token of the API, a session."""
    made = _urlsafe(nbytes)
    return _noted(made, len(made) >= 32)


def token_hex(nbytes: int | None = None) -> str:
    """As Python's own: a station's key, by its length."""
    return _noted(_hexadecimal(nbytes), nbytes == STATION_KEY_BYTES)


if FILE:
    secrets.token_urlsafe, secrets.token_hex = token_urlsafe, token_hex
