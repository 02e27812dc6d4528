"""`aftercall db …` and `aftercall user …`: what is done to a home's database from a shell.

Decides nothing about users or schemas (`core/users`, `core/db`); every change is audited as made from the command line.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli_home import HomeOption, asynchronously, become_owner, home_folder

if TYPE_CHECKING:
    from core.users.service import Users

ACTOR = "cli"
db = typer.Typer(help="The database's schema.", no_args_is_help=True)
user = typer.Typer(help="Who may log in.", no_args_is_help=True)

UrlOption = Annotated[str, typer.Option("--url", help="another database than the home's")]


def database_url(home: Path) -> str:
    """The database of this home, running or not. Raises SettingsError."""
    from core.settings import load_settings

    return load_settings(home / "aftercall.toml").database.url or f"sqlite:///{home / 'db' / 'aftercall.sqlite'}"


def _url(home: Path, url: str) -> str:
    become_owner(home)
    return url or database_url(home)


@db.command()
def migrate(home: HomeOption = None, url: UrlOption = "") -> None:
    """Bring the database to this release's schema."""
    from core.db import migrate as schema

    place = home_folder(home)
    target = _url(place, url)
    if target.startswith("sqlite:///"):
        Path(target.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    print(f"the database is at {asynchronously(schema.migrate(target))}")


@db.command()
def current(home: HomeOption = None, url: UrlOption = "") -> None:
    """Say at which revision the database stands; exit 1 when this release wants another."""
    from core.db import migrate as schema

    target = existing(_url(home_folder(home), url))
    found, wanted = asynchronously(schema.current(target)), schema.newest()
    print(f"at {found or 'nothing'}; this release wants {wanted or 'nothing'}")
    raise typer.Exit(0 if found == wanted else 1)


def existing(url: str) -> str:
    """The URL, when its database is there. Raises AftercallError for a file that is not."""
    from core.errors import AftercallError

    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        raise AftercallError("cli:no-database", f"There is no database at {url.removeprefix('sqlite:///')}.",
                             hint="`aftercall run` or `aftercall db migrate` makes it.")  # fmt: skip
    return url


@asynccontextmanager
async def _users(home: Path) -> AsyncIterator[Users]:
    from core.clock import SystemClock
    from core.db.engine import Database
    from core.ids import new_id
    from core.users.service import Users

    clock = SystemClock()
    database = await Database.open(existing(_url(home, "")), clock=clock, ids=new_id)
    try:
        yield Users(database, clock, new_id)
    finally:
        await database.close()


def _password(given_on_stdin: bool) -> tuple[str, bool]:
    """The password, and whether it was made up here (then it is shown once)."""
    if given_on_stdin:
        return sys.stdin.readline().rstrip("\n"), False
    if sys.stdin.isatty():
        first = getpass.getpass("password (empty = make one): ")
        if first:
            if getpass.getpass("again: ") != first:
                raise typer.BadParameter("the two passwords differ")
            return first, False
    from core.ids import new_secret

    return new_secret(20), True


StdinOption = Annotated[bool, typer.Option("--password-stdin", help="read the password from standard input")]


@user.command()
def add(
    login: str,
    name: Annotated[str, typer.Option(help="as others see it")] = "",
    role: Annotated[list[str] | None, typer.Option(help="agent, supervisor, admin; may be repeated")] = None,
    extension: Annotated[str, typer.Option(help="an agent's extension")] = "",
    language: Annotated[str, typer.Option(help="en or zh")] = "en",
    password_stdin: StdinOption = False,
    home: HomeOption = None,
) -> None:
    """A new user; without a password one is made and shown once."""
    from core.http.routes import Role

    names = role or ["agent"]
    if unknown := sorted(set(names) - {item.value for item in Role}):
        raise typer.BadParameter(f"{', '.join(unknown)} is no role; there are {', '.join(r.value for r in Role)}")
    password, made = _password(password_stdin)

    async def work() -> None:
        async with _users(home_folder(home)) as users:
            roles = frozenset(Role(item) for item in names)
            await users.create(
                login, name or login, roles, password, extension=extension, language=language, actor=ACTOR
            )  # fmt: skip

    asynchronously(work())
    print(f"{login} may log in" + (f" with {password}" if made else ""))


@user.command("list")
def list_users(home: HomeOption = None) -> None:
    """Everybody who may log in, one line each."""

    async def work() -> None:
        async with _users(home_folder(home)) as users:
            for one in await users.all():
                roles = ",".join(sorted(one.roles))
                print(f"{one.login}\t{one.name}\t{roles}\t{one.extension}\t{'' if one.active else 'inactive'}".rstrip())

    asynchronously(work())


@user.command()
def password(login: str, password_stdin: StdinOption = False, home: HomeOption = None) -> None:
    """A new password for a user; all sessions of the user end."""
    secret, made = _password(password_stdin)

    async def work() -> None:
        async with _users(home_folder(home)) as users:
            await users.set_password(login, secret, actor=ACTOR)

    asynchronously(work())
    print(f"the password of {login} is changed" + (f" to {secret}" if made else ""))


@user.command()
def token(
    login: str, label: Annotated[str, typer.Option(help="what it is for")] = "cli", home: HomeOption = None
) -> None:
    """A new API token of a user, shown once."""

    async def work() -> str:
        async with _users(home_folder(home)) as users:
            return await users.add_token(login, label, actor=ACTOR)

    print(asynchronously(work()))


@user.command()
def revoke(
    login: str, label: Annotated[str, typer.Option(help="what it was for")] = "cli", home: HomeOption = None
) -> None:
    """Take back a user's API tokens of a label. To rotate: make one with a new label, hand it out, revoke the old."""

    async def work() -> int:
        async with _users(home_folder(home)) as users:
            return await users.drop_tokens(login, label, actor=ACTOR)

    print(f"{asynchronously(work())} revoked")
