"""The site file for beginners, and the schema of site files for editors."""

from __future__ import annotations

import os
import secrets
from importlib.resources import files
from pathlib import Path
from typing import Any

from csms.model.sites import DAYS
from csms.settings import (
    TABLES,
    ChannelSettings,
)
from csms.settings_reader import adapter


def starter() -> str:
    """The text of a new site file, with fresh secrets."""
    text = (files("csms_rules") / "site.toml").read_text(encoding="utf-8")
    while "@SECRET@" in text:
        text = text.replace("@SECRET@", secrets.token_urlsafe(32), 1)
    return text


def write_starter(path: Path) -> None:
    """Write a new site file that only its owner can read; FileExistsError if there is one."""
    text = starter()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def site_schema() -> dict[str, Any]:
    """A JSON Schema of the site file, for editors; plugins' own tables are open."""
    tables = {name: adapter(kind).json_schema() for name, kind in TABLES.items()}
    parts = {name: part for table in tables.values() for name, part in table.pop("$defs", {}).items()}
    tables["plugins"]["additionalProperties"] = {"type": "object"}
    channel = adapter(ChannelSettings).json_schema()
    tables["notify"] = {"type": "object", "additionalProperties": {**channel, "additionalProperties": True}}
    window = {
        "type": "object",
        "properties": {
            "from": {"type": "string"},
            "to": {"type": "string"},
            "days": {"type": "array", "items": {"enum": list(DAYS)}},
            "tz": {"type": "string"},
        },
        "required": ["from", "to"],
        "additionalProperties": False,
    }
    tables["window"] = {"type": "object", "additionalProperties": window}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "csms site file",
        "type": "object",
        "properties": tables,
        "$defs": parts,
        "additionalProperties": False,
    }
