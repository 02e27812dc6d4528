"""Every ground can be said: in the server's words, and in each language of the console, with the same facts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from routing import ground as module
from routing.agent import State
from routing.ground import Ground, sentence
from routing.policy.model import CHOICES
from routing.pool import Assignment
from routing.why import chosen
from tests.unit.routing.house import queue

TEXTS = Path(module.__file__).parent.parent / "app" / "console" / "src" / "i18n"
HOLE = re.compile(r"\{(\w+)\}")


def texts(language: str, block: str) -> dict[str, str]:
    source = (TEXTS / f"{language}.routing.ts").read_text("utf-8")
    found = re.search(rf"^  {block}: \{{\n(.*?)^  \}},", source, re.MULTILINE | re.DOTALL)
    assert found is not None
    return dict(re.findall(r"^    (\w+): '(.*)',$", found[1], re.MULTILINE))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_console_has_words_for_every_ground_and_every_hint(language: str) -> None:
    said = texts(language, "whyReason")
    assert said.keys() == module._WORDS.keys()
    for name, text in said.items():
        assert set(HOLE.findall(text)) <= set(HOLE.findall(module._WORDS[name])), (
            f"{name} tells facts that are not there"
        )
    assert texts(language, "whyHint").keys() == module._HINTS.keys()


def test_every_way_to_choose_an_agent_has_its_own_words() -> None:
    pair = Assignment("ix", "101", ring=2)
    said = {name: sentence(chosen(pair, queue(choice=weights))) for name, weights in CHOICES.items()}
    assert len(set(said.values())) == len(CHOICES)
    assert said["longest_idle"] == (
        "the caller was first by priority and wait; widened 2 times; the longest idle agent who may take it"
    )


@pytest.mark.parametrize("state", [state for state in State if state is not State.READY])
def test_what_helps_is_known_in_every_state(state: State) -> None:
    assert Ground("state", {"name": "Li", "state": str(state), "state_reason": ""}).hint


def test_a_missed_call_has_a_hint_of_its_own_and_a_lack_has_none() -> None:
    missed = Ground("state", {"name": "Li", "state": "NOT_READY", "state_reason": "rona"})
    assert (missed.words, missed.hint_id) == ("Li is NOT_READY (rona)", "rona")
    assert Ground("skill", {"name": "Li", "skill": "zh"}).hint_id == ""
