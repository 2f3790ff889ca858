"""Log lines without control characters: what stations say is printed, and moves no cursor and forges no line."""

from __future__ import annotations

from twisted.logger import LogEvent, formatEventAsClassicLogText

BIDI = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
CONTROL = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *BIDI)
SHOWN = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in CONTROL if chr(code) not in "\n\t"}
"""Each as the escape that a programmer would write; line ends are the log's own, which indents those in a message."""


def log_line(event: LogEvent) -> str | None:
    """An event as one entry of the log; None for one without a text."""
    text = formatEventAsClassicLogText(event)
    return None if text is None else text.translate(SHOWN)
