"""The sample menu, by ear and by key, on a virtual line."""

from __future__ import annotations

import json

import pytest

from core.events.base import to_record
from core.events.ivr import CallerIdentified, DigitsCollected, FlowEnded, FlowWaited, OrderLookedUp
from ivr.ports import LookupResult
from tests.unit.ivr.build import DID, FOUND, Desk, Queues, runner
from tests.unit.ivr.line import VirtualLine

PROOF = (("menu-main", "1"), ("ask-order-number", "20261234#"), ("ask-second-factor", "5678#"))
WRONG = (("ask-order-number", "99999999#"), ("ask-second-factor", "0000#"))
NONE = LookupResult("none")
FAST = ("filler_after_s: 0.8", "filler_after_s: 0.1")


async def call(line: VirtualLine, desk: Desk | None = None, **more: object):
    made, events, _ = runner(desk, **more)  # type: ignore[arg-type]
    end = await made.run(line, did=DID, ani="13800138000", interaction_id="n1-1.1")
    return end, events


async def test_a_caller_hears_the_status_and_is_handed_to_a_person() -> None:
    line = VirtualLine(*PROOF, ("menu-after-status", "0"))
    desk = Desk(FOUND)
    end, events = await call(line, desk)
    assert end.exit == "handoff" and end.queue == "service"
    assert desk.asked[0].order_no == "20261234" and desk.asked[0].second_factor == "5678"
    at = line.heard.index("order-your-order")
    assert line.heard[at + 1 : at + 6] == ["digit-2", "digit-0", "digit-2", "digit-6", "silence-200"]
    assert line.heard[line.heard.index("order-state-delayed") + 1] == "number-100"
    assert line.heard[-1] == "connecting"
    assert line.variables == {
        "AC_NODE": "late-person", "AC_LANG": "en", "AC_LEVEL": "second_factor", "AC_QUEUE": "service", "AC_PRIO": "1",
        "AC_SKILLS": "", "AC_PROBLEM": "order-late", "AC_FACTS": "order=o-1", "AC_NEXT": "queue", "AC_DONE": "1",
    }  # fmt: skip
    assert line.order[-1] == "set AC_DONE=1"
    assert events.of(OrderLookedUp)[0].outcome == "found"
    assert events.of(CallerIdentified)[0].level == "second_factor"
    ended = events.of(FlowEnded)
    assert [(e.exit, e.queue, e.problem) for e in ended] == [("handoff", "service", "order-late")]


async def test_what_was_typed_to_prove_something_is_in_no_event() -> None:
    line = VirtualLine(*PROOF, ("menu-after-status", "0"))
    _, events = await call(line)
    journal = json.dumps([to_record(event) for event in events if event.kind != "OrderLookedUp"])
    assert "5678" not in journal and "20261234" not in journal and "12950" not in journal
    personal = [event.digits for event in events.of(DigitsCollected) if event.node in ("order-number", "second-factor")]
    assert personal == ["********", "****"]


async def test_zero_pressed_while_the_status_is_read_leads_to_a_person() -> None:
    line = VirtualLine(*PROOF, ("order-state-delayed", "0"))
    end, _ = await call(line)
    assert end.exit == "handoff"
    assert "menu-after-status" not in line.heard


async def test_a_key_pressed_during_the_welcome_is_for_the_menu() -> None:
    line = VirtualLine(("welcome", "0"))
    end, _ = await call(line)
    assert end.exit == "handoff" and "menu-main" not in line.heard


async def test_nobody_presses_anything_and_gets_a_person() -> None:
    line = VirtualLine()
    end, _ = await call(line)
    assert end.exit == "handoff" and end.queue == "service"
    assert line.heard.count("menu-main") == 2 and "no-input" in line.heard


async def test_nine_speaks_the_other_language_from_then_on() -> None:
    line = VirtualLine(("menu-main", "9"), ("menu-main", "0"))
    end, events = await call(line)
    assert end.exit == "handoff" and line.variables["AC_LANG"] == "zh"
    assert line.spoken_in[0] == "en" and line.spoken_in[-1] == "zh"
    assert events.of(FlowEnded)[0].language == "zh"


async def test_the_status_is_spoken_in_chinese_too() -> None:
    line = VirtualLine(("menu-main", "9"), *PROOF, ("menu-after-status", "0"))
    await call(line)
    at = line.heard.index("order-state-delayed")
    assert line.heard[at + 1 : at + 7] == [
        "number-100",
        "number-20",
        "number-9",
        "money-cny-many",
        "number-5",
        "money-cny-jiao",
    ]


async def test_returns_lead_to_a_person_who_knows_why() -> None:
    line = VirtualLine(("menu-main", "2"), ("menu-person-or-main", "0"))
    end, _ = await call(line)
    assert end.exit == "handoff" and line.variables["AC_PROBLEM"] == "returns"


async def test_three_wrong_orders_and_then_a_person() -> None:
    line = VirtualLine(("menu-main", "1"), *WRONG, *WRONG, *WRONG)
    desk = Desk(NONE)
    end, events = await call(line, desk)
    assert end.exit == "handoff"
    assert len(desk.asked) == 3
    assert [event.outcome for event in events.of(OrderLookedUp)] == ["none", "none", "refused"]
    assert line.heard.count("order-not-found") == 2 and line.heard.count("order-too-many-tries") == 1
    assert line.variables["AC_LEVEL"] == ""


async def test_a_good_order_after_a_wrong_one_is_read_and_another_may_be_asked() -> None:
    line = VirtualLine(
        ("menu-main", "1"), *WRONG, *PROOF[1:], ("menu-after-status", "2"), *PROOF[1:], ("menu-after-status", "0")
    )
    desk = Desk(NONE, FOUND)
    end, events = await call(line, desk)
    assert end.exit == "handoff"
    assert [event.outcome for event in events.of(OrderLookedUp)] == ["none", "found", "found"]


