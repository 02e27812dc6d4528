"""The rules in force in this process: read at start, published by people, put into force wherever they were published.

The shell around `text.py`, `store.py` and `routing/surge.py`; knows no queue and no caller: whoever lives by the rules is
told by `apply`. Invariants: a text with a problem is never published and never applied; nothing is told before it is
committed; of two who publish on the same version the second is refused; a surge ends by itself, at its time, in every
process, and is told to have ended once. A database that is away changes nothing: the rules stay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from core.bus.lookout import Lookout
from core.bus.model import Bus
from core.clock import Clock
from core.db.engine import Database
from core.db.unit_of_work import UnitOfWork
from core.errors import AftercallError, BadInput, NotFound
from core.events.routing import PolicyPublished, SurgeChanged
from core.prompts.catalogue import LANGUAGES
from core.prompts.library import PromptLibrary
from routing.policy import store
from routing.policy.document import Document, Known, PolicyRefused, Problem
from routing.policy.model import Policy
from routing.policy.plain import changes
from routing.policy.store import Switch, Version
from routing.policy.text import load, read_policy, sha256_of
from routing.store import skills_of_agents, teams_of_agents
from routing.surge import Surge, end_of, with_surge

TOPIC = "policy"  # on the bus: "look now"
LOOK_S = 2.0
ENDED = "rule:surge-ended"
MOST_NOTE = 500
Apply = Callable[[Policy], None]


class PolicyChanged(AftercallError):
    """Somebody else has published or switched since."""

    def __init__(self, number: int, what: str = "policy") -> None:
        super().__init__(
            f"routing:{what}-changed", f"Somebody has changed the {what} meanwhile; it stands at {number}.",
            hint="Look at what it is now, and try again.", status=409,
        )  # fmt: skip


def spoken() -> frozenset[str]:
    """Prompts that can be heard in every language."""
    sounds = PromptLibrary().sounds()
    return frozenset.intersection(
        *(frozenset(one.name for one in sounds if one.language == language) for language in LANGUAGES)
    )


async def known_here(conn: AsyncConnection) -> Known:
    """Prompts that can be heard, and skills and teams that agents have; where none has any, nothing can be known of them."""
    given = await skills_of_agents(conn)
    skills = frozenset(skill for skills in given.values() for skill in skills)
    teams = frozenset(team for teams in (await teams_of_agents(conn)).values() for team in teams)
    return Known(skills=skills or None, teams=teams or None, prompts=await asyncio.to_thread(spoken))


class PolicyDesk:
    """`await load()` once; `run()` for ever; `policy` is what is in force now. `fallback`: the rules until anybody has
    published. `apply` is called with the rules in force at the load and whenever they have become others."""

    def __init__(
        self, database: Database, clock: Clock, fallback: Document, *, apply: Apply | None = None, bus: Bus | None = None,
        known: Callable[[AsyncConnection], Awaitable[Known]] = known_here,
    ) -> None:  # fmt: skip
        self.version: Version | None = None
        self.switch: Switch | None = None
        self.document = fallback
        self.apply = apply
        self.fault = ""  # why the newest version is not in force, in words
        self._database, self._clock, self._fallback, self._bus, self._known = database, clock, fallback, bus, known
        self._applied: Policy | None = None
        self._lookout = Lookout(TOPIC, bus)

    @property
    def number(self) -> int:
        return self.version.number if self.version is not None else 0

    @property
    def surge(self) -> Surge:
        return Surge(self.document.surge, self.switch.until if self.switch is not None else None)

    @property
    def policy(self) -> Policy:
        """The rules in force now, with what a surge changes in them."""
        return with_surge(self.document.policy, self.surge, self._clock.now())

    # --- being up to date

    async def load(self) -> Policy:
        """What the database says, put into force. Raises Unavailable."""
        async with self._database.read() as conn:
            version, switch = await store.newest_version(conn), await store.newest_switch(conn)
        if version is not None and version.number > self.number:
            self._take(version, await asyncio.to_thread(_readable, version))  # a long text would hold up the loop
        if switch is not None:
            self._take_switch(switch)
        return self._put_into_force()

    async def run(self) -> None:
        """Looks whether others have published or switched, when told so and every `LOOK_S`; ends the surge at its time."""
        await self._lookout.run(self._look, self._pause_s)

    async def _look(self) -> None:
        self._put_into_force()  # an end of the surge needs no database
        async with self._database.read() as conn:
            numbers = await store.newest_number(conn)
        if numbers != (self.number, self.switch.number if self.switch is not None else 0):
            await self.load()
        if self.switch is not None and self.switch.until is not None and not self.surge.is_on(self._clock.now()):
            await self._end_surge(self.switch)

    def _pause_s(self) -> float:
        left_s = self.surge.left_s(self._clock.now())
        return min(LOOK_S, left_s) if left_s > 0 else LOOK_S

    def _take(self, version: Version, document: Document | PolicyRefused) -> None:
        """A text of a newer release may not be readable here: then the rules stay, and it is said why."""
        if version.number <= self.number:
            return
        if isinstance(document, PolicyRefused):
            self.fault = f"version {version.number} cannot be read: {document.lines[0]}"
            structlog.get_logger().error("policy_unreadable", version=version.number, problems=document.lines[:10])
        else:
            self.fault = ""
            self.document = replace(document, policy=replace(document.policy, version=version.number))
        self.version = version

    def _take_switch(self, switch: Switch) -> None:
        if self.switch is None or switch.number > self.switch.number:
            self.switch = switch

    def _put_into_force(self) -> Policy:
        policy = self.policy
        if policy != self._applied:
            self._applied = policy
            if self.apply is not None:
                self.apply(policy)
        return policy

    def _changed(self) -> None:
        self._put_into_force()
        self._lookout.soon()  # the end of a surge may be nearer now
        if self._bus is not None:
            self._bus.publish(TOPIC, {"version": self.number})

    # --- what people do

    async def check(self, text: str | bytes, source: str = "policy") -> list[Problem]:
        return (await self.read(text, source))[1]

    async def read(self, text: str | bytes, source: str = "policy") -> tuple[Document | None, list[Problem]]:
        """The text as it would be published now, and what is wrong with it."""
        return await asyncio.to_thread(read_policy, text, source, await self.known())

    async def publish(
        self, text: str, *, revision: int, actor: str, note: str = "", source: str = "policy"
    ) -> Version:  # fmt: skip
        """A new version, in force at once. `revision`: the version it was made from (0 = none). The text in force again is no
        new version. Raises PolicyRefused, PolicyChanged, Unavailable."""
        document, problems = await self.read(text, source)
        if document is None or problems:
            raise PolicyRefused(problems)
        async with self._database.unit(actor) as unit:
            version = await self._add(unit, text, document, revision=revision, note=note)
        self._take(version, document)
        self._changed()
        return version

    async def rollback(self, number: int, *, revision: int, actor: str, note: str = "") -> Version:
        """The text of an old version, published again as a new one. Raises NotFound, PolicyRefused, PolicyChanged."""
        old = await self.version_of(number)
        document, problems = await self.read(old.text, f"version {number}")
        if document is None or problems:
            raise PolicyRefused(problems)
        async with self._database.unit(actor) as unit:
            version = await self._add(unit, old.text, document, revision=revision, note=note, rollback_of=number)
        self._take(version, document)
        self._changed()
        return version

    async def _add(
        self, unit: UnitOfWork, text: str, document: Document, *, revision: int, note: str, rollback_of: int | None = None
    ) -> Version:  # fmt: skip
        if len(note) > MOST_NOTE:
            raise BadInput("routing:policy-note", f"A note has at most {MOST_NOTE} characters.")
        newest = await store.newest_version(unit.conn)
        if newest is not None and newest.text == text:
            return newest
        number = newest.number if newest is not None else 0
        if number != revision:
            raise PolicyChanged(number)
        made = Version(number + 1, text, sha256_of(text), unit.actor, self._clock.now(), note, rollback_of)
        if not await store.add_version(unit.conn, made):
            raise PolicyChanged(number + 1)
        differing = await asyncio.to_thread(changes, await self._document_of(newest), document)
        await unit.audit(
            "routing:publish-policy", f"policy:{made.number}",
            before={"version": number, "sha256": newest.sha256 if newest else "",
                    "values": {path: old for path, (old, _) in differing.items()}},
            after={"version": made.number, "sha256": made.sha256, "note": note, "rollback_of": rollback_of,
                   "values": {path: new for path, (_, new) in differing.items()}},
        )  # fmt: skip
        unit.emit(PolicyPublished(
            at=made.at, version=made.number, sha256=made.sha256, actor=unit.actor, note=note, rollback_of=rollback_of or 0
        ))  # fmt: skip
        return made

    async def _document_of(self, version: Version | None) -> Document:
        """As far as it can be read."""
        if version is None:
            return self._fallback
        if version.number == self.number and not self.fault:
            return self.document
        return (await asyncio.to_thread(read_policy, version.text, ""))[0] or self._fallback

    async def version_of(self, number: int) -> Version:
        """Raises NotFound."""
        async with self._database.read() as conn:
            found = await store.version(conn, number)
        if found is None:
            raise NotFound("policy version", str(number))
        return found

    async def known(self) -> Known:
        """What may be named in a text here."""
        async with self._database.read() as conn:
            return await self._known(conn)

    async def versions(self, *, limit: int, before: int | None = None) -> Sequence[Version]:
        """Newest first."""
        async with self._database.read() as conn:
            return await store.versions(conn, limit=limit, before=before)

    # --- the surge

    async def switch_on(self, *, actor: str, for_s: float | None = None, note: str = "") -> Switch:
        """The surge is on for `for_s` seconds from now, whether it was on or not. Raises BadInput, PolicyChanged."""
        if not self.document.surge:
            raise BadInput(
                "routing:no-surge", "The policy does not say what is otherwise in a surge.",
                hint="Write it under `surge:` and publish it.",
            )  # fmt: skip
        return await self._turn(end_of(self._clock.now(), for_s), actor, note)

    async def switch_off(self, *, actor: str, note: str = "") -> Switch | None:
        """None when it was never on."""
        if self.switch is None or self.switch.until is None:
            return self.switch
        return await self._turn(None, actor, note)

    async def _end_surge(self, over: Switch) -> None:
        """Of all processes one tells that it has ended."""
        try:
            await self._turn(None, ENDED, "", following=over.number)
        except PolicyChanged:
            await self.load()

    async def _turn(self, until: datetime | None, actor: str, note: str, following: int | None = None) -> Switch:
        if len(note) > MOST_NOTE:
            raise BadInput("routing:surge-note", f"A note has at most {MOST_NOTE} characters.")
        async with self._database.unit(actor) as unit:
            before = await store.newest_switch(unit.conn)
            number = before.number if before is not None else 0
            if following is not None and number != following:
                raise PolicyChanged(number, "surge")
            made = Switch(number + 1, until, actor, self._clock.now(), note)
            if not await store.add_switch(unit.conn, made):
                raise PolicyChanged(number + 1, "surge")
            await unit.audit("routing:surge", "surge", before=_told(before), after=_told(made))
            unit.emit(SurgeChanged(at=made.at, on=made.until is not None, until=made.until, actor=actor, note=note))
        self._take_switch(made)
        self._changed()
        return made


def _readable(version: Version) -> Document | PolicyRefused:
    try:
        return load(version.text, f"version {version.number}")
    except PolicyRefused as refused:
        return refused


def _told(switch: Switch | None) -> dict[str, object]:
    until = switch.until if switch is not None else None
    return {
        "until": until.isoformat(timespec="milliseconds") if until is not None else None,
        "note": switch.note if switch else "",
    }
