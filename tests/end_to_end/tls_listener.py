"""A listener for stations over TLS, and the certificates that ``csms ca init`` makes for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from server_process import HOST, ServerProcess, csms_bin, free_ports

LISTENER = """
[[server.listeners]]
listen = "tcp:{port}:interface=127.0.0.1"
profiles = [2]

[tls]
certificates = [ {{ chain = "tls/server-{kind}.pem", key = "tls/server-{kind}.key" }} ]
"""
TRUST = "tls/stations-ca.pem"
"""What stations have to trust, from the server's folder."""


def certificates(folder: Path) -> None:
    """Let the operator's command make them, in ``tls`` below the folder."""
    subprocess.run([csms_bin() / "csms", "ca", "init", HOST], cwd=folder, check=True, capture_output=True, timeout=60)


def listen_with_tls(server: ServerProcess, kind: str = "ecdsa") -> int:
    """Give a server that is not started yet one more listener, for stations with a password (security profile 2); its port."""
    certificates(server.folder)
    (port,) = free_ports(1)
    server.site_file.write_text(server.site_file.read_text() + LISTENER.format(port=port, kind=kind))
    return port
