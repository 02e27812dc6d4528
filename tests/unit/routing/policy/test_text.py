"""Policies as text: what is written is what is meant, every fault is told at its place, and nothing in a text can hurt."""

from __future__ import annotations

import json
import time
from dataclasses import fields
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from ruamel.yaml import YAML

from core.yaml_text import MAX_BYTES
from routing.policy import form
from routing.policy.document import Document, Known, PolicyRefused, QueueSurge
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
from routing.policy.read import MOST_PROBLEMS
from routing.policy.schema import schema
from routing.policy.text import load, read_policy, to_text
from tests.lots import lots
from tests.unit.routing.policy.documents import SAMPLE, damaged, documents

EVERYTHING = """
max_overtakes: 7
skills: [refunds]
teams: [night, day]
classes:
  standard: {ageing_points_per_min: 2}
  gold: {base_points: 5.5}
queues:
  service:
    kind: chat
    skills: {refunds: 3, zh: 2}
    by_language: true
    teams: [day]
    choice: {fit_points_per_level: 2, breadth_points_per_skill: -0.5}
    best_of: [refunds]
    ring_s: 20
    ring_all: 2
    max_misses: 3
    wrap_up_s: 12.5
    whisper: true
    rings:
      - {after_s: 30, lower: {refunds: 1}, points: 1}
      - {after_s: 60, drop: [refunds], teams: [night]}
      - {after_s: 90, any_team: true}
    default_class: gold
    class_of_tier: {Gold Member: gold, 黄金: gold}
    value_points: [{from_minor: 10000, points: 1}, {from_minor: 50000, points: 3}]
    problem_points: {not arrived: 2}
    last_agent_days: 30
    last_agent_points: 4
    promise_points: 9
    owner_first_s: 40
    max_waiting: 50
    max_wait_s: 600
    leave_without: [offline, not_ready]
    overflow: {full: closing, timeout: queue spare, no_agents: number +493012345678, closed: callback}
    hours: shop
    waits: {every_s: 45, position: true, expected_wait: true, order_status: true, prompts: [still-here], music: calm}
    callback: {offer_after_s: 120, attempts: 2, retry_after_s: 600, window: "10:00-18:00", ring_s: 25}
  spare: {choice: round_robin}
surge:
  service:
    greeting: many-calls
    expected_wait_prompt: an-hour
    callback_offer_after_s: 30
    overflow: {full: callback}
    max_waiting: 100
    max_wait_s: 1200
    leave_without: []
"""


def test_every_key_says_what_it_means() -> None:
    document = load(EVERYTHING)
    assert document.policy == Policy(
        {
            "service": QueuePolicy(
                "service", {"refunds": 3, "zh": 2}, 20, 12.5, 3, 600,
                {"full": Overflow("closing"), "timeout": Overflow("queue", "spare"),
                 "no_agents": Overflow("number", "+493012345678"), "closed": Overflow("callback")},
                "chat", True, frozenset({"day"}), Weights(0, 2, -0.5), frozenset({"refunds"}), 2,
                (Ring(30, {"refunds": 1}, points=1), Ring(60, drop=frozenset({"refunds"}), teams=frozenset({"night"})),
                 Ring(90, any_team=True)),
                {"Gold Member": "gold", "黄金": "gold"}, "gold", ((10000, 1), (50000, 3)), {"not arrived": 2},
                30, 4, 9, 40, 50, frozenset({"offline", "not_ready"}), "shop",
                Waits(45, True, True, True, ("still-here",), "calm"), CallbackRules(120, 2, 600, "10:00-18:00", 25), True,
            ),
            "spare": QueuePolicy("spare", choice=CHOICES["round_robin"]),
        },
        {"standard": PriorityClass("standard", 0, 2), "gold": PriorityClass("gold", 5.5)}, 7,
    )  # fmt: skip
    assert document.surge == {
        "service": QueueSurge("many-calls", "an-hour", 30, {"full": Overflow("callback")}, 100, 1200, frozenset())
    }
    assert (document.skills, document.teams) == (frozenset({"refunds"}), frozenset({"night", "day"}))
    assert load(to_text(document)) == document


