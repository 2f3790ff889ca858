"""The process around the house: options, listening ports, start and stop. ``twistd csms``, ``twist csms`` and ``csms run`` all come here."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet import task
from twisted.internet.base import ReactorBase
from twisted.python import usage

from csms.config import Site, SiteFileError, read_site, without_rules
from csms.house import House
from csms.log_lines import escape_all_logs
from csms.service import CsmsService, tls_contexts, with_places

# Timers follow the monotonic clock: with wall time, a clock set back by an hour would freeze every timer for an hour.
ReactorBase.seconds = staticmethod(time.monotonic)
escape_all_logs()


class Options(usage.Options):
    """``twistd csms [--site FILE] [--rules off]``."""

    synopsis = "[--site FILE] [--rules off]"
    optParameters = [
        ["site", "s", None, "the site file (default: csms.toml here if there is one, else built-in defaults)"],
        ["rules", None, "on", "off: the safe mode, in which flow rules are neither read nor run"],
    ]
    longdesc = "Charging Station Management System for OCPP 2.0.1 and 1.6-J. Make a site file with: csms init"


def find_site_file() -> Path | None:
    """``csms.toml`` in the present folder, if there is one."""
    path = Path("csms.toml")
    return path if path.is_file() else None


def makeService(options: Mapping[str, Any]) -> CsmsService:
    """Twisted's door: a service from command line options; a wrong site file ends with its mistakes in prose."""
    from twisted.internet import reactor

    given, rules = options.get("site"), options.get("rules", "on")
    if rules not in ("on", "off"):
        raise SystemExit(f"--rules is on or off, not {rules}")
    try:
        site = read_site(Path(given) if given else find_site_file())
        return CsmsService(without_rules(site) if rules == "off" else site, reactor)
    except SiteFileError as wrong:
        raise SystemExit(str(wrong)) from None


def check_site(path: Path) -> None:
    """Build everything that a site file asks for and start nothing; raises SiteFileError with every mistake."""
    site = with_places(read_site(path))
    House(site, task.Clock())
    tls_contexts(site)


def run_in_foreground(site: Site) -> int:
    """``csms run``: start, log to the terminal, stop on SIGTERM or Ctrl-C; gives the exit code."""
    import sys

    from twisted.internet import reactor
    from twisted.logger import FilteringLogObserver, LogLevelFilterPredicate, globalLogBeginner, textFileLogObserver

    terminal = FilteringLogObserver(textFileLogObserver(sys.stdout), [LogLevelFilterPredicate()])
    globalLogBeginner.beginLoggingTo([terminal], redirectStandardIO=False)
    loop: Any = reactor
    service = CsmsService(site, loop)
    loop.callWhenRunning(service.startService)
    loop.addSystemEventTrigger("before", "shutdown", service.stopService)
    loop.run()
    return 0
