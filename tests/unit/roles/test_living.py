"""What a process tells a listener who lost its place: all that lives, in order, in bounds, and nothing that is over."""

from __future__ import annotations

from hypothesis import given, settings

from app.live.board import apply, redraw
from app.live.model import Board, new_board, sections
from app.roles.living import MOST_CALLS, MOST_ENDED, MOST_OF_CALL, Living, merged
from core.events import DomainEvent
from core.events.pbx import CallHeld
from core.events.routing import WrapUpEnded, WrapUpStarted
from tests.unit.live.stories import DAYS
from tests.unit.roles.wires import NOW, arrived, calls, ended, waits


def noted(events: list[DomainEvent]) -> Living:
    living = Living()
    for event in events:
        living.note(event)
    return living


def drawn(events: list[DomainEvent]) -> Board:
    board = new_board(agents={"101": "Li Na"}, queues=["service"])
    for event in events:
        board, _ = apply(board, event)
    return board


def test_what_lives_is_told_in_its_order_and_what_is_over_only_as_its_end() -> None:
    living = noted([arrived("1"), arrived("2"), waits("1"), ended("2")])
    assert calls(living.events()) == [("CallArrived", "1"), ("CallWaiting", "1"), ("CallEnded", "2")]
    assert living.calls() == {"1"}


def test_a_call_that_somebody_else_told_to_have_ended_is_told_no_more() -> None:
    living = noted([arrived("1")])
    living.close("1")
    living.note(waits("1"))
    assert living.events() == []


def test_an_agent_s_wrap_up_is_told_until_it_ends() -> None:
    began = WrapUpStarted(at=NOW, interaction_id="1", extension="101", offer_id="o", seconds=20)
    over = WrapUpEnded(at=NOW, interaction_id="1", extension="101", offer_id="o", wrap_up_s=3)
    assert noted([began]).events() == [began]
    assert noted([began, over]).events() == []


def test_memory_is_bounded_whatever_is_told() -> None:
    living = noted([CallHeld(interaction_id="1", at=NOW) for _ in range(MOST_OF_CALL * 3)])
    assert len(living.events()) <= MOST_OF_CALL
    crowd = noted([arrived(str(number)) for number in range(MOST_CALLS + 50)])
    assert len(crowd.calls()) == MOST_CALLS
    past = noted([event for number in range(MOST_ENDED * 2) for event in (arrived(str(number)), ended(str(number)))])
    assert len(past.events()) == MOST_ENDED


@given(DAYS)
@settings(max_examples=100)
def test_told_again_to_who_has_heard_it_all_nobody_s_figures_change(events: list[DomainEvent]) -> None:
    board = drawn(events)
    again = redraw(board, merged([noted(events)]))
    for name, queue in again.queues.items():
        was = board.queues[name]
        assert (queue.answered, queue.abandoned, queue.day) == (was.answered, was.abandoned, was.day)
    assert not set(again.calls) & set(board.ended)
    assert redraw(again, merged([noted(events)])) == again


def test_a_board_drawn_anew_from_what_lives_is_the_board_that_heard_it_all() -> None:
    told = [arrived("1"), arrived("2"), waits("1"), ended("2"), arrived("3"), waits("3")]
    board = drawn(told)
    assert sections(redraw(board, noted(told).events())) == sections(board)
    assert sections(redraw(new_board(agents={"101": "Li Na"}, queues=["service"]), noted(told).events())) == sections(
        board
    )
