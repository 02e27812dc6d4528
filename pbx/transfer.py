"""What can be done to a call that has been connected, each as one order; and in which steps Asterisk is told.

Pure. Decides which variables and which moves make a hold, a consult, a conference. Does not send (`control.py`), and does not
decide who may (`routing/calls`). The dialplan's part is `asterisk-conf/extensions_control.conf.j2`, whose one rule these rest
on: whoever is left of two goes on by themselves. Invariants: a caller is told where to go before the leg that holds them is let
go; places are names of ours; every ring has an end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from pbx import ami_actions
from pbx.ami_actions import Order

NOBODY = "-"
PLACES = {"queue": "ac-wait", "menu": "ac-menu"}
MODES = ("monitor", "whisper", "barge")
LONGEST_NOTE = 500


@dataclass(frozen=True, kw_only=True)
class CallOrder:
    """`caller` is the name of the caller's channel, legs are named by their ids."""

    kinds: ClassVar[dict[str, type[CallOrder]]] = {}

    def __init_subclass__(cls) -> None:
        CallOrder.kinds[cls.__name__] = cls


@dataclass(frozen=True, kw_only=True)
class HoldCaller(CallOrder):
    """The caller hears music, the leg `hears` nothing, the tone of a ringing phone, or music. `heir`: the leg that is asked."""

    caller: str
    leg_id: str
    heir: str = NOBODY
    hears: str = ""  # "", ringing, music
    note: str = ""  # what the caller's channel carries from now on


@dataclass(frozen=True, kw_only=True)
class JoinCaller(CallOrder):
    """The leg goes (back) to the caller, wherever both are."""

    caller: str
    leg_id: str


@dataclass(frozen=True, kw_only=True)
class LeaveFor(CallOrder):
    """The caller is kept for the leg `heir`, which is about to ring, and the leg they talk to ends."""

    caller: str
    leg_id: str
    heir: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class SendCaller(CallOrder):
    """The caller goes to a place of the dialplan with these variables, and the leg ends. `to`: queue, menu."""

    caller: str
    leg_id: str
    to: str
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ParkCaller(CallOrder):
    caller: str
    leg_id: str
    park_s: int


@dataclass(frozen=True, kw_only=True)
class RingLeg(CallOrder):
    """A phone, or over `trunk` a number, rings; whoever answers talks to the leg `with_leg`, and without it to the caller,
    if they are in stage `only_from` ("" = wherever)."""

    interaction_id: str
    leg_id: str
    caller: str
    target: str
    ring_s: float
    epoch: int
    trunk: str = ""
    with_leg: str = NOBODY
    only_from: str = ""
    caller_number: str = ""
    caller_name: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RingForCallback(RingLeg):
    """An agent's phone rings; whoever answers hears a phone that rings, and waits there for the customer, whose channel will
    have the interaction's id. `number`: the customer's."""

    number: str


@dataclass(frozen=True, kw_only=True)
class CallCustomer(CallOrder):
    """The customer is called over `trunk`, in a channel whose id is the interaction's; answered, they join the leg that waits.
    `ticket`: what their channel carries. The switch itself refuses a second channel of this id."""

    interaction_id: str
    leg_id: str
    number: str
    ring_s: float
    trunk: str
    caller_number: str = ""
    ticket: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SwapLegs(CallOrder):
    """`leg_id` goes from the other leg to the caller, who was on hold; the other hears music."""

    caller: str
    leg_id: str
    other: str


@dataclass(frozen=True, kw_only=True)
class SwapBack(CallOrder):
    """`leg_id` goes from the caller to the other leg; the caller hears music."""

    caller: str
    leg_id: str
    other: str


@dataclass(frozen=True, kw_only=True)
class JoinAll(CallOrder):
    """The caller and the two legs are three: the caller was on hold, or (`swapped`) one leg was."""

    caller: str
    leg_id: str
    other: str
    swapped: bool = False


@dataclass(frozen=True, kw_only=True)
class LeaveRoom(CallOrder):
    """Of those who were three, caller and leg are left, and are two again."""

    caller: str
    leg_id: str


@dataclass(frozen=True, kw_only=True)
class EndLeg(CallOrder):
    leg_id: str


@dataclass(frozen=True, kw_only=True)
class MuteLeg(CallOrder):
    """What the leg says is not heard (`on`), or heard again."""

    leg_id: str
    on: bool


