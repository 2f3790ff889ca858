"""Kill -9 just before and just after every step from event to bill: each commit, each answer, each delivery to a billing backend.

    python tests/torture/killed_steps.py --long

A run that nobody kills shows how many points there are (``kill_points.py``). For each of them a new server is told the same story and kills itself
there; it is started again, the stations repeat what was not answered, and in the end transactions, bills, their numbers and the backend's books have
to be those of the clean run. In the long form the server that is started again is killed once more, at a point that the seed chooses.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import websockets
from websockets.sync.client import ClientConnection, connect

from torture_tool import Report, Run, main

# ruff: noqa: I001 - the tool makes the other folders known
from api_client import Api
from kill_books import arrived, faults
from kill_points import KILL_AT, PASSED, MortalServer
from kill_verdict import event_key
from killed_story import BILLS, BOOKS, SAID, TARIFF, V16, V201, with_its_number
from server_process import ServerDied

from csms.store import verify

FOLLOWS_S = 30.0
"""So long everything that follows from a message may take."""
ANSWER_S = 10.0
GONE = (OSError, http.client.HTTPException, websockets.WebSocketException, ServerDied)
BOOTS = {
    V201: {"reason": "PowerUp", "chargingStation": {"model": "Kill", "vendorName": "Test"}},
    V16: {"chargePointModel": "Kill", "chargePointVendor": "Test"},
}
SECOND_KILLS = 40
"""The second life is shorter: its end is at one of the first so many points."""


class Story:
    """One telling of the story to a server of its own, which may end itself on the way."""

    def __init__(self, folder: Path, kills: tuple[str, ...] = ()) -> None:
        folder.mkdir()
        self._server = MortalServer(folder, more=f'{TARIFF}[transactions]\nask_after = "1h"\n')
        (folder / "books.py").write_text(BOOKS)
        site = self._server.site_file
        site.write_text(site.read_text().replace('"billing"]', '"billing", "./books.py"]'))
        self._kills = list(kills)
        self._api = Api(self._server)
        self._sockets: dict[str, ClientConnection] = {}
        self._open = contextlib.ExitStack()
        self._ids = itertools.count(1)
        self._wire_id: int | None = None
        self.killed = 0
        """How often the server ended itself."""

    def tell(self) -> dict[str, Any]:
        """Everything, to its end; gives what a kill may not change."""
        try:
            self._start()
            for number in range(len(SAID)):
                self._surviving(lambda number=number: self._say(number))
                self._surviving(lambda number=number: self._settled(*BILLS[number]))
            return self._surviving(self._conclusions)
        finally:
            self._open.close()
            if self._server.running:
                self._server.kill()

    def _surviving(self, step: Callable[[], Any]) -> Any:
        """Do it, again after each kill."""
        while True:
            try:
                return step()
            except GONE as gone:
                self._must_have_killed_itself(gone)
                self._start()

    def _must_have_killed_itself(self, gone: Exception) -> None:
        code = self._server.wait_end()
        if code != -signal.SIGKILL:
            raise AssertionError(f"the server ended with {code}: {gone!r}\n{self._server.log}") from gone
        self.killed += 1

    def _start(self) -> None:
        """Start the server, with its next point to die at; it may die on the way."""
        while True:
            self._open.close()
            self._sockets.clear()
            if self._kills:
                (self._server.folder / KILL_AT).write_text(self._kills.pop(0))
            self._server.start()
            try:
                self._server.wait_ready()
                return
            except ServerDied as gone:
                self._must_have_killed_itself(gone)

    # The stations

    def _say(self, number: int) -> None:
        protocol, action, _ = SAID[number]
        if protocol not in self._sockets:
            url = f"{self._server.stations_url}/{protocol}"
            subprotocols = [websockets.Subprotocol(protocol)]
            talking = connect(url, subprotocols=subprotocols, compression=None, ping_interval=None, close_timeout=1)
            self._sockets[protocol] = self._open.enter_context(talking)
            assert self._call(protocol, "BootNotification", BOOTS[protocol])["status"] == "Accepted"
        answer = self._call(protocol, action, with_its_number(number, self._wire_id))
        if action == "StartTransaction":
            self._wire_id = answer["transactionId"]

    def _call(self, protocol: str, action: str, payload: dict[str, Any]) -> Any:
        """The answer to a message; whatever the server asks meanwhile is refused."""
        socket, id = self._sockets[protocol], f"{next(self._ids)}"
        socket.send(json.dumps([2, id, action, payload]))
        while True:
            frame = json.loads(socket.recv(timeout=ANSWER_S))
            if frame[0] == 2:
                socket.send(json.dumps([4, frame[1], "NotSupported", "", {}]))
            elif frame[1] == id:
                assert frame[0] == 3, f"{action}: {frame}"
                return frame[2]

    # What came of it

    def _settled(self, bills: int, issued: int) -> None:
        """Wait until there are so many bills, and the backend has so many of them."""
        end = time.monotonic() + FOLLOWS_S
        while True:
            found = self._api.all_bills()
            numbers = [bill["number"] for bill in found if bill["number"]]
            if (len(found), len(numbers)) == (bills, issued) and self._delivered(found) == issued:
                return
            assert time.monotonic() < end, f"{bills} bills, {issued} of them delivered, never came: {found}"
            time.sleep(0.02)

    def _delivered(self, bills: list[Any]) -> int:
        told = [self._api.expect(200, "GET", f"/api/v1/bills/{bill['id']}") for bill in bills if bill["number"]]
        return sum(one["state"] == "delivered" for bill in told for one in bill["deliveries"])

    def _conclusions(self) -> dict[str, Any]:
        rows = [row for station in (V201, V16) for row in self._api.all_transactions(station)]
        transactions = [self._api.expect(200, "GET", f"/api/v1/transactions/{row['id']}") for row in rows]
        bills = self._api.all_bills()
        books = arrived(self._server.folder)
        shown = ("station", "station_transaction", "completeness", "energy_wh", "review")
        return {
            "transactions": sorted(
                str([*(row[name] for name in shown), [event_key(event) for event in row["events"]]])
                for row in transactions
            ),
            "bills": sorted(str([bill[name] for name in ("station", "number", "status", "total")]) for bill in bills),
            "books": sorted((key, *totals) for key, totals in books.items()),
            "faults": [*faults(bills, books), *verify(self._server.folder / "csms.sqlite"), *self._server.troubles],
        }

    @property
    def passed(self) -> list[str]:
        """The points that the last life of the server has passed."""
        return (self._server.folder / PASSED).read_text().splitlines()


def torture(this: Run, report: Report) -> None:
    """The clean run, then one for each point."""
    clean = Story(this.folder / "clean")
    wanted = clean.tell()
    for fault in wanted["faults"]:
        report.fault(f"nobody killed the server: {fault}")
    points, chance = clean.passed, this.random("points")
    report.expect(len(points) > 3 * len(SAID), f"only {len(points)} points: {points}")
    chosen = points if this.size >= len(points) else sorted(chance.sample(points, this.size), key=points.index)
    killed = 0
    for count, point in enumerate(chosen, 1):
        kills = (point, _second(points, chance)) if this.long else (point,)
        story = Story(this.folder / f"{count}", kills)
        try:
            found = story.tell()
        except AssertionError as wrong:
            report.fault(f"killed at {', '.join(kills)}: {wrong}")
            continue
        report.expect(found == wanted, f"killed at {', '.join(kills)}: {found}\ninstead of {wanted}")
        killed += story.killed
        if count % 10 == 0:
            this.say(f"{count} of {len(chosen)} points, {killed} kills, {len(report.faults)} faults")
    report.expect(2 * killed > len(chosen), f"the server ended itself only {killed} times")
    report.figures |= {"points in a clean run": len(points), "points tried": len(chosen), "kills": killed}


def _second(points: list[str], chance: random.Random) -> str:
    return chance.choice(points[:SECOND_KILLS])


if __name__ == "__main__":
    main("killed_steps", __doc__ or "", "points", (12, 10_000), torture)
