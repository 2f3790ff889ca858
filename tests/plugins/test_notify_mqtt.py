"""The MQTT channel against a real broker (mosquitto) on the loopback; skipped where there is none."""

from __future__ import annotations

import json
import queue
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from csms_plugins.notify_mqtt import MqttChannel, MqttSettings
from fake_csms import NOON, FakeCsms
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from csms.api import DeliveryFailed, Notification

PROGRAM = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/sbin")
needs_broker = pytest.mark.skipif(PROGRAM is None, reason="no MQTT broker here: apt-get install mosquitto")
TOLD = Notification("msg_1", NOON, "ops", "CS1 is faulted: Grüße", "warn", "", "main", "CS/1#", "rules", {"evse": 1})


class Broker:
    """mosquitto on a free port, with one user if a password is given."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run until it takes connections."""
        assert PROGRAM is not None
        self._process = subprocess.Popen([PROGRAM, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("mosquitto does not start")

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A running broker."""
    made = Broker(tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def heard(broker: Broker) -> Iterator[queue.Queue[Any]]:
    """Everything that is published."""
    found: queue.Queue[Any] = queue.Queue()
    client = Client(CallbackAPIVersion.VERSION2)
    ready: queue.Queue[None] = queue.Queue()
    client.on_message = lambda client, data, message: found.put(message)
    client.on_subscribe = lambda *_: ready.put(None)
    client.connect("127.0.0.1", broker.port)
    client.subscribe("#", qos=1)
    client.loop_start()
    ready.get(timeout=10)
    yield found
    client.disconnect()
    client.loop_stop()


def channel(tmp_path: Path, port: int, **more: Any) -> MqttChannel:
    from datetime import timedelta

    more.setdefault("timeout", timedelta(seconds=10))
    return MqttChannel(MqttSettings(kind="mqtt", host="127.0.0.1", port=port, **more), FakeCsms(tmp_path).csms)


@needs_broker
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest_twisted.ensureDeferred
async def test_a_notification_is_published(tmp_path: Path, broker: Broker, heard: queue.Queue[Any], qos: Any) -> None:
    one = channel(tmp_path, broker.port, topic="depot/{station}/{level}", qos=qos)
    await one.deliver(TOLD)
    message = heard.get(timeout=10)
    assert message.topic == "depot/CS_1_/warn"
    assert json.loads(message.payload) == TOLD.plain()
    await one.close()


@needs_broker
@pytest_twisted.ensureDeferred
async def test_a_broker_that_comes_back_is_found_again(tmp_path: Path, broker: Broker) -> None:
    from datetime import timedelta

    one = channel(tmp_path, broker.port, timeout=timedelta(seconds=8))
    await one.deliver(TOLD)
    broker.stop()
    with pytest.raises(DeliveryFailed):
        await channel(tmp_path, broker.port, timeout=timedelta(seconds=0.5)).deliver(TOLD)
    broker.start()
    await one.deliver(replace(TOLD, id="msg_2"))
    await one.close()


@pytest_twisted.ensureDeferred
async def test_a_broker_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    from datetime import timedelta

    one = channel(tmp_path, 9, timeout=timedelta(seconds=0.5))
    with pytest.raises(DeliveryFailed, match="not connected"):
        await one.deliver(TOLD)
    await one.close()


@pytest_twisted.ensureDeferred
async def test_a_channel_that_was_never_used_is_closed_at_once(tmp_path: Path) -> None:
    await channel(tmp_path, 9).close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"host": ""}, "host is the name"),
        ({"port": 70000}, "port is"),
        ({"topic": "a/#"}, "topic has no wildcards"),
        ({"topic": "a/{stations}"}, "topic has no wildcards"),
        ({"topic": ""}, "topic has no wildcards"),
        ({"password": "x"}, "password goes with username"),
        ({"ca_file": "x"}, "ca_file goes with tls"),
    ],
)
def test_wrong_settings_are_told(change: dict[str, Any], words: str) -> None:
    good = MqttSettings(kind="mqtt", host="localhost")
    with pytest.raises(ValueError, match=words):
        replace(good, **change)


def test_a_file_without_certificates_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ca_file"):
        channel(tmp_path, 9, tls=True, ca_file="none.pem")
