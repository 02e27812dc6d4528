"""What may be done to a talk, as a literal table; and who may be called outside."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.errors import AftercallError
from routing.calls.model import Doing, Handling, OutsideRules, Target, Verb, after, done_already, orders, outside_number

NOW = Handling("ix", "o1", "101", "ix-o1", "PJSIP/trunk-1", heir="ix-o2", target=Target("agent", "102"))
NO = ""

# verb:              talking     held       asking     asked         swapped       conference    gone
TABLE = {
    "hold":       ("held",     "held",    NO,        NO,           NO,           NO,           NO),
    "resume":     ("talking",  "talking", NO,        NO,           NO,           NO,           NO),
    "mute":       ("talking",  "held",    "asking",  "asked",      "swapped",    "conference", NO),
    "unmute":     ("talking",  "held",    "asking",  "asked",      "swapped",    "conference", NO),
    "consult":    ("asking",   "asking",  NO,        NO,           NO,           NO,           NO),
    "complete":   (NO,         NO,        "gone",    "gone",       "gone",       "gone",       NO),
    "abort":      ("talking",  NO,        "talking", "talking",    "talking",    "talking",    NO),
    "swap":       (NO,         NO,        NO,        "swapped",    "asked",      NO,           NO),
    "conference": (NO,         NO,        NO,        "conference", "conference", "conference", NO),
    "transfer":   ("gone",     "gone",    NO,        NO,           NO,           NO,           NO),
    "park":       ("gone",     "gone",    NO,        NO,           NO,           NO,           NO),
}  # fmt: skip
CELLS = [(doing, Verb(verb), row[i]) for verb, row in TABLE.items() for i, doing in enumerate(Doing)]


def test_the_table_names_every_verb() -> None:
    assert set(TABLE) == set(Verb)


@pytest.mark.parametrize(("doing", "verb", "becomes"), CELLS, ids=[f"{doing}-{verb}" for doing, verb, _ in CELLS])
def test_every_verb_leads_where_the_table_says_or_is_refused_with_what_to_do(
    doing: Doing, verb: Verb, becomes: str
) -> None:
    if becomes:
        assert after(doing, verb) == becomes
        return
    with pytest.raises(AftercallError) as refused:
        after(doing, verb)
    assert refused.value.error_id == "routing:not-now" and refused.value.status == 409 and refused.value.hint


@pytest.mark.parametrize(("doing", "verb", "becomes"), [cell for cell in CELLS if cell[2]])
def test_what_is_possible_has_orders_or_was_done_already(doing: Doing, verb: Verb, becomes: str) -> None:
    now = replace(NOW, doing=doing)
    if verb not in (Verb.CONSULT, Verb.TRANSFER) and not done_already(now, verb):
        assert orders(now, verb, park_s=60)


def test_what_was_done_already_is_known() -> None:
    assert done_already(replace(NOW, doing=Doing.HELD), Verb.HOLD) and done_already(NOW, Verb.RESUME)
    assert done_already(replace(NOW, muted=True), Verb.MUTE) and not done_already(NOW, Verb.MUTE)
    assert not done_already(NOW, Verb.HOLD)


RULES = OutsideRules(allow=("+8610", "400"), max_per_hour=2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("+86 10 1234-5678", "+861012345678"),
        ("400.123.456", "400123456"),
        ("+8621123456", "routing:number-refused"),
        ("00861012345678", "routing:number-refused"),
        ("", "routing:number"),
        ("40", "routing:number"),
        ("400&PJSIP/trunk/00900", "routing:number"),
        ("400,1", "routing:number"),
        ("4００1234", "routing:number"),
        ("4" * 40, "routing:number"),
    ],
)
def test_outside_only_numbers_that_are_allowed_are_called(text: str, said: str) -> None:
    try:
        assert outside_number(text, RULES, 1) == said
    except AftercallError as error:
        assert error.error_id == said


def test_nobody_outside_is_called_unless_an_administrator_says_so_nor_too_often() -> None:
    for rules, count, said in ((OutsideRules(), 0, "routing:number-refused"), (RULES, 2, "routing:too-many-calls")):
        with pytest.raises(AftercallError) as refused:
            outside_number("400123", rules, count)
        assert refused.value.error_id == said and refused.value.hint
