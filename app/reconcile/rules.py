"""What differs between the switch's book and ours, between recordings' rows and their files, and what the likely cause is.

Pure. Decides from two sides' words about one call or one recording; does not read either side and does not mend anything.
Invariants: two sides that say the same give nothing; a call that may still be up is left out; whoever lists a difference
names both sides' word and a cause in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pbx.cel import BookCall

SAME_END = timedelta(seconds=1)
SAME_S = 1.0
UNSEEN = frozenset({"unseen", "vanished"})  # ends that nobody of ours saw
SEEN = frozenset({"caller_hangup", "agent_hangup", "system"})
NODE_LOST = "node_lost"


class Kind(StrEnum):
    CALL_UNKNOWN_TO_US = "call_unknown_to_us"
    CALL_UNKNOWN_TO_SWITCH = "call_unknown_to_switch"
    END_MISSING = "end_missing"
    END_DIFFERS = "end_differs"
    REASON_UNSEEN = "reason_unseen"
    REASON_DIFFERS = "reason_differs"
    TALK_DIFFERS = "talk_differs"
    TALK_WITHOUT_SEGMENT = "talk_without_segment"
    OFFER_WITHOUT_OUTCOME = "offer_without_outcome"
    RECORDING_UNFINISHED = "recording_unfinished"
    RECORDING_WITHOUT_FILE = "recording_without_file"
    FILE_WITHOUT_RECORDING = "file_without_recording"
    LENGTH_DIFFERS = "length_differs"
    HASH_DIFFERS = "hash_differs"
    FACTS_NOT_COPIED = "facts_not_copied"
    FACT_SET_ASIDE = "fact_set_aside"
    BOOK_MISSING = "book_missing"


@dataclass(frozen=True)
class Difference:
    """`ours` and `theirs` are both sides' word; `ids` names what else it is about (offer_id, recording_id, path, …).

    `mendable`: the truth is known and can be told as an event; `mended`: it was.
    """

    kind: Kind
    interaction_id: str
    ours: str
    theirs: str
    cause: str
    ids: Mapping[str, str] = field(default_factory=dict)
    mendable: bool = False
    mended: bool = False

    def record(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


@dataclass(frozen=True)
class OurCall:
    """An interaction's row, the offers of its segments that have ended, nothing else."""

    id: str
    arrived_at: datetime
    ended_at: datetime | None = None
    reason: str = ""
    talk_s: float = 0.0
    segments: frozenset[str] = frozenset()


@dataclass(frozen=True)
class StoredSound:
    """A stored recording's row."""

    recording_id: str
    interaction_id: str
    path: str
    sha256: str
    seconds: float


@dataclass(frozen=True)
class FoundSound:
    """What lies at its place: `fault` says why it cannot be read as sound."""

    sha256: str = ""
    seconds: float = 0.0
    fault: str = ""


def compare_call(book: BookCall, ours: OurCall | None) -> list[Difference]:
    """A call that stands in the switch's book."""
    if ours is None:
        return [_unknown_to_us(book)]
    return [*_ends(book, ours), *_talks(book, ours)]


def _unknown_to_us(book: BookCall) -> Difference:
    if book.over_at is None:
        return Difference(
            Kind.CALL_UNKNOWN_TO_US, book.id, "no such call", f"arrived {_at(book.arrived_at)}, no end",
            "the call is up and nobody of ours is linked to the switch, or the line is not the switch's own",
        )  # fmt: skip
    return Difference(
        Kind.CALL_UNKNOWN_TO_US, book.id, "no such call", f"arrived {_at(book.arrived_at)}, {_end_of(book)}",
        "the call came and went while nobody of ours was linked to the switch, or its facts were lost", mendable=True,
    )  # fmt: skip


def _ends(book: BookCall, ours: OurCall) -> list[Difference]:
    ids = book.id
    if ours.ended_at is None:
        if book.over_at is None:
            return []  # up
        return [Difference(
            Kind.END_MISSING, ids, f"arrived {_at(ours.arrived_at)}, no end", _end_of(book),
            "the product was stopped before it heard of the end (the next start tells it), or that fact was lost",
            mendable=True,
        )]  # fmt: skip
    our_word = f"{ours.reason} at {_at(ours.ended_at)}"
    if book.ended_at is None:
        if book.lost_at is not None:
            if ours.reason not in UNSEEN:
                return []  # we heard the end, or that the switch is lost
            return [Difference(
                Kind.REASON_UNSEEN, ids, our_word, _end_of(book), "the switch itself was lost with this call in it",
                mendable=True,
            )]  # fmt: skip
        if ours.reason == NODE_LOST:
            return []  # its next life has not begun
        cause = "the switch was killed at this moment, or lines of its book are missing"
        return [Difference(Kind.END_MISSING, ids, our_word, "no end", cause)]
    if ours.reason in UNSEEN and book.reason:
        cause = "the call ended in a moment when nobody of ours was linked to the switch (a takeover, a restart, a lost link)"
        return [Difference(Kind.REASON_UNSEEN, ids, our_word, _end_of(book), cause, mendable=True)]
    found = []
    if abs(ours.ended_at - book.ended_at) > SAME_END:
        cause = "the end was told late by a list, or the row was changed by hand"
        found.append(Difference(Kind.END_DIFFERS, ids, our_word, _end_of(book), cause, mendable=bool(book.reason)))
    if ours.reason in SEEN and book.reason in SEEN and ours.reason != book.reason:
        cause = "some of the call's facts were lost before its end was told, or the row was changed by hand"
        found.append(Difference(Kind.REASON_DIFFERS, ids, our_word, _end_of(book), cause, mendable=True))
    if abs(ours.talk_s - book.talk_s) > SAME_S:
        cause = "some of the call's facts were lost, or the row was changed by hand"
        words = f"{ours.talk_s:.1f} s of talk", f"{book.talk_s:.1f} s of talk"
        found.append(Difference(Kind.TALK_DIFFERS, ids, *words, cause, mendable=bool(book.reason)))
    return found


