"""`aftercall routing …`: policies as text, from a shell.

Decides nothing about routing (`routing/policy`). What is published goes into the home's database, running or not; a house that
runs follows within seconds. Exit status: 0 done, 1 not done (a text with problems under `check`, somebody else's version), 2
wrong usage or a text that cannot be published.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli_data import ACTOR, database_url, existing
from app.cli_home import HomeOption, asynchronously, become_owner, home_folder
from core.errors import AftercallError

if TYPE_CHECKING:
    from routing.policy.desk import PolicyDesk
    from routing.policy.document import Known

routing = typer.Typer(help="The rules of routing: who waits where, and who may help.", no_args_is_help=True)


@asynccontextmanager
async def _desk(home: Path) -> AsyncIterator[PolicyDesk]:
    from app.routing_policy import document_of, known_to
    from core.clock import SystemClock
    from core.db.engine import Database
    from core.ids import new_id
    from core.settings import load_settings
    from routing.policy.desk import PolicyDesk

    become_owner(home)
    settings = load_settings(home / "aftercall.toml")
    clock = SystemClock()
    database = await Database.open(existing(database_url(home)), clock=clock, ids=new_id)
    try:
        desk = PolicyDesk(database, clock, document_of(settings), known=known_to(home, settings))
        await desk.load()
        yield desk
    finally:
        await database.close()


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from error


@routing.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="policies (YAML)")],
    home: HomeOption = None,
) -> None:
    """Read policies as the product would; one line for each problem, exit 1 when there is any.

    With a home, names are looked up as well: skills of its agents, its calendars, its music.
    """
    from routing.policy.desk import spoken
    from routing.policy.document import Known
    from routing.policy.text import read_policy

    texts = {file: _read(file) for file in files}
    place = home_folder(home)
    known = asynchronously(_known(place)) if home is not None else Known(prompts=spoken())
    problems = 0
    for file, text in texts.items():
        found = read_policy(text, str(file), known)[1]
        problems += len(found)
        for problem in found:
            print(problem)
        if not found:
            print(f"{file}: good")
    raise typer.Exit(1 if problems else 0)


async def _known(home: Path) -> Known:
    async with _desk(home) as desk:
        return await desk.known()


@routing.command()
def show(
    home: HomeOption = None,
    version: Annotated[int, typer.Option(min=0, help="an old version; 0 = what is in force")] = 0,
) -> None:
    """Print the policy in force as a text that can be published again."""
    from routing.policy.text import to_text

    async def work() -> str:
        async with _desk(home_folder(home)) as desk:
            found = await desk.version_of(version) if version else desk.version
            if found is None:
                return "# Nobody has published yet: this is what the settings say.\n" + to_text(desk.document)
            if desk.fault and not version:
                print(f"aftercall: not in force: {desk.fault}", file=sys.stderr)
            note = f": {found.note}" if found.note else ""
            return f"# Version {found.number} of {found.at:%Y-%m-%d %H:%M} UTC by {found.author}{note}\n{found.text}"

    print(asynchronously(work()), end="")


@routing.command()
def publish(
    file: Annotated[Path, typer.Argument(help="the policy (YAML)")],
    note: Annotated[str, typer.Option(help="why, for those who read the history")] = "",
    revision: Annotated[
        int, typer.Option(min=-1, help="the version it was made from: refused when another one is in force by now")
    ] = -1,
    home: HomeOption = None,
) -> None:
    """Publish a policy as a new version; calls in progress notice nothing."""
    data = _read(file)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise AftercallError("routing:policy", f"{file}: the file is not UTF-8 text", status=422) from error

    async def work() -> str:
        async with _desk(home_folder(home)) as desk:
            before = desk.number
            made = await desk.publish(
                text, revision=before if revision < 0 else revision, actor=ACTOR, note=note, source=str(file)
            )
            if made.number == before:
                return f"version {made.number} says this already"
            return f"version {made.number} is published; a house that runs follows within seconds"

    print(asynchronously(work()))
