"""The form of a policy's text: every key that may stand in it, what it holds, and which field of the model it fills.

Decides names, units and bounds; reading (`read.py`), writing (`write.py`) and the published schema (`schema.py`) follow these
rows. Invariant: every field of the model has its row (tested), so nothing can be set that cannot be written down.
"""

from __future__ import annotations

from dataclasses import dataclass

from routing.policy.model import KINDS, REASONS

DAY_S = 86_400.0
MOST_POINTS = 1e6
MOST_QUEUES = 500
MOST_RINGS = 50
MOST_NAMES = 200  # in one list or table
NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"
ABSENCES = ("offline", "not_ready", "unreachable")
WITHOUT_TARGET = ("voicemail", "closing", "callback")
NUMBER = r"\+[1-9][0-9]{5,14}"


@dataclass(frozen=True, slots=True)
class Row:
    """One key. `kind` names how it is read; `low` and `high` bound its numbers; `of` names what its names are names of
    (skill, team, class, queue, calendar, prompt, music) or the words that may stand."""

    key: str
    field: str
    kind: str
    help: str
    low: float = 0.0
    high: float = 0.0
    of: str = ""
    words: tuple[str, ...] = ()
    positive: bool = False  # must be more than `low`


def _points(key: str, field: str, help_: str) -> Row:
    return Row(key, field, "number", help_, -MOST_POINTS, MOST_POINTS)


def _seconds(key: str, help_: str, low: float = 0.0, high: float = DAY_S) -> Row:
    return Row(key, key, "number", help_, low, high)