@pytest.mark.parametrize(
    ("rows", "model", "but"),
    [
        (form.TOP, Document, {"policy", "max_overtakes", "classes", "queues"}),
        (form.TOP, Policy, {"version", "skills", "teams", "surge"}),
        (form.CLASS, PriorityClass, {"name"}), (form.QUEUE, QueuePolicy, {"name"}), (form.RING, Ring, set()),
        (form.WAITS, Waits, set()), (form.CALLBACK, CallbackRules, set()), (form.WEIGHTS, Weights, set()),
        (form.SURGE, QueueSurge, set()),
    ],
    ids=lambda it: getattr(it, "__name__", ""),
)  # fmt: skip
def test_every_field_of_the_model_can_be_written_down(rows: Any, model: Any, but: set[str]) -> None:
    assert {field.name for field in fields(model)} - but == {row.field for row in rows} - but


def test_the_sample_is_good_and_says_what_the_sample_world_needs() -> None:
    policy = load(SAMPLE, "sample.yaml", Known(skills=frozenset(), teams=frozenset())).policy
    assert {name: queue.wrap_up_s for name, queue in policy.queues.items()} == {"service": 20, "express": 0}
    assert all(queue.skills == {name: 1} for name, queue in policy.queues.items())


@settings(max_examples=lots(60))
@given(documents())
def test_what_is_written_down_is_read_back_the_same(document: Document) -> None:
    assert load(to_text(document)) == document


@settings(max_examples=lots(300))
@given(damaged() | damaged(EVERYTHING))
def test_a_damaged_text_is_good_or_refused_and_never_anything_else(text: str) -> None:
    try:
        document = load(text, "damaged.yaml")
    except PolicyRefused as refused:
        assert refused.problems and refused.status == 422
        for problem in refused.problems:
            assert "\n" not in str(problem) and len(str(problem)) < 400
            assert problem.line == 0 or problem.line <= text.count("\n") + 2
    else:
        assert load(to_text(document)) == document


