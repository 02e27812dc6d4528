"""`aftercall models …`: a door into a room that decides everything itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

models = typer.Typer(help="Speech models for transcription.", no_args_is_help=True)


@models.command()
def install(
    language: Annotated[str, typer.Argument(help="en or zh")],
    source: Annotated[Path | None, typer.Option("--from", help="an archive or folder you have already")] = None,
) -> None:
    """Put a speech model for a language into the cache."""
    from rich.progress import Progress as Bars

    from recordings.model_install import Progress
    from recordings.model_install import install as install_model

    with Bars(transient=True, disable=not sys.stderr.isatty()) as bars:
        task = bars.add_task("", total=None)

        def show(step: Progress) -> None:
            bars.update(task, description=step.step, completed=step.done, total=step.total or None)

        model = install_model(language, source, show)
    print(f"{model.language}: {model.name} in {model.path}")


@models.command("list")
def list_models() -> None:
    """Which model each language would be transcribed with; exit 1 when there is none at all."""
    from recordings.model_catalogue import languages
    from recordings.models import NoModel, resolve

    found = [resolve(language) for language in languages()]
    for model in found:
        print(
            f"{model.language}: {model}"
            if isinstance(model, NoModel)
            else f"{model.language}: {model.name} ({model.path})"
        )
    raise typer.Exit(1 if all(isinstance(model, NoModel) for model in found) else 0)
