"""The CSMS's own list of tokens from a terminal, over the API: ``csms tag``."""

from __future__ import annotations

import csv
import json
from typing import Any

import click

from csms.cli.client import Api, over_api, segment
from csms.cli.show import one, plain, rows


@click.group()
def tag() -> None:
    """Tokens that may charge: add, import, list."""


@tag.command("add")
@click.argument("value")
@click.option("--type", "kind", default="ISO14443", show_default=True)
@click.option("--status", default="Accepted", show_default=True, type=click.Choice(["Accepted", "Blocked"]))
@click.option("--group", help="the token's group")
@click.option("--expires", help="such as 2027-01-31T00:00:00+01:00")
@click.option("--note", default="")
@over_api
def tag_add(
    api: Api, as_json: bool, value: str, kind: str, status: str, group: str | None, expires: str | None, note: str
) -> None:
    """Add a token, or change one."""
    found = _put_token(api, value, kind, status, group, expires, note)
    if as_json:
        one(found, as_json=True)
        return
    click.echo(f"{plain(value)} ({kind}): {status}")


def _put_token(
    api: Api, value: str, kind: str, status: str, group: str | None, expires: str | None, note: str
) -> dict[str, Any]:
    if not value.strip():
        raise click.UsageError("a token has at least one character")
    body = {
        "status": status,
        "group": {"value": group, "type": "Central"} if group else None,
        "expires": expires or None,
        "note": note,
    }
    found: dict[str, Any] = api.ask("PUT", f"/api/v1/tokens/{segment(kind)}/{segment(value)}", body)
    return found


@tag.command("import")
@click.argument("file", type=click.File("rb"))
@over_api
def tag_import(api: Api, as_json: bool, file: Any) -> None:
    """Add tokens from a CSV file with a header: value,type,status,group,expires,note (only value is needed)."""
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise click.ClickException(f"{file.name} is not UTF-8 text: save it as UTF-8") from None
    reader = csv.DictReader(text.splitlines(keepends=True))
    if "value" not in (reader.fieldnames or []):
        raise click.UsageError("the first line has to name the columns: value,type,status,group,expires,note")
    added = 0
    for row in reader:
        if not (row["value"] or "").strip():
            raise click.ClickException(f"line {reader.line_num}: no value; {added} tokens were added before it")
        try:
            _put_token(
                api,
                row["value"].strip(),
                row.get("type") or "ISO14443",
                row.get("status") or "Accepted",
                row.get("group"),
                row.get("expires"),
                row.get("note") or "",
            )
        except click.ClickException as refused:
            text = f"line {reader.line_num}: {refused.message}\n{added} tokens were added before it"
            raise click.ClickException(text) from None
        added += 1
    click.echo(json.dumps({"added": added}) if as_json else f"{added} tokens added")


@tag.command("list")
@click.option("--search", default="")
@click.option("--limit", default=1000, show_default=True)
@over_api
def tag_list(api: Api, as_json: bool, search: str, limit: int) -> None:
    """The tokens in the CSMS's own list."""
    columns = {
        "token": "id_token",
        "type": "id_token.type",
        "status": "status",
        "group": "group",
        "expires": "expires",
        "note": "note",
    }
    found = api.items("/tokens", most=limit, search=search)
    rows(found, columns, as_json=as_json, none="No tokens yet. Add one: csms tag add DEMO")
