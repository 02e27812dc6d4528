"""The rehearsed world: answers what a flow asks of shop, queues and boxes, as a scenario tells. Pure; nothing is waited for.

Follows the live shell: the filler is heard when the shop takes longer than the node says, and beyond the deadline the
answer is "slow".
"""

from __future__ import annotations

from core.phrases.model import Digits, Phrases, Prompt
from ivr.flow.waits import (
    AskQueue,
    CallBack,
    CallWebhook,
    Done,
    HandOff,
    HangUp,
    LeaveVoicemail,
    LookedUp,
    LookUp,
    Outcome,
    Play,
    Played,
    QueueTold,
    Refused,
    Wait,
    WebhookAnswered,
)
from ivr.rehearsal.model import FakeHook, FakeOrder, FakeQueue, World


def answer(world: World, wait: Wait, caller: str) -> tuple[Outcome, Phrases]:
    """What comes of a wait that needs no caller, and what is heard meanwhile."""
    match wait:
        case Play():
            return Played(), ()
        case LookUp():
            return _looked_up(world, wait, caller)
        case HandOff(queue):
            known = world.queues.get(queue)
            return (Refused(known.refuses) if known and known.refuses else Done()), ()
        case LeaveVoicemail(box):
            return (Refused(world.boxes[box]) if world.boxes.get(box) else Done()), ()
        case CallBack(queue):
            known = world.queues.get(queue)
            return (Refused(known.no_callback) if known and known.no_callback else Done()), ()
        case HangUp():
            return Done(), ()
        case AskQueue(queue):
            return _told(world.queues.get(queue)), ()
        case CallWebhook():
            return _hooked(world.hooks.get(wait.hook, FakeHook(fault="error")), wait)
    raise ValueError(f"{type(wait).__name__} needs a caller")


def _looked_up(world: World, wait: LookUp, caller: str) -> tuple[Outcome, Phrases]:
    shop = world.shop
    took_s = wait.deadline_s if shop.fault == "slow" else min(shop.after_s, wait.deadline_s)
    filler = wait.filler if took_s > wait.filler_after_s else ()
    took_ms = round(took_s * 1000, 1)
    if shop.fault == "slow" or shop.after_s > wait.deadline_s:
        return LookedUp("slow", took_ms=took_ms), filler
    if shop.fault:
        return LookedUp("error", took_ms=took_ms), filler
    return _found(world, wait, caller, took_ms), filler


def _told(queue: FakeQueue | None) -> QueueTold:
    if queue is None or queue.waiting is None:
        return QueueTold(known=False)
    return QueueTold(True, queue.waiting, queue.wait_s, queue.agents)


def _hooked(hook: FakeHook, wait: CallWebhook) -> tuple[Outcome, Phrases]:
    slow = hook.fault == "slow" or hook.after_s > wait.deadline_s
    took_s = wait.deadline_s if slow else hook.after_s
    filler = wait.filler if took_s > wait.filler_after_s else ()
    if slow or hook.fault:
        return WebhookAnswered("slow" if slow else "error"), filler
    return WebhookAnswered("ok", hook.values), filler


def _found(world: World, wait: LookUp, caller: str, took_ms: float) -> LookedUp:
    if wait.order_no:
        orders = [one for one in world.orders if one.no == wait.order_no and one.factor == wait.second_factor]
    else:
        orders = [one for one in world.orders if one.phone and one.phone == caller]
    if not orders:
        return LookedUp("none", took_ms=took_ms)
    first = orders[0]
    kind = "found" if len(orders) == 1 else "several"
    level = ("second_factor" if wait.second_factor else "order_no") if wait.order_no else "ani"
    facts = {"status": first.status, "count": len(orders), **first.facts}
    phrases = spoken(first) if kind == "found" else ()
    return LookedUp(kind, f"id-{first.no}", first.no, level, phrases, facts, took_ms)


def spoken(order: FakeOrder) -> Phrases:
    """What is read out of a rehearsed order."""
    state = Prompt(f"order-state-{order.status.replace('_', '-')}")
    return order.said or (Prompt("order-your-order"), Digits(order.no), state)