QUEUE = "queues:\n  a:\n    "
BAD = [
    ("queues: {}\nqueus: {}", "2:1: queus: 'queus' is not a key of a policy; did you mean 'queues'?"),
    (QUEUE + "wrap_up: 20", "3:5: queues.a.wrap_up: 'wrap_up' is not a key of a queue; did you mean 'wrap_up_s'?"),
    (QUEUE + "ring_s: soon", "3:13: queues.a.ring_s: a number of seconds is wanted, not 'soon'"),
    (QUEUE + "ring_s:", "3:12: queues.a.ring_s: a number of seconds is wanted, not nothing; leave the key out"),
    (QUEUE + "wrap_up_s: -1", "3:16: queues.a.wrap_up_s: -1 is negative; write 0 to 3600"),
    (QUEUE + "max_wait_s: 1.0e999", "3:17: queues.a.max_wait_s: 1.0e999 is not possible here; write 0 to 86400"),
    (QUEUE + "ring_all: 1.5", "3:15: queues.a.ring_all: a whole number is wanted, not '1.5'"),
    (QUEUE + "ring_all: true", "3:15: queues.a.ring_all: a whole number is wanted, not 'true'"),
    (QUEUE + "whisper: yes", "3:14: queues.a.whisper: true or false is wanted, not 'yes'"),
    (QUEUE + "kind: voise", "3:11: queues.a.kind: 'voise' is not possible here; did you mean 'voice'?"),
    (QUEUE + "skills: [zh]", "3:13: queues.a.skills: a table of skills and levels is wanted"),
    (QUEUE + "skills: {zh: 6}", "3:18: queues.a.skills.zh: 6 is not possible here; write 1 to 5"),
    (QUEUE + "skills: {zh: 0}", "3:18: queues.a.skills.zh: 0 is not possible here; write 1 to 5"),
    (QUEUE + "teams: night", "3:12: queues.a.teams: a list of teams is wanted; write [night]"),
    (QUEUE + "teams: [7]", "3:13: queues.a.teams[0]: the name of a team is wanted, not '7'; put it in quotes: '7'"),
    (QUEUE + "best_of: [a b]", "3:15: queues.a.best_of[0]: 'a b' is not a name; a name has letters, digits, _ . and -, at "
     "most 64, and begins with a letter or digit"),
    (QUEUE + "best_of: [zh, zh]", "3:19: queues.a.best_of[1]: 'zh' stands twice"),
    (QUEUE + "choice: longest", "3:13: queues.a.choice: 'longest' is not a choice; did you mean 'longest_idle'?"),
    (QUEUE + "choice: {fit: 1}", "3:14: queues.a.choice.fit: 'fit' is not a key of a choice; there are "
     "breadth_points_per_skill, fit_points_per_level, idle_points_per_min, occupancy_points_per_percent, "
     "turn_points_per_offer"),
    (QUEUE + "leave_without: [offlin]", "3:21: queues.a.leave_without[0]: 'offlin' is not possible here; did you mean "
     "'offline'?"),
    (QUEUE + "value_points: [{from_minor: 9, points: 1}, {from_minor: 9, points: 2}]",
     "3:48: queues.a.value_points[1].from_minor: value bands ascend; write more than 9"),
    (QUEUE + "value_points: [{points: 1}]", "3:20: queues.a.value_points[0]: a value band needs 'from_minor'; write "
     "{from_minor: 10000, points: 5}"),
    (QUEUE + "callback: {window: 9-5}", "3:24: queues.a.callback.window: '9' is not a time of day like 09:00; write it like "
     "'09:00-20:00'"),
    (QUEUE + "overflow: {ful: closing}", "3:16: queues.a.overflow.ful: 'ful' is not a reason to go elsewhere; did you mean "
     "'full'?"),
    (QUEUE + "overflow: {full: voicmail}", "3:22: queues.a.overflow.full: 'voicmail' is no place to go; did you mean "
     "'voicemail'?"),
    (QUEUE + "overflow: {full: number 0301234}", "3:22: queues.a.overflow.full: '0301234' is not a number in E.164; write it "
     "like +493012345678"),
    (QUEUE + "overflow: {full: queue b}", "3:22: queues.a.overflow.full: there is no queue 'b'; there are a"),
    (QUEUE + "overflow: {full: queue a}", "3:16: queues.a.overflow.full: queue 'a' overflows into itself; let one of them end "
     "in voicemail, closing, callback or a number"),
    ("queues:\n  a: {overflow: {full: queue b}}\n  b: {overflow: {timeout: queue c}}\n  c: {overflow: {closed: queue a}}",
     "2:18: queues.a.overflow.full: callers would be sent in a circle: a → b → c → a; let one of them end in voicemail, "
     "closing, callback or a number"),
    ("queues:\n  a: {}\n  b: {overflow: {full: queue a}}\nsurge:\n  a: {overflow: {full: queue b}}",
     "5:18: surge.a.overflow.full: callers would be sent in a circle: a → b → a; let one of them end in voicemail, closing, "
     "callback or a number"),
    (QUEUE + "default_class: gold", "3:20: queues.a.default_class: there is no class 'gold'; there are standard"),
    (QUEUE + "class_of_tier: {vip: standart}", "3:26: queues.a.class_of_tier.vip: there is no class 'standart'; did you mean "
     "'standard'?"),
    (QUEUE + "rings: [{after_s: 9, points: 1}, {after_s: 9, points: 1}]",
     "3:39: queues.a.rings[1].after_s: rings ascend by after_s; write more than 9"),
    (QUEUE + "rings: [{after_s: 0, points: 1}]",
     "3:23: queues.a.rings[0].after_s: 0 is not possible here; write more than 0 to 86400"),
    (QUEUE + "rings: [{points: 1}]", "3:13: queues.a.rings[0]: a ring needs 'after_s'; write from how many seconds of waiting "
     "on"),
    (QUEUE + "rings: [{after_s: 9}]", "3:13: queues.a.rings[0]: this ring changes nothing; lower or drop a skill, add teams "
     "or points"),
    (QUEUE + "rings: [{after_s: 9, lower: {zh: -1}}]", "3:38: queues.a.rings[0].lower.zh: -1 is negative; write 1 to 4"),
    (QUEUE + "rings: [{after_s: 8, drop: [zh]}, {after_s: 9, lower: {zh: 1}}]", "3:52: queues.a.rings[1].lower: this asks for "
     "more than before: 'zh' is not asked for any longer; a ring only ever asks for less"),
    (QUEUE + "rings: [{after_s: 8, teams: [night]}]", "3:26: queues.a.rings[0].teams: this asks for more than before: "
     "everybody serves the queue by then; leave the teams out, or give the queue teams of its own"),
    ("queues: {a: {}, a: {}}", "1:17: queues.a: the key 'a' stands twice; the first one is in line 1; keep one of them"),
    ("max_overtakes: 3", "1:1: a policy needs 'queues'; write a table of queues by name"),
    ("queues: {a: {}}\nsurge: {b: {}}", "2:9: surge.b: there is no queue 'b'; there are a"),
    ("queues: {a: {}}\nsurge: {a: {ring_s: 9}}", "2:13: surge.a.ring_s: 'ring_s' is not a key of a queue's surge; there are "
        "callback_offer_after_s, expected_wait_prompt, greeting, leave_without, max_wait_s, max_waiting, overflow",
    ),
    ("skills: [refunds]\n" + QUEUE + "skills: {refund: 1}", "4:14: queues.a.skills.refund: there is no skill 'refund'; did you "
     "mean 'refunds'?"),
    ("teams: [day]\n" + QUEUE + "teams: [zzz]", "4:13: queues.a.teams[0]: there is no team 'zzz'; a new one is declared under "
     "`teams:` at the top"),
    ("- a", "1:1: a policy is a table of queues, classes and surge"),
    ("queues: [", "1:10: not YAML: expected the node content, but found '<stream end>'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), BAD, ids=[told.partition(": ")[2][:60] for _, told in BAD])
def test_a_fault_is_told_at_its_place_with_what_to_write_instead(text: str, told: str) -> None:
    assert [str(problem) for problem in read_policy(text, "p.yaml")[1]] == [f"p.yaml:{told}"]
    with pytest.raises(PolicyRefused) as caught:
        load(text, "p.yaml")
    assert caught.value.lines == [f"p.yaml:{told}"]


def test_all_faults_are_told_together_in_the_order_of_the_text() -> None:
    text = "quues: 1\n" + QUEUE + "ring_s: x\n    skills: {zh: 9}\n    overflow: {full: queue a}\nmax_overtakes: -1\n"
    assert [problem.line for problem in read_policy(text, "p")[1]] == [1, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("known", "text", "part"),
    [
        (Known(skills=frozenset({"zh", "refunds"})), "skills: {refund: 1}", "there is no skill 'refund'; did you mean"),
        (Known(teams=frozenset({"day"})), "teams: [dayy]", "there is no team 'dayy'; did you mean 'day'?"),
        (Known(calendars=frozenset({"shop"})), "hours: shpo", "there is no calendar 'shpo'; did you mean 'shop'?"),
        (Known(prompts=frozenset({"busy"})), "waits: {prompts: [bussy]}", "there is no prompt 'bussy'; did you mean"),
    ],
    ids=["skill", "team", "calendar", "prompt"],
)
def test_what_is_named_must_exist_where_that_can_be_known(known: Known, text: str, part: str) -> None:
    (problem,) = read_policy(QUEUE + text, "p", known)[1]
    assert part in str(problem)
    assert read_policy(QUEUE + text, "p")[1] == []


def test_a_skill_no_agent_has_yet_is_declared_in_the_text() -> None:
    known = Known(skills=frozenset({"zh"}))
    assert read_policy("skills: [refunds]\n" + QUEUE + "skills: {refunds: 1, zh: 2, en: 1}", "p", known)[1] == []


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
EVIL: dict[str, tuple[str | bytes, str]] = {
    "too big": (b"x" * (MAX_BYTES + 1), "the most a policy may have"),
    "50 MB": (b"x" * 50_000_000, "the most a policy may have"),
    "10,000 lists deep": ("[" * 10_000, "nested more than 12 deep"),
    "10,000 tables deep": ("{a: " * 10_000, "nested more than 12 deep"),
    "alias bomb": (BOMB, "anchors and aliases"),
    "too many values": ("a: [" + "x," * 50_000 + "]", "more than 20000 values"),
    "19,000 unknown keys": ("\n".join(f"k{n}: " for n in range(9_900)), f"more than {MOST_PROBLEMS} problems"),
    "9,000 doubled keys": ("a: \n" * 9_000, f"more than {MOST_PROBLEMS} problems"),
    "a key of 200 KB": ("x" * 1000 + ": 1", "is not a key"),
    "a python object": ("queues: !!python/object/apply:os.system [x]", "tags"),
    "not UTF-8": (b"\xff\xfe\x00", "not UTF-8"),
    "NUL": ("queues: a\x00b", "cannot stand in a policy"),
    "empty": ("", "a policy is a table"),
}


@pytest.mark.parametrize("name", EVIL)
def test_a_text_that_wants_to_hurt_is_refused_quickly(name: str) -> None:
    text, part = EVIL[name]
    began = time.perf_counter()
    document, problems = read_policy(text, "evil")
    assert any(part in problem.message for problem in problems), problems[:3]
    assert len(problems) <= MOST_PROBLEMS + 1
    assert time.perf_counter() - began < 3


def test_five_hundred_queues_in_a_row_are_read_quickly_and_a_ring_of_them_is_found() -> None:
    rows = [f"  q{n}: {{overflow: {{full: queue q{n + 1}}}}}" for n in range(499)]
    began = time.perf_counter()
    assert read_policy("queues:\n" + "\n".join([*rows, "  q499: {}"]), "p")[1] == []
    (problem,) = read_policy("queues:\n" + "\n".join([*rows, "  q499: {overflow: {full: queue q0}}"]), "p")[1]
    assert problem.message == "callers would be sent in a circle: q0 → q1 → q2 → q3 → q4 → q5 → … → q0"
    assert time.perf_counter() - began < 6


def _plain(text: str) -> Any:
    return json.loads(json.dumps(YAML(typ="safe", pure=True).load(text)))


def test_the_published_schema_takes_what_is_good_and_refuses_wrong_names_types_and_numbers() -> None:
    validator = jsonschema_rs.validator_for(schema())
    for text in (SAMPLE, EVERYTHING):
        validator.validate(_plain(text))
    for part in ("wrap_up: 20", "ring_s: soon", "wrap_up_s: -1", "skills: {zh: 6}", "overflow: {full: voicmail}",
                 "choice: longest", "rings: [{points: 1}]", "callback: {window: 9-5}"):  # fmt: skip
        assert not validator.is_valid(_plain(QUEUE + part)), part


@settings(max_examples=lots(50))
@given(documents())
def test_the_published_schema_takes_whatever_we_write(document: Document) -> None:
    jsonschema_rs.validator_for(schema()).validate(_plain(to_text(document)))
