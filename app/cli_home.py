"""What commands share: which home is meant, whose files those are, and how an error is told."""

from __future__ import annotations

import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from core.errors import AftercallError

_Result = TypeVar("_Result")

HomeOption = Annotated[
    Path | None, typer.Option("--home", help="the home folder (default: $AFTERCALL_HOME, else var/aftercall)")
]


def home_folder(given: Path | None) -> Path:
    return (given or Path(os.environ.get("AFTERCALL_HOME") or "var/aftercall")).expanduser().absolute()


def become_owner(home: Path) -> None:
    """Root working on a home becomes the home's owner first: no file in it is left that its owner cannot write."""
    if os.getuid() != 0 or not home.exists() or home.stat().st_uid == 0:
        return
    from app.world import privilege

    identity = privilege.identity_for(home)
    if identity is not None:
        privilege.step_down(identity, [privilege.CAP_DAC_READ_SEARCH])


def asynchronously(work: Coroutine[Any, Any, _Result]) -> _Result:
    import asyncio

    return asyncio.run(work)


def complain(error: AftercallError) -> NoReturn:
    """One line for each thing to mend; status 2 when it is a matter of settings or usage, else 1."""
    lines = getattr(error, "lines", None) or [str(error)]
    for line in lines:
        print(f"aftercall: {line}", file=sys.stderr)
    sys.exit(2 if error.error_id == "core:settings" or error.status == 422 else 1)
