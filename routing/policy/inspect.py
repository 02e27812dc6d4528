"""What single values cannot show: rings that must ask for ever less, and callers who would be sent around in a circle.

Pure. Reads the values that were read and says what does not fit, at the place where it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce

from core.yaml_text import Listing, Table, Tree
from core.yaml_text.tree import joined
from routing.policy.document import Document
from routing.policy.model import Overflow, QueuePolicy, Ring
from routing.policy.read import Reading, Spot, key_spot, spot

END_HINT = "let one of them end in voicemail, closing, callback or a number"


def inspect(document: Document, top: Table, reading: Reading) -> None:
    """Tells `reading` what does not fit."""
    for queue in document.policy.queues.values():
        _rings(queue, _at(top, "queues", queue.name, "rings"), _path("queues", queue.name, "rings"), reading)
    every_day = {name: queue.overflow for name, queue in document.policy.queues.items()}
    told = _circles(every_day, top, "queues", reading, frozenset())
    surged = {
        name: {**places, **document.surge[name].overflow} if name in document.surge else places
        for name, places in every_day.items()
    }
    _circles(surged, top, "surge", reading, told)


def _at(top: Table, *keys: str) -> Tree:
    """The innermost part of the text that is there."""
    tree: Tree = top
    for key in keys:
        if not isinstance(tree, Table) or key not in tree.rows:
            break
        tree = tree.rows[key]
    return tree


def _path(*keys: str) -> str:
    return reduce(joined, keys)


def _rings(queue: QueuePolicy, tree: Tree, path: str, reading: Reading) -> None:
    items: list[Tree] = tree.items if isinstance(tree, Listing) else []
    latest, gone, everybody = 0.0, set[str](), not queue.teams
    served = set(queue.teams)
    for n, (ring, item) in enumerate(zip(queue.rings, items, strict=False)):
        at = f"{path}[{n}]"
        if 0 < ring.after_s <= latest:
            reading.tell(
                _key(item, "after_s"), f"{at}.after_s", "rings ascend by after_s", f"write more than {latest:g}"
            )
        latest = max(latest, ring.after_s)
        for skill in sorted(set(ring.lower) & (gone | ring.drop)):
            reading.tell(
                _key(item, "lower"), f"{at}.lower", f"this asks for more than before: '{skill}' is not asked for any longer",
                "a ring only ever asks for less",
            )  # fmt: skip
        for skill in sorted(ring.drop & gone):
            reading.tell(_key(item, "drop"), f"{at}.drop", f"'{skill}' is dropped in a ring before", "leave it out")
        if ring.teams and (everybody or ring.any_team):
            reading.tell(
                _key(item, "teams"), f"{at}.teams", "this asks for more than before: everybody serves the queue by then",
                "leave the teams out, or give the queue teams of its own",
            )  # fmt: skip
        elif ring.teams and ring.teams <= served:
            reading.tell(_key(item, "teams"), f"{at}.teams", "these teams serve the queue already", "leave them out")
        nothing = replace(ring, after_s=0) == Ring(0) or replace(ring, after_s=0) == Ring(0, any_team=everybody)
        if nothing and not any(problem.path.startswith(at) for problem in reading.problems):
            reading.tell(spot(item), at, "this ring changes nothing", "lower or drop a skill, add teams or points")
        gone |= ring.drop
        served |= ring.teams
        everybody = everybody or ring.any_team


def _key(item: Tree, key: str) -> Spot:
    return key_spot(item, key) if isinstance(item, Table) and key in item.rows else spot(item)


def _circles(
    overflow: Mapping[str, Mapping[str, Overflow]], top: Table, part: str, reading: Reading,
    told: frozenset[frozenset[str]],
) -> frozenset[frozenset[str]]:  # fmt: skip
    """Each circle is told once, where the first way of it stands; not those `told` before. Returns what was told."""
    ways = {name: _ways(places) for name, places in overflow.items()}
    found: set[frozenset[str]] = set()
    done: set[str] = set()
    for name in ways:
        path = None if name in done else _way_back(name, ways)
        if path is None:
            continue
        done.update(path)
        if frozenset(path) in told:
            continue
        found.add(frozenset(path))
        at, where = _first_way(path, ways, top, part)
        if len(path) == 2:
            message = f"queue '{name}' overflows into itself"
        else:
            message = f"callers would be sent in a circle: {' → '.join(_short(path))}"
        reading.tell(at, where, message, END_HINT)
    return frozenset(found)


def _short(path: Sequence[str]) -> Sequence[str]:
    return path if len(path) <= 8 else (*path[:6], "…", path[-1])


def _first_way(path: Sequence[str], ways: Mapping[str, Mapping[str, str]], top: Table, part: str) -> tuple[Spot, str]:
    """Where a way of the circle stands in this part of the text."""
    for here, there in zip(path, path[1:], strict=False):
        reason = ways[here][there]
        queues = top.rows.get(part)
        queue = queues.rows.get(here) if isinstance(queues, Table) else None
        place = queue.rows.get("overflow") if isinstance(queue, Table) else None
        if isinstance(place, Table) and reason in place.rows:
            return key_spot(place, reason), _path(part, here, "overflow", reason)
    return spot(_at(top, part)), part


def _ways(places: Mapping[str, Overflow]) -> dict[str, str]:
    """Queues to which callers may be sent, and for which reason."""
    return {place.target: reason for reason, place in places.items() if place.to == "queue"}


def _way_back(start: str, ways: Mapping[str, Mapping[str, str]]) -> tuple[str, ...] | None:
    """The shortest way from `start` to itself; None without one."""
    before: dict[str, str] = {}
    level = [start]
    while level:
        following: list[str] = []
        for here, there in _steps(level, ways):
            if there == start:
                way = [start, here]
                while way[-1] != start:
                    way.append(before[way[-1]])
                return (*reversed(way[1:]), start) if here != start else (start, start)
            if there not in before:
                before[there] = here
                following.append(there)
        level = following
    return None


def _steps(level: list[str], ways: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    for here in level:
        for there in ways.get(here, {}):
            yield here, there
