"""The parts that phrases are assembled from: their names, and what each says in English and in Chinese.

Does not decide how parts are put together (`english.py`, `chinese.py`). Some parts are used by one language only; they
have a text in both all the same, so that every name exists in both and a missing sound can never be met in a call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Wording:
    """What a prompt says in each language."""

    en: str
    zh: str


ONES_EN = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS_EN = ("-", "-", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
DIGITS_ZH = "零一二三四五六七八九"
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
DAYS_RECORDED = (*range(1, 21), 30)  # 21 to 29 and 31 are "twenty" and "first", 二十 and 一日
_DAYS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth",
    "twentieth", "thirtieth",
)  # fmt: skip

# The lengths of silence that exist, in milliseconds; others are put together from these.
SILENCES_MS = (50, 100, 200, 500)

# Nouns that can be counted: singular, plural, and the Chinese measure word with its noun.
NOUNS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "parcel": ("parcel", "parcels", "个包裹"),
        "day": ("day", "days", "天"),
        "order": ("order", "orders", "个订单"),
        "item": ("item", "items", "件商品"),
        "minute": ("minute", "minutes", "分钟"),
    }
)


@dataclass(frozen=True, slots=True)
class Currency:
    """Words of one currency: major unit (one, many, Chinese) and minor unit likewise; `decimals` 0 = no minor unit."""

    major: tuple[str, str, str]
    minor: tuple[str, str, str] = ("", "", "")
    decimals: int = 2


CURRENCIES: Mapping[str, Currency] = MappingProxyType(
    {
        "CNY": Currency(("yuan", "yuan", "元"), ("fen", "fen", "分")),
        "USD": Currency(("dollar", "dollars", "美元"), ("cent", "cents", "美分")),
        "EUR": Currency(("euro", "euros", "欧元"), ("cent", "cents", "欧分")),
        "JPY": Currency(("yen", "yen", "日元"), decimals=0),
    }
)

# ISO 4217 decimals of currencies that are spoken by their letters and are not hundredths.
OTHER_DECIMALS: Mapping[str, int] = MappingProxyType({"KRW": 0, "VND": 0, "CLP": 0, "KWD": 3, "BHD": 3, "TND": 3})


def _chinese(value: int) -> str:
    """1–99 as written: 10 → 十, 21 → 二十一."""
    tens, ones = divmod(value, 10)
    head = "" if not tens else (DIGITS_ZH[tens] if tens > 1 else "") + "十"
    return head + (DIGITS_ZH[ones] if ones or not tens else "")


def _numbers() -> dict[str, Wording]:
    parts = {f"number-{n}": Wording(ONES_EN[n], _chinese(n)) for n in range(20)}
    for n in range(20, 100, 10):
        parts[f"number-{n}"] = Wording(TENS_EN[n // 10], _chinese(n))
    for n in range(1, 10):
        parts[f"number-{n}00"] = Wording(f"{ONES_EN[n]} hundred", f"{DIGITS_ZH[n]}百")
    parts |= {
        "number-hundred": Wording("hundred", "百"),
        "number-thousand": Wording("thousand", "千"),
        "number-wan": Wording("ten thousand", "万"),
        "number-million": Wording("million", "百万"),
        "number-yi": Wording("hundred million", "亿"),
        "number-billion": Wording("billion", "十亿"),
        "number-liang": Wording("two", "两"),
        "number-minus": Wording("minus", "负"),
        "number-point": Wording("point", "点"),
        "number-oh": Wording("oh", "零"),
    }
    return parts


def _characters() -> dict[str, Wording]:
    parts = {f"digit-{n}": Wording(ONES_EN[n], "幺" if n == 1 else DIGITS_ZH[n]) for n in range(10)}
    parts |= {"digit-star": Wording("star", "星号"), "digit-hash": Wording("pound key", "井号")}
    parts |= {f"letter-{c}": Wording(c.upper(), c.upper()) for c in "abcdefghijklmnopqrstuvwxyz"}
    return parts


def _dates() -> dict[str, Wording]:
    parts = {f"month-{n}": Wording(name, f"{_chinese(n)}月") for n, name in enumerate(_MONTHS, start=1)}
    parts |= {f"day-{n}": Wording(name, f"{_chinese(n)}日") for n, name in zip(DAYS_RECORDED, _DAYS, strict=True)}
    parts["date-year"] = Wording("year", "年")
    return parts


def _things() -> dict[str, Wording]:
    parts: dict[str, Wording] = {"money-and": Wording("and", "又"), "money-cny-jiao": Wording("jiao", "角")}
    for noun, (one, many, chinese) in NOUNS.items():
        parts[f"noun-{noun}-one"] = Wording(one, chinese)
        parts[f"noun-{noun}-many"] = Wording(many, chinese)
    for code, currency in CURRENCIES.items():
        low = code.lower()
        one, many, chinese = currency.major
        parts[f"money-{low}-one"] = Wording(one, chinese)
        parts[f"money-{low}-many"] = Wording(many, chinese)
        if currency.decimals:
            one, many, chinese = currency.minor
            parts[f"money-{low}-minor-one"] = Wording(one, chinese)
            parts[f"money-{low}-minor-many"] = Wording(many, chinese)
    return parts


# Every part that can be spoken, by name. Silences (`silence-150`) say nothing and stand apart.
PARTS: Mapping[str, Wording] = MappingProxyType(_numbers() | _characters() | _dates() | _things())
SILENCES: frozenset[str] = frozenset(f"silence-{ms}" for ms in SILENCES_MS)
ALL_NAMES: frozenset[str] = frozenset(PARTS) | SILENCES
