"""Each order as what Asterisk is told: by table, so that a change of wording is seen."""

from __future__ import annotations

import json

import pytest

from pbx import transfer as t
from pbx.ami_actions import Order

CALLBACK = "cb.7f.c"
IX, CALLER, LEG, OTHER = "n1-7.1", "PJSIP/trunk-1", "n1-7.1-o1", "n1-7.1-o2"
HOLD = {"caller": CALLER, "leg_id": LEG}
RING = {"interaction_id": IX, "leg_id": OTHER, "caller": CALLER, "target": "1002", "ring_s": 9.0, "epoch": 3}
SPY = {"interaction_id": IX, "spy_id": "spy-1.1", "extension": "1009", "agent": "1001", "leg_id": LEG, "ring_s": 9.0}

# order → one line for each step
TOLD = [
    (t.HoldCaller(**HOLD), [
        f"{CALLER} AC_HOLDER={LEG}", f"{CALLER} AC_HEIR=-", f"{CALLER} AC_QUIETLY=", f"{CALLER} AC_THEN=ac-hold",
        f"{LEG} AC_HEARS=", f"{LEG} AC_HEIR=-", f"{LEG} → ac-aside"]),
    (t.HoldCaller(**HOLD, heir=OTHER, hears="ringing", note="two\nlines of ${SHELL(id)}, $20"), [
        f"{CALLER} AC_NOTE=two lines of {{SHELL(id)}}, $20",
        f"{CALLER} AC_HOLDER={LEG}", f"{CALLER} AC_HEIR={OTHER}", f"{CALLER} AC_QUIETLY=", f"{CALLER} AC_THEN=ac-hold",
        f"{LEG} AC_HEARS=ringing", f"{LEG} AC_HEIR={OTHER}", f"{LEG} → ac-aside"]),
    (t.JoinCaller(**HOLD), [f"{CALLER} AC_HOLDER={LEG}", f"{CALLER} AC_THEN=ac-hold", f"{LEG} → ac-join"]),
    (t.LeaveFor(**HOLD, heir=OTHER), [f"{CALLER} AC_HOLDER={OTHER}", f"{CALLER} AC_HEIR=-", f"{CALLER} AC_QUIETLY=1",
                                      f"{CALLER} AC_THEN=ac-hold", f"{LEG} ended"]),
    (t.SendCaller(**HOLD, to="queue", variables={"AC_QUEUE": "service"}),
     [f"{CALLER} AC_QUEUE=service", f"{CALLER} AC_THEN=ac-wait", f"{LEG} ended"]),
    (t.SendCaller(**HOLD, to="queue", variables={"AC_NOTE": "two\r\nlines\x00 $[1+1]"}),
     [f"{CALLER} AC_NOTE=two lines [1+1]", f"{CALLER} AC_THEN=ac-wait", f"{LEG} ended"]),
    (t.SendCaller(**HOLD, to="menu", variables={"AC_THEN": "ac-spy"}), [f"{CALLER} AC_THEN=ac-menu", f"{LEG} ended"]),
    (t.ParkCaller(**HOLD, park_s=90), [f"{CALLER} AC_PARK_S=90", f"{CALLER} AC_THEN=ac-park", f"{LEG} ended"]),
    (t.SwapLegs(**HOLD, other=OTHER), [f"{OTHER} AC_HEARS=music", f"{LEG} → ac-join & {OTHER} → ac-aside"]),
    (t.SwapBack(**HOLD, other=OTHER), [f"{CALLER} AC_HOLDER={LEG}", f"{CALLER} AC_HEIR={OTHER}", f"{CALLER} AC_QUIETLY=",
                                       f"{CALLER} AC_THEN=ac-hold", f"{LEG} AC_WITH={OTHER}", f"{LEG} AC_EPOCH=",
                                       f"{LEG} AC_FROM=", f"{LEG} → ac-side"]),
    (t.JoinAll(**HOLD, other=OTHER), [f"{LEG} → ac-room-leg & {OTHER} → ac-room-leg", f"{CALLER} → ac-room"]),
    (t.JoinAll(**HOLD, other=OTHER, swapped=True),
     [f"{CALLER} AC_THEN=ac-room", f"{LEG} → ac-room-leg & {OTHER} → ac-room-leg"]),
    (t.LeaveRoom(**HOLD), [
        f"{LEG} AC_HEARS=", f"{LEG} → ac-aside", f"{CALLER} AC_HOLDER={LEG}", f"{CALLER} AC_HEIR=-", f"{CALLER} AC_QUIETLY=1",
        f"{CALLER} → ac-hold", f"{LEG} → ac-join"]),
    (t.EndLeg(leg_id=LEG), [f"{LEG} ended"]),
    (t.MuteLeg(leg_id=LEG, on=True), [f"{LEG} MUTEAUDIO(in)=on"]),
    (t.MuteLeg(leg_id=LEG, on=False), [f"{LEG} MUTEAUDIO(in)=off"]),
    (t.RingLeg(**RING, with_leg=LEG), [f"PJSIP/1002 rings 9000 → ac-side, with {LEG}, from "]),
    (t.RingLeg(**RING, only_from="park"), ["PJSIP/1002 rings 9000 → ac-side, with -, from park"]),
    (t.RingLeg(**{**RING, "target": "+8613900001111"}, trunk="trunk"),
     ["PJSIP/+8613900001111@trunk rings 9000 → ac-side, with -, from "]),
    (t.Supervise(**SPY, mode="whisper"), [f"PJSIP/1009 rings 9000 → ac-spy, with {LEG}, from "]),
    (t.RingForCallback(**{**RING, "interaction_id": CALLBACK, "leg_id": "cb.7f-o1", "caller": CALLBACK}, number="13900001111"),
     ["PJSIP/1002 rings 9000 → ac-callback, with -, from "]),
    (t.CallCustomer(interaction_id=CALLBACK, leg_id="cb.7f-o1", number="13900001111", ring_s=30.0, trunk="trunk",
                    ticket={"AC_QUEUE": "a,AC_EPOCH=9"}),
     ["PJSIP/13900001111@trunk rings 30000 → ac-called, with cb.7f-o1, from "]),
    (t.ChangeMode(spy_id="spy-1.1", mode="barge"), ["spy-1.1 AC_MODE=barge", "spy-1.1 → ac-spy"]),
]  # fmt: skip