def _talks(book: BookCall, ours: OurCall) -> list[Difference]:
    if book.over_at is None:
        return []
    found = []
    for talk in book.talks:
        if not talk.offer_id:
            found.append(Difference(
                Kind.TALK_WITHOUT_SEGMENT, book.id, "no offer and no segment", f"talked to extension {talk.extension}",
                "the caller was answered out of the switch's static queue, while nobody of ours decided",
                {"extension": talk.extension},
            ))  # fmt: skip
        elif talk.offer_id not in ours.segments:
            found.append(Difference(
                Kind.TALK_WITHOUT_SEGMENT, book.id, "no segment", f"talked to extension {talk.extension}",
                "the owner of the queues ended in mid talk and none has begun since, or the segment's end was lost",
                {"extension": talk.extension, "offer_id": talk.offer_id},
            ))  # fmt: skip
    return found


def unknown_to_switch(ours: OurCall) -> Difference:
    """A call of ours that does not stand in the book, though the book reaches back to it."""
    end = f", {ours.reason} at {_at(ours.ended_at)}" if ours.ended_at else ""
    cause = "lines of the switch's book are missing, or the row is not of a real call"
    return Difference(
        Kind.CALL_UNKNOWN_TO_SWITCH, ours.id, f"arrived {_at(ours.arrived_at)}{end}", "no such call", cause
    )


def compare_sound(row: StoredSound, found: FoundSound | None) -> list[Difference]:
    """A stored recording and what lies at its place (None = nothing)."""
    ids = {"recording_id": row.recording_id, "path": row.path}
    our_word = f"stored, {row.seconds:.1f} s"
    if found is None:
        cause = "the file was deleted or moved by hand, or the disk it lay on is not there"
        return [Difference(Kind.RECORDING_WITHOUT_FILE, row.interaction_id, our_word, "no file", cause, ids)]
    differences = []
    if found.sha256 != row.sha256:
        words = f"sha256 {row.sha256[:12]}…", f"sha256 {found.sha256[:12]}…"
        cause = "the file was changed after it was stored, or the disk gives back something else"
        differences.append(Difference(Kind.HASH_DIFFERS, row.interaction_id, *words, cause, ids))
    if found.fault or abs(found.seconds - row.seconds) > SAME_S:
        length = found.fault or f"{found.seconds:.1f} s"
        cause = "the file was cut or replaced, or the row was changed by hand"
        differences.append(Difference(Kind.LENGTH_DIFFERS, row.interaction_id, our_word, length, cause, ids))
    return differences


def unfinished_sound(recording_id: str, interaction_id: str, ended_at: datetime) -> Difference:
    """A recording that began, whose call is over, and that was never stored nor found damaged."""
    cause = "the product was stopped before the sound was joined (the next start does it), or joining it fails again and again"
    word = f"still being recorded, though the call ended {_at(ended_at)}"
    return Difference(
        Kind.RECORDING_UNFINISHED, interaction_id, word, "no stored file", cause, {"recording_id": recording_id}
    )


def file_without_recording(path: str, interaction_id: str = "") -> Difference:
    cause = "a process was killed between joining the sound and writing its row, or the row was deleted by hand"
    if interaction_id:
        cause = (
            "the sound of a call that is over was never joined: the product was stopped, or it fails again and again"
        )
    return Difference(Kind.FILE_WITHOUT_RECORDING, interaction_id, "no recording", path, cause, {"path": path})


def offer_without_outcome(interaction_id: str, offer_id: str, extension: str, made_at: datetime) -> Difference:
    cause = "the owner of the queues ended while the phone rang and none has begun since, or the outcome was lost"
    ids = {"offer_id": offer_id, "extension": extension}
    return Difference(
        Kind.OFFER_WITHOUT_OUTCOME,
        interaction_id,
        f"offered to {extension} at {_at(made_at)}",
        "no outcome",
        cause,
        ids,
    )


def facts_not_copied(journal: str, rows: int, oldest: datetime) -> Difference:
    cause = "the database did not answer, or the process that wrote them down has not been started again"
    words = f"nothing of them, oldest {_at(oldest)}", f"{rows} facts in {journal}"
    return Difference(Kind.FACTS_NOT_COPIED, "", *words, cause, {"journal": journal}, mendable=True)


def fact_set_aside(interaction_id: str, kind: str, reason: str, journal_id: str, seq: int) -> Difference:
    cause = "a row that follows from this fact could not be written; its text is kept in journal_quarantine"
    ids = {"journal_id": journal_id, "seq": str(seq)}
    return Difference(Kind.FACT_SET_ASIDE, interaction_id, f"set aside: {reason[:120]}", kind, cause, ids)


def book_missing(calls: int, theirs: str) -> Difference:
    cause = "the switch does not write its book (cel_custom), or the file was deleted"
    return Difference(Kind.BOOK_MISSING, "", f"{calls} calls that cannot be compared", theirs, cause)


def _at(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _end_of(book: BookCall) -> str:
    if book.ended_at is None:
        assert book.lost_at is not None
        return f"{NODE_LOST} before {_at(book.lost_at)}"
    return f"{book.reason or 'ended'} at {_at(book.ended_at)}"
