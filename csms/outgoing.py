"""How the CSMS itself reaches out: every connection that it makes of its own begins here."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.client import Agent, HTTPConnectionPool, _HTTP11ClientFactory
from twisted.web.iweb import IAgent

CONNECT_S = 10.0


class QuietFactory(_HTTP11ClientFactory):
    """As Twisted's, without two lines in the log for each request."""

    noisy = False


def http_agent(reactor: Any) -> IAgent:
    """An agent that checks certificates and follows no redirects."""
    pool = HTTPConnectionPool(reactor, persistent=False)  # type: ignore[no-untyped-call]
    pool._factory = QuietFactory
    agent: IAgent = Agent(reactor, connectTimeout=CONNECT_S, pool=pool)  # type: ignore[no-untyped-call]
    return agent


def dialled(reactor: Any, description: str) -> IStreamClientEndpoint:
    """The endpoint of a description such as ``tcp:host=mail.example.org:port=587``."""
    endpoint: IStreamClientEndpoint = clientFromString(reactor, description)  # type: ignore[no-untyped-call]
    return endpoint
