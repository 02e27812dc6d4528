"""The world of a scenario as people write it: the time, the caller, calendars, orders, the shop's mood, queues, boxes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.errors import BadInput
from core.hours.model import Calendar, PublicDays
from core.hours.parse import parse_calendar
from core.phrases.model import Phrases, Prompt
from core.phrases.wire import from_json
from core.yaml_text.words import did_you_mean
from ivr.rehearsal.model import FakeHook, FakeOrder, FakeQueue, Shop, World
from ivr.tree import Listing, Scalar, Table, Tree

WORLD_KEYS = (
    "at",
    "zone",
    "caller",
    "did",
    "language",
    "call_id",
    "calendars",
    "orders",
    "shop",
    "queues",
    "hooks",
    "boxes",
)
QUEUE = ("refuses", "no_callback", "waiting", "wait_s", "agents")
ORDER = ("no", "factor", "phone", "status", "facts", "said")
Tell = Callable[[int, str, str], None]
Holidays = Callable[[str], PublicDays]


def read_world(table: Table, base: World, tell: Tell, holidays_of: Holidays) -> World:
    """`base` with what the table says. Keys that are no part of a world are left to others."""
    world = replace(base, zone=_zone(table.rows["zone"], tell)) if "zone" in table.rows else base
    for key, value in table.rows.items():
        text = value.text if isinstance(value, Scalar) else ""
        match key:
            case "caller":
                world = replace(world, caller=text)
            case "did":
                world = replace(world, did=text)
            case "language":
                world = replace(world, language=text)
            case "call_id":
                world = replace(world, interaction_id=text)
            case "at":
                world = replace(world, at=_moment(text, value.line, world, tell))
            case "calendars":
                world = replace(world, calendars={**base.calendars, **_calendars(value, tell, holidays_of)})
            case "orders":
                world = replace(world, orders=_orders(value, tell))
            case "shop":
                world = replace(world, shop=read_shop(value, tell))
            case "queues":
                world = replace(world, queues={**base.queues, **read_queues(value, tell)})
            case "hooks":
                world = replace(world, hooks={**base.hooks, **_hooks(value, tell)})
            case "boxes":
                world = replace(world, boxes={**base.boxes, **_boxes(value, tell)})
    return world


def read_shop(tree: Tree, tell: Tell) -> Shop:
    rows = _rows(tree, ("after_s", "fault"), "a shop", tell)
    fault, after_s = _plain(rows.get("fault")) or "", _plain(rows.get("after_s")) or 0.0
    if fault not in ("", "slow", "error"):
        tell(tree.line, f"'{fault}' is not a fault of a shop; write slow or error", "shop")
        fault = ""
    if isinstance(after_s, bool) or not isinstance(after_s, int | float) or not 0 <= after_s <= 3600:
        tell(tree.line, "after_s is a number of seconds", "shop")
        after_s = 0.0
    return Shop(float(after_s), str(fault))


def read_queues(tree: Tree, tell: Tell) -> Mapping[str, FakeQueue]:
    if not isinstance(tree, Table):
        tell(tree.line, "a table of queues is wanted", "queues")
        return {}
    found: dict[str, FakeQueue] = {}
    for name, row in tree.rows.items():
        rows = {key: _plain(value) for key, value in _rows(row, QUEUE, "a queue", tell).items() if key in QUEUE}
        for key in ("waiting", "wait_s", "agents"):
            if key in rows and (isinstance(rows[key], bool) or not isinstance(rows[key], int)):
                tell(row.line, f"{key} is a whole number", "queues")
                del rows[key]
        found[name] = FakeQueue(**rows | {key: str(rows.get(key) or "") for key in ("refuses", "no_callback")})
    return found


def _hooks(tree: Tree, tell: Tell) -> Mapping[str, FakeHook]:
    if not isinstance(tree, Table):
        tell(tree.line, "a table of webhooks is wanted", "hooks")
        return {}
    found: dict[str, FakeHook] = {}
    for name, row in tree.rows.items():
        rows = dict(_rows(row, ("values", "after_s", "fault"), "a webhook", tell))
        values = _plain(rows.pop("values", None)) or {}
        mood = read_shop(Table(row.line, rows), tell)
        found[name] = FakeHook(values if isinstance(values, dict) else {}, mood.after_s, mood.fault)
    return found


def _rows(tree: Tree, keys: tuple[str, ...], what: str, tell: Tell) -> Mapping[str, Tree]:
    if not isinstance(tree, Table):
        tell(tree.line, f"a table of {', '.join(keys)} is wanted", what)
        return {}
    for key, line in tree.lines.items():
        if key not in keys:
            tell(line, f"'{key[:60]}' is not a key of {what}; {did_you_mean(key, keys)}", what)
    return tree.rows


def _plain(tree: Tree | None) -> Any:
    if isinstance(tree, Listing):
        return [_plain(item) for item in tree.items]
    if isinstance(tree, Table):
        return {key: _plain(value) for key, value in tree.rows.items()}
    return tree.value if tree else None


def _zone(tree: Tree, tell: Tell) -> ZoneInfo:
    name = tree.text if isinstance(tree, Scalar) else "?"
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        tell(tree.line, f"'{name[:60]}' is not a time zone; write one like Asia/Shanghai", "zone")
        return ZoneInfo("UTC")


def _moment(text: str, line: int, world: World, tell: Tell) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        tell(line, "a time like 2026-11-24 10:00 is wanted", "at")
        return world.at
    return (found if found.tzinfo else found.replace(tzinfo=world.zone)).astimezone(UTC)


def _calendars(tree: Tree, tell: Tell, holidays_of: Holidays) -> dict[str, Calendar]:
    found: dict[str, Calendar] = {}
    if not isinstance(tree, Table):
        tell(tree.line, "a table of calendars is wanted", "calendars")
        return found
    for name, row in tree.rows.items():
        try:
            values = _plain(row)
            found[name] = parse_calendar(values if isinstance(values, dict) else {"?": values}, holidays_of)
        except BadInput as error:
            tell(tree.lines[name], str(error), f"calendars.{name}"[:80])
    return found


def _orders(tree: Tree, tell: Tell) -> tuple[FakeOrder, ...]:
    if not isinstance(tree, Listing):
        tell(tree.line, "a list of orders is wanted", "orders")
        return ()
    found = []
    for item in tree.items:
        rows = _rows(item, ORDER, "an order", tell)
        texts = {key: row.text for key, row in rows.items() if isinstance(row, Scalar) and key in ORDER[:4]}
        if not texts.get("no"):
            tell(item.line, "an order needs a no", "orders")
        facts = _plain(rows.get("facts")) or {}
        if not isinstance(facts, dict) or not all(isinstance(value, str | int | bool) for value in facts.values()):
            tell(item.line, "facts are texts, whole numbers, true and false", "orders")
            facts = {}
        found.append(FakeOrder(**{"no": "", **texts}, facts=facts, said=_said(rows.get("said"), tell)))
    return tuple(found)


def _said(tree: Tree | None, tell: Tell) -> Phrases:
    """Prompts by name, or rows such as [money, 12950, CNY]."""
    if tree is None:
        return ()
    items = tree.items if isinstance(tree, Listing) else [tree]
    try:
        return tuple(
            phrase
            for item in items
            for phrase in ((Prompt(item.text),) if isinstance(item, Scalar) else from_json([_plain(item)]))
        )
    except ValueError as error:
        tell(tree.line, str(error), "said")
        return ()


def _boxes(tree: Tree, tell: Tell) -> dict[str, str]:
    if not isinstance(tree, Table):
        tell(tree.line, 'a table of boxes ("" = the common one) and why they take nothing is wanted', "boxes")
        return {}
    return {name: row.text if isinstance(row, Scalar) else "" for name, row in tree.rows.items()}
