"""Words become turns: nothing lost, nobody interrupted by a cough."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from recordings.transcript import Turn, Word, as_text, clock, from_json, is_noise, join_words, to_json, turns


def said(text: str, start_s: float, each_s: float = 0.3) -> list[Word]:
    return [Word(start_s + i * each_s, start_s + (i + 1) * each_s, word) for i, word in enumerate(text.split())]


def spoken(conversation: tuple[Turn, ...]) -> list[tuple[str, str]]:
    return [(turn.side, turn.text) for turn in conversation]


def test_sides_alternate() -> None:
    found = turns({"caller": said("where is it", 0), "agent": said("on its way", 2)})
    assert spoken(found) == [("caller", "where is it"), ("agent", "on its way")]
    assert as_text(found) == "0:00.0 caller: where is it\n0:02.0 agent: on its way"


def test_a_word_thrown_in_does_not_cut_a_sentence() -> None:
    found = turns({"agent": said("your parcel left our house on monday", 0), "caller": said("yes", 0.8)})
    assert spoken(found) == [("agent", "your parcel left our house on monday"), ("caller", "yes")]


def test_an_answer_in_a_pause_stands_between_the_two_halves() -> None:
    found = turns({"agent": said("hold on", 0) + said("here it is", 3), "caller": said("fine", 1.5)})
    assert spoken(found) == [("agent", "hold on"), ("caller", "fine"), ("agent", "here it is")]


def test_a_short_pause_of_one_side_keeps_the_turn_a_long_one_ends_it() -> None:
    assert len(turns({"caller": said("well", 0) + said("no", 1.9)})) == 1
    assert len(turns({"caller": said("well", 0) + said("no", 9.0)})) == 2


def test_chinese_words_stand_without_spaces_and_foreign_ones_with() -> None:
    assert join_words(["我", "的", "订单", "iphone", "在", "哪里"]) == "我的订单 iphone 在哪里"
    assert join_words(["where", "is", "it"]) == "where is it"


def test_what_a_model_writes_for_noise_is_no_word() -> None:
    assert [is_noise(t) for t in ("<unk>", "[noise]", " ", "", "no", "我")] == [True, True, True, True, False, False]


def test_seconds_as_people_read_them() -> None:
    assert [clock(s) for s in (0, 3.44, 59.96, 61, 3600, 36000.5)] == [
        "0:00.0", "0:03.4", "1:00.0", "1:01.0", "1:00:00.0", "10:00:00.5",
    ]  # fmt: skip


words = st.builds(
    lambda start, length, text, conf: Word(start / 100, (start + length) / 100, text, conf / 100),
    st.integers(0, 6000), st.integers(0, 200), st.sampled_from(["yes", "no", "order", "我", "的"]), st.integers(0, 100),
)  # fmt: skip
sides = st.fixed_dictionaries({"caller": st.lists(words, max_size=30), "agent": st.lists(words, max_size=30)})


@given(sides)
def test_every_word_stands_in_exactly_one_turn_of_its_side_in_order(spoken: dict[str, list[Word]]) -> None:
    found = turns(spoken)
    for side, given_words in spoken.items():
        assert sorted(w for t in found if t.side == side for w in t.words) == sorted(given_words)
    assert [t.start_s for t in found] == sorted(t.start_s for t in found)
    assert all(list(t.words) == sorted(t.words) for t in found)
    assert all(t.words for t in found)


@given(sides, st.randoms(use_true_random=False))
def test_the_order_in_which_words_arrive_changes_nothing(spoken: dict[str, list[Word]], random: object) -> None:
    before = turns(spoken)
    for found in spoken.values():
        random.shuffle(found)  # type: ignore[attr-defined]
    assert turns(dict(reversed(spoken.items()))) == before


@given(sides)
def test_what_is_stored_reads_back(spoken: dict[str, list[Word]]) -> None:
    found = turns(spoken)
    assert from_json(to_json(found)) == found
