"""The canaries of the whole run find what they are there to find."""

from __future__ import annotations

import secrets
import subprocess
import sys
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


def test_what_a_child_draws_and_prints_is_looked_for(pytestconfig: pytest.Config) -> None:
    canaries = pytestconfig.pluginmanager.get_plugin("canaries")
    words = [sys.executable, "-c", "import secrets; secrets.token_urlsafe(32)"]
    before = set(canaries._children.read_bytes().split())
    subprocess.run(words, check=True, capture_output=True)
    (made,) = set(canaries._children.read_bytes().split()) - before
    assert len(made) == 43


def test_a_tag_is_found_wherever_it_stands(pytestconfig: pytest.Config) -> None:
    canaries = pytestconfig.pluginmanager.get_plugin("canaries")
    canaries.tag("CANARY-0123456789AB")
    assert canaries.tags_in(b"token CANARY-0123456789AB: Accepted") == {b"CANARY-0123456789AB"}
    assert not canaries.tags_in("token …89AB: Accepted".encode())
