"""The HTTP API as the command line sees it: finds its address and token, and turns every refusal into one sentence with a cure."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import click

from csms.config import Site, SiteFileError, load_site

F = TypeVar("F", bound=Callable[..., Any])
ANSWER_S = 70.0


@dataclass(frozen=True, slots=True)
class Api:
    """One server's API: ``base`` such as ``http://127.0.0.1:9001``, and the bearer token."""

    base: str
    token: str

    def ask(
        self, method: str, path: str, body: object = None, *, prefer: str = "", **query: str | Sequence[str]
    ) -> Any:
        """The answer's JSON, None where it has none; click.ClickException with the server's own words for a refusal."""
        text = self.text(method, path, body, prefer=prefer, **query)
        return json.loads(text) if text else None

    def text(
        self, method: str, path: str, body: object = None, *, prefer: str = "", **query: str | Sequence[str]
    ) -> bytes:
        """The answer as it came; click.ClickException with the server's own words for a refusal."""
        with self._open(method, path, body, prefer, query) as answer:
            found: bytes = answer.read()
        return found

    def save(self, path: str, target: Path) -> int:
        """Write what a path gives into a new file; its bytes. Nothing is left of a file that did not come whole."""
        with self._open("GET", path, None, "", {}) as answer:
            try:
                file = target.open("xb")
            except OSError as fault:
                raise click.ClickException(f"{target} cannot be written: {fault.strerror}") from None
            try:
                with file:
                    shutil.copyfileobj(answer, file)
                    return file.tell()
            except (OSError, HTTPException) as fault:
                target.unlink(missing_ok=True)
                raise click.ClickException(f"{target} was not written: {fault}") from None

    def _open(self, method: str, path: str, body: object, prefer: str, query: Mapping[str, str | Sequence[str]]) -> Any:
        given = {name: value for name, value in query.items() if value}
        url = f"{self.base}{path}" + (f"?{urlencode(given, doseq=True)}" if given else "")
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if prefer:
            headers["Prefer"] = prefer
        data = None if body is None else json.dumps(body).encode()
        try:
            return urlopen(Request(url, data, headers, method=method), timeout=ANSWER_S)
        except HTTPError as refused:
            raise click.ClickException(_refusal(refused)) from None
        except (URLError, OSError) as fault:
            why = getattr(fault, "reason", fault)
            raise click.ClickException(f"no csms answers at {self.base} ({why}); start it with: csms run") from None

    def items(self, path: str, *, most: int, **query: str) -> Iterator[dict[str, Any]]:
        """The rows of a list, page after page, at most so many."""
        page = self.ask("GET", f"/api/v1{path}", **{"limit": str(min(most, 1000)), **query})
        while True:
            yield from page["items"][:most]
            most -= len(page["items"])
            if most <= 0 or not page["next"]:
                return
            page = self.ask("GET", page["next"])


def segment(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="")


def api_of(site_file: Path | None, url: str | None, token: str | None) -> Api:
    """The API that a site file speaks of, or the one that was named."""
    path = site_file or (Path("csms.toml") if Path("csms.toml").is_file() else None)
    try:
        site = load_site(path)
    except SiteFileError as wrong:
        raise click.ClickException(str(wrong)) from None
    return Api(url.rstrip("/") if url else _address(site), token or _token(site))


def over_api(command: F) -> F:
    """Options that every command over the API takes; the command is given ``api`` and ``as_json``."""

    @click.option("--site", type=click.Path(path_type=Path), help="the site file (default: csms.toml here)")
    @click.option("--url", help="the API's address, such as http://127.0.0.1:9001")
    @click.option("--token", envvar="CSMS_TOKEN", help="the API's token (default: from the site file or csms.token)")
    @click.option("--json", "as_json", is_flag=True, help="print JSON")
    @wraps(command)
    def wrapped(site: Path | None, url: str | None, token: str | None, **given: Any) -> Any:
        return command(api=api_of(site, url, token), **given)

    return wrapped  # type: ignore[return-value]


def _address(site: Site) -> str:
    kind, *parts = site.api.listen.replace("\\:", "\0").split(":")
    named = dict(part.split("=", 1) for part in parts if "=" in part)
    port = named.get("port") or next((part for part in parts if part.isdigit()), "9001")
    host = named.get("interface", "127.0.0.1").replace("\0", ":")
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host, f"[{host}]" if ":" in host else host)
    if kind not in ("tcp", "tcp6"):
        raise click.ClickException(f"the API listens on {site.api.listen}: name its address with --url")
    return f"http://{host}:{port}"


def _token(site: Site) -> str:
    if site.api.token:
        return site.api.token
    try:
        return site.token_file.read_text().strip()
    except FileNotFoundError:
        raise click.ClickException(
            f"{site.token_file} is not there: run this where the server was started, or give --site or --token"
        ) from None
    except OSError as fault:
        raise click.ClickException(f"{site.token_file} cannot be read: {fault.strerror}") from None


def _refusal(refused: HTTPError) -> str:
    """The server's own words; of a token it does not know, where the right one may be."""
    if refused.code == 401:
        return (
            "the server does not know this token: was it started with another site file, or in another folder? "
            "Name that one with --site, or give --token"
        )
    try:
        problem = json.loads(refused.read())
    except ValueError:
        return f"the API answered {refused.code}"
    said = problem.get("detail") or problem.get("title", f"the API answered {refused.code}")
    more = [
        f"{one.get('pointer') or one.get('parameter', '')}: {one['detail']}"
        for one in problem.get("errors", [])
        if "line" not in one
    ]
    return "\n  ".join([said, *(one for one in more if one != said)])
