"""AMI events and answers as typed values: the one place where Asterisk's header names are known.

Decides which events matter to us and what they say. Does not decide what they mean for a call (`call.py` does).
Invariants: an event that lacks what identifies it is no event, `read` returns None and never raises; a caller's number
and name are strangers' text and leave this file cleaned (digits and `+*#`; no control or direction-changing characters).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pbx.ami_wire import Block, every, first


@dataclass(frozen=True, kw_only=True)
class AmiEvent:
    at: datetime


@dataclass(frozen=True, kw_only=True)
class ChannelSeen(AmiEvent):
    """A channel exists (Newchannel, or a list says so). `up` when answered, `ringing` when it rings."""

    uniqueid: str
    channel: str
    linkedid: str = ""
    number: str = ""
    name: str = ""
    dialled: str = ""
    context: str = ""
    up: bool = False
    ringing: bool = False
    bridge_id: str = ""
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ChannelState(AmiEvent):
    uniqueid: str
    channel: str
    state: str  # Ring, Ringing, Up, …


UNSEEN = -1


@dataclass(frozen=True, kw_only=True)
class ChannelGone(AmiEvent):
    """`cause` is Q.850; UNSEEN for a channel that a list no longer has, whose end nobody of ours saw."""

    uniqueid: str
    channel: str
    cause: int


@dataclass(frozen=True, kw_only=True)
class BridgeEntered(AmiEvent):
    uniqueid: str
    channel: str
    bridge_id: str


@dataclass(frozen=True, kw_only=True)
class BridgeLeft(AmiEvent):
    uniqueid: str
    channel: str
    bridge_id: str


@dataclass(frozen=True, kw_only=True)
class HoldChanged(AmiEvent):
    uniqueid: str
    on: bool
    by_order: bool = False


@dataclass(frozen=True, kw_only=True)
class DeviceChanged(AmiEvent):
    extension: str
    state: str


@dataclass(frozen=True, kw_only=True)
class OriginateFailed(AmiEvent):
    """An Originate came to nothing, perhaps without any channel (an unregistered phone)."""

    action_id: str


@dataclass(frozen=True, kw_only=True)
class Told(AmiEvent):
    """A UserEvent of our dialplan; `fields` by their names without the `Ac` in front, in lower case."""

    name: str
    fields: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Booted(AmiEvent):
    """Asterisk has loaded everything."""


def _moment(block: Block) -> datetime:
    stamp = first(block, "timestamp")
    # Microseconds are kept: who left a bridge first is decided within one millisecond.
    return datetime.fromtimestamp(float(stamp), UTC) if stamp else datetime.now(UTC)


def _new_channel(b: Block) -> AmiEvent:
    return ChannelSeen(
        at=_moment(b), uniqueid=first(b, "uniqueid"), channel=first(b, "channel"), linkedid=first(b, "linkedid"),
        number=clean_number(first(b, "calleridnum")), name=clean_name(_unescaped(first(b, "calleridname"))),
        dialled=first(b, "exten"), context=first(b, "context"), up=first(b, "channelstatedesc") == "Up",
    )  # fmt: skip


NO_NUMBER = "<unknown>"
LONGEST_NUMBER, LONGEST_NAME = 40, 120


def clean_number(text: str) -> str:
    """What can be dialled of a number that a stranger sent; "" for anonymous callers. As the dialplan filters it."""
    return re.sub(r"[^0-9+*#]", "", text[:LONGEST_NUMBER])


def clean_name(text: str) -> str:
    """A stranger's name as one line of visible characters: no controls, no turns of writing direction, not endless."""
    if text == NO_NUMBER:
        return ""
    seen = "".join(mark if unicodedata.category(mark)[0] != "C" else " " for mark in text)
    return " ".join(seen.split())[:LONGEST_NAME]


def _unescaped(text: str) -> str:
    """Events (but no lists) tell a name with the escapes of C: `O\\'Brien`."""
    return re.sub(r"\\([abfnrtv\\'\"?])", lambda found: found[1] if found[1] in "\\'\"?" else " ", text)


def _new_state(b: Block) -> AmiEvent:
    state = first(b, "channelstatedesc")
    return ChannelState(at=_moment(b), uniqueid=first(b, "uniqueid"), channel=first(b, "channel"), state=state)


def _hangup(b: Block) -> AmiEvent:
    cause = int(first(b, "cause") or 0)
    return ChannelGone(at=_moment(b), uniqueid=first(b, "uniqueid"), channel=first(b, "channel"), cause=cause)


