"""Who buys at the sample shop: invented customers with a language and a mobile number, written down as people do.

Chinese numbers are of one block of zeros; American ones of 555-01xx and British ones of 020 7946 0xxx, both kept free
for fiction. No two customers below `MOST` share a number.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from app.shop import goods

_AREAS = ("212", "312", "415", "206", "617", "303", "404", "503", "512", "702")
MOST = {"zh": 500_000, "en": 2_000}


class Buyer(NamedTuple):
    name: str
    locale: str  # zh-CN, en-US, en-GB
    country: str
    mobile: str  # as the customer wrote it
    e164: str


def _chinese(index: int, rng: random.Random) -> Buyer:
    national = f"19900{index % 1_000_000:06d}"
    a, b, c = national[:3], national[3:7], national[7:]
    spellings = (national, f"{a} {b} {c}", f"{a}-{b}-{c}", f"+86 {a} {b} {c}", f"0086{national}")
    name = rng.choice(goods.FAMILY_ZH) + rng.choice(goods.GIVEN_ZH)
    return Buyer(name, "zh-CN", "CN", rng.choice(spellings), f"+86{national}")


def _american(index: int, rng: random.Random) -> Buyer:
    area, line = _AREAS[index // 100 % len(_AREAS)], f"01{index % 100:02d}"
    spellings = (f"({area}) 555-{line}", f"{area}-555-{line}", f"+1 {area} 555 {line}", f"1{area}555{line}")
    return Buyer(_western(rng), "en-US", "US", rng.choice(spellings), f"+1{area}555{line}")


def _british(index: int, rng: random.Random) -> Buyer:
    tail = f"{index % 1000:03d}"
    spellings = (f"020 7946 0{tail}", f"+44 20 7946 0{tail}", f"00442079460{tail}")
    return Buyer(_western(rng), "en-GB", "GB", rng.choice(spellings), f"+442079460{tail}")


def _western(rng: random.Random) -> str:
    return f"{rng.choice(goods.GIVEN_EN)} {rng.choice(goods.FAMILY_EN)}"


def buyer(index: int, language: str, rng: random.Random) -> Buyer:
    """The customer number `index` of that language (`zh`, `en`): always the same number for the same index."""
    if language == "zh":
        return _chinese(index, rng)
    return _american(index // 2, rng) if index % 2 == 0 else _british(index // 2, rng)
