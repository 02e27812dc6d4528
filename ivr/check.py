"""`aftercall flows check`: everything that is wrong with a flow's text, without running it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from core.prompts.catalogue import NAME
from core.prompts.library import PromptLibrary
from ivr.cel import Expressions
from ivr.flow.model import Flow
from ivr.loader import read_flow
from ivr.nodes.form import Known
from ivr.tree import MAX_BYTES, Issue

CASES = ".cases.yaml"  # beside NAME.yaml: the scenarios it must keep


def known_here(prompts: PromptLibrary | None = None, known: Known | None = None) -> Known:
    """`known` with our prompts and expressions where it leaves them open."""
    known = known or Known()
    return replace(
        known,
        has_prompt=known.has_prompt or (prompts or PromptLibrary()).has,
        compile_expression=known.compile_expression or Expressions().check,
    )


def flows_beside(folder: Path) -> Callable[[str], Flow | None]:
    """Other flows by name, from the files `NAME.yaml` of a folder; None for one that is not there or not good."""
    going: set[str] = set()

    def named(name: str) -> Flow | None:
        file = folder / f"{name}.yaml"
        if name in going or not NAME.fullmatch(name) or not file.is_file():
            return None
        going.add(name)
        try:
            with file.open("rb") as opened:
                flow, issues = read_flow(opened.read(MAX_BYTES + 1), file.name, known_here(known=Known(flow=named)))
        finally:
            going.discard(name)
        return None if any(issue.severity == "error" for issue in issues) else flow

    return named


def check_text(text: str | bytes, source: str, known: Known | None = None) -> list[Issue]:
    """All issues, in the order of the file; [] = it can be published. Prompts and expressions are always checked;
    queues, skills and calendars when `known` names them."""
    return read_flow(text, source, known_here(known=known))[1]
