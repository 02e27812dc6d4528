"""What may be done to a talk, and by which orders to the switch: literal tables.

Pure. Does not know who asks (`service.py`) and carries nothing out. Invariants: a verb that has been done already is no
fault and does nothing; a verb that is not in the table is refused with one sentence that says what to do instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.errors import AftercallError, BadInput
from pbx.transfer import (
    CallOrder,
    EndLeg,
    HoldCaller,
    JoinAll,
    JoinCaller,
    LeaveRoom,
    MuteLeg,
    ParkCaller,
    SwapBack,
    SwapLegs,
)  # fmt: skip


class Doing(StrEnum):
    """What an agent does with their caller now."""

    TALKING = "talking"
    HELD = "held"
    ASKING = "asking"  # a phone rings whose owner is to be asked; the caller hears music
    ASKED = "asked"  # the agent talks to them; the caller hears music
    SWAPPED = "swapped"  # the agent talks to the caller; the other hears music
    CONFERENCE = "conference"
    GONE = "gone"  # the caller is somebody else's


class Verb(StrEnum):
    HOLD = "hold"
    RESUME = "resume"
    MUTE = "mute"
    UNMUTE = "unmute"
    CONSULT = "consult"
    COMPLETE = "complete"
    ABORT = "abort"
    SWAP = "swap"
    CONFERENCE = "conference"
    TRANSFER = "transfer"
    PARK = "park"


KINDS = ("agent", "queue", "number", "entry")


@dataclass(frozen=True)
class Target:
    """Whom the caller is given to: an extension, a queue, a number outside, or an entry point of the menu."""

    kind: str
    name: str


@dataclass(frozen=True)
class Handling:
    """A talk in an agent's hands. `heir` is the leg of whoever is being asked."""

    interaction_id: str
    offer_id: str
    extension: str
    leg_id: str
    caller: str
    doing: Doing = Doing.TALKING
    muted: bool = False
    target: Target | None = None
    heir: str = ""
    note: str = ""
    leaving: bool = False  # the agent has completed the transfer; their leg is about to end


_D, _V = Doing, Verb
_TABLE: Mapping[tuple[Doing, Verb], Doing] = {
    (_D.TALKING, _V.HOLD): _D.HELD,
    (_D.TALKING, _V.RESUME): _D.TALKING,
    (_D.TALKING, _V.ABORT): _D.TALKING,
    (_D.TALKING, _V.CONSULT): _D.ASKING,
    (_D.TALKING, _V.TRANSFER): _D.GONE,
    (_D.TALKING, _V.PARK): _D.GONE,
    (_D.HELD, _V.HOLD): _D.HELD,
    (_D.HELD, _V.RESUME): _D.TALKING,
    (_D.HELD, _V.CONSULT): _D.ASKING,
    (_D.HELD, _V.TRANSFER): _D.GONE,
    (_D.HELD, _V.PARK): _D.GONE,
    (_D.ASKING, _V.ABORT): _D.TALKING,
    (_D.ASKING, _V.COMPLETE): _D.GONE,
    (_D.ASKED, _V.ABORT): _D.TALKING,
    (_D.ASKED, _V.COMPLETE): _D.GONE,
    (_D.ASKED, _V.SWAP): _D.SWAPPED,
    (_D.ASKED, _V.CONFERENCE): _D.CONFERENCE,
    (_D.SWAPPED, _V.ABORT): _D.TALKING,
    (_D.SWAPPED, _V.COMPLETE): _D.GONE,
    (_D.SWAPPED, _V.SWAP): _D.ASKED,
    (_D.SWAPPED, _V.CONFERENCE): _D.CONFERENCE,
    (_D.CONFERENCE, _V.CONFERENCE): _D.CONFERENCE,
    (_D.CONFERENCE, _V.ABORT): _D.TALKING,
    (_D.CONFERENCE, _V.COMPLETE): _D.GONE,
    **{(doing, verb): doing for doing in _D if doing is not _D.GONE for verb in (_V.MUTE, _V.UNMUTE)},
}
_INSTEAD = {
    Doing.TALKING: "Nobody is being asked. Use consult first.",
    Doing.HELD: "The caller is on hold. Use resume first.",
    Doing.ASKING: "The other phone rings. Use abort to go back to the caller, or complete to leave.",
    Doing.ASKED: "Somebody is being asked. Use complete, abort, swap or conference.",
    Doing.SWAPPED: "Somebody is being asked. Use complete, abort, swap or conference.",
    Doing.CONFERENCE: "There are three of you. Use complete to leave, or abort to let the third go.",
    Doing.GONE: "The caller is somebody else's by now.",
}


