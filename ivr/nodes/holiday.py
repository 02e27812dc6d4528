"""A public holiday or not, today at the shop, by one of the operator's calendars; whatever its hours are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ivr.flow.model import Context, Leave, Node, Turn
from ivr.flow.session import Session
from ivr.flow.waits import Outcome
from ivr.nodes.form import Build, ExitSpec, Field, NodeType


@dataclass(frozen=True, slots=True)
class Holiday:
    calendar: str

    def enter(self, session: Session, context: Context) -> Turn:
        calendar = context.calendars.get(self.calendar)
        if calendar is None:
            return Turn(session, Leave("workday"), (), (f"there is no calendar '{self.calendar}'; taken as a workday",))
        name = calendar.holiday_on(context.at.astimezone(calendar.zone).date())
        if name is None:
            return Turn(session, Leave("workday"))
        variables = {**session.variables, "holiday": name[:200]}
        return Turn(replace(session, variables=variables), Leave("holiday"))

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        return self.enter(session, context)


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return Holiday(values["calendar"])


TYPE = NodeType(
    name="holiday",
    summary="Asks a calendar whether today is a public holiday; `vars.holiday` is its name.",
    fields=(Field("calendar", "calendar", required=True),),
    exits=(ExitSpec("holiday", required=True), ExitSpec("workday", required=True)),
    build=_build,
    waits=False,
    example="""\
type: holiday
calendar: shop
exits: {holiday: greeting-of-the-day, workday: main}
""",
)
