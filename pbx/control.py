"""What can be done to calls: connect, cancel, hang up, move, and what their channels carry.

The verbs of telephony for `routing` and `ivr`, in the trade's words; Asterisk's actions stay in here. Each verb is sent
once and has a deadline; whether it worked in the end is told by facts, not by its answer.
"""

from __future__ import annotations

from collections.abc import Mapping

from pbx.ami import AmiLink

RING_CONTEXT = "ac-bridge"


class Control:
    """Verbs on one Asterisk. All raise `pbx.ami.LinkDown` without a link and `pbx.ami.ActionRefused` when refused."""

    def __init__(self, link: AmiLink) -> None:
        self._link = link

    async def offer(
        self, *, offer_id: str, interaction_id: str, caller_channel: str, extension: str, ring_s: float, epoch: int,
        caller_number: str = "", caller_name: str = "", headers: Mapping[str, str] | None = None,
    ) -> str:  # fmt: skip
        """Rings the agent's phone; the dialplan bridges the two when the agent answers, without us.

        The caller hears music until then. Returns the leg's id `{interaction}-{offer}`; facts of the leg carry it.
        """
        leg_id = f"{interaction_id}-{offer_id}"
        variables = [
            f"AC_CALLER={caller_channel}",
            f"AC_IX={interaction_id}",
            f"AC_OFFER={offer_id}",
            f"AC_EPOCH={epoch}",
        ]
        sip = {"X-Aftercall-Interaction": interaction_id, "X-Aftercall-Offer": offer_id, **(headers or {})}
        variables += [f"PJSIP_HEADER(add,{name})={_header_safe(value)}" for name, value in sip.items()]
        name = caller_name.replace('"', "").replace("<", "").replace(">", "")
        await self._link.send(
            "Originate",
            {
                "Channel": f"PJSIP/{extension}", "ChannelId": leg_id, "Context": RING_CONTEXT, "Exten": "s",
                "Priority": "1", "Async": "true", "Timeout": str(int(ring_s * 1000)),
                "CallerID": f'"{_one_line(name)}" <{_one_line(caller_number)}>', "Variable": variables,
            },
            action_id=leg_id,
        )  # fmt: skip
        return leg_id

    async def cancel_offer(self, leg_id: str) -> None:
        """Stops the ringing. Nothing happens when the leg is gone already."""
        await self.hang_up(leg_id, cause=26)

    async def hang_up(self, channel: str, *, cause: int = 16) -> None:
        """Ends a channel, by its name or unique id."""
        await self._link.send("Hangup", {"Channel": channel, "Cause": str(cause)})

    async def move(self, channel: str, context: str, extension: str = "s") -> None:
        """Sends a channel to another place of the dialplan."""
        place = {"Channel": channel, "Context": context, "Exten": extension, "Priority": "1"}
        await self._link.send("Redirect", place)

    async def set_variables(self, channel: str, values: Mapping[str, str]) -> None:
        """Writes channel variables: the ticket that the caller's channel carries."""
        for name, value in values.items():
            await self._link.send("Setvar", {"Channel": channel, "Variable": name, "Value": value})

    async def set_global(self, name: str, value: str) -> None:
        await self._link.send("Setvar", {"Variable": name, "Value": value})

    async def get_global(self, name: str) -> str:
        answer = await self._link.send("Getvar", {"Variable": name})
        value = answer.get("value", "")
        return value if isinstance(value, str) else value[0]


def _one_line(text: str) -> str:
    """A caller's name is a stranger's text: control characters become spaces, so that it can be sent at all."""
    return "".join(mark if mark.isprintable() else " " for mark in text)[:80]


def _header_safe(value: str) -> str:
    """Printable, no comma or quote that the dialplan's function syntax would take for its own."""
    return "".join(mark for mark in value if mark.isprintable() and mark not in ',"()${}')[:120]
