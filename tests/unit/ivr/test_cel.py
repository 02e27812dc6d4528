"""Expressions see the facts and nothing else."""

from __future__ import annotations

import pytest

from ivr.cel import MOST_KEPT, Expressions
from ivr.flow.model import FlowFault
from ivr.flow.session import Session

FACTS = Session(
    "x",
    "f",
    "v",
    "4000",
    "138",
    "zh",
    variables={"vip": True, "n": 3},
    proved={"order": {"status": "delayed"}, "order_no": "1"},
).facts()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('language == "zh"', True),
        ('order.status in ["delayed", "refund_late"]', True),
        ('"status" in order', True),
        ('"total" in order', False),
        ("vars.vip && vars.n > 2", True),
        ("[1, 2].exists(x, x == vars.n)", False),
        ('did == "4000" && failed == 0', True),
    ],
)
def test_facts_can_be_asked(text: str, value: object) -> None:
    expressions = Expressions()
    assert expressions.check(text) == ""
    assert expressions.evaluate(text, FACTS) == value


@pytest.mark.parametrize("text", ["order.total > 1", "vars.n + 'x' == 'y'", "vars.nobody", "proved.order_no", "ani"])
def test_what_cannot_be_evaluated_is_a_fault_of_the_author(text: str) -> None:
    with pytest.raises(FlowFault, match="cannot be evaluated"):
        Expressions().evaluate(text, FACTS)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a ==", "'a ==' is not an expression"),
        ("", "not an expression"),
        ("ani == '1'", "'ani' is not known"),
        ("__import__('os')", ""),
    ],
)
def test_what_is_wrong_is_told_in_one_line(text: str, part: str) -> None:
    problem = Expressions().check(text)
    assert part in problem and "\n" not in problem


def test_compiled_expressions_are_bounded() -> None:
    expressions = Expressions()
    for n in range(MOST_KEPT + 5):
        assert expressions.check(f"failed == {n}") == ""
    assert len(expressions._compiled) <= MOST_KEPT
