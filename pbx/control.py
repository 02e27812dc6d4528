"""What can be done to calls: connect, cancel, hang up, move, and what their channels carry.

The verbs of telephony for `routing` and `ivr`, in the trade's words; Asterisk's actions stay in here. Each verb is sent
once and has a deadline; whether it worked in the end is told by facts, not by its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from pbx import ami_actions
from pbx.ami import ActionRefused, AmiLink
from pbx.ami_events import value_in
from pbx.transfer import CallCustomer, CallOrder, RingLeg, Supervise, steps

RING_CONTEXT = "ac-bridge"
AWAY = {  # a number stands in AC_AWAY
    "voicemail": "ac-voicemail", "closing": "ac-closing", "number": "ac-number", "callback": "ac-callback-ask",
}  # fmt: skip
KEEP_MADE = 5000
CANCEL_AGAIN_S = (0.0, 0.05, 0.25)


class Control:
    """Verbs on one Asterisk. All raise `pbx.ami.LinkDown` without a link and `pbx.ami.ActionRefused` when refused."""

    def __init__(self, link: AmiLink) -> None:
        self._link = link
        self._made: dict[str, None] = {}

    async def offer(
        self, *, offer_id: str, interaction_id: str, caller_channel: str, extension: str, ring_s: float, epoch: int,
        caller_number: str = "", caller_name: str = "", headers: Mapping[str, str] | None = None,
        whisper: Sequence[str] = (),
    ) -> str:  # fmt: skip
        """Rings the agent's phone; the dialplan bridges the two when the agent answers, without us.

        The caller hears music until then; `whisper` are sounds that the agent hears first. Returns the leg's id
        `{interaction}-{offer}`; facts of the leg carry it.
        """
        leg_id = f"{interaction_id}-{offer_id}"
        self._remember(leg_id)
        variables = {"AC_CALLER": caller_channel, "AC_IX": interaction_id, "AC_OFFER": offer_id, "AC_EPOCH": str(epoch)}
        if whisper:
            variables["AC_WHISPER"] = "&".join(whisper)
        sip = {"X-Aftercall-Interaction": interaction_id, "X-Aftercall-Offer": offer_id, **(headers or {})}
        order = ami_actions.ring(
            extension, leg_id, ring_s=ring_s, context=RING_CONTEXT, variables=variables, caller_number=caller_number,
            caller_name=caller_name, sip_headers=sip,
        )  # fmt: skip
        await self._link.send(*order, action_id=leg_id)
        return leg_id

    async def carry_out(self, order: CallOrder) -> None:
        """Hold, consult, transfer, conference, park, supervise: step by step. Raises ValueError for what cannot be worded."""
        leg_id = order.leg_id if isinstance(order, RingLeg) else order.spy_id if isinstance(order, Supervise) else ""
        if isinstance(order, CallCustomer):
            leg_id = order.interaction_id
        if leg_id:
            self._remember(leg_id)
        for step in steps(order):
            await self._link.send(*step, action_id=leg_id)

    def _remember(self, leg_id: str) -> None:
        self._made[leg_id] = None
        while len(self._made) > KEEP_MADE:
            del self._made[next(iter(self._made))]

    def made(self, leg_id: str) -> bool:
        """Whether the leg is of an offer that this process made."""
        return leg_id in self._made

    async def cancel_offer(self, leg_id: str) -> None:
        """Stops the ringing. Nothing happens when the leg is gone already."""
        for pause_s in CANCEL_AGAIN_S:  # Asterisk takes an order to ring before the leg exists
            await asyncio.sleep(pause_s)
            try:
                return await self.hang_up(leg_id, cause=26)
            except ActionRefused:
                continue

    async def hang_up(self, channel: str, *, cause: int = 16) -> None:
        """Ends a channel, by its name or unique id."""
        await self._link.send(*ami_actions.hang_up(channel, cause))

    async def move(self, channel: str, context: str, extension: str = "s") -> None:
        """Sends a channel to another place of the dialplan."""
        await self._link.send(*ami_actions.move(channel, context, extension))

    async def send_away(self, channel: str, to: str) -> None:
        """A waiting caller leaves the queue. Raises KeyError for a place that is not one of AWAY."""
        await self.move(channel, AWAY[to])

    async def set_variables(self, channel: str, values: Mapping[str, str]) -> None:
        """Writes channel variables: the ticket that the caller's channel carries."""
        for name, value in values.items():
            await self._link.send(*ami_actions.set_variable(name, value, channel))

    async def set_global(self, name: str, value: str) -> None:
        await self._link.send(*ami_actions.set_variable(name, value))

    async def get_global(self, name: str) -> str:
        return value_in(await self._link.send(*ami_actions.get_variable(name)))