WEIGHTS = (
    _points("idle_points_per_min", "idle", "per minute since the agent's last contact"),
    _points("fit_points_per_level", "fit", "per level of proficiency in what the caller wants"),
    _points("breadth_points_per_skill", "breadth", "per skill the agent has; below 0 the specialist comes first"),
    _points("occupancy_points_per_percent", "occupancy", "per percent of the agent's time spent on contacts"),
    _points("turn_points_per_offer", "turn", "per offer of this queue since the agent's last one"),
)
CLASS = (
    _points("base_points", "base", "what everybody of this class has from the first second"),
    Row("ageing_points_per_min", "ageing_per_min", "number", "what a minute of waiting adds", 0, MOST_POINTS),
)
RING = (
    Row("after_s", "after_s", "number", "from so many seconds of waiting on", 0, DAY_S, positive=True),
    Row("lower", "lower", "levels", "skill: by how many levels less is asked for", 1, 4, of="skill"),
    Row("drop", "drop", "names", "skills that are not asked for any longer", of="skill"),
    Row("teams", "teams", "names", "teams that help from now on", of="team"),
    Row("any_team", "any_team", "flag", "everybody helps from now on"),
    _points("points", "points", "points added from now on"),
)
WAITS = (
    Row("greeting", "greeting", "name", "the prompt said first, once", of="prompt"),
    _seconds("every_s", "how often those who wait are told something; 0: music alone", 0, 3600),
    Row("position", "position", "flag", "their position, when it has become better"),
    Row("expected_wait", "expected_wait", "flag", "the expected wait, as a band"),
    Row("expected_wait_prompt", "expected_wait_prompt", "name", "said instead of the expected wait", of="prompt"),
    Row("order_status", "order_status", "flag", "a word about the order they called for"),
    Row("prompts", "prompts", "list", "prompts that are said in turn", of="prompt"),
    Row("music", "music", "name", "the music they hear: a folder in HOME/music", of="music"),
)
CALLBACK = (
    _seconds("offer_after_s", "after how long a callback is offered; 0: never"),
    Row("attempts", "attempts", "whole", "how often the customer is tried", 1, 20),
    _seconds("retry_after_s", "the pause between two tries", 10, 7 * DAY_S),
    Row("window", "window", "window", "when customers may be called, by their own time of day: 09:00-20:00"),
    _seconds("ring_s", "how long the customer's phone rings", 5, 120),
)
QUEUE = (
    Row("kind", "kind", "word", "what waits here", words=KINDS),
    Row("skills", "skills", "levels", "skill: the least proficiency (1-5) an agent needs", 1, 5, of="skill"),
    Row("by_language", "by_language", "flag", "the caller's language is a wanted skill"),
    Row("teams", "teams", "names", "who serves this queue; without it everybody", of="team"),
    Row("choice", "choice", "choice", "how an agent is chosen among those who may take the caller"),
    Row("best_of", "best_of", "names", "skills of which the best agent is wanted", of="skill"),
    _seconds("ring_s", "how long an agent's phone rings", 5, 120),
    Row("ring_all", "ring_all", "whole", "how many phones ring at once", 1, 20),
    Row("max_misses", "max_misses", "whole", "after how many unanswered offers the agent is taken out", 1, 10),
    _seconds("wrap_up_s", "after-call work", 0, 3600),
    Row("whisper", "whisper", "flag", "the agent hears queue and tier before the two are joined"),
    Row("rings", "rings", "rings", "what is asked for less, the longer somebody waits"),
    Row("default_class", "default_class", "name", "the priority class of whoever has no other", of="class"),
    Row("class_of_tier", "class_of_tier", "classes", "customer's tier: priority class", of="class"),
    Row("value_points", "value_points", "bands", "what an order's value adds", -MOST_POINTS, MOST_POINTS),
    Row("problem_points", "problem_points", "points", "problem: what it adds", -MOST_POINTS, MOST_POINTS),
    Row("last_agent_days", "last_agent_days", "number", "for how long the agent of last time is remembered", 0, 365),
    _points("last_agent_points", "last_agent_points", "what the agent of last time is worth more"),
    _points("promise_points", "promise_points", "added when the time comes by which an answer was promised"),
    _seconds("owner_first_s", "for how long the case's owner alone is asked, if they are at work"),
    Row("max_waiting", "max_waiting", "whole", "how many may wait; 0: no limit", 0, 100_000),
    _seconds("max_wait_s", "how long anybody waits; 0: as long as they like"),
    Row("leave_without", "leave_without", "words", "agents' absences that send callers away", words=ABSENCES),
    Row("overflow", "overflow", "overflow", "where callers go, by reason", words=REASONS),
    Row("hours", "hours", "name", "the calendar of opening hours", of="calendar"),
    Row("waits", "waits", "waits", "what those who wait are told"),
    Row("callback", "callback", "callback", "callbacks that keep the place in the queue"),
)
SURGE = (
    Row("greeting", "greeting", "name", "the prompt said first", of="prompt"),
    Row("expected_wait_prompt", "expected_wait_prompt", "name", "said instead of the expected wait", of="prompt"),
    _seconds("callback_offer_after_s", "after how long a callback is offered; 0: never"),
    Row("overflow", "overflow", "overflow", "where callers go, by reason", words=REASONS),
    Row("max_waiting", "max_waiting", "whole", "how many may wait; 0: no limit", 0, 100_000),
    _seconds("max_wait_s", "how long anybody waits; 0: as long as they like"),
    Row("leave_without", "leave_without", "words", "agents' absences that send callers away", words=ABSENCES),
)
TOP = (
    Row("max_overtakes", "max_overtakes", "whole", "by how many later ones somebody may be overtaken", 0, 10_000),
    Row("skills", "skills", "names", "skills that may be named besides those agents have"),
    Row("teams", "teams", "names", "teams that may be named besides those there are"),
    Row("classes", "classes", "class_table", "priority classes by name"),
    Row("queues", "queues", "queue_table", "queues by name"),
    Row("surge", "surge", "surge_table", "queue: what is otherwise while the surge is on"),
)
BAND = (
    Row("from_minor", "from_minor", "whole", "from which value of the order on, in minor units", 0, 1e15),
    _points("points", "points", "what it adds"),
)
