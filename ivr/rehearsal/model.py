"""A scenario: who calls into what world, what they do, what they must hear, and where it ends. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from core.hours.model import Calendar
from core.phrases.model import Phrases

ENDS = ("handoff", "voicemail", "hangup", "caller_gone", "error")
GAP = "..."  # in an expected path: any nodes


@dataclass(frozen=True, slots=True)
class FakeOrder:
    """An order of the rehearsed shop. `said`: what is read out; () = number and status. `phone` finds it without a number."""

    no: str
    factor: str = ""
    phone: str = ""
    status: str = "shipped"
    facts: Mapping[str, str | int | bool] = field(default_factory=dict)
    said: Phrases = ()


@dataclass(frozen=True, slots=True)
class Shop:
    """How the order system behaves: answers after `after_s` seconds, or with `fault`: slow or error."""

    after_s: float = 0.0
    fault: str = ""


@dataclass(frozen=True, slots=True)
class FakeQueue:
    """`refuses`, `no_callback`: why it takes nobody, calls nobody back; "" = it does. How it stands; `waiting` None = nobody can
    say."""

    refuses: str = ""
    no_callback: str = ""
    waiting: int | None = None
    wait_s: float | None = None
    agents: int = 1


@dataclass(frozen=True, slots=True)
class FakeHook:
    """Another program: answers `values` after `after_s` seconds, or with `fault`: slow or error."""

    values: Mapping[str, str | int | bool | float] = field(default_factory=dict)
    after_s: float = 0.0
    fault: str = ""


@dataclass(frozen=True, slots=True)
class World:
    """What a rehearsed call happens in. `at` in UTC; `zone` is the shop's."""

    at: datetime = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
    zone: ZoneInfo = ZoneInfo("UTC")
    caller: str = "13800138000"
    did: str = "4000"
    language: str = ""
    interaction_id: str = "rehearsal-1"
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    orders: tuple[FakeOrder, ...] = ()
    shop: Shop = Shop()
    queues: Mapping[str, FakeQueue] = field(default_factory=dict)
    hooks: Mapping[str, FakeHook] = field(default_factory=dict)
    boxes: Mapping[str, str] = field(default_factory=dict)  # box → why it takes no message


@dataclass(frozen=True, slots=True)
class Press:
    """These keys at the next question; `ahead`: one key, while something is being said."""

    keys: str
    line: int = 0
    ahead: bool = False


@dataclass(frozen=True, slots=True)
class Silence:
    """No key at the next question."""

    line: int = 0


@dataclass(frozen=True, slots=True)
class HangsUp:
    """The caller goes, at whatever is heard now."""

    line: int = 0


@dataclass(frozen=True, slots=True)
class Hears:
    """These prompts or words, in this order, since the last thing heard for sure; `never`: none of them since the last act."""

    wanted: tuple[str, ...]
    line: int = 0
    never: bool = False


@dataclass(frozen=True, slots=True)
class Stands:
    """The caller is at this node now or before they are asked again."""

    node: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Falls:
    """Our process dies here, and the caller comes back through another."""

    line: int = 0


@dataclass(frozen=True, slots=True)
class Changes:
    """The world changes: another shop's mood, other queues, later by some seconds."""

    shop: Shop | None = None
    queues: Mapping[str, FakeQueue] | None = None
    later_s: float = 0.0
    line: int = 0


Act = Press | Silence | HangsUp | Hears | Stands | Falls | Changes


@dataclass(frozen=True, slots=True)
class Expected:
    """What must have come of it; None and () = anything."""

    end: str = ""
    path: tuple[str, ...] = ()
    facts: Mapping[str, object] = field(
        default_factory=dict
    )  # queue, problem, priority, skills, owner, language, level, box
    variables: Mapping[str, object] = field(default_factory=dict)
    reports: int = 0
    line: int = 0


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    world: World
    acts: tuple[Act, ...]
    expected: Expected
    line: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a scenario failed, at a line of its file: what was wanted, what was there."""

    line: int
    message: str
    wanted: str = ""
    found: str = ""

    def lines(self) -> list[str]:
        rows = [self.message]
        if self.wanted or self.found:
            rows += [f"  - wanted: {self.wanted or 'nothing'}", f"  + found:  {self.found or 'nothing'}"]
        return rows
