"""Open or closed, by one of the operator's calendars, at this moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.hours.model import Closed, is_open
from ivr.flow.model import Context, Leave, Node, Turn
from ivr.flow.session import Session
from ivr.flow.waits import Outcome
from ivr.nodes.form import Build, ExitSpec, Field, NodeType


@dataclass(frozen=True, slots=True)
class Hours:
    calendar: str

    def enter(self, session: Session, context: Context) -> Turn:
        calendar = context.calendars.get(self.calendar)
        if calendar is None:
            # Better a person who says "closed" than a caller turned away by a missing calendar.
            return Turn(session, Leave("open"), (), (f"there is no calendar '{self.calendar}'; taken as open",))
        answer = is_open(calendar, context.at)
        if isinstance(answer, Closed):
            variables = {**session.variables, "closed_reason": answer.reason}
            return Turn(replace(session, variables=variables), Leave("closed"))
        return Turn(session, Leave("open"))

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        return self.enter(session, context)


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return Hours(values["calendar"])


TYPE = NodeType(
    name="hours",
    summary="Asks a calendar whether the shop is open; `vars.closed_reason` is hours, holiday or exception.",
    fields=(Field("calendar", "calendar", required=True),),
    exits=(ExitSpec("open", required=True), ExitSpec("closed", required=True)),
    build=_build,
    waits=False,
    example="""\
type: hours
calendar: shop
exits: {open: main, closed: voicemail}
""",
)
