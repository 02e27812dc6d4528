"""Waiting callers are told how they stand: one announcement at a time, in their language, never while a phone rings for them.

Decides whom it is time for and how they stand; what is said is decided in `plan.py`, and the dialplan says it: it is put down
on the caller's channel, and from there on nothing of ours is needed. Invariants: nobody is held by an announcement (whoever
answers takes the caller out of the middle of it); nothing is said to who is offered, or without a link; what could not be
put down was not said, and is said later.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from core.errors import NotFound
from core.events import DomainEvent
from core.events.routing import SegmentEnded, WrapUpEnded
from core.phrases.model import Phrases
from core.phrases.render import LANGUAGES, render
from core.prompts.library import PromptLibrary, PromptMissing
from routing.agent import Agent
from routing.book import Book
from routing.model import WorkItem
from routing.overflow import absence
from routing.ports import OrderWords, Telephony
from routing.timers import Timers
from routing.waiting import plan
from routing.waiting.expected import Pace, expected_wait_s
from routing.waiting.plan import Memory, Standing
from routing.wish import Wish

ALSO: tuple[type[DomainEvent], ...] = (SegmentEnded, WrapUpEnded)
AGAIN_S = 1.0
WORDS_S = 1.5  # how long a word about an order may take
REMEMBERED = 5000
AT_ONCE = 4  # orders of ours that the switch has in hand; an offer does not stand behind a hundred announcements
RANKS_S = 0.5  # so long an order of all who wait is good for
LONGEST_LINE = 900  # of Asterisk's manager: 1,024 bytes with everything
OURS = "default"  # the music of who hears no other


@dataclass(frozen=True)
class _Told:
    """`came_at`, `last_at`: when this wait began and when something was said last, on the monotonic clock."""

    memory: Memory
    came_at: float
    last_at: float
    music: str = ""  # what they were given to hear


class Announcer:
    """`watch(item)` whoever begins to wait, or waits under other rules; `note(fact)` for each fact. `words`, `language` (of who
    has said none) may be set at any time."""

    def __init__(
        self, book: Book, timers: Timers, telephony: Telephony, *, spawn: Callable[[Coroutine[Any, Any, None]], None],
        linked: Callable[[], bool],
    ) -> None:  # fmt: skip
        self.words: OrderWords | None = None
        self.language = LANGUAGES[0]
        self.pace = Pace()
        self._prompts = PromptLibrary()
        self._book, self._timers, self._telephony = book, timers, telephony
        self._spawn, self._linked = spawn, linked
        self._told: OrderedDict[str, _Told] = OrderedDict()
        self._speaking: set[str] = set()
        self._few = asyncio.Semaphore(AT_ONCE)
        self._ranks: tuple[float, dict[str, int]] = (float("-inf"), {})

    def note(self, fact: DomainEvent) -> None:
        if isinstance(fact, SegmentEnded):
            self.pace.talk_ended(fact.offer_id, fact.queue, fact.talk_s + fact.hold_s)
        elif isinstance(fact, WrapUpEnded):
            self.pace.wrap_up_ended(fact.offer_id, fact.wrap_up_s)

    def watch(self, item: WorkItem, *, new: bool = False) -> None:
        """`new`: a wait that begins now, perhaps after others."""
        if item.callback or not item.channel or item.interaction_id not in self._book.waiting:
            return  # nobody is on the line, or they were sent away at once
        ix, now = item.interaction_id, self._book.clock.monotonic()
        known = self._told.get(ix)
        if known is None:
            known = _Told(Memory.of(item.told, item.queue), now, now)
        elif new or known.memory.queue != item.queue:
            known = replace(known, memory=known.memory.moved_to(item.queue), came_at=now)
        music = self._book.policy(item.queue).waits.music
        if music != known.music:  # who hears ours already is left alone
            self._spawn(self._play(item, music))
        self._remember(ix, replace(known, music=music))
        self._arm(item)

    async def _play(self, item: WorkItem, music: str) -> None:
        told = self._told.get(item.interaction_id)
        if not await self._put_down(item, {"AC_MUSIC": music or OURS}) and told is not None:
            self._remember(item.interaction_id, replace(told, music=""))
            self._timers.start(f"music:{item.interaction_id}", AGAIN_S, lambda: self._still(item.interaction_id))

    def _still(self, ix: str) -> None:
        if ix in self._book.waiting:
            self.watch(self._book.waiting[ix])

    def _arm(self, item: WorkItem) -> None:
        name, told = f"say:{item.interaction_id}", self._told.get(item.interaction_id)
        if told is None:
            return
        due = plan.due_at(self._book.policy(item.queue).waits, told.memory, told.came_at, told.last_at)
        if due is None:
            self._timers.stop(name)
        else:
            self._start(item.interaction_id, due - self._book.clock.monotonic())

    def _start(self, ix: str, seconds: float) -> None:
        self._timers.start(f"say:{ix}", max(0.0, seconds), lambda: self._turn(ix))

    def _turn(self, ix: str) -> None:
        item = self._book.waiting.get(ix)
        offers = self._book.offers_for(ix)
        if item is None and not offers:
            return  # gone, or somewhere else; who comes back is watched anew
        rings = any(offer.answered_at is None for offer in offers)
        if item is None or rings or not self._linked():
            if item is not None or rings:
                self._start(ix, AGAIN_S)
            return
        if ix not in self._speaking:
            self._speaking.add(ix)
            self._spawn(self._speak(item))

    async def _speak(self, item: WorkItem) -> None:
        ix = item.interaction_id
        try:
            order = await self._order_words(item)
            async with self._few:
                await self._say(ix, order)
        except Exception:  # whoever decides about calls does not end for an announcement; this caller hears music
            structlog.get_logger().exception("announcement_failed", interaction_id=ix)
        finally:
            self._speaking.discard(ix)

    async def _say(self, ix: str, order: Phrases) -> None:
        now, told = self._book.waiting.get(ix), self._told.get(ix)
        if now is None or told is None or self._book.offers_for(ix):
            self._start(ix, AGAIN_S)  # a phone rings for them by now
            return
        standing = replace(self._standing(now), order=order)
        phrases, memory = plan.say(self._book.policy(now.queue).waits, told.memory.moved_to(now.queue), standing)
        sounds = self._sounds(phrases, now.language)
        if sounds and not await self._put_down(now, announcement(sounds, memory)):
            self._start(ix, AGAIN_S)
            return
        self._remember(ix, replace(self._told.get(ix, told), memory=memory, last_at=self._book.clock.monotonic()))
        self._arm(self._book.waiting.get(ix, now))

    async def _put_down(self, item: WorkItem, values: dict[str, str]) -> bool:
        """On the caller's channel, in this order. False when the switch did not take it."""
        try:
            await self._telephony.set_variables(item.channel, values)
        except Exception as error:
            structlog.get_logger().info("not_put_down", interaction_id=item.interaction_id, reason=str(error))
            return False
        return True

    def _remember(self, ix: str, told: _Told) -> None:
        self._told[ix] = told
        self._told.move_to_end(ix)
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)

    async def _order_words(self, item: WorkItem) -> Phrases:
        """What this caller may hear of the order they called for; nothing when it cannot be known in time."""
        if self.words is None or not item.order_id or not self._book.policy(item.queue).waits.order_status:
            return ()
        try:
            async with asyncio.timeout(WORDS_S):
                return await self.words.words(item.order_id, item.level)
        except Exception as error:
            structlog.get_logger().info("no_word_of_the_order", interaction_id=item.interaction_id, reason=repr(error))
            return ()

    # --- how they stand

    def _standing(self, item: WorkItem) -> Standing:
        position = self._position(item)
        return Standing(position, expected_wait_s(position, self._agents(item), self.pace.handle_s(item.queue)))

    def _position(self, item: WorkItem) -> int:
        """In their queue, as they would be taken; 0 for who rests for a moment."""
        now = self._book.clock.monotonic()
        if now - self._ranks[0] > RANKS_S or item.interaction_id not in self._ranks[1]:
            self._ranks = now, self._ranked(self._book.pool.order(now))
        return self._ranks[1].get(item.interaction_id, 0)

    def _ranked(self, order: Iterable[str]) -> dict[str, int]:
        ranks: dict[str, int] = {}
        counted: dict[str, int] = {}
        for ix in order:
            item = self._book.waiting.get(ix)
            if item is not None:
                counted[item.queue] = ranks[ix] = counted.get(item.queue, 0) + 1
        return ranks

    def _agents(self, item: WorkItem) -> int:
        """Those at work, free or not, who may take this caller now."""
        standing = self._book.pool.standing(item.interaction_id, self._book.clock.monotonic())
        if standing is None:
            return 0
        wish = standing["wish"]
        return len(self._at_work(wish))

    def _at_work(self, wish: Wish) -> list[Agent]:
        return [agent for agent in self._book.able(wish) if not absence(agent)]

    def queue_now(self, queue: str) -> dict[str, Any]:
        """How the queue stands for somebody who would come now: `waiting`, `wait_s` (None: nobody can say), `agents` at work who
        may take them. Raises NotFound."""
        if queue not in self._book.queues:
            raise NotFound("queue", queue)
        waiting = sum(item.queue == queue for item in self._book.waiting.values())
        able = self._at_work(self._book.wish_of_newcomer(queue))
        if any(agent.available for agent in able) and not waiting:
            return {"waiting": 0, "wait_s": 0.0, "agents": len(able)}
        wait_s = expected_wait_s(waiting + 1, len(able), self.pace.handle_s(queue))
        return {"waiting": waiting, "wait_s": wait_s, "agents": len(able)}

    def _sounds(self, phrases: Phrases, language: str) -> list[str]:
        """Paths as Asterisk wants them; a prompt that has no sound is passed over, the rest is said."""
        found: list[str] = []
        for name in render(phrases, language if language in LANGUAGES else self.language):
            try:
                (path,) = self._prompts.paths([name])
            except PromptMissing:
                structlog.get_logger().error("prompt_missing", prompt=name)
                continue
            if not any(mark in path for mark in "&,"):  # they would end it there
                found.append(path)
        return found


def announcement(sounds: Sequence[str], memory: Memory) -> dict[str, str]:
    """What is put down on the channel: the sounds in two lines, because one could be too long for the switch, and last what
    the caller will have been told, which sets it going. What does not fit in is not said."""
    lines = ["", ""]
    at = 0
    for sound in sounds:
        piece = f"&{sound}" if lines[0] else sound
        if at == 0 and len((lines[0] + piece).encode()) > LONGEST_LINE:
            at = 1
        if len((lines[at] + piece).encode()) > LONGEST_LINE:
            break
        lines[at] += piece
    return {"AC_SAY_A": lines[0], "AC_SAY_B": lines[1], "AC_SAY": memory.text}
