"""How numbers, amounts and dates are said in (American) English, as names of parts.

Decides wording only; what a part says stands in `parts.py`.

Rules kept: no "and" inside numbers (one hundred five); dates month first with an ordinal (November twenty-fourth);
years in pairs (twenty twenty-six, two thousand five); dollars and euros with "and … cents"; yuan as prices are read
(one hundred yuan fifty, one hundred yuan zero five), and fen alone when there is no yuan.
"""

from __future__ import annotations

from datetime import date

from core.phrases.parts import DAYS_RECORDED

LARGEST = 10**12 - 1


def cardinal(value: int) -> list[str]:
    """|value| ≤ LARGEST. 1,105 → one thousand, one hundred, five."""
    if value < 0:
        return ["number-minus", *cardinal(-value)]
    if value == 0:
        return ["number-0"]
    said: list[str] = []
    for size, unit in ((10**9, "number-billion"), (10**6, "number-million"), (1000, "number-thousand")):
        amount = value // size % 1000
        if amount:
            said += [*_below_1000(amount), unit]
    return said + _below_1000(value % 1000)


def _below_1000(amount: int) -> list[str]:
    hundreds, rest = divmod(amount, 100)
    return ([f"number-{hundreds}00"] if hundreds else []) + (_below_100(rest) if rest else [])


def _below_100(amount: int) -> list[str]:
    if amount < 20 or not amount % 10:
        return [f"number-{amount}"]
    return [f"number-{amount // 10 * 10}", f"number-{amount % 10}"]


def counted(value: int, noun: str) -> list[str]:
    return [*cardinal(value), f"noun-{noun}-{'one' if abs(value) == 1 else 'many'}"]


def digit(character: str, _length: int) -> str:
    return f"digit-{character}"


def money(major: int, minor: int, code: str) -> list[str]:
    """Both parts ≥ 0. USD 12.50 → twelve dollars and fifty cents; CNY 129.50 → one hundred twenty-nine yuan fifty."""
    low = code.lower()
    said: list[str] = []
    if major or not minor:
        said += [*cardinal(major), f"money-{low}-{'one' if major == 1 else 'many'}"]
    if not minor:
        return said
    if code == "CNY" and major:
        return said + (["digit-0"] if minor < 10 else []) + cardinal(minor)
    if said:
        said.append("money-and")
    return [*said, *cardinal(minor), f"money-{low}-minor-{'one' if minor == 1 else 'many'}"]


def day(when: date, *, with_year: bool) -> list[str]:
    said = [f"month-{when.month}", *day_of_month(when.day)]
    return said + (_year(when.year) if with_year else [])


def day_of_month(number: int) -> list[str]:
    """24 → "twenty", "fourth"; the same joint serves Chinese (二十, 四日)."""
    if number in DAYS_RECORDED:
        return [f"day-{number}"]
    return [f"number-{number // 10 * 10}", f"day-{number % 10}"]


def _year(year: int) -> list[str]:
    century, rest = divmod(year, 100)
    if year < 1000 or year % 1000 < 10:
        return cardinal(year)
    if not rest:
        return [*_below_100(century), "number-hundred"]
    return [*_below_100(century), *(["number-oh"] if rest < 10 else []), *_below_100(rest)]
