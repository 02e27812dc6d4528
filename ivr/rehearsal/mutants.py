"""A flow with one small mistake in it, again and again: a good set of scenarios notices each. Pure.

The mistakes are those people make: two exits swapped, a retry too many or too few, a condition the wrong way round, a prompt
left out, another queue. They are made by the shape of a node, not by its type, so that new types are covered too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from ivr.flow.model import Flow, Place
from ivr.inspect import exits_of
from ivr.link import is_own, is_way_out


@dataclass(frozen=True, slots=True)
class Mutant:
    """`what` was changed at `node`, in words. `exits`: only who leaves by one of them can notice; () = anybody there."""

    node: str
    kind: str
    what: str
    flow: Flow
    exits: tuple[str, ...] = ()


def mutants(flow: Flow) -> Iterator[Mutant]:
    """Every small mistake, node by node in the order of the file; of other flows that are gone through, only the ways out."""
    for name, place in flow.places.items():
        if not is_own(name):
            continue
        for what, places in _returns_swapped(flow, name):
            yield Mutant(name, place.kind, what, replace(flow, places=places))
        for what, changed, exits in (*_swapped(place, flow.person), *_changed(place)):
            places = MappingProxyType({**flow.places, name: changed})
            yield Mutant(name, place.kind, what, replace(flow, places=places), exits)


def _returns_swapped(flow: Flow, name: str) -> Iterator[tuple[str, Mapping[str, Place]]]:
    outs = [at for at in flow.places if at.startswith(name + ".") and is_way_out(flow, at)]
    for one, other in pairwise(outs):
        first, second = flow.places[one], flow.places[other]
        if first.exits != second.exits:
            swapped = {one: replace(first, exits=second.exits), other: replace(second, exits=first.exits)}
            yield f"the ways back '{one}' and '{other}' swapped", MappingProxyType({**flow.places, **swapped})


def _swapped(place: Place, person: str) -> Iterator[tuple[str, Place, tuple[str, ...]]]:
    names = exits_of(place)
    targets = {name: place.exits.get(name, person) for name in names}
    for one, other in pairwise(names):
        if targets[one] != targets[other]:
            exits = {**targets, one: targets[other], other: targets[one]}
            yield f"exits '{one}' and '{other}' swapped", replace(place, exits=MappingProxyType(exits)), (one, other)


def _changed(place: Place) -> Iterator[tuple[str, Place, tuple[str, ...]]]:
    node: Any = place.node
    for field in fields(node):
        for what, value in _values(field.name, getattr(node, field.name)):
            yield f"{field.name} {what}", replace(place, node=replace(node, **{field.name: value})), ()


def _values(name: str, value: Any) -> list[tuple[str, Any]]:
    match name:
        case "tries" | "max_failed":
            return [("+1", value + 1), *([("-1", value - 1)] if value > 1 else [])]
        case "priority" | "shortest" | "busy_waiting":
            return [("+1", value + 1)]
        case "share":
            return [("none", 0), ("all", 100)]
        case "values" if isinstance(value, Mapping):
            return [(f"'{one}' without '{texts[0]}'", {**value, one: texts[1:]}) for one, texts in value.items()]
        case "longest":
            return [("-1", value - 1)]
        case "cases" if isinstance(value, Mapping):
            return [(f"'{one}' negated", {**value, one: f"!({text})"}) for one, text in value.items()]
        case "expression" if value:
            return [("negated", f"!({value})")]
        case "queue" | "box" | "problem" | "value" | "agent" | "hook" if isinstance(value, str) and value:
            return [("changed", value + "x")]
        case "parts" if value:
            return [("without the first", value[1:])] if len(value) > 1 else [("left out", ())]
        case _:
            return []
