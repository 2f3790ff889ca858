"""Findings as SARIF 2.1.0, which code hosts and editors show beside the lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from csms_plugins.flow.lints import LINTS, Finding

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(findings: Sequence[Finding]) -> dict[str, Any]:
    """One run of the checker."""
    rules = [{"id": name, "shortDescription": {"text": str(about.__doc__)}} for name, about in LINTS]
    rules.append({"id": "mistake", "shortDescription": {"text": "A mistake that keeps the rules from being used."}})
    driver = {"name": "csms rules check", "rules": rules}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": list(map(_result, findings))}],
    }


def _result(finding: Finding) -> dict[str, Any]:
    problem = finding.problem
    cure = f" ({problem.cure})" if problem.cure else ""
    key = f"{problem.key}: " if problem.key else ""
    region = {"startLine": problem.line, "startColumn": problem.column}
    location = {"artifactLocation": {"uri": problem.file}, "region": region}
    return {
        "ruleId": finding.lint,
        "level": finding.level,
        "message": {"text": f"{key}{problem.message}{cure}"},
        "locations": [{"physicalLocation": location}],
    }
