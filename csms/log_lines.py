"""Log lines without control characters: what stations say is printed, and moves no cursor and forges no line.

Every text log of the process is made so, whoever opened it: ``csms run``, ``twistd`` with and without ``--logfile``, ``twist``.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import LogEvent, _file, formatEventAsClassicLogText

BIDI = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
CONTROL = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *BIDI)
SHOWN = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in CONTROL if chr(code) not in "\n\t"}
"""Each as the escape that a programmer would write; line ends are the log's own, which indents those in a message."""


def log_line(event: LogEvent, formatTime: Callable[[float | None], str] | None = None) -> str | None:
    """An event as one entry of the log; None for one without a text. The arguments are those of Twisted's own function."""
    text = formatEventAsClassicLogText(event, **({"formatTime": formatTime} if formatTime else {}))
    return None if text is None else text.translate(SHOWN)


def escape_all_logs() -> None:
    """From now on ``twisted.logger.textFileLogObserver`` writes such lines. Twisted has no door for this: its observers call a function by name."""
    setattr(_file, formatEventAsClassicLogText.__name__, log_line)