@pytest.mark.parametrize(
    "answer", [LookupResult("error"), LookupResult("slow"), RuntimeError("boom"), LookupResult("nonsense")]
)
async def test_a_shop_that_does_not_answer_offers_a_person(answer: LookupResult | Exception) -> None:
    line = VirtualLine(*PROOF, ("menu-person-or-main", "0"))
    end, _ = await call(line, Desk(answer))
    assert end.exit == "handoff"
    assert "shop-unavailable" in line.heard and line.variables["AC_PROBLEM"] == "order-system-unavailable"


async def test_a_slow_shop_is_bridged_by_the_filler_and_given_up_at_the_deadline() -> None:
    line = VirtualLine(*PROOF, ("menu-person-or-main", "0"))
    desk = Desk(FOUND, after_s=30)
    edit = lambda text: text.replace(*FAST).replace("deadline_s: 3.0", "deadline_s: 0.5")  # noqa: E731
    end, events = await call(line, desk, edit=edit)
    assert end.exit == "handoff"
    assert line.heard.index("one-moment") < line.heard.index("shop-unavailable")
    assert events.of(OrderLookedUp)[0].outcome == "slow"
    assert desk.cancelled == 1


async def test_a_quick_shop_needs_no_filler() -> None:
    line = VirtualLine(*PROOF, ("menu-after-status", "0"))
    await call(line)
    assert "one-moment" not in line.heard


async def test_an_answer_during_the_filler_is_used() -> None:
    line = VirtualLine(*PROOF, ("menu-after-status", "0"))
    await call(line, Desk(FOUND, after_s=0.2), edit=lambda text: text.replace(*FAST))
    assert line.heard.index("one-moment") < line.heard.index("order-state-delayed")


@pytest.mark.parametrize(
    ("typed_before", "prompt"),
    [
        (0, "welcome"),
        (0, "menu-main"),
        (1, "ask-order-number"),
        (2, "ask-second-factor"),
        (3, "order-state-delayed"),
        (3, "menu-after-status"),
    ],
)
async def test_a_caller_may_hang_up_anywhere(typed_before: int, prompt: str) -> None:
    line = VirtualLine(*PROOF[:typed_before], (prompt, "hangup"))
    end, events = await call(line)
    assert end.exit == "caller_gone"
    assert [event.exit for event in events.of(FlowEnded)] == ["caller_gone"]
    assert "AC_DONE" not in line.variables


async def test_a_caller_who_hangs_up_during_the_filler_stops_the_look_up() -> None:
    line = VirtualLine(*PROOF, ("one-moment", "hangup"))
    desk = Desk(FOUND, after_s=30)
    end, _ = await call(line, desk, edit=lambda text: text.replace(*FAST))
    assert end.exit == "caller_gone" and desk.cancelled == 1


async def test_a_queue_that_refuses_leads_to_the_message_box() -> None:
    line = VirtualLine(("menu-main", "0"))
    end, _ = await call(line, queues=Queues("closed"))
    assert end.exit == "voicemail" and line.variables["AC_NEXT"] == "voicemail" and line.variables["AC_DONE"] == "1"


async def test_a_broken_queue_port_refuses_nobody() -> None:
    line = VirtualLine(("menu-main", "0"))
    end, _ = await call(line, queues=Queues(error=RuntimeError("down")))
    assert end.exit == "handoff" and line.variables["AC_NEXT"] == "queue"


async def test_a_number_without_a_flow_gets_a_person() -> None:
    line = VirtualLine()
    made, events, _ = runner()
    end = await made.run(line, did="999", ani="", interaction_id="n1-1.1")
    assert end.exit == "error" and line.variables["AC_QUEUE"] == "service" and line.variables["AC_DONE"] == "1"
    assert events.kinds() == ["FlowEnded"]


async def test_every_wait_is_journalled_before_it_begins() -> None:
    line = VirtualLine(*PROOF, ("menu-after-status", "0"))
    made, events, _ = runner()
    seen: list[tuple[str, str]] = []

    class Told(VirtualLine):
        async def play(self, paths, escape_digits):
            waited = events.of(FlowWaited)[-1]
            seen.append((waited.node, self.variables.get("AC_NODE", "")))
            return await super().play(paths, escape_digits)

    told = Told(*line.script)
    await made.run(told, did=DID, ani="", interaction_id="n1-1.1")
    assert seen and all(journalled == on_the_channel for journalled, on_the_channel in seen)


@pytest.mark.parametrize(
    ("keys", "outcome"),
    [
        ("2" * 200, "no_match"),
        ("*#", "no_match"),
        ("ABCD20261234#", "digits"),
        ("#", "no_match"),
        ("12#", "no_match"),
        ("4111111111111111#", "no_match"),
        ("20261234", "digits"),
        ("", "no_input"),
        ("0#", "digits"),
    ],
)
async def test_whatever_is_typed_at_the_order_prompt_is_one_clear_outcome(keys: str, outcome: str) -> None:
    line = VirtualLine(("menu-main", "1"), ("ask-order-number", keys))
    desk = Desk(FOUND)
    end, events = await call(line, desk)
    typed = [event for event in events.of(DigitsCollected) if event.node == "order-number"]
    assert typed[0].outcome == outcome
    assert set(typed[0].digits) <= {"*"}
    assert end.exit == "handoff"
    if keys.startswith("4111"):
        assert "card-number-refused" in line.heard and not desk.asked
