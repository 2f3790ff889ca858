"""Reading members of answers that a CSMS may have got wrong: what is not there, or no such thing, is empty or 0."""

from __future__ import annotations

from csms.sim.session import Payload


def words_in(answer: Payload, *path: str) -> str:
    """The string at that path, or an empty one."""
    found: object = answer
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""


def number_in(answer: Payload, name: str) -> int:
    """The whole number of that name, not below 0, or 0."""
    found = answer.get(name)
    return max(0, found) if isinstance(found, int) else 0
