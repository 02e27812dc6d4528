"""What a waiting caller is told next, by tables and by any history: news only, positions only when better, waits as bands."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.phrases.model import Phrases, Prompt
from core.phrases.render import LANGUAGES, render
from core.prompts.library import PromptLibrary
from routing.policy.model import Waits
from routing.waiting.expected import BANDS, WORSE, Pace, band_of, expected_wait_s
from routing.waiting.plan import FIRST_S, LEAST_S, Memory, Standing, due_at, position_phrases, say
from tests.lots import lots

ALL = Waits(
    every_s=30, position=True, expected_wait=True, order_status=True, prompts=("queue-still-waiting", "queue-busy"),
    greeting="welcome",
)  # fmt: skip
SHIPPED: Phrases = (Prompt("order-your-order"), Prompt("order-state-shipped"))
DELIVERED: Phrases = (Prompt("order-your-order"), Prompt("order-state-delivered"))
FRESH = Memory("service")
WAITS = st.builds(
    Waits, every_s=st.floats(0, 60), position=st.booleans(), expected_wait=st.booleans(), order_status=st.booleans(),
    prompts=st.sampled_from([(), ("queue-busy",), ("queue-busy", "queue-still-waiting")]),
    greeting=st.sampled_from(["", "welcome"]), expected_wait_prompt=st.sampled_from(["", "queue-many-callers"]),
)  # fmt: skip
STANDINGS = st.builds(
    Standing, st.integers(0, 30), st.none() | st.floats(0, 4000), st.sampled_from([(), SHIPPED, DELIVERED])
)
WAIT_S = st.floats(0, 10_000)


def said(waits: Waits, memory: Memory, now: Standing) -> str:
    """The words in short: without the language, the pauses and what all names begin with."""
    names = [name.removeprefix("en/") for name in render(say(waits, memory, now)[0], "en")]
    return " ".join(name.removeprefix("queue-").removeprefix("order-") for name in names if "silence" not in name)


@pytest.mark.parametrize(
    ("waits", "memory", "now", "words"),
    [
        (ALL, FRESH, Standing(3, 100), "welcome position number-3 position-end wait-under number-2 noun-minute-many"),
        (ALL, FRESH, Standing(1, None, SHIPPED), "welcome position-next"),
        (ALL, FRESH, Standing(0, None), "welcome"),
        (ALL, Memory("service", 1, 3, "under-2"), Standing(3, 110, SHIPPED), "your-order state-shipped"),
        (ALL, Memory("service", 2, 3, "under-2", "order-state-shipped"), Standing(4, 119, SHIPPED), "still-waiting"),
        (ALL, Memory("service", 3, 3, "under-2", "order-state-shipped", 1), Standing(3, 9, SHIPPED), "busy"),
        (ALL, Memory("service", 4, 3, "under-2", "order-state-shipped", 2), Standing(3, 9, DELIVERED),
         "your-order state-delivered"),
        (ALL, Memory("service", 4, 3, "under-2"), Standing(2, 200),
         "position number-2 position-end wait-about number-5 noun-minute-many still-waiting"),
        (Waits(every_s=30, position=True), Memory("service", 1, 2), Standing(2), ""),
        (Waits(every_s=30, position=True), Memory("service", 1, 2), Standing(5), ""),
        (Waits(every_s=30, prompts=("queue-busy",)), FRESH, Standing(2, 50, SHIPPED), "busy"),
        (Waits(every_s=30, expected_wait=True, expected_wait_prompt="queue-many-callers"), Memory("service", 1, 0, "under-2"),
         Standing(2, 50), "many-callers"),
        (Waits(every_s=30, expected_wait=True, expected_wait_prompt="queue-many-callers"),
         Memory("service", 2, 0, "=queue-many-callers"), Standing(2, 50), ""),
        (Waits(every_s=30, expected_wait=True), Memory("service", 2, 0, "=queue-many-callers"), Standing(2, 5000),
         "wait-over number-30 noun-minute-many"),
        (Waits(greeting="welcome"), Memory("service", 1), Standing(2, 50, SHIPPED), ""),
    ],
)  # fmt: skip
def test_a_turn_says_what_is_news_and_one_comforting_word(
    waits: Waits, memory: Memory, now: Standing, words: str
) -> None:
    assert said(waits, memory, now) == words


@pytest.mark.parametrize(
    ("waits", "memory", "due"),
    [
        (ALL, FRESH, 100 + FIRST_S),
        (Waits(greeting="welcome"), FRESH, 100 + FIRST_S),
        (Waits(every_s=30, position=True), FRESH, 100 + FIRST_S),
        (Waits(every_s=30, prompts=("queue-busy",)), FRESH, 130),
        (Waits(every_s=30), FRESH, None),
        (Waits(position=True, prompts=("queue-busy",)), FRESH, None),
        (Waits(greeting="welcome"), Memory("service", 1), None),
        (ALL, Memory("service", 1), 150),
        (Waits(every_s=1e-3, position=True), Memory("service", 1), 120 + LEAST_S),
    ],
)
def test_the_first_word_comes_soon_and_the_others_as_often_as_the_queue_says(
    waits: Waits, memory: Memory, due: float | None
) -> None:
    assert due_at(waits, memory, came_at=100, last_at=120) == due


@settings(max_examples=lots(60))
@given(WAITS, st.lists(STANDINGS, max_size=12))
def test_through_any_wait_positions_only_get_better_and_nothing_is_told_twice_in_a_row(
    waits: Waits, standings: list[Standing]
) -> None:
    memory, positions, bands, states = FRESH, [], [], []
    for standing in standings:
        phrases, after = say(waits, Memory.of(memory.text, "service"), standing)
        assert after.turns == memory.turns + 1 and Memory.of(after.text, "service") == after
        for language in LANGUAGES:
            render(phrases, language)
        if after.position != memory.position:
            positions.append(after.position)
            assert set(position_phrases(standing.position)) <= set(phrases)
        else:
            assert Prompt("queue-position") not in phrases and Prompt("queue-position-next") not in phrases
        bands += [after.band] if after.band != memory.band else []
        states += [after.order] if Prompt("order-your-order") in phrases else []
        memory = after
    assert positions == sorted(set(positions), reverse=True)
    for told in (bands, states):
        assert all(a != b for a, b in zip(told, told[1:], strict=False))


@given(st.text(max_size=40) | st.just("service/1/²/a/b/3"), st.sampled_from(["service", "express"]))
def test_a_strange_memory_is_no_memory(text: str, queue: str) -> None:
    assert Memory.of(text, queue).queue == queue


def test_in_another_queue_the_position_is_told_anew_and_the_order_is_not() -> None:
    told = Memory("service", 5, 2, "under-2", "order-state-shipped", 3)
    assert Memory.of(told.text, "express") == Memory("express", order="order-state-shipped")


@given(st.integers(1, 1000), st.integers(1, 500), st.floats(1, 3600))
def test_more_before_them_longer_talks_or_fewer_agents_never_make_a_wait_shorter(
    position: int, agents: int, handle_s: float
) -> None:
    wait_s = expected_wait_s(position, agents, handle_s)
    assert wait_s is not None and wait_s == pytest.approx(position * handle_s / agents)
    for longer in (
        expected_wait_s(position + 1, agents, handle_s),
        expected_wait_s(position, agents, handle_s + 1),
        expected_wait_s(position, agents - 1, handle_s),
    ):
        assert longer is None or longer > wait_s


@pytest.mark.parametrize(("position", "agents", "handle_s"), [(0, 3, 60), (2, 0, 60), (2, 3, 0)])
def test_what_is_not_known_is_not_told(position: int, agents: int, handle_s: float) -> None:
    assert expected_wait_s(position, agents, handle_s) is None


@pytest.mark.parametrize(
    ("wait_s", "name"),
    [(0, "under-2"), (120, "under-2"), (121, "about-5"), (450, "about-5"), (600, "about-10"), (751, "over-10"),
     (1800, "over-10"), (1801, "over-30")],
)  # fmt: skip
def test_a_wait_has_one_band(wait_s: float, name: str) -> None:
    assert band_of(wait_s).name == name


@given(WAIT_S, st.sampled_from(["", "strange", *(band.name for band in BANDS)]))
def test_a_wait_that_stays_where_it_is_keeps_its_band_and_a_better_one_is_told_at_once(
    wait_s: float, before: str
) -> None:
    band, plain = band_of(wait_s, before), band_of(wait_s)
    assert band_of(wait_s, band.name) == band
    told = next((it for it in BANDS if it.name == before), None)
    if told is not None and band != plain:
        assert band == told and told.up_to_s < wait_s <= told.up_to_s * WORSE


def test_every_word_that_can_be_said_has_its_sound_in_both_languages() -> None:
    prompts = PromptLibrary()
    phrases = [*(band.phrases for band in BANDS), *(position_phrases(n) for n in range(1, 40))]
    phrases += [(Prompt("queue-many-callers"),)]
    for language in LANGUAGES:
        for one in phrases:
            assert prompts.paths(render(one, language))


def test_the_pace_of_a_queue_is_the_mean_of_its_last_contacts_with_their_after_call_work() -> None:
    pace = Pace()
    assert pace.handle_s("service") == 0
    pace.remember([("service", 100.0), ("express", 7.0)])
    pace.talk_ended("o1", "service", 180)
    pace.wrap_up_ended("o1", 20)
    pace.wrap_up_ended("o1", 1000)  # told twice
    pace.wrap_up_ended("o9", 1000)  # of nobody we know
    pace.talk_ended("o2", "service", 0)  # they were never joined
    assert (pace.handle_s("service"), pace.handle_s("express")) == (150, 7)
    for n in range(60):
        pace.talk_ended(f"x{n}", "service", 30)
    assert pace.handle_s("service") == 30
