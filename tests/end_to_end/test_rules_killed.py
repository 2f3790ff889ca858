"""A server with rules, killed with SIGKILL in the middle of a run: after its restart the run goes on, and nothing is sent twice."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from typing import Any

import websockets
from api_client import Api
from server_process import ServerProcess, csms_bin

RULES = """
[[rule]]
name = "after-boot"
on = "station.booted"
[[rule.do]]
send = "TriggerMessage"
with = { requestedMessage = "Heartbeat" }
[[rule.do]]
wait = "2s"
[[rule.do]]
set = { watched = true }
[[rule.do]]
send = "TriggerMessage"
with = { requestedMessage = "MeterValues" }
offline = "wait 1m"
[[rule.do]]
notify = "log"
text = "{station.id} is watched"
"""
BOOT = {"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M"}}
QUIET_S = 1.5


class Station:
    """A socket that answers the calls it is told to answer, and keeps what was asked."""

    def __init__(self, server: ServerProcess, *, answers: bool = True) -> None:
        self._url = f"{server.stations_url}/CS1"
        self._answers = answers
        self.asked: list[str] = []

    async def talk(self, *, boot: bool, seconds: float, until: int = 99) -> None:
        """Connect, boot if wanted, and listen for so long or until so many calls have come."""
        async with websockets.connect(self._url, subprotocols=[websockets.Subprotocol("ocpp2.0.1")]) as socket:
            if boot:
                await socket.send(json.dumps([2, "b1", "BootNotification", BOOT]))
            end = time.monotonic() + seconds
            while len(self.asked) < until and (left := end - time.monotonic()) > 0:
                try:
                    message: list[Any] = json.loads(await asyncio.wait_for(socket.recv(), left))
                except (TimeoutError, websockets.ConnectionClosed):
                    return
                if message[0] == 2 and message[2] == "TriggerMessage":
                    self.asked.append(message[3]["requestedMessage"])
                    if self._answers:
                        await socket.send(json.dumps([3, message[1], {"status": "Accepted"}]))


def begun(server: ServerProcess) -> None:
    folder = server.folder / "rules"
    folder.mkdir()
    (folder / "boot.toml").write_text(RULES)
    server.terminate()
    server.start()
    server.wait_ready()


def waiting(server: ServerProcess) -> None:
    """The run is at its wait, and the disk has it: writes are made in their order."""
    rule = "/plugins/flow_rules/rules/after-boot"
    Api(server).until(rule, lambda told: [one["doing"] for one in told["runs"]] == ["wait wait"])
    Api(server).put_token("LATER", "Accepted")


def again(server: ServerProcess) -> None:
    server.kill()
    server.start()
    server.wait_ready()


def explained(server: ServerProcess) -> str:
    command = [str(csms_bin() / "csms"), "rules", "explain", "--station", "CS1", "--site", str(server.site_file)]
    return subprocess.run(command, cwd=server.folder, capture_output=True, text=True, timeout=60, check=True).stdout


def test_a_run_that_waits_goes_on_after_a_kill(own: ServerProcess) -> None:
    begun(own)
    station = Station(own)
    asyncio.run(station.talk(boot=True, seconds=5, until=1))
    assert station.asked == ["Heartbeat"]
    waiting(own)
    again(own)
    asyncio.run(station.talk(boot=False, seconds=2 + QUIET_S))
    again(own)
    asyncio.run(station.talk(boot=False, seconds=QUIET_S))
    assert station.asked == ["Heartbeat", "MeterValues"]
    assert own.log.count("CS1 is watched") == 1
    said = explained(own)
    assert "the server was started again" in said
    assert "set: watched = true" in said


def test_a_command_that_was_cut_off_is_uncertain_and_never_sent_again(own: ServerProcess) -> None:
    begun(own)
    station = Station(own, answers=False)
    asyncio.run(station.talk(boot=True, seconds=5, until=1))
    again(own)
    asyncio.run(station.talk(boot=False, seconds=QUIET_S))
    assert station.asked == ["Heartbeat"]
    assert "rule after-boot ended early: send: uncertain" in own.log
    assert "uncertain" in explained(own)


TRIED = """
[[test]]
name = "boots"
given.stations = [{ id = "CS1" }]
steps = [{ at = "1s", expect_none = true }]
"""
QUIET = '[[rule]]\nname = "quiet"\non = "station.lost"\n[[rule.do]]\nlog = "x"\n'


def test_rules_are_checked_tested_and_replayed_over_the_api_by_operators(own: ServerProcess) -> None:
    begun(own)
    api = Api(own)
    asyncio.run(Station(own).talk(boot=True, seconds=5, until=1))
    door = "/plugins/flow_rules/rules"
    assert api.request("POST", f"{door}/check", {}).body == {"mistakes": [], "warnings": []}
    [mistake] = api.request("POST", f"{door}/check", {"text": RULES.replace("station.booted", "station.boted")}).body[
        "mistakes"
    ]
    assert (mistake["file"], mistake["line"], mistake["cure"]) == ("text.toml", 4, "did you mean station.booted?")
    tested = api.request("POST", f"{door}/test", {"text": TRIED + QUIET})
    assert (tested.body["passed"], [one["name"] for one in tested.body["tests"]]) == (1, ["boots"]), tested.text
    replayed = api.request("POST", f"{door}/replay", {"last": "1h", "rules": QUIET})
    assert replayed.body["rules"]["orders"]["TriggerMessage"]["stations"] == 1, replayed.text
    assert replayed.body["new"]["orders"] == {}
    none = api.request("POST", f"{door}/test", {})
    assert (none.status, none.body["title"]) == (400, "no files with tests: name them, or put them into tests/rules/")
    key = api.request("POST", "/api/v1/keys", {"name": "looker", "role": "viewer"}).body["token"]
    for path in ("check", "test", "replay"):
        assert api.request("POST", f"{door}/{path}", {}, token=key).status == 403
    assert api.request("GET", door, token=key).status == 200


def test_the_safe_mode_reads_and_runs_no_rule(own: ServerProcess) -> None:
    begun(own)
    (own.folder / "rules" / "boot.toml").write_text("this is no TOML")
    own.terminate()
    own._starter = ("csms", "run", "site.toml", "--rules", "off")
    own.start()
    own.wait_ready()
    station = Station(own)
    asyncio.run(station.talk(boot=True, seconds=QUIET_S))
    assert station.asked == []
    assert "flow rules are off" in own.log
