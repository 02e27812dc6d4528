"""What the wallboard shows is true, and what it is told in pieces adds up."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from app.live import views
from app.live.board import apply, name_agents, tally, turn_day
from app.live.model import Board, new_board, sections
from app.live.patch import EMPTY, between, merge, patched
from app.live.views import Viewer
from core.events import DomainEvent, ivr, pbx, routing
from tests.lots import lots
from tests.unit.live.stories import DAYS, at

IX = "n1-1.1"
VIEWERS = [Viewer(True), Viewer(False, "101"), Viewer(False, "102"), Viewer(False)]


def _fold(events: list[DomainEvent], board: Board | None = None) -> Board:
    told = board or new_board(agents={"101": "Li Na"}, queues=["service"], zone="Asia/Shanghai")
    for event in events:
        told, _ = apply(told, event)
    return told


@given(DAYS, st.integers(0, 60))
@settings(max_examples=lots(150))
def test_snapshot_and_patches_are_the_fresh_snapshot_for_everybody(events: list[DomainEvent], from_here: int) -> None:
    board = _fold(events[:from_here])
    shown = {viewer: views.picture(sections(board), viewer) for viewer in VIEWERS}
    merged = EMPTY
    start = sections(board)
    for event in events[from_here:]:
        board, change = apply(board, event)
        merged = merge(merged, change)
        for viewer in VIEWERS:
            told = views.patch(change, viewer)
            for section, values in told["set"].items():
                shown[viewer].setdefault(section, {}).update(values)
            for section, ids in told["drop"].items():
                for key in ids:
                    shown[viewer][section].pop(key)
    for viewer in VIEWERS:
        assert shown[viewer] == views.picture(sections(board), viewer)
    assert patched(start, merged) == {name: dict(values) for name, values in sections(board).items()}


@given(DAYS)
@settings(max_examples=lots(100))
def test_figures_of_a_queue_are_counted_from_its_calls(events: list[DomainEvent]) -> None:
    board = _fold(events)
    for name, queue in board.queues.items():
        calls = [call for call in board.calls.values() if call.queue == name]
        assert queue.waiting == sum(call.state in ("waiting", "offered", "ringing") for call in calls)
        assert queue.talking == sum(call.state in ("talking", "held") for call in calls)
        assert (queue.oldest_at is None) == (queue.waiting == 0)


@given(DAYS)
@settings(max_examples=lots(100))
def test_a_fact_told_twice_changes_nothing_the_second_time(events: list[DomainEvent]) -> None:
    counted = (routing.OfferAccepted, routing.ItemAbandoned, routing.ItemOverflowed, routing.OfferTimedOut)
    board = _fold([])
    for event in events:
        board, _ = apply(board, event)
        if not isinstance(event, counted):
            again, change = apply(board, event)
            assert not change and sections(again) == sections(board)


@given(DAYS)
@settings(max_examples=lots(100))
def test_an_ended_call_never_comes_back(events: list[DomainEvent]) -> None:
    board = _fold(events)
    ended = {event.interaction_id for event in events if isinstance(event, pbx.CallEnded)}
    for ix in ended:
        first = next(i for i, e in enumerate(events) if isinstance(e, pbx.CallEnded) and e.interaction_id == ix)
        assert ix not in _fold(events[first:], _fold(events[:first])).calls
    assert not ended & board.calls.keys()


@given(DAYS)
@settings(max_examples=lots(60))
def test_an_agent_sees_numbers_of_their_own_calls_only(events: list[DomainEvent]) -> None:
    board = _fold(events)
    for extension in ("101", "102"):
        shown = views.picture(sections(board), Viewer(False, extension))["calls"]
        for ix, call in board.calls.items():
            if call.agent == extension:
                assert shown[ix]["ani"] == call.ani
            else:
                assert "13812345678" not in str(shown[ix]) and not shown[ix]["caller_name"]
                assert not shown[ix]["order_no"]


@given(DAYS)
@settings(max_examples=lots(60))
def test_the_days_figures_survive_a_restart_and_ghosts_do_not(events: list[DomainEvent]) -> None:
    before = _fold(events)
    after = tally(_fold([]), events)
    assert not after.calls
    for name, queue in before.queues.items():
        again = after.queues[name]
        assert (again.answered, again.abandoned, again.overflowed) == (
            queue.answered,
            queue.abandoned,
            queue.overflowed,
        )
        assert (again.waiting, again.talking, again.oldest_at) == (0, 0, None)
    for ext, agent in before.agents.items():
        assert (after.agents[ext].answered, after.agents[ext].state) == (agent.answered, "OFFLINE")


def _call_to_talk() -> list[DomainEvent]:
    return [
        pbx.CallArrived(interaction_id=IX, at=at(0), ani="+8613812345678", dnis="800", channel="c", entry="menu"),
        ivr.FlowStarted(interaction_id=IX, at=at(1), flow="main", version="1", language="zh"),
        ivr.FlowEnded(interaction_id=IX, at=at(9), flow="main", exit="handoff", queue="service", problem="refund"),
        pbx.CallWaiting(interaction_id=IX, at=at(10), channel="c", queue="service", enqueued_at=at(10)),
        routing.ItemQueued(interaction_id=IX, at=at(10), queue="service", enqueued_at=at(10), channel="c"),
        routing.AgentStateChanged(interaction_id=IX, at=at(12), extension="101", state="RESERVED"),
        routing.OfferMade(interaction_id=IX, at=at(12), offer_id="o", extension="101", queue="service", attempt=1,
                          epoch=1, leg_id="l"),
        routing.OfferRinging(interaction_id=IX, at=at(13), offer_id="o", extension="101"),
        routing.OfferAccepted(interaction_id=IX, at=at(15), offer_id="o", extension="101", queue="service", waited_s=5),
        routing.AgentStateChanged(interaction_id=IX, at=at(15), extension="101", state="ENGAGED"),
        pbx.CallConnected(interaction_id=IX, at=at(15), leg_id="l", offer_id="o", extension="101"),
    ]  # fmt: skip


def test_a_call_goes_from_the_menu_to_the_agent() -> None:
    states = []
    board = _fold([])
    for event in _call_to_talk():
        board, _ = apply(board, event)
        if IX in board.calls:
            states.append(board.calls[IX].state)
    assert list(dict.fromkeys(states)) == ["arrived", "menu", "waiting", "offered", "ringing", "talking"]
    call, agent, queue = board.calls[IX], board.agents["101"], board.queues["service"]
    assert (call.agent, call.since, call.problem, call.language) == ("101", at(15), "refund", "zh")
    assert (agent.state, agent.call, agent.answered, agent.name) == ("ENGAGED", IX, 1, "Li Na")
    assert (queue.waiting, queue.talking, queue.answered, queue.answered_in_t) == (0, 1, 1, 1)


def test_ring_no_answer_puts_the_caller_back_with_the_original_wait() -> None:
    events = [
        *_call_to_talk()[:8],
        routing.OfferTimedOut(interaction_id=IX, at=at(28), offer_id="o", extension="101", rang_s=15),
    ]
    board = _fold(events)
    assert (board.calls[IX].state, board.calls[IX].agent) == ("waiting", "")
    assert board.calls[IX].enqueued_at == at(10) == board.queues["service"].oldest_at
    assert board.agents["101"].missed == 1


def test_a_late_word_about_another_offer_does_not_end_this_one() -> None:
    late = routing.OfferCancelled(interaction_id=IX, at=at(14), offer_id="old", extension="102", reason="x")
    assert _fold([*_call_to_talk()[:8], late]).calls[IX].state == "ringing"


def test_a_resync_in_mid_talk_does_not_restart_the_timer() -> None:
    told_again = pbx.CallConnected(interaction_id=IX, at=at(600), leg_id="l", offer_id="o", extension="101")
    assert _fold([*_call_to_talk(), told_again]).calls[IX].since == at(15)


def test_a_call_first_seen_in_mid_talk_is_on_the_board() -> None:
    board = _fold([pbx.CallConnected(interaction_id=IX, at=at(5), leg_id="l", offer_id="o", extension="101")])
    assert board.calls[IX].state == "talking"


def test_wrap_up_keeps_the_call_and_its_end_until_it_is_over() -> None:
    ended = [
        pbx.CallEnded(interaction_id=IX, at=at(60), reason="caller_hangup"),
        routing.AgentStateChanged(interaction_id=IX, at=at(60), extension="101", state="WRAP_UP", until=at(80)),
        routing.WrapUpStarted(interaction_id=IX, at=at(60), extension="101", offer_id="o", seconds=20),
    ]
    board = _fold([*_call_to_talk(), *ended])
    assert IX not in board.calls
    assert (board.agents["101"].call, board.agents["101"].until) == (IX, at(80))
    over = [
        routing.WrapUpEnded(interaction_id=IX, at=at(70), extension="101", offer_id="o", wrap_up_s=10),
        routing.AgentStateChanged(at=at(70), extension="101", state="READY"),
    ]
    board = _fold(over, board)
    assert (board.agents["101"].state, board.agents["101"].call, board.agents["101"].until) == ("READY", "", None)


def test_figures_of_yesterday_go_at_midnight_where_the_shop_is() -> None:
    board = _fold(_call_to_talk())  # 16:00 in Shanghai
    assert board.queues["service"].day == "2026-11-24"
    kept, change = turn_day(board, "2026-11-24")
    assert not change and kept.queues["service"].answered == 1
    turned, change = turn_day(board, "2026-11-25")
    assert turned.queues["service"].answered == 0 and change
    late = routing.ItemAbandoned(interaction_id="n1-9.1", at=at(0) + timedelta(hours=9), queue="service", waited_s=5)
    board = _fold([late], board)  # 01:00 of the next day
    assert (board.queues["service"].answered, board.queues["service"].abandoned) == (0, 1)


def test_an_agents_own_call_to_a_feature_code_is_no_customer() -> None:
    own = pbx.CallArrived(interaction_id="x", at=at(0), ani="101", dnis="*41", channel="c", entry="agent")
    assert not _fold([own]).calls


def test_agents_are_named_when_their_names_become_known() -> None:
    board, change = name_agents(_fold([]), {"101": "Li Na", "107": "Wang Fang"})
    assert board.agents["107"].name == "Wang Fang"
    assert change.set["agents"].keys() == {"107"}
    assert between(sections(board), sections(board)) is EMPTY


def test_a_caller_about_whom_a_colleague_is_asked_stays_with_their_agent_until_they_are_given_away() -> None:
    first = {"interaction_id": IX, "offer_id": "o1", "extension": "101"}
    second = {"interaction_id": IX, "offer_id": "o2", "extension": "102"}
    offer = {"queue": "service", "attempt": 1, "leg_id": "x"}
    board = _fold([
        pbx.CallArrived(interaction_id=IX, at=at(0), ani="1", dnis="2", channel="c"),
        routing.OfferMade(at=at(1), **first, **offer),
        pbx.CallConnected(at=at(2), leg_id="x", **first),
        routing.OfferAccepted(at=at(2), queue="service", waited_s=1, **first),
        pbx.CallHeld(interaction_id=IX, at=at(3), extension="101", by_order=True),
        routing.OfferMade(at=at(4), purpose="consult", **second, **offer),
        pbx.LegRinging(at=at(5), leg_id="y", **second),
        routing.OfferAccepted(at=at(6), queue="service", waited_s=1, purpose="consult", **second),
    ])  # fmt: skip
    assert (board.calls[IX].state, board.calls[IX].agent) == ("held", "101")
    assert board.queues["service"].answered == 1, "the queue's caller was answered once"
    board = _fold([
        pbx.CallConnected(at=at(7), leg_id="y", **second),
        routing.SegmentEnded(at=at(7), queue="service", ring_s=0, talk_s=5, hold_s=4, reason="talked", **first),
    ], board)  # fmt: skip
    assert (board.calls[IX].state, board.calls[IX].agent) == ("talking", "102")
