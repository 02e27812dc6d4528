"""Changes the language in which everything after it is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ivr.flow.model import Context, Leave, Node, Turn
from ivr.flow.session import Session
from ivr.flow.waits import Outcome
from ivr.nodes.form import NEXT, Build, Field, NodeType


@dataclass(frozen=True, slots=True)
class Language:
    """`to`: a language, or "other" = the flow's next one, the last wrapping round to the first."""

    to: str
    languages: tuple[str, ...]

    def enter(self, session: Session, context: Context) -> Turn:
        chosen = self.to
        if chosen == "other":
            at = self.languages.index(session.language) if session.language in self.languages else -1
            chosen = self.languages[(at + 1) % len(self.languages)]
        return Turn(replace(session, language=chosen), Leave("next"))

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        return self.enter(session, context)


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return Language(values["to"], build.languages)


TYPE = NodeType(
    name="language",
    summary="Changes the language of the call.",
    fields=(Field("to", "language", required=True, help="en, zh, or other"),),
    exits=(NEXT,),
    build=_build,
    waits=False,
    example="""\
type: language
to: other
next: main
""",
)
