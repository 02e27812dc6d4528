"""The role `worker`: makes recordings of what Asterisk wrote, asks for their transcripts, deletes what is over its time,
compares our books with the switch's, and counts past quarters of an hour.

Joins `recordings` with whoever knows which calls live, here or elsewhere; holds no rule of it. Invariant: where it is not
known which calls live (no link, no word from telephony, a lost place in its story) nothing is swept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from app.reconcile.gaps import Gaps
from app.reconcile.nightly import Nightly, in_a_process
from app.reconcile.run import places_of
from app.roles import TELEPHONY
from app.roles.links import LIVE_FEED, Fresh, RemoteFault
from core.errors import Unavailable
from core.events import pbx
from core.ids import new_id
from recordings.disk import DiskGuard
from recordings.service import LISTENS, Recordings
from recordings.speech import Transcription
from routing.quarters.keeper import Keeper

if TYPE_CHECKING:
    from app.house import House

NO_ENDS = frozenset(LISTENS) - {pbx.CallEnded.kind}


class WorkerRole:
    """`make(transcription)`, then `parts()`; the transcription's tasks are among them."""

    def __init__(self, house: House) -> None:
        self.house, self.links = house, house.links

    async def make(self, transcription: Transcription) -> None:
        house, folder = self.house, self.house.plan.folders.recordings
        disk = DiskGuard(folder, house.stream, house.clock, self._allow_recording)
        self.recordings = Recordings(
            folder=folder, database=house.database, stream=house.stream, clock=house.clock, ids=new_id,
            transcription=transcription, disk=disk, live_calls=self._live_calls,
            keep_days=house.settings.recordings.keep_days,
        )  # fmt: skip
        self.gaps = Gaps(
            database=house.database, projectors=house.projectors, places=places_of(house.plan), stream=house.stream,
            flushed=lambda: house.flusher.flushed_up_to(house.journal.last_seq), metrics=house.metrics,
        )  # fmt: skip
        await self.gaps.begin()
        self.nightly = Nightly(
            database=house.database, events=house.stream, clock=house.clock, zone=house.zone, metrics=house.metrics,
            compare=in_a_process(house.plan.home),
        )  # fmt: skip
        self.quarters = Keeper(house.database, house.clock, house.zone)
        if self.links is not None and TELEPHONY not in house.roles:
            self.links.on_fresh.append(self._take_fresh)
            for peer in self.links.peers.values():
                self.links.lose_place(peer, "news")  # what lives is heard by this owner, not by the one before

    def parts(self) -> list[Any]:
        return [self.recordings.run(), self.gaps.run(), self.nightly.run(), self.quarters.run()]

    async def _allow_recording(self, allowed: bool) -> None:
        if self.house.telephony is not None:
            return await self.house.telephony.allow_recording(allowed)
        assert self.links is not None
        try:
            await self.links.ask(TELEPHONY, "record", {"allowed": allowed})
        except (Unavailable, RemoteFault) as error:
            structlog.get_logger().info("recording_rule_not_told", reason=error.message)

    def _live_calls(self) -> set[str] | None:
        if self.house.telephony is not None:
            return self.house.telephony.live_calls()
        assert self.links is not None
        peer = self.links.owner(TELEPHONY)
        if peer is None or peer.n is None or not peer.link:
            return None
        return set(peer.live)

    def _take_fresh(self, fresh: Fresh) -> None:
        """What goes on is noted as if told now; what ended unheard is found by the sweep that the link's news sets off."""
        for event in fresh.events:
            if event.kind in NO_ENDS:
                self.house.stream.hear(event, but={LIVE_FEED})
