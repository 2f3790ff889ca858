"""The canaries of the whole run find what they are there to find."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from canaries import files_under

from csms.blocks.credentials import generate_password


def test_keys_and_tokens_are_found_in_text_files_and_behind_a_prefix(
    pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    canaries = pytestconfig.pluginmanager.get_plugin("canaries")
    for secret in (generate_password(), secrets.token_urlsafe(32)):
        assert canaries.found_in(f"password={secret}\n".encode()) == {secret.encode()}
        assert canaries.found_in(f"csms_{secret}".encode()) == {secret.encode()}
    assert not canaries.found_in(b"nothing but words " + b"x" * 40)
    for name in ("csms.sqlite", "csms.sqlite-wal", "sim-CS1.key", "site.toml"):
        (tmp_path / name).touch()
    assert {file.name for file in files_under(tmp_path)} == {"csms.sqlite", "csms.sqlite-wal"}
