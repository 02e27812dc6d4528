"""`aftercall flows …`: voice menus as text, from a shell. Decides nothing about menus (`ivr`).

Exit status: 0 done, 1 a fault, a scenario that failed or a part nobody tested, 2 wrong usage.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from core.hours.model import PublicDays
    from ivr.flow.model import Flow
    from ivr.nodes.form import Known
    from ivr.rehearsal.read import Cases
    from ivr.rehearsal.suite import Suite

flows = typer.Typer(help="Voice menus: checked, tested, tried by hand, drawn.", no_args_is_help=True)
Files = Annotated[list[Path] | None, typer.Argument(help="flows (YAML); none = the sample flows")]
File = Annotated[Path, typer.Argument(help="a flow (YAML)")]


def _samples(files: list[Path] | None) -> list[Path]:
    from ivr.catalogue import SAMPLE
    from ivr.check import CASES

    return files or [file for file in sorted(SAMPLE.parent.glob("*.yaml")) if not file.name.endswith(CASES)]


def _read(file: Path) -> bytes:
    from ivr.tree import MAX_BYTES

    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from error


def _flow(file: Path) -> Flow:
    """Prints every fault and ends with 1 when there is any that keeps it from being published."""
    from ivr.check import flows_beside, known_here
    from ivr.loader import FlowRefused, load
    from ivr.nodes.form import Known

    try:
        return load(_read(file), str(file), known_here(known=Known(flow=flows_beside(file.parent))))
    except FlowRefused as refused:
        for issue in refused.issues:
            print(issue)
        raise typer.Exit(1) from None


def _known_in(home: Path | None) -> Known:
    from core.settings import load_settings
    from ivr.nodes.form import Known

    if home is None:
        return Known()
    settings = load_settings(home / "aftercall.toml")
    return Known(queues=frozenset(settings.queues), hooks=frozenset(settings.webhooks))


def _holidays(country: str) -> PublicDays:
    from core.hours.public_days import public_days

    this_year = datetime.now().astimezone().year
    return public_days(country, [this_year - 1, this_year, this_year + 1])


def _cases(file: Path) -> Cases | None:
    """What stands beside the flow; None = nothing does. Prints every fault, and ends with 1 when there is any."""
    from ivr.check import CASES
    from ivr.rehearsal.read import read_cases

    beside = file.with_name(file.name.removesuffix(".yaml") + CASES)
    if not beside.exists():
        return None
    cases = read_cases(_read(beside), str(beside), _holidays)
    for issue in cases.issues:
        print(issue)
    if cases.issues:
        raise typer.Exit(1)
    return cases


@flows.command()
def check(
    files: Files = None,
    home: Annotated[
        Path | None, typer.Option(help="also check queues and webhooks against this home's settings")
    ] = None,
) -> None:
    """Read flows, and the scenarios beside them, as the product would; one line for each fault, exit 1 when there is any."""
    from ivr.check import CASES, check_text, flows_beside
    from ivr.rehearsal.read import read_cases

    known = _known_in(home)
    faults = 0
    for file in _samples(files):
        if file.name.endswith(CASES):
            issues = list(read_cases(_read(file), str(file), _holidays).issues)
        else:
            issues = check_text(_read(file), str(file), replace(known, flow=flows_beside(file.parent)))
            beside = file.with_name(file.name.removesuffix(".yaml") + CASES)
            if beside.exists():
                issues += read_cases(_read(beside), str(beside), _holidays).issues
        errors = sum(issue.severity == "error" for issue in issues)
        faults += errors
        for issue in issues:
            print(issue)
        if not errors:
            print(f"{file}: good")
    raise typer.Exit(1 if faults else 0)


@flows.command()
def test(
    files: Files = None,
    mutants: Annotated[bool, typer.Option(help="also make small mistakes and see whether a scenario notices")] = False,
    partly: Annotated[bool, typer.Option(help="do not mind nodes and exits that no scenario passes")] = False,
) -> None:
    """Play the scenarios beside flows; what differs, what was covered; exit 1 unless all is well."""
    from ivr.cel import Expressions
    from ivr.rehearsal.suite import run, survivors

    bad = False
    evaluate = Expressions().evaluate
    for file in _samples(files):
        flow, cases = _flow(file), _cases(file)
        if cases is None:
            print(f"{file}: no scenarios beside it")
            bad = True
            continue
        suite = run(flow, cases.scenarios, evaluate)
        for line in _told(file, suite):
            print(line)
        unnoticed = survivors(flow, suite, evaluate) if mutants and not suite.failed else []
        for mutant in unnoticed:
            print(f"  nobody notices at node '{mutant.node}': {mutant.what}")
        bad = bad or bool(suite.failed or unnoticed or not (partly or suite.coverage.whole))
    raise typer.Exit(1 if bad else 0)


def _told(file: Path, suite: Suite) -> Iterator[str]:
    from ivr.check import CASES

    beside = file.name.removesuffix(".yaml") + CASES
    for result in suite.failed:
        yield f"FAILED: {result.scenario.name}"
        for failure in result.failures:
            first, *rest = failure.lines()
            yield f"  {beside}:{failure.line}: {first}"
            yield from (f"  {line}" for line in rest)
    passed = len(suite.results) - len(suite.failed)
    yield f"{file}: {passed} of {len(suite.results)} scenarios passed; {suite.coverage}"
    for node in suite.coverage.missed_nodes:
        yield f"  no scenario reaches the node '{node}'"
    for node, exit_name in suite.coverage.missed_exits:
        if node not in suite.coverage.missed_nodes:
            yield f"  no scenario leaves '{node}' by '{exit_name}'"


@flows.command()
def simulate(
    file: File,
    caller: Annotated[str, typer.Option(help="the caller's number")] = "",
    at: Annotated[str, typer.Option(help="what time it is in the shop's zone, such as '2026-11-24 22:00'")] = "",
    language: Annotated[str, typer.Option(help="en or zh")] = "",
) -> None:
    """Call a flow from the terminal: type keys, read what is said, take steps back. The world is that of the cases file."""
    from ivr.cel import Expressions
    from ivr.rehearsal.model import World
    from ivr.rehearsal.simulator import Simulator

    flow, cases = _flow(file), _cases(file)
    world = cases.world if cases else World()
    world = replace(world, caller=caller or world.caller, language=language or world.language)
    simulator = Simulator(flow, world, Expressions().evaluate)
    rows = (simulator.say(f"at {at}") if at else []) + simulator.say("again")
    print("keys, Enter, back, help, quit")
    while True:
        for row in rows:
            print(row)
        if sys.stdin.isatty():
            print("> ", end="", flush=True)
        line = sys.stdin.readline()
        if not line or line.strip() in ("quit", "exit"):
            return
        rows = simulator.say(line)


@flows.command("set")
def set_value(
    file: File,
    place: Annotated[str, typer.Argument(help="such as nodes.main.tries, or nodes.main.exits.2")],
    value: Annotated[str, typer.Argument(help="the new value, as it would stand in the file")],
) -> None:
    """Change one value in a flow and keep everything else as it is, comments too; a flow with a fault is not written."""
    from core.yaml_text import Refused
    from core.yaml_text.tree import Scalar, read_tree
    from ivr.check import check_text, flows_beside
    from ivr.edit import NoSuchPlace, changed
    from ivr.nodes.form import Known

    try:
        read = read_tree(f"v: {value}")[0].rows["v"]
        given = read.value if isinstance(read, Scalar) and read.value is not None else value
        text = changed(_read(file).decode(), place.split("."), given)
    except (NoSuchPlace, Refused, UnicodeError) as error:
        raise typer.BadParameter(str(error)) from error
    issues = check_text(text, str(file), Known(flow=flows_beside(file.parent)))
    for issue in issues:
        print(issue)
    if any(issue.severity == "error" for issue in issues):
        raise typer.Exit(1)
    whole = file.with_name(file.name + ".new")  # a house that runs never reads half a menu
    whole.write_text(text, encoding="utf-8", newline="")
    whole.replace(file)


@flows.command()
def diff(before: File, after: File) -> None:
    """What changed between two versions of a flow, node by node and exit by exit; exit 1 when something did."""
    from ivr.diff import diff as changes

    rows = changes(_flow(before), _flow(after))
    for row in rows:
        print(row)
    raise typer.Exit(1 if rows else 0)


@flows.command()
def graph(file: File, form: Annotated[str, typer.Option("--format", help="mermaid or dot")] = "mermaid") -> None:
    """Draw a flow, as text for Mermaid or Graphviz; dashed = exits left unsaid, which lead to the person."""
    from ivr.graph import dot, mermaid

    if form not in ("mermaid", "dot"):
        raise typer.BadParameter("write mermaid or dot", param_hint="--format")
    print((mermaid if form == "mermaid" else dot)(_flow(file)), end="")


@flows.command()
def schema() -> None:
    """The JSON Schema of flows, for editors that complete and check."""
    from ivr.schema import schema as made

    print(json.dumps(made(), ensure_ascii=False, indent=2))
