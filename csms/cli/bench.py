"""``csms bench``: puts the load of many stations on a server and says what it could do. Needs the extra ``bench`` (picows)."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from typing import Any

import click

from csms.bench.words import SCENARIOS

NO_CLIENT = "csms bench needs the compiled WebSocket client picows, which is not installed: pip install 'csms[bench]'"


@click.command()
@click.argument("scenarios", nargs=-1, type=click.Choice(SCENARIOS))
@click.option("--url", default="ws://127.0.0.1:9000/ocpp", show_default=True, help="where the CSMS listens")
@click.option("--stations", default=300, show_default=True, type=click.IntRange(1, 50_000))
@click.option("--seconds", default=5.0, show_default=True, help="for each scenario, warm-up included")
@click.option("--warm-up", default=0.5, show_default=True, help="so many of them are not counted")
@click.option("--prefix", default="BENCH-", show_default=True, help="what the stations' identities begin with")
@click.option("--password", default="", help="the password of every station")
@click.option("--trust", default="", help="a file with the certificate to trust, for wss:")
@click.option("--at-once", default=50, show_default=True, help="so many stations connect at the same time")
@click.option("--connect-only", is_flag=True, help="connect and boot, say nothing more")
@click.option("--storm", is_flag=True, help="at the end cut everybody off and let all come back at once")
@click.option("--pid", default=0, help="the server's process on this machine: its processor time and memory are told")
@click.option("--core", type=int, help="run on this processor core only")
@click.option("--echo", is_flag=True, hidden=True, help="the server sends each frame back")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def bench(
    scenarios: tuple[str, ...],
    seconds: float,
    warm_up: float,
    storm: bool,
    connect_only: bool,
    pid: int,
    core: int | None,
    as_json: bool,
    **fleet: Any,
) -> None:
    """Measure a server with simulated stations (default: the mix of messages of charging stations).

    For test servers: it makes stations, transactions and meter values. The site file must let the stations in, as unknown = "accept" does.
    """
    if seconds <= warm_up:
        raise click.ClickException("--seconds must be more than --warm-up, which is not counted")
    try:
        from csms.bench.load import Fleet, Load, NotLetIn
    except ImportError:
        raise click.ClickException(NO_CLIENT) from None
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    chosen = () if connect_only else scenarios or ("mix",)
    load = Load(Fleet(**fleet), pid)
    try:
        told = asyncio.run(load.run(chosen, seconds=seconds, warm_up=warm_up, storm=storm))
    except NotLetIn as waiting:
        raise click.ClickException(str(waiting)) from None
    except Exception as fault:
        raise click.ClickException(f"the load on {fleet['url']} ended: {type(fault).__name__}: {fault}") from None
    click.echo(json.dumps(told) if as_json else "\n".join(lines(told)))
    if told["errors"]:
        raise click.exceptions.Exit(1)


def lines(told: Mapping[str, Any]) -> list[str]:
    """The figures for people."""
    stations: int = told["stations"]
    before, after = told["resident_kib"]
    found = [
        f"{stations} stations: connected in {told['connecting_s']:.1f} s, booted in {told['booting_s']:.1f} s more"
        + (f", {(after - before) / stations:.1f} KiB each" if after else "")
        + (f"; {told['waiting']} of them have to wait" if told["waiting"] else "")
    ]
    for name, one in told["figures"].items():
        cpu = f", server {one['cpu_us']:.0f} us of CPU a message" if one["cpu_us"] else ""
        found.append(f"{name}: {one['rate']:,.0f}/s, p50 {one['p50_ms']:.1f} ms, p99 {one['p99_ms']:.1f} ms{cpu}")
    if "storm" in told:
        storm = told["storm"]
        found.append(
            f"all back at once: connected in {storm['connected_s']:.1f} s, booted after {storm['booted_s']:.1f} s"
        )
    if told["errors"]:
        found.append(f"{told['errors']} messages were answered wrongly, the first: {told['first_errors'][0]}")
    return found
