"""Channels of kind ``mqtt``: each notification is a JSON message to a broker, by Eclipse Paho in a thread of its own."""

from __future__ import annotations

import json
import re
import ssl
import threading
from dataclasses import dataclass, field
from typing import Any, Literal

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from twisted.internet.threads import deferToThread

from csms.api import ChannelRegistry, ChannelSettings, Csms, DeliveryFailed, Notification, hookimpl

PLAIN_PORT, TLS_PORT = 1883, 8883
KEEPALIVE_S = 60
FIELDS = ("station", "site", "level", "channel")


@dataclass(frozen=True, kw_only=True)
class MqttSettings(ChannelSettings):
    """``topic`` may have ``{station}``, ``{site}``, ``{level}`` and ``{channel}``; ``port`` 0 is 1883, or 8883 with ``tls``."""

    host: str
    port: int = 0
    topic: str = "csms/notifications"
    qos: Literal[0, 1, 2] = 1
    retain: bool = False
    tls: bool = False
    ca_file: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    client_id: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError in plain words."""
        if not re.fullmatch(r"[A-Za-z0-9.:_-]+", self.host, re.ASCII):
            raise ValueError("host is the name or address of a broker")
        if not 0 <= self.port < 65536:
            raise ValueError("port is 1 to 65535")
        bare = re.sub(r"\{(" + "|".join(FIELDS) + r")\}", "x", self.topic)
        if not bare or re.search(r"[{}#+\0]", bare):
            raise ValueError("topic has no wildcards, and in braces one of: " + ", ".join(FIELDS))
        if self.password and not self.username:
            raise ValueError("password goes with username")
        if self.ca_file and not self.tls:
            raise ValueError("ca_file goes with tls = true")


class NotifyMqtt:
    """Offers the kind ``mqtt``."""

    def __init__(self, settings: None, csms: Csms) -> None:
        self._csms = csms

    @hookimpl
    def register_channels(self, register: ChannelRegistry) -> None:
        """``[notify.<name>] kind = "mqtt"``."""
        register("mqtt", MqttSettings, lambda name, settings: MqttChannel(settings, self._csms))


class MqttChannel:
    """One broker. Paho's thread keeps the connection; a try waits for the broker's acknowledgement in a thread of the pool."""

    def __init__(self, settings: MqttSettings, csms: Csms) -> None:
        self._settings = settings
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=settings.client_id)
        self._began = False
        self._connected = threading.Event()
        self._why = "no answer"
        if settings.username:
            self._client.username_pw_set(settings.username, settings.password or None)
        if settings.tls:
            self._client.tls_set_context(_tls(str(csms.folder / settings.ca_file) if settings.ca_file else None))
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.reconnect_delay_set(1, 30)

    async def deliver(self, notification: Notification) -> None:
        """Publish once; with ``qos`` 1 or 2 the broker's acknowledgement is waited for."""
        await deferToThread(self._publish, self._topic(notification), _payload(notification))

    def _topic(self, notification: Notification) -> str:
        topic = self._settings.topic
        for name in FIELDS:
            topic = topic.replace(f"{{{name}}}", re.sub(r"[/#+\0]", "_", getattr(notification, name)) or "-")
        return topic

    # In a thread of the pool

    def _publish(self, topic: str, payload: bytes) -> None:
        seconds = self._settings.timeout.total_seconds() * 0.45
        self._begin()
        if not self._connected.wait(seconds):
            raise DeliveryFailed(f"{self._settings.host}: not connected: {self._why}")
        told = self._client.publish(topic, payload, qos=self._settings.qos, retain=self._settings.retain)
        try:
            told.wait_for_publish(seconds)
        except (ValueError, RuntimeError) as fault:
            raise DeliveryFailed(f"{self._settings.host}: {fault}") from None
        if not told.is_published():
            raise DeliveryFailed(f"{self._settings.host} did not acknowledge the message")

    def _begin(self) -> None:
        """Connect at the first need; from then on Paho's thread connects again whenever it must."""
        if self._began:
            return
        self._began = True
        settings = self._settings
        port = settings.port or (TLS_PORT if settings.tls else PLAIN_PORT)
        self._client.on_connect_fail = self._on_connect_fail
        self._client.connect_async(settings.host, port, KEEPALIVE_S)
        self._client.loop_start()

    # In Paho's thread

    def _on_connect(self, client: Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._why = str(reason)
        else:
            self._connected.set()

    def _on_disconnect(self, client: Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._connected.clear()
        if reason.is_failure:
            self._why = str(reason)

    def _on_connect_fail(self, client: Client, data: Any) -> None:
        self._why = "the broker cannot be reached"

    async def close(self) -> None:
        """Say goodbye to the broker and end the thread."""
        if self._began:
            await deferToThread(self._end)

    def _end(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def _payload(notification: Notification) -> bytes:
    return json.dumps(notification.plain(), ensure_ascii=False).encode()


def _tls(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as fault:
        raise ValueError(f"ca_file {ca_file} cannot be read: {fault}") from None
