"""Hold a running server against its own OpenAPI document with schemathesis: ``python tests/end_to_end/api_contract.py [--max-examples N]``.

Every check is on but one: a document cannot say which characters can be printed, or that somebody new needs a password, so a request that
fits the document may still be refused. Ends with 1 if anything was found, or if the server's log has a traceback.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from server_process import HOST, ServerProcess, csms_bin

EXCLUDED = "positive_data_acceptance"


def main(words: list[str]) -> int:
    """The exit code."""
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(Path(folder))
        server.start()
        try:
            server.wait_ready()
            subprocess.run(
                [csms_bin() / "csms", "sim", "--url", server.stations_url, "--station", "SIM1"], timeout=60, check=False
            )
            command = [
                Path(sys.executable).parent / "schemathesis",
                "run",
                f"http://{HOST}:{server.api_port}/api/v1/openapi.json",
                "--header",
                f"Authorization: Bearer {server.token}",
                "--exclude-checks",
                EXCLUDED,
                "--request-timeout",
                "10",
                *(words or ["--max-examples", "30"]),
            ]
            found = subprocess.run(command, timeout=1800, check=False).returncode
        finally:
            server.terminate()
        for trouble in server.troubles:
            print(f"the server's log has: {trouble}")
        return 1 if found or server.troubles else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
