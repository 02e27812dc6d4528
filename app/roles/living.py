"""What one process has told of and is still going on: the calls that live, agents, phones, alarms.

Pure. Whoever lost its place, or has just begun, is given this instead of a past it cannot have: the very events, told
again, in their order. Invariants: told again they change nothing for who has heard them; a call that has ended is kept
only as ended, and only the last few hundred; memory is bounded whatever is told.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime

from core.events import DomainEvent, ivr, orders, pbx, routing

MOST_CALLS, MOST_OF_CALL, MOST_ENDED = 5000, 200, 300
ONLY_THE_LAST = frozenset({ivr.FlowWaited.kind, ivr.DigitsCollected.kind, pbx.CallWaiting.kind})
ENDINGS = (pbx.LegEnded, pbx.CallEnded)

Numbered = tuple[int, DomainEvent]


class Living:
    def __init__(self) -> None:
        self._count = 0
        self._calls: OrderedDict[str, list[Numbered]] = OrderedDict()
        self._ended: OrderedDict[str, list[Numbered]] = OrderedDict()
        self._latest: dict[tuple[str, str], Numbered] = {}

    def note(self, event: DomainEvent) -> None:
        self._count += 1
        here = (self._count, event)
        if isinstance(event, routing.WrapUpEnded):
            self._latest.pop((routing.WrapUpStarted.kind, event.extension), None)
        elif isinstance(event, orders.AlertCleared):
            self._latest.pop((orders.AlertRaised.kind, event.what), None)
        elif (key := _latest_key(event)) is not None:
            self._latest[key] = here
        elif event.interaction_id:
            self._of_call(event, here)
        if isinstance(event, routing.CallbackMissed):  # what is called next stands under another id
            self.close(event.interaction_id)
        elif isinstance(event, routing.CallbackEnded) and event.outcome != "served":
            self.close(event.call_id)
        if isinstance(event, pbx.CallEnded):
            self.close(event.interaction_id)

    def _of_call(self, event: DomainEvent, here: Numbered) -> None:
        ix = event.interaction_id
        if ix in self._ended:
            if isinstance(event, ENDINGS):
                self._ended[ix] = [*self._ended[ix], here][-20:]
            return
        told = self._calls.setdefault(ix, [])
        if event.kind in ONLY_THE_LAST:
            told[:] = [known for known in told if known[1].kind != event.kind]
        told.append(here)
        if len(told) > MOST_OF_CALL:
            del told[1]  # the first says who calls
        while len(self._calls) > MOST_CALLS:
            self._calls.popitem(last=False)

    def close(self, interaction_id: str) -> None:
        """The call is over, whoever told it."""
        told = self._calls.pop(interaction_id, [])
        if interaction_id not in self._ended:
            self._ended[interaction_id] = [known for known in told if isinstance(known[1], ENDINGS)]
        while len(self._ended) > MOST_ENDED:
            self._ended.popitem(last=False)

    def calls(self) -> set[str]:
        """The interactions of which something was told, and not the end."""
        return set(self._calls)

    def events(self) -> list[DomainEvent]:
        """In the order in which they were told."""
        parts = [*self._calls.values(), *self._ended.values(), list(self._latest.values())]
        return [event for _, event in sorted((known for part in parts for known in part), key=lambda known: known[0])]


def _latest_key(event: DomainEvent) -> tuple[str, str] | None:
    """Of these only the last counts, for each phone, agent or alarm."""
    match event:
        case pbx.AgentDeviceChanged() | routing.AgentStateChanged() | routing.WrapUpStarted():
            return event.kind, event.extension
        case pbx.SwitchLinkChanged():
            return event.kind, event.node
        case orders.AlertRaised():
            return event.kind, event.what
    return None


def merged(tellers: Iterable[Living]) -> list[DomainEvent]:
    """What several processes have told, as one story: each in its own order, between them by their moments."""
    return [event for _, event in heapq.merge(*(_rising(it.events()) for it in tellers), key=lambda pair: pair[0])]


def _rising(events: list[DomainEvent]) -> list[tuple[datetime, DomainEvent]]:
    """Each with its moment, or that of an earlier one that was told to be later."""
    pairs: list[tuple[datetime, DomainEvent]] = []
    for event in events:
        at = max(event.at, pairs[-1][0]) if pairs else event.at
        pairs.append((at, event))
    return pairs
