"""Asks somebody else's program, by a name that the operator allows, within a deadline.

A flow never holds an address: `hook` names an entry of the operator's list. What is sent is what the file lists; what comes
back is kept as variables, texts and numbers only, at most twenty, under names of variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ivr.flow.model import Context, FlowFault, Leave, Node, Turn
from ivr.flow.session import Session, Value
from ivr.flow.waits import CallWebhook, Outcome, WebhookAnswered
from ivr.nodes.form import Build, ExitSpec, Field, NodeType
from ivr.nodes.spoken import WORD, Part, resolve

MOST_VALUES = 20


@dataclass(frozen=True, slots=True)
class Webhook:
    """`send`: name → expression."""

    hook: str
    send: Mapping[str, str]
    filler: tuple[Part, ...] = ()
    deadline_s: float = 3.0
    filler_after_s: float = 0.8

    def enter(self, session: Session, context: Context) -> Turn:
        facts, sent, reports = context.facts(session), {}, []
        for name, expression in self.send.items():
            try:
                sent[name] = context.evaluate(expression, facts)
            except FlowFault as fault:
                reports.append(f"{name}: {fault}")
        kept = {name: value for name, value in sent.items() if isinstance(value, str | int | bool | float)}
        wait = CallWebhook(
            self.hook, kept, session.language, resolve(self.filler, session), self.filler_after_s, self.deadline_s
        )
        return Turn(session, wait, (), tuple(reports))

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        if not isinstance(outcome, WebhookAnswered) or outcome.kind != "ok":
            kind = outcome.kind if isinstance(outcome, WebhookAnswered) else "error"
            return Turn(session, Leave("slow" if kind == "slow" else "error"))
        values: dict[str, Value] = {}
        for name, value in list(outcome.values.items())[:MOST_VALUES]:
            if WORD.fullmatch(name) and isinstance(value, str | int | bool | float):
                values[name] = value[:200] if isinstance(value, str) else value
        return Turn(replace(session, variables={**session.variables, **values}), Leave("ok"))


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return Webhook(values["hook"], values["send"], values["filler"], values["deadline_s"], values["filler_after_s"])


TYPE = NodeType(
    name="webhook",
    summary="Asks another program that the operator allows; its answer becomes variables.",
    fields=(
        Field("hook", "hook", required=True, help="the name under which the operator allows it"),
        Field("send", "expressions", default={}, help="name: expression; nothing else is sent"),
        Field("filler", "spoken", default=(), help="said when no answer came after filler_after_s"),
        Field("deadline_s", "seconds", default=3.0, low=0.5, high=10),
        Field("filler_after_s", "seconds", default=0.8, low=0.1, high=1.5),
    ),
    exits=(
        ExitSpec("ok", required=True),
        ExitSpec("slow", help="no answer before the deadline"),
        ExitSpec("error", help="it does not work, or said no"),
    ),
    build=_build,
    example="""\
type: webhook
hook: points
send: {number: caller.number}
filler: [one-moment]
exits: {ok: main, slow: main, error: main}
""",
)
