"""How much an agent may have in hand at once, by channel: voice alone and first, written channels side by side.

Pure. Knows no queue and no state. Invariants: somebody on the telephone is given nothing else; voice may come while they write,
if the rules say so (the written ones wait meanwhile); what is in hand never exceeds the channel's number, nor the written ones
together their share of attention.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from routing.policy.model import KINDS

VOICE = "voice"
WRITTEN = tuple(kind for kind in KINDS if kind != VOICE)


@dataclass(frozen=True)
class Capacity:
    """`most`: by channel. An item takes 1/most of the agent's attention; written items together take at most all of it.
    `voice_interrupts`: a call may be offered to somebody who writes."""

    most: Mapping[str, int] = field(
        default_factory=lambda: MappingProxyType({VOICE: 1, "chat": 3, "mail": 5, "social": 3})
    )
    voice_interrupts: bool = True

    def __post_init__(self) -> None:
        for kind, most in self.most.items():
            if kind not in KINDS or most < 0 or (kind == VOICE and most > 1):
                raise ValueError(f"{kind}: {most} is no capacity")

    def open(self, in_hand: Mapping[str, int]) -> frozenset[str]:
        """The channels of which one more may be offered now. `in_hand`: items by channel."""
        if in_hand.get(VOICE, 0):
            return frozenset()
        written = sum(in_hand.get(kind, 0) for kind in WRITTEN)
        kinds = {VOICE} if self.most.get(VOICE, 0) and (self.voice_interrupts or not written) else set()
        for kind in WRITTEN:
            most = self.most.get(kind, 0)
            if most and in_hand.get(kind, 0) < most and self.attention(in_hand) + 1 / most <= 1 + 1e-9:
                kinds.add(kind)
        return frozenset(kinds)

    def attention(self, in_hand: Mapping[str, int]) -> float:
        """The share of attention (0–1) that written items take."""
        return sum(in_hand.get(kind, 0) / self.most[kind] for kind in WRITTEN if self.most.get(kind, 0))
