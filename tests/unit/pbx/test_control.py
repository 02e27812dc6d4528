"""Verbs on calls: what is asked of the switch, once, and what strangers wrote stays text."""

from __future__ import annotations

import pytest

from pbx.ami import ActionRefused, LinkDown
from pbx.ami_wire import UnsafeValue
from pbx.control import KEEP_MADE, Control
from tests.unit.pbx.switch import FakeLink
from tests.virtual import now, virtual_time

OFFER = {"interaction_id": "n1-1.1", "caller_channel": "PJSIP/trunk-1", "extension": "101", "ring_s": 15.0, "epoch": 7}


async def test_an_offer_rings_the_phone_with_our_leg_id_and_the_dialplan_connects_it() -> None:
    link = FakeLink()
    caller = {"caller_number": "+86 138\r\n0013", "caller_name": 'Li "Na"\r\n<x>'}
    queue = {"X-Aftercall-Queue": "a,b"}
    leg = await Control(link).offer(offer_id="o1", **OFFER, **caller, headers=queue)  # type: ignore[arg-type]
    ((name, said),) = link.sent
    assert (leg, link.ids, name) == ("n1-1.1-o1", ["n1-1.1-o1"], "Originate")
    assert (said["Channel"], said["ChannelId"], said["Context"], said["Exten"]) == ("PJSIP/101", leg, "ac-bridge", "s")
    assert (said["Timeout"], said["Async"], said["CallerID"]) == ("15000", "true", '"Li Na x" <+861380013>')
    assert "Application" not in said and "Data" not in said
    assert said["Variable"] == [
        "AC_CALLER=PJSIP/trunk-1", "AC_IX=n1-1.1", "AC_OFFER=o1", "AC_EPOCH=7",
        "PJSIP_HEADER(add,X-Aftercall-Interaction)=n1-1.1", "PJSIP_HEADER(add,X-Aftercall-Offer)=o1",
        "PJSIP_HEADER(add,X-Aftercall-Queue)=ab",
    ]  # fmt: skip


async def test_which_legs_are_ours_is_remembered_within_a_bound() -> None:
    link = FakeLink()
    link.up = False
    control = Control(link)  # type: ignore[arg-type]
    for number in range(KEEP_MADE + 1):
        with pytest.raises(LinkDown):
            await control.offer(offer_id=f"o{number}", **OFFER)  # type: ignore[arg-type]
    assert control.made(f"n1-1.1-o{KEEP_MADE}") and not control.made("n1-1.1-o0") and not control.made("n1-1.1-x")


async def test_an_offer_that_was_not_taken_is_still_ours_when_its_leg_appears() -> None:
    link = FakeLink()
    link.up = False
    control = Control(link)  # type: ignore[arg-type]
    with pytest.raises(LinkDown):
        await control.offer(offer_id="o1", **OFFER)  # type: ignore[arg-type]
    assert control.made("n1-1.1-o1"), "it may ring all the same: whether the order arrived is not known"


@virtual_time
async def test_cancelling_waits_a_moment_for_a_leg_that_is_only_just_being_made_and_then_gives_up() -> None:
    link, begun = FakeLink(), now()
    turns = iter(["No such channel", "No such channel", None])
    link.refuse = lambda _name, _headers: next(turns)
    await Control(link).cancel_offer("n1-1.1-o1")  # type: ignore[arg-type]
    assert link.sent == [("Hangup", {"Channel": "n1-1.1-o1", "Cause": "26"})] * 3 and now() - begun < 0.5
    link.refuse = lambda _name, _headers: "No such channel"
    await Control(link).cancel_offer("n1-1.1-o1")  # type: ignore[arg-type]
    assert len(link.sent) == 6


async def test_verbs_are_one_action_each() -> None:
    link = FakeLink()
    control = Control(link)  # type: ignore[arg-type]
    await control.hang_up("c", cause=21)
    await control.move("c", "ac-wait")
    await control.set_variables("c", {"AC_QUEUE": "service", "AC_PRIO": "2"})
    await control.set_global("AC_HB", "7")
    assert await control.get_global("AC_HB") == "7"
    assert link.sent == [
        ("Hangup", {"Channel": "c", "Cause": "21"}),
        ("Redirect", {"Channel": "c", "Context": "ac-wait", "Exten": "s", "Priority": "1"}),
        ("Setvar", {"Channel": "c", "Variable": "AC_QUEUE", "Value": "service"}),
        ("Setvar", {"Channel": "c", "Variable": "AC_PRIO", "Value": "2"}),
        ("Setvar", {"Variable": "AC_HB", "Value": "7"}),
        ("Getvar", {"Variable": "AC_HB"}),
    ]


@pytest.mark.parametrize("bad", ["x\r\nAction: Originate", "x\n", "\0"])
async def test_no_verb_lets_a_line_break_through(bad: str) -> None:
    link = FakeLink()
    control = Control(link)  # type: ignore[arg-type]
    verbs = [control.hang_up(bad), control.move(bad, "ac-wait"), control.move("c", bad), control.set_variables("c", {"A": bad}),
             control.set_variables(bad, {"A": "1"}), control.set_global("A", bad),
             control.offer(offer_id=bad, **OFFER)]  # type: ignore[arg-type]  # fmt: skip
    for verb in verbs:
        with pytest.raises(UnsafeValue):
            await verb
    assert link.sent == []


async def test_what_the_switch_refuses_is_told_with_its_own_reason() -> None:
    link = FakeLink()
    link.refuse = lambda _name, _headers: "No such channel"
    with pytest.raises(ActionRefused, match="Hangup: No such channel"):
        await Control(link).hang_up("c")  # type: ignore[arg-type]
