"""`aftercall flows check`: everything that is wrong with a flow's text, without running it."""

from __future__ import annotations

from dataclasses import replace

from core.prompts.library import PromptLibrary
from ivr.cel import Expressions
from ivr.loader import read_flow
from ivr.nodes.form import Known
from ivr.tree import Issue

CASES = ".cases.yaml"  # beside NAME.yaml: the scenarios it must keep


def known_here(prompts: PromptLibrary | None = None, known: Known | None = None) -> Known:
    """`known` with our prompts and expressions where it leaves them open."""
    known = known or Known()
    return replace(
        known,
        has_prompt=known.has_prompt or (prompts or PromptLibrary()).has,
        compile_expression=known.compile_expression or Expressions().check,
    )


def check_text(text: str | bytes, source: str, known: Known | None = None) -> list[Issue]:
    """All issues, in the order of the file; [] = it can be published. Prompts and expressions are always checked;
    queues, skills and calendars when `known` names them."""
    return read_flow(text, source, known_here(known=known))[1]
