"""The figures by which a call centre is run, one function each; a screen names the variant it shows.

Pure. Decides formulas, does not count (`intervals.py`) and does not guess: nothing divided by nothing is None, never 0 or
100 %. Shares are between 0 and 1, times in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

FCR_WINDOW = timedelta(days=7)


@dataclass(frozen=True)
class Counts:
    """What came of the items offered to a queue: answered and abandoned, those of them within the threshold T, and the
    abandons that were short (hung up too early for anybody to have answered)."""

    answered: int = 0
    abandoned: int = 0
    answered_in_t: int = 0
    abandoned_in_t: int = 0
    short_abandoned: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.answered + other.answered, self.abandoned + other.abandoned, self.answered_in_t + other.answered_in_t,
            self.abandoned_in_t + other.abandoned_in_t, self.short_abandoned + other.short_abandoned,
        )  # fmt: skip


def share(part: float, whole: float) -> float | None:
    """part / whole; None when there is no whole."""
    return part / whole if whole > 0 else None


def sl_offered(counts: Counts) -> float | None:
    """an / (AN + AB): of all that came, answered in time. The default."""
    return share(counts.answered_in_t, counts.answered + counts.abandoned)


def sl_excl_abandon_in_t(counts: Counts) -> float | None:
    """an / (AN + AB − ab): who hung up within the threshold does not count."""
    return share(counts.answered_in_t, counts.answered + counts.abandoned - counts.abandoned_in_t)


def sl_excl_short(counts: Counts) -> float | None:
    """an / (AN + AB − s): short abandons do not count."""
    return share(counts.answered_in_t, counts.answered + counts.abandoned - counts.short_abandoned)


def sl_credit_abandon_in_t(counts: Counts) -> float | None:
    """(an + ab) / (AN + AB): who hung up within the threshold counts as served in time (Asterisk's SL2)."""
    return share(counts.answered_in_t + counts.abandoned_in_t, counts.answered + counts.abandoned)


def sl_credit_short(counts: Counts) -> float | None:
    """(an + s) / (AN + AB): short abandons count as served in time."""
    return share(counts.answered_in_t + counts.short_abandoned, counts.answered + counts.abandoned)


def sl_answered_only(counts: Counts) -> float | None:
    """an / AN: whoever hung up is left out (Asterisk's SL). Looks best on the worst day."""
    return share(counts.answered_in_t, counts.answered)


SERVICE_LEVELS: Mapping[str, Callable[[Counts], float | None]] = {
    "sl_offered": sl_offered,
    "sl_excl_abandon_in_t": sl_excl_abandon_in_t,
    "sl_excl_short": sl_excl_short,
    "sl_credit_abandon_in_t": sl_credit_abandon_in_t,
    "sl_credit_short": sl_credit_short,
    "sl_answered_only": sl_answered_only,
}
DEFAULT_SERVICE_LEVEL = "sl_offered"


def abandonment(counts: Counts) -> float | None:
    """AB / (AN + AB)."""
    return share(counts.abandoned, counts.answered + counts.abandoned)


def asa_s(answered_wait_s: float, answered: int) -> float | None:
    """ASA = Σ wait of the answered / answered. The waits of those who hung up stand apart."""
    return share(answered_wait_s, answered)


def aht_segment_s(talk_s: float, hold_s: float, wrap_up_s: float, segments: int) -> float | None:
    """AHT of an agent = (talk + hold + ACW) / segments handled: a transferred call counts for each who had it."""
    return share(talk_s + hold_s + wrap_up_s, segments)


def aht_interaction_s(talk_s: float, hold_s: float, wrap_up_s: float, interactions: int) -> float | None:
    """AHT of a queue = (talk + hold + ACW of all segments) / interactions handled: a transferred call counts once."""
    return share(talk_s + hold_s + wrap_up_s, interactions)


def occupancy(handling_s: float, ready_s: float) -> float | None:
    """Handling / (handling + ready)."""
    return share(handling_s, handling_s + ready_s)


def utilisation(handling_s: float, ready_s: float, paid_not_ready_s: float) -> float | None:
    """(Handling + ready) / (handling + ready + paid not-ready)."""
    return share(handling_s + ready_s, handling_s + ready_s + paid_not_ready_s)


def shrinkage(paid_unavailable_s: float, scheduled_paid_s: float) -> float | None:
    """Paid time in which somebody was not available / scheduled paid time."""
    return share(paid_unavailable_s, scheduled_paid_s)


def adherence(adherent_s: float, scheduled_s: float) -> float | None:
    """Time spent as the roster says / scheduled time."""
    return share(adherent_s, scheduled_s)


@dataclass(frozen=True)
class Stretch:
    """From `since` until before `until`, of one kind: "work", "break", "training", …"""

    since: datetime
    until: datetime
    kind: str


def adherent_s(scheduled: Sequence[Stretch], actual: Sequence[Stretch]) -> float:
    """Seconds in which the actual kind was the scheduled one. The stretches of either side do not overlap each other."""
    seconds, actual_at = 0.0, 0
    actual = sorted(actual, key=lambda stretch: stretch.since)
    for plan in sorted(scheduled, key=lambda stretch: stretch.since):
        while actual_at < len(actual) and actual[actual_at].until <= plan.since:
            actual_at += 1
        for real in actual[actual_at:]:
            if real.since >= plan.until:
                break
            if real.kind == plan.kind:
                both = min(plan.until, real.until) - max(plan.since, real.since)
                seconds += max(0.0, both.total_seconds())
    return seconds


@dataclass(frozen=True)
class Contact:
    """A contact in any channel. Without a customer or a problem it cannot be a repeat, nor be repeated."""

    at: datetime
    customer: str
    problem: str


def repeats(contacts: Iterable[Contact], window: timedelta = FCR_WINDOW) -> tuple[int, int]:
    """(repeats, contacts that can be told apart): a repeat comes within the window after a contact of the same customer for
    the same problem, in whatever channel."""
    last: dict[tuple[str, str], datetime] = {}
    repeated = known = 0
    for contact in sorted(contacts, key=lambda contact: contact.at):
        if not contact.customer or not contact.problem:
            continue
        known += 1
        key = (contact.customer, contact.problem)
        if key in last and contact.at - last[key] <= window:
            repeated += 1
        last[key] = contact.at
    return repeated, known


def fcr(contacts: Iterable[Contact], window: timedelta = FCR_WINDOW) -> float | None:
    """First-contact resolution = 1 − repeats / contacts, with a window of 7 days, same customer and problem, all channels."""
    repeated, known = repeats(contacts, window)
    return 1.0 - repeated / known if known else None