def after(doing: Doing, verb: Verb) -> Doing:
    """What the agent does afterwards. Raises AftercallError (`routing:not-now`) for what is not possible now."""
    becomes = _TABLE.get((doing, verb))
    if becomes is None:
        raise AftercallError(
            "routing:not-now", f"'{verb}' is not possible while the call is {doing}.", hint=_INSTEAD[doing], status=409
        )
    return becomes


def done_already(now: Handling, verb: Verb) -> bool:
    """The verb would change nothing: it was done before."""
    if verb in (Verb.MUTE, Verb.UNMUTE):
        return now.muted is (verb is Verb.MUTE)
    return after(now.doing, verb) is now.doing


def orders(now: Handling, verb: Verb, *, park_s: int = 0) -> Sequence[CallOrder]:
    """What the switch is told. Consult and transfer need a target besides, and are put together by the service."""
    caller, leg, heir = now.caller, now.leg_id, now.heir
    match verb, now.doing:
        case Verb.HOLD, _:
            return [HoldCaller(caller=caller, leg_id=leg)]
        case Verb.RESUME, _:
            return [JoinCaller(caller=caller, leg_id=leg)]
        case ((Verb.MUTE | Verb.UNMUTE), _):
            return [MuteLeg(leg_id=leg, on=verb is Verb.MUTE)]
        case Verb.COMPLETE, Doing.SWAPPED:
            return [JoinCaller(caller=caller, leg_id=heir)]
        case Verb.COMPLETE, _:
            return [EndLeg(leg_id=leg)]
        case Verb.ABORT, Doing.CONFERENCE:
            return [EndLeg(leg_id=heir), LeaveRoom(caller=caller, leg_id=leg)]
        case Verb.ABORT, _:  # the dialplan brings the agent back
            return [EndLeg(leg_id=heir)]
        case Verb.SWAP, Doing.ASKED:
            return [SwapLegs(caller=caller, leg_id=leg, other=heir)]
        case Verb.SWAP, _:
            return [SwapBack(caller=caller, leg_id=leg, other=heir)]
        case Verb.CONFERENCE, _:
            return [JoinAll(caller=caller, leg_id=leg, other=heir, swapped=now.doing is Doing.SWAPPED)]
        case Verb.PARK, _:
            return [ParkCaller(caller=caller, leg_id=leg, park_s=park_s)]
    raise ValueError(f"{verb} is put together elsewhere")


# --- the outside

_NUMBER = re.compile(r"\+?[0-9]{3,15}")
_SEPARATORS = re.compile(r"[ ()./-]")


@dataclass(frozen=True)
class OutsideRules:
    """Whom an agent may call outside: numbers that begin with one of `allow`; so many in an hour; ringing so long."""

    allow: tuple[str, ...] = ()
    max_per_hour: int = 30
    ring_s: float = 30.0


def as_dialled(text: str) -> str:
    return _SEPARATORS.sub("", text)


def outside_number(text: str, rules: OutsideRules, calls_in_last_hour: int) -> str:
    """The number as it is dialled. Raises BadInput, or AftercallError (`routing:number-refused`, `routing:too-many-calls`)."""
    number = as_dialled(text)
    if not _NUMBER.fullmatch(number):
        raise BadInput(
            "routing:number", f"'{text[:40]}' is not a telephone number.", hint="Digits, with or without a +."
        )
    if not any(number.startswith(prefix) for prefix in rules.allow):
        raise AftercallError(
            "routing:number-refused", f"{number} may not be called from here.",
            hint="An administrator names the beginnings that are allowed (outbound.allow).", status=403,
        )  # fmt: skip
    if calls_in_last_hour >= rules.max_per_hour:
        raise AftercallError(
            "routing:too-many-calls", f"{rules.max_per_hour} calls to the outside were made in the last hour.",
            hint="Send the caller to a queue, or try again later.", status=429,
        )  # fmt: skip
    return number
