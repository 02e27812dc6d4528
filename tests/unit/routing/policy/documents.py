"""Any policy that can be written down, for Hypothesis; and a damaged text of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

import routing.policy
from routing.policy import form
from routing.policy.document import Document, QueueSurge
from routing.policy.model import (
    CHOICES,
    CallbackRules,
    Overflow,
    Policy,
    PriorityClass,
    QueuePolicy,
    Ring,
    Waits,
    Weights,
)

SAMPLE_FILE = Path(routing.policy.__file__).parent / "sample.yaml"
SAMPLE = SAMPLE_FILE.read_text(encoding="utf-8")

NAMES = st.from_regex(form.NAME, fullmatch=True).map(lambda text: text[:20])
WORDS = st.sampled_from(["on", "no", "true", "null", "123", "1.5", "7up", "vip", "a.b", "x-y", "_"]) | NAMES
LABELS = st.text(st.characters(min_codepoint=32, max_codepoint=0x4FFF), min_size=1, max_size=20).filter(
    lambda text: text.isprintable() and text == text.strip()
)
POINTS = st.floats(-form.MOST_POINTS, form.MOST_POINTS, allow_nan=False) | st.sampled_from([0.0, 1e-6, -1e-2, 5e-324])


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high) | st.integers(int(low) + 1, int(high)).map(float)


def some(names: list[str], most: int = 3) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(names), max_size=most) if names else st.just(frozenset())


WEIGHTS = st.sampled_from(list(CHOICES.values())) | st.builds(Weights, POINTS, POINTS, POINTS, POINTS, POINTS)


@st.composite
def rings(draw: Any, skills: list[str], teams: list[str], served: frozenset[str]) -> tuple[Ring, ...]:
    """Rings that ask for ever less."""
    made: list[Ring] = []
    gone: set[str] = set()
    everybody = not served
    for after_s in sorted(draw(st.sets(numbers(0.001, form.DAY_S), max_size=4))):
        left = [skill for skill in skills if skill not in gone]
        drop = draw(some(left))
        lower = draw(st.dictionaries(st.sampled_from(left), st.integers(1, 4), max_size=2)) if left else {}
        lower = {skill: levels for skill, levels in lower.items() if skill not in drop}
        more = frozenset() if everybody else draw(some([team for team in teams if team not in served]))
        any_team = not everybody and not more and draw(st.booleans())
        points = draw(POINTS)
        if not (drop or lower or more or any_team or points):
            continue
        made.append(Ring(after_s, lower, drop, more, any_team, points))
        gone |= drop
        served |= more
        everybody = everybody or any_team
    return tuple(made)


def places(queues: list[str]) -> st.SearchStrategy[Overflow]:
    """`queues`: those that stand later, so that nobody is sent in a circle."""
    one = st.sampled_from([Overflow("voicemail"), Overflow("closing"), Overflow("callback")])
    one |= st.from_regex(form.NUMBER, fullmatch=True).map(lambda number: Overflow("number", number))
    return one | st.sampled_from(queues).map(lambda name: Overflow("queue", name)) if queues else one


def overflows(queues: list[str]) -> st.SearchStrategy[dict[str, Overflow]]:
    return st.dictionaries(st.sampled_from(["full", "timeout", "no_agents", "closed"]), places(queues), max_size=4)


@st.composite
def queue(
    draw: Any, name: str, skills: list[str], teams: list[str], classes: list[str], later: list[str]
) -> QueuePolicy:
    served = draw(some(teams))
    levels = st.integers(1, 5)
    wanted = draw(st.dictionaries(st.sampled_from(skills), levels, max_size=3)) if skills else {}
    bands = sorted(draw(st.sets(st.integers(0, 10**15), max_size=3)))
    return QueuePolicy(
        name, wanted, draw(numbers(5, 120)), draw(numbers(0, 3600)), draw(st.integers(1, 10)),
        draw(numbers(0, form.DAY_S)), draw(overflows(later)), draw(st.sampled_from(["voice", "chat", "mail", "social"])),
        draw(st.booleans()), served, draw(WEIGHTS), draw(some(skills)), draw(st.integers(1, 20)),
        draw(rings(skills, teams, served)), draw(st.dictionaries(LABELS, st.sampled_from(classes), max_size=3)),
        draw(st.sampled_from(classes)), tuple((least, draw(POINTS)) for least in bands),
        draw(st.dictionaries(LABELS, POINTS, max_size=3)), draw(numbers(0, 365)), draw(POINTS), draw(POINTS),
        draw(numbers(0, form.DAY_S)), draw(st.integers(0, 100_000)), draw(some(list(form.ABSENCES))),
        draw(st.just("") | WORDS),
        Waits(draw(numbers(0, 3600)), draw(st.booleans()), draw(st.booleans()), draw(st.booleans()),
              tuple(draw(st.lists(WORDS, max_size=3))), draw(st.just("") | WORDS), draw(st.just("") | WORDS),
              draw(st.just("") | WORDS)),
        CallbackRules(draw(numbers(0, form.DAY_S)), draw(st.integers(1, 20)), draw(numbers(10, 7 * form.DAY_S)),
                      draw(st.sampled_from(["09:00-20:00", "22:00-02:00"])), draw(numbers(5, 120))),
        draw(st.booleans()),
    )  # fmt: skip


@st.composite
def documents(draw: Any) -> Document:
    skills = sorted(draw(st.sets(WORDS, min_size=1, max_size=4)))
    teams = sorted(draw(st.sets(WORDS, min_size=1, max_size=4)))
    named = draw(st.sets(WORDS, max_size=3))
    classes = sorted({"standard", *named})
    queues = sorted(draw(st.sets(WORDS, max_size=3)))
    found = {name: draw(queue(name, skills, teams, classes, queues[n + 1 :])) for n, name in enumerate(queues)}
    surge = {
        name: QueueSurge(
            draw(st.just("") | WORDS), draw(st.just("") | WORDS), draw(st.none() | numbers(0, form.DAY_S)),
            draw(overflows(queues[queues.index(name) + 1 :])), draw(st.none() | st.integers(0, 100_000)),
            draw(st.none() | numbers(0, form.DAY_S)), draw(st.none() | some(list(form.ABSENCES))),
        )
        for name in draw(some(queues))
    }  # fmt: skip
    table = {name: PriorityClass(name, draw(POINTS), draw(numbers(0, form.MOST_POINTS))) for name in named}
    declared = draw(st.booleans())
    return Document(
        Policy(found, table, draw(st.integers(0, 10_000))), surge,
        frozenset(skills) if declared else frozenset(), frozenset(teams) if declared else frozenset(),
    )  # fmt: skip


JUNK = (
    " ]",
    " }",
    ": x",
    " &a",
    " *a",
    " !!t x",
    " [",
    "\t",
    " #",
    '"',
    "'",
    " null",
    " -1",
    " 1e999",
    " .5",
    " {a: b}",
)


@st.composite
def damaged(draw: Any, text: str = SAMPLE) -> str:
    """A text with one to three wounds."""
    lines = text.splitlines()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        other = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["drop", "double", "cut", "indent", "junk", "swap", "word", "character"])):
            case "drop":
                lines[at] = ""
            case "double":
                lines.insert(at, lines[at])
            case "cut":
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
            case "indent":
                lines[at] = "  " + lines[at]
            case "junk":
                lines[at] += draw(st.sampled_from(JUNK))
            case "swap":
                lines[at], lines[other] = lines[other], lines[at]
            case "word":
                key, colon, _ = lines[at].partition(":")
                lines[at] = key + colon + draw(st.sampled_from(JUNK))
            case _:
                place = draw(st.integers(0, len(lines[at])))
                lines[at] = lines[at][:place] + draw(st.characters()) + lines[at][place:]
    return "\n".join(lines)
