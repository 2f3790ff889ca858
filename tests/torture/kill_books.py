"""A billing backend for the kill test, and its reckoning: every issued bill arrived, each under one key with one total, and no number is missing.

The backend writes a line for each delivery and waits until the disk has it, as one in another process would: a kill between that and the server's own
note makes the delivery come again. Now and then it fails at first.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

BACKEND = """
import os
from csms.api import BillDelivered, hookimpl

class Books:
    def __init__(self, settings, csms):
        self.file = csms.folder / "books.txt"

    @hookimpl
    def deliver_bill(self, delivery):
        if delivery.attempt == 1 and hash(delivery.key) % 7 == 0:
            raise ConnectionError("not now")
        with open(self.file, "a") as books:
            books.write(f"{delivery.key} {delivery.bill.price.total}\\n")
            books.flush()
            os.fsync(books.fileno())
        return BillDelivered(delivery.key)
"""
DELIVERY_S = 90.0


def with_backend(site: Path) -> None:
    """Let the server of a site file deliver to this backend."""
    (site.parent / "books.py").write_text(BACKEND)
    text = site.read_text().replace('"billing"]', '"billing", "./books.py"]')
    site.write_text(f'{text}\n[bills]\ndelivery_retry = "1s"\n')


def arrived(folder: Path) -> dict[str, set[str]]:
    """The totals under each key that the backend saw; a line that a kill cut short does not count."""
    file = folder / "books.txt"
    lines = file.read_text().split("\n")[:-1] if file.exists() else []
    found: dict[str, set[str]] = {}
    for line in lines:
        key, _, total = line.partition(" ")
        found.setdefault(key, set()).add(total)
    return found


def wait_for(folder: Path, numbers: Iterable[str]) -> None:
    """Give the deliveries time to arrive."""
    wanted, end = set(numbers), time.monotonic() + DELIVERY_S
    while not wanted <= arrived(folder).keys() and time.monotonic() < end:
        time.sleep(0.2)


def faults(bills: Iterable[Mapping[str, Any]], entries: Mapping[str, set[str]]) -> list[str]:
    """What is wrong between the server's bills and the backend's entries, in sentences."""
    issued = {bill["number"]: bill["total"] for bill in bills if bill["number"]}
    found = [f"bill {number} never arrived" for number in issued if number not in entries]
    found += [f"{key} arrived, but is no bill" for key in entries if key not in issued]
    for key, totals in entries.items():
        if key in issued and totals != {issued[key]}:
            found.append(f"bill {key} of {issued[key]} arrived as {', '.join(sorted(totals))}")
    series: dict[str, list[int]] = {}
    for number in issued:
        name, _, serial = number.rpartition("-")
        series.setdefault(name, []).append(int(serial))
    for name, serials in series.items():
        if sorted(serials) != list(range(1, len(serials) + 1)):
            found.append(f"the numbers of {name} have gaps: {len(serials)} bills, the last number is {max(serials)}")
    return found
