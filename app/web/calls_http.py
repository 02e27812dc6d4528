"""The REST edge of stored calls: the list, newest first, and one call with its timeline, recording and transcript."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import Field

from app.live.model import BoardCall
from app.live.views import hidden
from app.web.calls import CallBook, CallFilter, CallRecord, CallStory, may_see, shown_fields, shown_number
from core.errors import NotFound
from core.http.paging import PageQuery, cursor, read_place
from core.http.routes import Caller, Page, Request, Route, Strict


class CallsQuery(PageQuery):
    """Filters by queue and by the agent's extension."""

    queue: Annotated[str, Field(max_length=80)] = ""
    agent: Annotated[str, Field(max_length=40)] = ""


class CallRow(Strict):
    """One call in the list. `ani` is masked for whoever may not see it (`masked`)."""

    id: str
    arrived_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    state: Literal["open", "ended"]
    reason: str
    ani: str
    caller_name: str
    masked: bool
    dnis: str
    entry: str
    language: str
    queue: str
    agents: list[str]
    wait_s: float | None
    talk_s: float | None
    disposition: str
    has_recording: bool
    has_transcript: bool


class Moment(Strict):
    """One event of the timeline; `data` are its own fields."""

    seq: int
    at: datetime
    kind: str
    data: dict[str, Any]


class Sound(Strict):
    """The stereo recording: left = caller, right = agent. `starts_at` is the moment of its second 0, when known."""

    id: str
    url: str
    seconds: float
    channels: int
    state: str
    starts_at: datetime | None = None
    reason: str = ""
    sha256: str = ""


class SaidWord(Strict):
    text: str
    start_s: float
    end_s: float
    confidence: float


class SaidTurn(Strict):
    side: str
    start_s: float
    end_s: float
    text: str
    words: list[SaidWord]


class Said(Strict):
    """What both sides said, as recognised by `model`. `state`: ready, waiting, skipped; `reason` says why not."""

    state: str
    model: str
    language: str
    reason: str
    turns: list[SaidTurn]


Live = Callable[[str], BoardCall | None]


class CallNow(Strict):
    """A call that goes on, as it is handled at this moment. `state`: arrived, menu, waiting, offered, ringing, talking, held,
    after; `doing`: what `doing_by` does with it beyond that (asking, asked, swapped, conference, parked), with `target`."""

    state: str
    since: datetime
    queue: str
    agent: str
    offer_id: str
    doing: str
    doing_by: str
    muted: bool
    target_kind: str
    target: str


class CallDetail(CallRow):
    """The whole story. `hidden` is true when recording, words and notes exist only for others. `now`: while it goes on."""

    hidden: bool
    now: CallNow | None
    timeline: list[Moment]
    recording: Sound | None
    transcript: Said | None


def row_of(call: CallRecord, caller: Caller) -> CallRow:
    return CallRow(**_row(call, caller))


def _row(call: CallRecord, caller: Caller) -> dict[str, Any]:
    allowed = may_see(caller, call)
    return {
        "id": call.id,
        "arrived_at": call.arrived_at,
        "answered_at": call.answered_at,
        "ended_at": call.ended_at,
        "state": "ended" if call.ended_at is not None else "open",
        "reason": call.reason,
        "ani": shown_number(call.ani, allowed),
        "caller_name": call.caller_name if allowed else "",
        "masked": not allowed,
        "dnis": call.dnis,
        "entry": call.entry,
        "language": call.language,
        "queue": call.queue,
        "agents": list(call.agents),
        "wait_s": call.wait_s,
        "talk_s": call.talk_s,
        "disposition": call.disposition,
        "has_recording": call.has_recording,
        "has_transcript": call.has_transcript,
    }


def detail_of(story: CallStory, caller: Caller, now: CallNow | None = None) -> CallDetail:
    """The story as this person may see it."""
    allowed = may_see(caller, story.call)
    timeline = [
        Moment(seq=event.seq, at=event.at, kind=event.kind, data=shown_fields(event, allowed)) for event in story.events
    ]
    sound = said = None
    if allowed and story.recording is not None:
        url = f"/api/recordings/{quote(str(story.recording['id']))}/audio"
        sound = Sound(**{"url": url, **story.recording})
    if allowed and story.transcript is not None:
        said = Said.model_validate(story.transcript)
    return CallDetail(
        **_row(story.call, caller), hidden=not allowed, now=now, timeline=timeline, recording=sound, transcript=said
    )


class _Calls:
    def __init__(self, book: CallBook, live: Live) -> None:
        self._book, self._live = book, live

    async def page(self, request: Request) -> Page[CallRow]:
        query: CallsQuery = request.query
        before = read_place(query.after) if query.after else None
        only = CallFilter(queue=query.queue, agent=query.agent)
        calls = await self._book.page(limit=query.limit + 1, before=before, only=only)
        shown = calls[: query.limit]
        more = len(calls) > query.limit
        following = cursor(shown[-1].arrived_at.isoformat(), shown[-1].id) if more else None
        return Page[CallRow](items=[row_of(call, request.caller) for call in shown], next=following)

    async def one(self, request: Request) -> CallDetail:
        story = await self._book.story(request.path["id"])
        if story is None:
            raise NotFound("call", request.path["id"])
        live = self._live(story.call.id) if story.call.ended_at is None else None
        if live is not None and not may_see(request.caller, story.call):
            live = hidden(live)
        now = None if live is None else CallNow(**{name: getattr(live, name) for name in CallNow.model_fields})
        return detail_of(story, request.caller, now)


def routes(book: CallBook, live: Live = lambda _id: None) -> list[Route]:
    """`live`: a call that goes on, as the board shows it."""
    calls = _Calls(book, live)
    return [
        Route("GET", "/api/calls", calls.page, "Calls, newest first", Page[CallRow], query=CallsQuery, tag="calls"),
        Route("GET", "/api/calls/{id}", calls.one, "One call with its timeline", CallDetail, tag="calls"),
    ]