def in_words(step: Order) -> str:
    name, said = step
    if name == "Setvar":
        return f"{said['Channel']} {said['Variable']}={said['Value']}"
    if name == "Redirect":
        moved = f"{said['Channel']} → {said['Context']}"
        return moved + (f" & {said['ExtraChannel']} → {said['ExtraContext']}" if "ExtraChannel" in said else "")
    if name == "Hangup":
        return f"{said['Channel']} ended"
    given = dict(pair.split("=", 1) for pair in said["Variable"])
    where = f"{said['Channel']} rings {said['Timeout']} → {said['Context']}"
    return f"{where}, with {given.get('AC_WITH', '-')}, from {given.get('AC_FROM', '')}"


@pytest.mark.parametrize(("order", "told"), TOLD, ids=lambda it: type(it).__name__ if not isinstance(it, list) else "")
def test_an_order_is_told_in_these_steps(order: t.CallOrder, told: list[str]) -> None:
    assert [in_words(step) for step in t.steps(order)] == told


def test_every_order_is_in_the_table_and_arrives_the_same_from_afar() -> None:
    assert {type(order) for order, _ in TOLD} == set(t.CallOrder.kinds.values())
    for order, _ in TOLD:
        assert t.from_wire(json.loads(json.dumps(t.to_wire(order)))) == order


@pytest.mark.parametrize(
    "order",
    [
        t.SendCaller(**HOLD, to="voicemail@elsewhere"),
        t.Supervise(**SPY, mode="record"),
        t.ChangeMode(spy_id="spy-1.1", mode="q"),
        t.RingLeg(**{**RING, "target": "100&PJSIP/trunk/00900"}, trunk="trunk"),
        t.RingLeg(**{**RING, "target": "1,2"}, trunk="trunk"),
    ],
    ids=str,
)
def test_what_cannot_be_worded_is_refused_before_anything_is_told(order: t.CallOrder) -> None:
    with pytest.raises((KeyError, ValueError)):
        t.steps(order)


def test_what_a_customers_channel_carries_cannot_add_to_itself() -> None:
    order = next(order for order, _ in TOLD if isinstance(order, t.CallCustomer))
    ((_, said),) = t.steps(order)
    assert "AC_QUEUE=aAC_EPOCH9" in said["Variable"]


def test_a_caller_is_told_where_to_go_before_the_leg_that_holds_them_is_let_go() -> None:
    for order, told in TOLD:
        if any("AC_THEN" in step for step in told):
            assert told.index(next(step for step in told if "AC_THEN" in step)) < len(told) - 1, order