@dataclass(frozen=True, kw_only=True)
class Supervise(CallOrder):
    """The supervisor's phone rings; answered, it stands beside the agent's leg. `mode`: one of MODES."""

    interaction_id: str
    spy_id: str
    extension: str
    agent: str
    leg_id: str
    mode: str
    ring_s: float
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ChangeMode(CallOrder):
    """Of a supervisor who is there already."""

    spy_id: str
    mode: str


def to_wire(order: CallOrder) -> dict[str, Any]:
    return {"order": type(order).__name__, "of": asdict(order)}


def from_wire(said: Mapping[str, Any]) -> CallOrder:
    """Raises KeyError, TypeError for what is no order."""
    return CallOrder.kinds[said["order"]](**said["of"])


def steps(order: CallOrder) -> Sequence[Order]:
    """What Asterisk is told, one after another. Raises KeyError, ValueError for an order that cannot be worded."""
    told: list[Order] = _STEPS[type(order)](order)
    return told


def _given(channel: str, **variables: str) -> list[Order]:
    return [ami_actions.set_variable(name, value, channel) for name, value in variables.items()]


def _noted(channel: str, note: str) -> list[Order]:
    return _given(channel, AC_NOTE=clean_note(note)) if note else []


def clean_note(text: str) -> str:
    """A person's words as one line that the dialplan takes for nothing else."""
    kept = "".join(mark if mark.isprintable() else " " for mark in text)
    return re.sub(r"\$(?=[{\[])|\\", "", " ".join(kept.split()))[:LONGEST_NOTE]


def _hold(order: HoldCaller) -> list[Order]:
    return [
        *_noted(order.caller, order.note),
        *_given(order.caller, AC_HOLDER=order.leg_id, AC_HEIR=order.heir, AC_QUIETLY="", AC_THEN="ac-hold"),
        *_given(order.leg_id, AC_HEARS=order.hears, AC_HEIR=order.heir),
        ami_actions.move(order.leg_id, "ac-aside"),
    ]


def _join(order: JoinCaller) -> list[Order]:
    """Should the two talk already, the caller falls out of it for a moment: into our arms, not out of the call."""
    kept = _given(order.caller, AC_HOLDER=order.leg_id, AC_THEN="ac-hold")
    return [*kept, ami_actions.move(order.leg_id, "ac-join")]


def _leave(order: LeaveFor) -> list[Order]:
    kept = _given(order.caller, AC_HOLDER=order.heir, AC_HEIR=NOBODY, AC_QUIETLY="1", AC_THEN="ac-hold")
    return [*_noted(order.caller, order.note), *kept, ami_actions.hang_up(order.leg_id, 16)]


def _send(order: SendCaller) -> list[Order]:
    said = {name: clean_note(value) if name == "AC_NOTE" else value for name, value in order.variables.items()}
    given = _given(order.caller, **{**said, "AC_THEN": PLACES[order.to]})
    return [*given, ami_actions.hang_up(order.leg_id, 16)]


def _park(order: ParkCaller) -> list[Order]:
    given = _given(order.caller, AC_PARK_S=str(order.park_s), AC_THEN="ac-park")
    return [*given, ami_actions.hang_up(order.leg_id, 16)]


def _ring(order: RingLeg) -> list[Order]:
    variables = {
        "AC_CALLER": order.caller, "AC_IX": order.interaction_id, "AC_EPOCH": str(order.epoch),
        "AC_OFFER": order.leg_id.removeprefix(f"{order.interaction_id}-"), "AC_WITH": order.with_leg, "AC_FROM": order.only_from,
    }  # fmt: skip
    headers = {"X-Aftercall-Interaction": order.interaction_id, **order.headers} if not order.trunk else {}
    return [ami_actions.ring(
        order.target, order.leg_id, ring_s=order.ring_s, context="ac-side", variables=variables,
        caller_number=order.caller_number, caller_name=order.caller_name, sip_headers=headers, trunk=order.trunk,
    )]  # fmt: skip


def _ring_for_callback(order: RingForCallback) -> list[Order]:
    variables = {
        "AC_CALLER": order.caller, "AC_IX": order.interaction_id, "AC_EPOCH": str(order.epoch),
        "AC_OFFER": order.leg_id.rpartition("-")[2], "AC_ANI": ami_actions.shown_number(order.number),
    }  # fmt: skip
    headers = {"X-Aftercall-Interaction": order.interaction_id, "X-Aftercall-Callback": "1", **order.headers}
    return [ami_actions.ring(
        order.target, order.leg_id, ring_s=order.ring_s, context="ac-callback", variables=variables,
        caller_number=order.number, caller_name="", sip_headers=headers,
    )]  # fmt: skip


