"""Decides what of the board a person may see, and writes it as JSON-ready values.

Does not know sockets or the order of events.

Invariants: a person's view of a picture is a function of the picture and the person alone, value by value; so their
snapshot + their patches == their fresh snapshot. An agent sees numbers, names and orders of their own calls only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.live.model import BoardCall
from app.live.patch import Json, Patch, Picture, record
from core.http.routes import Caller, Role
from orders_bridge.model import mask_phone


@dataclass(frozen=True)
class Viewer:
    """Whose eyes: `sees_all` for supervisors and admins; else an agent with an extension, or nobody's ("")."""

    sees_all: bool
    extension: str = ""

    @classmethod
    def of(cls, caller: Caller) -> Viewer:
        return cls(caller.may(Role.SUPERVISOR), caller.extension)


def hidden(call: BoardCall) -> BoardCall:
    """The call without what identifies the caller."""
    target = mask_phone(call.target) if call.target_kind == "number" else call.target
    return replace(call, ani=mask_phone(call.ani), caller_name="", order_no="", target=target)


def _shown(section: str, value: Any, viewer: Viewer) -> Json:
    if section == "calls" and not viewer.sees_all and (not viewer.extension or value.agent != viewer.extension):
        return record(hidden(value))
    return record(value)


def picture(whole: Picture, viewer: Viewer) -> dict[str, dict[str, Json]]:
    """The viewer's snapshot."""
    return {
        section: {key: _shown(section, value, viewer) for key, value in values.items()}
        for section, values in whole.items()
    }


def patch(change: Patch, viewer: Viewer) -> Json:
    """The viewer's form of a patch: {"set": {section: {id: {…}}}, "drop": {section: [id, …]}}."""
    return {
        "set": picture(change.set, viewer),
        "drop": {section: sorted(ids) for section, ids in change.drop.items()},
    }


def same_for(change: Patch, viewer: Viewer) -> Viewer:
    """The viewer who sees this patch exactly as `viewer` does, so that one text serves many sockets."""
    if viewer.sees_all:
        return Viewer(True)
    calls: Mapping[str, Any] = change.set.get("calls", {})
    own = any(call.agent == viewer.extension for call in calls.values()) if viewer.extension else False
    return viewer if own else Viewer(False)
