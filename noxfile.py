"""What CI and contributors run, one session each (``nox -l`` lists them); plain ``nox`` runs those with a star."""

from __future__ import annotations

from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests", "wheel"]
nox.options.reuse_existing_virtualenvs = True

ROOT = Path(__file__).parent
RUFF = "ruff==0.17.*"
MYPY = ("mypy==2.4.*", "mypy-zope==1.*")
INSTALLED_AS = {"csms": "csms", "csms_plugins": "plugins", "csms_rules": "rules"}


@nox.session
def lint(session: nox.Session) -> None:
    """Rules and layout, of everything."""
    session.install(RUFF)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict, of the server and its plugins.

    ``plugins/`` is imported as ``csms_plugins``, so mypy reads a folder of links that have the names of the installed packages.
    """
    session.install(".[test]", *MYPY)
    links = Path(session.create_tmp()).resolve() / "links"
    links.mkdir(exist_ok=True)
    for name, folder in INSTALLED_AS.items():
        link = links / name
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT / folder, target_is_directory=True)
    session.run("mypy", "-p", "csms", "-p", "csms_plugins", env={"MYPYPATH": str(links)})


@nox.session
def tests(session: nox.Session) -> None:
    """The README's test command; what stands behind ``--`` goes to pytest."""
    session.install(".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """What the tests leave out where a fault costs most: at least 95 % of lines and branches of each of these parts is run."""
    session.install(".[test]")
    session.run("python", "tests/covered.py")


@nox.session
def mutants(session: nox.Session) -> None:
    """mutmut changes RPC, transactions, authorization and rules, a bit at a time: the tests notice 85 % of each part; ``-- rpc`` for one."""
    session.install(".[test]", "mutmut>=3.8,<4")
    session.run("python", "tests/mutants.py", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it into a fresh environment, and start the server from there in every way there is."""
    session.install("build", "pytest>=8.3", "ocpp>=2.1", "websockets>=13")
    work = Path(session.create_tmp()).resolve()
    for old in (work / "dist").glob("*.whl"):
        old.unlink()
    session.run("python", "-m", "build", "--wheel", "--outdir", str(work / "dist"), str(ROOT))
    (built,) = (work / "dist").glob("*.whl")
    session.run("python", "-m", "venv", "--clear", str(work / "venv"))
    programs = work / "venv" / "bin"
    session.run(str(programs / "python"), "-m", "pip", "install", "-q", str(built), external=True)
    session.run(
        "python", "-m", "pytest", "tests/end_to_end/test_starting.py", *session.posargs, env={"CSMS_BIN": str(programs)}
    )


@nox.session
def contract(session: nox.Session) -> None:
    """schemathesis asks a running server everything that the OpenAPI document allows, and much that it does not."""
    session.install(".[test]", "schemathesis>=4,<5")
    session.run("python", "tests/end_to_end/api_contract.py", *session.posargs)


@nox.session
def torture(session: nox.Session) -> None:
    """Every tool that tries to break a promise of docs/reliability.md; ``-- --long`` for the long forms, ``-- kills`` for one alone."""
    session.install(".[test]")
    session.run("python", "tests/torture/everything.py", *session.posargs)


@nox.session
def schedules(session: nox.Session) -> None:
    """100,000 schedules of messages that are lost, doubled, late and out of order; ``-- COUNT SEED`` for others. The seed stands in a failure.

    5,000 at a time, each with the next seed: so the run (an hour and a half of one core) shows how far it is, and a failure is repeated soon.
    """
    session.install(".[test]")
    count, seed = (int(word) for word in (*session.posargs, *("100000", "1")[len(session.posargs) :]))
    for done in range(0, count, 5000):
        words = {"CSMS_SCHEDULES": str(min(5000, count - done)), "CSMS_SEED": str(seed + done // 5000)}
        session.run("python", "-m", "pytest", "-q", "tests/blocks/test_schedules.py", env=words)


@nox.session
def tls(session: nox.Session) -> None:
    """sslyze, in an environment of its own (AGPL: a program that is started, never a dependency), scans a running server's TLS."""
    session.install(".[test]")
    tools = Path(session.create_tmp()).resolve() / "sslyze"
    session.run("python", "-m", "venv", str(tools))
    session.run(str(tools / "bin" / "pip"), "install", "-q", "sslyze==6.*", external=True)
    session.run("python", "tests/end_to_end/tls_scan.py", env={"SSLYZE": str(tools / "bin" / "sslyze")})


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmark, side by side with its references; what stands behind ``--`` goes to it."""
    session.install(".[bench]")
    session.run("python", "benchmarks/run.py", *session.posargs)


@nox.session
def growth(session: nox.Session) -> None:
    """How the server grows with stations, rules and plugins, and everybody back at once; ``-- --quick`` for a short look."""
    session.install(".[bench]")
    session.run("python", "benchmarks/growth.py", *session.posargs)


@nox.session
def full(session: nox.Session) -> None:
    """Start, pages, commands and retention with none, one million and ten million messages in the database (10 GB of disk)."""
    session.install(".[bench]")
    session.run("python", "benchmarks/full.py", *session.posargs)


@nox.session
def handshakes(session: nox.Session) -> None:
    """What it costs to let a station in and to keep it, plain and over TLS, and everybody back at once."""
    session.install(".[bench]")
    session.run("python", "benchmarks/handshakes.py", *session.posargs)
