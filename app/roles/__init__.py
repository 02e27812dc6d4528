"""The roles of a controller: parts that are joined directly in one process, and by links when they live apart."""

from __future__ import annotations

from collections.abc import Iterable

TELEPHONY, ACD, WEB, WORKER, TRANSCRIBER = ROLES = ("telephony", "acd", "web", "worker", "transcriber")
ALL = frozenset(ROLES)

MEANS = {
    TELEPHONY: "Callers hear the switch's own words: menus are closed, who waits keeps the place; nobody is connected.",
    ACD: "Menus go on and who waits keeps the place; nobody is offered to an agent until it is back.",
    WEB: "Calls go on; agents see no cards and no states until it is back.",
    WORKER: "Calls go on; recordings are made playable later.",
    TRANSCRIBER: "Calls go on; transcripts come later.",
}
"""What callers notice while nobody has the role."""


def parse(text: str) -> frozenset[str]:
    """Roles out of `telephony,acd`; "" or `all` = every one. Raises ValueError naming what is no role."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or names == ["all"]:
        return ALL
    for name in names:
        if name not in ALL:
            raise ValueError(f"'{name}' is no role; roles are {', '.join(ROLES)}")
    return frozenset(names)


def in_order(roles: Iterable[str]) -> list[str]:
    return [role for role in ROLES if role in roles]


def process_name(roles: frozenset[str]) -> str:
    """`controller` for all of them, else the roles themselves: of its files, its log, its place in `world.json`."""
    return "controller" if roles == ALL else "-".join(in_order(roles))
