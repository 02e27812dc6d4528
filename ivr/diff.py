"""What changed between two versions of a flow, in the flow's own words. Pure; not a comparison of lines of text."""

from __future__ import annotations

from dataclasses import fields

from ivr.flow.model import Flow, Place
from ivr.inspect import exits_of


def diff(before: Flow, after: Flow) -> list[str]:
    """One line for each change; [] = callers notice nothing."""
    rows = [
        f"{what}: {getattr(before, what)} → {getattr(after, what)}"
        for what in ("name", "start", "person", "languages")
        if getattr(before, what) != getattr(after, what)
    ]
    rows += [f"- node {name} ({place.kind})" for name, place in before.places.items() if name not in after.places]
    for name, place in after.places.items():
        old = before.places.get(name)
        if old is None:
            exits = ", ".join(f"{one} → {place.exits.get(one, after.person)}" for one in exits_of(place))
            rows.append(f"+ node {name} ({place.kind}){': ' + exits if exits else ''}")
        else:
            rows += [f"~ node {name}: {row}" for row in _changes(old, place, before.person, after.person)]
    return rows


def _changes(old: Place, new: Place, old_person: str, new_person: str) -> list[str]:
    if old.kind != new.kind:
        return [f"was a {old.kind}, is a {new.kind}"]
    rows = [
        f"{field.name}: {_shown(getattr(old.node, field.name))} → {_shown(getattr(new.node, field.name))}"
        for field in fields(new.node)  # type: ignore[arg-type]  # every node is a dataclass
        if getattr(old.node, field.name) != getattr(new.node, field.name)
    ]
    names = list(dict.fromkeys([*exits_of(old), *exits_of(new)]))
    ways = [(name, _way(old, name, old_person), _way(new, name, new_person)) for name in names]
    rows += [f"exit {name}: {was} → {now}" for name, was, now in ways if was != now]
    if old.never_repeat != new.never_repeat:
        rows.append(f"repeat: {'never' if new.never_repeat else 'allowed'}")
    return rows


def _way(place: Place, name: str, person: str) -> str:
    return place.exits.get(name, person) if name in exits_of(place) else "none"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(str(getattr(part, "name", part)) for part in value) + "]"
    if isinstance(value, frozenset):
        return "".join(sorted(map(str, value)))
    return str(value) if value != "" else "nothing"
