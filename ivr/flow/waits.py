"""Everything a flow waits for, and every answer it can get. Values only.

The engine stops at each input and each output alike: saying something is a wait, just as asking for a key is. Whoever
runs the flow carries the wait out and comes back with an outcome; how it does so is no concern of the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.phrases.model import Phrases

# --- waits


@dataclass(frozen=True, slots=True)
class Play:
    """Say `phrases`; a key out of `keys` stops it ("" = it cannot be stopped). Outcome: Played."""

    phrases: Phrases
    language: str
    keys: str = ""


@dataclass(frozen=True, slots=True)
class Collect:
    """Say `phrases`, which any key stops, and take keys. Outcomes: Keys, NoInput.

    Ends at `finish` (when given), after `inter_digit_s` without a key, or, without a `finish`, at `longest` keys. `ahead` was
    pressed before the prompt began, which is then not said. `personal`: the digits appear in no log.
    """

    phrases: Phrases
    language: str
    longest: int = 1
    finish: str = ""
    first_digit_s: float = 5.0
    inter_digit_s: float = 3.0
    personal: bool = False
    ahead: str = ""


@dataclass(frozen=True, slots=True)
class LookUp:
    """Ask for an order. `filler` begins when no answer came within `filler_after_s`; after `deadline_s` it is "slow".
    Outcome: LookedUp."""

    order_no: str
    second_factor: str
    language: str
    filler: Phrases = ()
    filler_after_s: float = 0.8
    deadline_s: float = 3.0


@dataclass(frozen=True, slots=True)
class HandOff:
    """Give the caller to a queue. `skills` → least proficiency 1–5. Outcomes: Done, Refused."""

    queue: str
    skills: Mapping[str, int] = field(default_factory=dict)
    priority: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class LeaveVoicemail:
    """Let the caller leave a message in `box`. Outcomes: Done, Refused."""

    box: str = ""


@dataclass(frozen=True, slots=True)
class CallBack:
    """Have the caller called back by `queue`, or only ask whether they could be. Outcomes: Done, Refused."""

    queue: str
    problem: str = ""
    only_ask: bool = False


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call. Outcome: Done."""


Wait = Play | Collect | LookUp | HandOff | LeaveVoicemail | CallBack | HangUp


# --- outcomes


@dataclass(frozen=True, slots=True)
class Played:
    """`key` stopped it; "" = said to the end."""

    key: str = ""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys without the finishing one. `too_many`: more than asked for; they were taken and thrown away."""

    text: str
    too_many: bool = False


@dataclass(frozen=True, slots=True)
class NoInput:
    """Not one key in time."""


@dataclass(frozen=True, slots=True)
class LookedUp:
    """`kind`: found, several, none, slow, error, refused. `facts` of the (likeliest) order for branches; `phrases` may be
    said to somebody on `level`."""

    kind: str
    order_id: str = ""
    order_no: str = ""
    level: str = ""
    phrases: Phrases = ()
    facts: Mapping[str, str | int | bool] = field(default_factory=dict)
    took_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Done:
    """The caller has been handed on."""


@dataclass(frozen=True, slots=True)
class Refused:
    """It cannot be done; `reason` in words."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class CallerGone:
    """The caller hung up; may come in place of any other outcome."""


Outcome = Played | Keys | NoInput | LookedUp | Done | Refused | CallerGone