def _enter(b: Block) -> AmiEvent:
    bridge = first(b, "bridgeuniqueid")
    return BridgeEntered(at=_moment(b), uniqueid=first(b, "uniqueid"), channel=first(b, "channel"), bridge_id=bridge)


def _leave(b: Block) -> AmiEvent:
    bridge = first(b, "bridgeuniqueid")
    return BridgeLeft(at=_moment(b), uniqueid=first(b, "uniqueid"), channel=first(b, "channel"), bridge_id=bridge)


def _hold(b: Block) -> AmiEvent:
    return HoldChanged(at=_moment(b), uniqueid=first(b, "uniqueid"), on=first(b, "event") == "Hold")


def _device(b: Block) -> AmiEvent | None:
    found = re.fullmatch(r"PJSIP/([^/]+)", first(b, "device"))
    return DeviceChanged(at=_moment(b), extension=found.group(1), state=first(b, "state")) if found else None


def _originate(b: Block) -> AmiEvent | None:
    if first(b, "response") == "Success":
        return None
    return OriginateFailed(at=_moment(b), action_id=first(b, "actionid"))


def _told(b: Block) -> AmiEvent:
    fields = {key[2:]: first(b, key) for key in b if key.startswith("ac")}
    return Told(at=_moment(b), name=first(b, "userevent"), fields=fields)


_READERS: dict[str, Callable[[Block], AmiEvent | None]] = {
    "Newchannel": _new_channel,
    "Newstate": _new_state,
    "Hangup": _hangup,
    "BridgeEnter": _enter,
    "BridgeLeave": _leave,
    "Hold": _hold,
    "Unhold": _hold,
    "DeviceStateChange": _device,
    "OriginateResponse": _originate,
    "UserEvent": _told,
    "FullyBooted": lambda b: Booted(at=_moment(b)),
}


def read(block: Block) -> AmiEvent | None:
    """The typed event of a block; None when it does not concern us or does not say whom it is about."""
    reader = _READERS.get(first(block, "event"))
    if reader is None:
        return None
    try:
        event = reader(block)
    except (ValueError, OverflowError, OSError):  # numbers that are none, or no moment
        return None
    if event is None or getattr(event, "uniqueid", "-") == "":
        return None
    return event


def seen_in_status(block: Block, asked_at: datetime) -> ChannelSeen | None:
    """A channel of the answer to `Status`, with the channel variables that were asked for.

    A list's items carry no time of their own. They get the moment of asking: whatever happens after the list was made is
    later than that, however late the list is read.
    """
    if first(block, "event") != "Status" or not first(block, "uniqueid"):
        return None
    pairs = (text.partition("=")[::2] for text in every(block, "variable"))
    variables = {name: "" if value == "(null)" else value for name, value in pairs}
    state = first(block, "channelstatedesc")
    return ChannelSeen(
        at=asked_at, uniqueid=first(block, "uniqueid"), channel=first(block, "channel"),
        linkedid=first(block, "linkedid"), number=clean_number(first(block, "calleridnum")),
        name=clean_name(first(block, "calleridname")), dialled=first(block, "exten"), context=first(block, "context"),
        up=state == "Up", ringing=state == "Ringing", bridge_id=first(block, "bridgeid"), variables=variables,
    )  # fmt: skip


def device_in_list(block: Block) -> DeviceChanged | None:
    """A device of the answer to `DeviceStateList`."""
    event = _device(block) if first(block, "event") == "DeviceStateChange" else None
    return event if isinstance(event, DeviceChanged) else None


# --- answers


def answers(block: Block) -> str:
    """The id of the action that this block answers; "" for none."""
    return first(block, "actionid")


def is_response(block: Block) -> bool:
    return "response" in block and "event" not in block


def refusal(block: Block) -> str | None:
    """Why an action was refused, in Asterisk's words; None when it was not."""
    return first(block, "message") or "refused" if first(block, "response") == "Error" else None


def is_item(block: Block) -> bool:
    """One item of a list that was asked for."""
    return "event" in block and not first(block, "eventlist") and not ends_list(block)


def ends_list(block: Block) -> bool:
    return first(block, "eventlist").lower() == "complete" or first(block, "event").endswith("Complete")


def value_in(block: Block) -> str:
    """The value that `Getvar` answers with."""
    return first(block, "value")
