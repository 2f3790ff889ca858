"""Checks rule files without a server: every mistake in them, and what is likely not meant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from csms_plugins.flow.files import Document, document_of
from csms_plugins.flow.lints import Finding, lint
from csms_plugins.flow.loader import RuleSet, load, rule_files

from csms.api import Problem, SiteFileError, Workbench

OFF = {"enabled": False}


def check_site(bench: Workbench, site_file: Path | None) -> list[Finding]:
    """Every mistake and warning in the rules of a site, and the mistakes of its site file."""
    try:
        plugin = bench.plugin(site_file, "flow_rules", OFF)
    except SiteFileError as wrong:
        return _errors(wrong.problems)
    scopes = plugin.engine.scopes
    files = rule_files(plugin.csms.folder, plugin.settings.files, scopes)
    return _found(plugin, files, plugin.settings.presets)


def check_files(bench: Workbench, site_file: Path | None, files: Sequence[Path]) -> list[Finding]:
    """As ``check_site``, for these files in place of the site's own."""
    try:
        plugin = bench.plugin(site_file, "flow_rules", OFF)
    except SiteFileError as wrong:
        return _errors(wrong.problems)
    return _found(plugin, [(file.resolve(), "") for file in files], ())


def _found(plugin: Any, files: Sequence[tuple[Path, str]], presets: Sequence[str]) -> list[Finding]:
    unused = _unused(plugin, files)
    found: RuleSet = load(plugin.csms, plugin.engine.scopes, files, (*presets, *unused))
    return _errors(found.mistakes) if found.mistakes else lint(found)


def _unused(plugin: Any, files: Sequence[tuple[Path, str]]) -> list[str]:
    """Presets among the files that none of them uses, and that need no options: they are checked with their defaults."""
    quiet: list[Problem] = []
    documents = [one for path, _ in files if (one := document_of(path, plugin.csms.folder, quiet)) is not None]
    used = {use.get("preset") for one in documents for use in _uses(one)}
    return [one.preset for one in documents if one.preset and one.preset not in used and _complete(one)]


def _uses(document: Document) -> list[dict[str, Any]]:
    listed = document.table.get("use", [])
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _complete(document: Document) -> bool:
    options = document.table["preset"].get("options", {})
    return isinstance(options, dict) and all(isinstance(one, dict) and "default" in one for one in options.values())


def _errors(problems: Sequence[Problem]) -> list[Finding]:
    unique = dict.fromkeys(sorted(problems, key=lambda one: (one.file, one.line, one.column)))
    return [Finding("error", "mistake", one) for one in unique]