def _call_customer(order: CallCustomer) -> list[Order]:
    carried = {name: re.sub(r"[^\w.:+ -]", "", value) for name, value in order.ticket.items()}
    variables = {
        **carried, "AC_IX": order.interaction_id, "AC_CALLER": order.interaction_id, "AC_WITH": order.leg_id,
        "AC_ENTRY": "callback", "AC_ANI": order.number, "AC_DNIS": order.caller_number, "AC_STAGE": "called",
    }  # fmt: skip
    return [ami_actions.ring(
        order.number, order.interaction_id, ring_s=order.ring_s, context="ac-called", variables=variables,
        caller_number=order.caller_number, caller_name="", sip_headers={}, trunk=order.trunk,
    )]  # fmt: skip


def _swap(order: SwapLegs) -> list[Order]:
    return [
        *_given(order.other, AC_HEARS="music"),
        ami_actions.move_both(order.leg_id, "ac-join", order.other, "ac-aside"),
    ]


def _swap_back(order: SwapBack) -> list[Order]:
    return [
        *_given(order.caller, AC_HOLDER=order.leg_id, AC_HEIR=order.other, AC_QUIETLY="", AC_THEN="ac-hold"),
        *_given(order.leg_id, AC_WITH=order.other, AC_EPOCH="", AC_FROM=""),
        ami_actions.move(order.leg_id, "ac-side"),
    ]


def _all(order: JoinAll) -> list[Order]:
    both = ami_actions.move_both(order.leg_id, "ac-room-leg", order.other, "ac-room-leg")
    if order.swapped:  # the caller falls out of the talk with the one, and goes there by themselves
        return [*_given(order.caller, AC_THEN="ac-room"), both]
    return [both, ami_actions.move(order.caller, "ac-room")]


def _leave_room(order: LeaveRoom) -> list[Order]:
    """The leg first: the caller's going would end it."""
    return [
        *_given(order.leg_id, AC_HEARS=""),
        ami_actions.move(order.leg_id, "ac-aside"),
        *_given(order.caller, AC_HOLDER=order.leg_id, AC_HEIR=NOBODY, AC_QUIETLY="1"),
        ami_actions.move(order.caller, "ac-hold"),
        ami_actions.move(order.leg_id, "ac-join"),
    ]


def _end(order: EndLeg) -> list[Order]:
    return [ami_actions.hang_up(order.leg_id, 16)]


def _mute(order: MuteLeg) -> list[Order]:
    return [ami_actions.set_variable("MUTEAUDIO(in)", "on" if order.on else "off", order.leg_id)]


def _supervise(order: Supervise) -> list[Order]:
    if order.mode not in MODES:
        raise ValueError(f"no mode: {order.mode!r}")
    variables = {
        "AC_IX": order.interaction_id, "AC_WITH": order.leg_id, "AC_MODE": order.mode, "AC_EXTENSION": order.extension,
        "AC_AGENT": order.agent,
    }  # fmt: skip
    return [ami_actions.ring(
        order.extension, order.spy_id, ring_s=order.ring_s, context="ac-spy", variables=variables, caller_number=order.agent,
        caller_name="", sip_headers=order.headers,
    )]  # fmt: skip


def _change_mode(order: ChangeMode) -> list[Order]:
    if order.mode not in MODES:
        raise ValueError(f"no mode: {order.mode!r}")
    return [*_given(order.spy_id, AC_MODE=order.mode), ami_actions.move(order.spy_id, "ac-spy")]


_STEPS: Mapping[type[CallOrder], Any] = {
    HoldCaller: _hold,
    JoinCaller: _join,
    LeaveFor: _leave,
    SendCaller: _send,
    ParkCaller: _park,
    RingLeg: _ring,
    RingForCallback: _ring_for_callback,
    CallCustomer: _call_customer,
    SwapLegs: _swap,
    SwapBack: _swap_back,
    JoinAll: _all,
    LeaveRoom: _leave_room,
    EndLeg: _end,
    MuteLeg: _mute,
    Supervise: _supervise,
    ChangeMode: _change_mode,
}
