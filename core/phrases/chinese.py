"""How numbers, amounts and dates are said in Mandarin, as names of parts.

Decides wording only; what a part says stands in `parts.py`.

Rules kept (the choices where usage allows two): 10–19 are 十… at the head of a number and 一十… behind it (110 一百一十);
a gap of zeros is one 零 (1001 一千零一, 100,050 十万零五十); 2 is 两 alone before a measure word (两个包裹, 两元) and before
千, 万, 亿 (两千, 两万), else 二 (二百, 十二个, 二十二万); digit strings of three and more are read as on the telephone, with
幺 for 1, shorter ones with 一 (包裹一); years are read digit by digit with 一.
"""

from __future__ import annotations

from datetime import date

from core.phrases.english import day_of_month

LARGEST = 10**12 - 1


def cardinal(value: int) -> list[str]:
    """|value| ≤ LARGEST. 2 → 二, 10 → 十, 110 → 一百一十, 20,000 → 两万, -3 → 负三."""
    if value < 0:
        return ["number-minus", *cardinal(-value)]
    if value == 0:
        return ["number-0"]
    groups = ((value // 10**8, "number-yi"), (value // 10**4 % 10**4, "number-wan"), (value % 10**4, ""))
    said: list[str] = []
    for amount, unit in groups:
        if not amount:
            continue
        if said and amount < 1000:
            said.append("number-0")
        said += ["number-liang"] if unit and amount == 2 and not said else _below_10000(amount, head=not said)
        if unit:
            said.append(unit)
    return said


def _below_10000(amount: int, *, head: bool) -> list[str]:
    said: list[str] = []
    thousands, hundreds, rest = amount // 1000, amount // 100 % 10, amount % 100
    if thousands:
        said += ["number-liang" if thousands == 2 else f"number-{thousands}", "number-thousand"]
    if hundreds:
        said.append(f"number-{hundreds}00")
    elif thousands and rest:
        said.append("number-0")
    if not rest:
        return said
    if rest < 10 and hundreds:
        said.append("number-0")
    if 10 <= rest < 20:
        return [*said, *(["number-1"] if said or not head else []), f"number-{rest}"]
    tens, ones = divmod(rest, 10)
    return said + ([f"number-{tens}0"] if tens else []) + ([f"number-{ones}"] if ones else [])


def before_measure(value: int) -> list[str]:
    """As `cardinal`, but 2 → 两."""
    if value == -2:
        return ["number-minus", "number-liang"]
    return ["number-liang"] if value == 2 else cardinal(value)


def counted(value: int, noun: str) -> list[str]:
    return [*before_measure(value), f"noun-{noun}-many"]


def digit(character: str, length: int) -> str:
    """One digit of a string of `length` digits."""
    return f"digit-{character}" if length >= 3 else f"number-{character}"


def money(major: int, minor: int, code: str) -> list[str]:
    """Both parts ≥ 0. CNY 129.50 → 一百二十九元五角, 100.05 → 一百元零五分; USD 12.50 → 十二美元五十美分."""
    low = code.lower()
    said: list[str] = []
    if major or not minor:
        said += [*before_measure(major), f"money-{low}-many"]
    if not minor:
        return said
    if code != "CNY":
        return [*said, *before_measure(minor), f"money-{low}-minor-many"]
    jiao, fen = divmod(minor, 10)
    if jiao:
        said += [*before_measure(jiao), "money-cny-jiao"]
    elif major:
        said.append("number-0")
    if fen:
        said += [*before_measure(fen), "money-cny-minor-many"]
    return said


def day(when: date, *, with_year: bool) -> list[str]:
    said = [f"month-{when.month}", *day_of_month(when.day)]
    if with_year:
        said = [*(f"number-{character}" for character in f"{when.year:04d}"), "date-year", *said]
    return said
