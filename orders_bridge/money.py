"""What an amount of money is: whole minor units of one ISO 4217 currency.

Does not convert between currencies and does not format for a locale: the console and the voice do that.

Invariants: no floating point anywhere; text with an exponent, a grouping sign, a comma or more decimals than the
currency has is refused, never rounded; amounts of two currencies never meet.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

# Currencies whose minor unit is not a hundredth (ISO 4217, table A.1).
_EXPONENTS = {
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0,
    "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
}  # fmt: skip
_AMOUNT = re.compile(r"-?[0-9]{1,12}(?:\.([0-9]{1,4}))?")
MAX_MINOR = 10**14  # a trillion with hundredths: beyond it somebody's decimal point has slipped


def exponent(currency: str) -> int:
    """How many decimals the currency has: CNY 2, JPY 0, KWD 3."""
    return _EXPONENTS.get(currency, 2)


@dataclass(frozen=True, slots=True)
class Money:
    """`minor` units (fen, cents) of `currency` (three capitals). Raises ValueError when either is out of shape."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Z]{3}", self.currency):
            raise ValueError(f"'{self.currency}' is not a currency code")
        if abs(self.minor) > MAX_MINOR:
            raise ValueError("the amount is beyond belief")

    @classmethod
    def parse(cls, text: str, currency: str) -> Money:
        """From a plain decimal such as "129.50". Raises ValueError for anything that would have to be guessed at."""
        found = _AMOUNT.fullmatch(text)
        if found is None:
            raise ValueError("the amount is not a plain decimal number")
        decimals = exponent(currency)
        fraction = found.group(1) or ""
        if len(fraction.rstrip("0")) > decimals:
            raise ValueError(f"the amount has more decimals than {currency} has")
        return cls(int(Decimal(text).scaleb(decimals)), currency)

    @property
    def decimal(self) -> Decimal:
        """The amount in major units, exactly."""
        return Decimal(self.minor).scaleb(-exponent(self.currency))

    def __str__(self) -> str:
        return f"{self.decimal:.{exponent(self.currency)}f} {self.currency}"

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def __mul__(self, times: int) -> Money:
        return Money(self.minor * times, self.currency)

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} do not add up")
