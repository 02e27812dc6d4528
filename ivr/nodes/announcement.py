"""Plays an announcement while it is news: between two days at the shop, and once in a call.

A key does not stop it unless the file says so; one pressed meanwhile waits for its question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from ivr.flow.model import Context, Leave, Node, Turn
from ivr.flow.session import Session
from ivr.flow.waits import Outcome, Play, Played
from ivr.nodes.form import NEXT, Build, Field, NodeType
from ivr.nodes.say import ANY_KEY
from ivr.nodes.spoken import Part, resolve


@dataclass(frozen=True, slots=True)
class Announcement:
    """`since` and `until`: the first and the last day, None = no such bound."""

    parts: tuple[Part, ...]
    since: date | None = None
    until: date | None = None
    barge_in: bool = False

    def enter(self, session: Session, context: Context) -> Turn:
        today = context.at.astimezone(context.zone).date()
        stale = (self.since and today < self.since) or (self.until and today > self.until)
        if stale or session.visits.get(session.node, 0) > 1:
            return Turn(session, Leave("next"))
        return Turn(session, Play(resolve(self.parts, session), session.language, ANY_KEY if self.barge_in else ""))

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        key = outcome.key if isinstance(outcome, Played) else ""
        return Turn(replace(session, ahead=key or session.ahead), Leave("next"))


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return Announcement(values["say"], values["since"], values["until"], values["barge_in"])


TYPE = NodeType(
    name="announcement",
    summary="Plays an announcement once in a call, while it is news.",
    fields=(
        Field("say", "spoken", required=True),
        Field("since", "date", help="the first day, such as 2026-11-24; none = always"),
        Field("until", "date", help="the last day"),
        Field("barge_in", "flag", default=False, help="whether a key stops it"),
    ),
    exits=(NEXT,),
    build=_build,
    example="""\
type: announcement
say: [queue-busy]
until: "2026-12-31"
next: main
""",
)
