"""How a purchase came to be what it is: one story for each kind, told relative to the moment the shop opens.

Decides the document's content. Does not decide who buys, how many there are or how they are served.
The vocabulary (purchase, consignment, scan, aftersale, LINEHAUL…) is the shop's own on purpose: whoever connects a
shop has to translate.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from app.shop import goods
from app.shop.people import Buyer

Doc = dict[str, Any]

STAGES = ("READY", "HANDED_OVER", "LINEHAUL", "LAST_MILE", "RECEIVED")

# kind → (weight, what the order's state comes down to for a caller)
KINDS: dict[str, tuple[int, str]] = {
    "in_transit": (16, "in_transit"),
    "shipped": (8, "shipped"),
    "delivered": (30, "delivered"),
    "stuck": (4, "delayed"),
    "out_for_delivery": (5, "out_for_delivery"),
    "placed": (5, "placed"),
    "paid": (6, "paid"),
    "packed": (5, "packed"),
    "split_delivered": (4, "in_transit"),
    "split_waiting": (3, "partly_shipped"),
    "return_requested": (3, "return_requested"),
    "return_received": (3, "return_received"),
    "refunded": (4, "refunded"),
    "refund_late": (2, "refund_late"),
    "exchange": (3, "exchange"),
    "cancelled": (4, "cancelled"),
    "late_dispatch": (1, "paid"),
}


def stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def amount(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"


class Story:
    """Tells one purchase. `now` carries the shop's offset; every time in the document has it too."""

    def __init__(self, number: str, rev: int, who: Buyer, now: datetime, rng: random.Random) -> None:
        self.number, self.rev, self.who, self.now, self.rng = number, rev, who, now, rng
        self.zh = who.locale.startswith("zh")
        self.currency = {"CN": "CNY", "US": "USD", "GB": "GBP"}[who.country]
        self.last = now

    def tell(self, kind: str) -> Doc:
        """The document of a purchase of that kind."""
        split = kind.startswith("split")
        items = self._items(2 if split else 0)
        total = sum(int(item["_minor"]) * item["qty"] for item in items)
        state, age, consignments, aftersales = getattr(self, f"_{kind}")(items, total)
        placed = self.now - timedelta(days=age, minutes=self.rng.randrange(30, 300))
        for item in items:
            item.pop("_minor")
        times = [placed] + [datetime.fromisoformat(s["t"]) for c in consignments for s in c["scans"]]
        times += [datetime.fromisoformat(a[k]) for a in aftersales for k in ("opened", "goods_back") if a[k]]
        times += [datetime.fromisoformat(a["pay_back"]["done"]) for a in aftersales if a["pay_back"]["done"]]
        return {
            "number": self.number,
            "uid": f"pu_{self.number}",
            "rev": self.rev,
            "state": state,
            "created": stamp(placed),
            "modified": stamp(min(max(times), self.now)),
            "currency": self.currency,
            "sum": amount(total),
            "buyer": {
                "display_name": self.who.name,
                "locale": self.who.locale,
                "mobile": self.who.mobile,
                "mobile_country": self.who.country,
            },
            "items": items,
            "tenders": self._tenders(kind, state, total, placed),
            "consignments": consignments,
            "aftersales": aftersales,
        }

    # --- parts

    def _items(self, least: int) -> list[Doc]:
        count = max(least, self.rng.choice((1, 1, 1, 2, 2, 3)))
        chosen = self.rng.sample(goods.ARTICLES, count)
        lines = []
        for article in chosen:
            minor = article.cny if self.currency == "CNY" else article.usd
            line = {
                "article": article.sku,
                "name": {"en": article.en, "zh": article.zh},
                "qty": 1 if least else self.rng.choice((1, 1, 1, 2)),
                "price": amount(minor),
                "_minor": minor,
            }
            lines.append(line)
        return lines

    def _tenders(self, kind: str, state: str, total: int, placed: datetime) -> list[Doc]:
        via = self.rng.choice(("wallet", "card")) if self.zh else "card"
        paid = {"via": via, "value": amount(total), "state": "OPEN", "when": None}
        if state == "AWAITING_PAYMENT":
            return [paid]
        paid |= {"state": "SETTLED", "when": stamp(placed + timedelta(minutes=3))}
        return [paid | {"state": "REVERSED"}] if kind in ("refunded", "cancelled") else [paid]

    def _consignment(
        self, items: list[Doc], stage: str, *, shipped: float, seen: float, due: int | None, ref: str = "1"
    ) -> Doc:
        """A parcel handed over `shipped` days ago and last scanned `seen` days ago; promised in `due` days from now."""
        carrier = self.rng.choice(goods.CARRIERS_ZH if self.zh else goods.CARRIERS_EN)
        scans = self._scans(stage, shipped, seen)
        received = scans[0]["t"] if stage == "RECEIVED" else None
        handed = scans[-1]["t"] if stage != "READY" else None
        return {
            "ref": f"{self.number}-{ref}",
            "carrier": {"code": carrier.code, "label": {"en": carrier.en, "zh": carrier.zh}},
            "waybill": f"{carrier.prefix}{self.rng.randrange(10**11, 10**12)}",
            "stage": stage,
            "promised": (self.now + timedelta(days=due)).date().isoformat() if due is not None else None,
            "handed_over": handed,
            "received": received,
            "articles": [{"article": item["article"], "qty": item["qty"]} for item in items],
            "scans": scans,
        }

    def _scans(self, stage: str, shipped: float, seen: float) -> list[Doc]:
        """The newest first, as carriers' interfaces give them."""
        until = STAGES.index(stage)
        places = goods.PLACES[self.who.country]
        told = ["HANDED_OVER"] if until >= 1 else ["READY"]
        if until >= 2:
            told += ["LINEHAUL"] * self.rng.randrange(1, 4)
        told += list(STAGES[3 : until + 1])
        scans = []
        for at, what in enumerate(told):
            back = shipped + (seen - shipped) * (at / (len(told) - 1) if len(told) > 1 else 1)
            en, zh = goods.NOTES[what]
            when = stamp(self.now - timedelta(days=back))
            scans.append({"t": when, "stage": what, "place": self.rng.choice(places), "note": {"en": en, "zh": zh}})
        return scans[::-1]

    def _aftersale(
        self, type_: str, stage: str, items: list[Doc], *, opened: float, back: float | None, due: int | None = None
    ) -> Doc:
        item = items[0]
        value = amount(int(item["_minor"]) * item["qty"])
        refund = type_ == "REFUND"
        done = stamp(self.now - timedelta(days=1)) if stage == "PAID_BACK" else None
        return {
            "case": f"RA{self.number[-6:]}",
            "type": type_,
            "stage": stage,
            "cause": self.rng.choice(goods.CAUSES),
            "article": item["article"],
            "opened": stamp(self.now - timedelta(days=opened)),
            "goods_back": stamp(self.now - timedelta(days=back)) if back is not None else None,
            "pay_back": {
                "value": value if refund else None,
                "due": (self.now + timedelta(days=due)).date().isoformat() if due is not None else None,
                "done": done,
            },
            "swap": None if refund else {"article": item["article"], "waybill": None},
        }

    # --- one story for each kind: (state, age in days, consignments, aftersales)

    def _placed(self, items: list[Doc], total: int) -> tuple[str, float, list[Doc], list[Doc]]:
        return "AWAITING_PAYMENT", 0, [], []

    def _paid(self, items: list[Doc], total: int) -> tuple[str, float, list[Doc], list[Doc]]:
        return "ACCEPTED", self.rng.choice((0, 1)), [], []

    def _late_dispatch(self, items: list[Doc], total: int) -> tuple[str, float, list[Doc], list[Doc]]:
        return "ACCEPTED", self.rng.randrange(6, 10), [], []

    def _packed(self, items: list[Doc], total: int) -> tuple[str, float, list[Doc], list[Doc]]:
        return "PICKED", 1.5, [self._consignment(items, "READY", shipped=0.3, seen=0.3, due=3)], []

    def _shipped(self, items: list[Doc], total: int) -> tuple[str, float, list[Doc], list[Doc]]:
        return "FULFILLING", 2, [self._consignment(items, "HANDED_OVER", shipped=0.6, seen=0.6, due=3)], []

    def _in_transit(self, items: list[Doc], total: int) -> tuple[str, float, list[Doc], list[Doc]]:
        due = self.rng.choice((1, 2, 3))
        return "FULFILLING", 4, [self._consignment(items, "LINEHAUL", shipped=2.5, seen=0.4, due=due)], []

    def _stuck(self, items: list[Doc], total: int) -> tuple[str, float, list[Doc], list[Doc]]:
        days = self.rng.randrange(6, 12)
        return "FULFILLING", days + 4, [self._consignment(items, "LINEHAUL", shipped=days + 2, seen=days, due=-4)], []

    def _out_for_delivery(self, items: list[Doc], total: int) -> tuple[str, float, list[Doc], list[Doc]]:
        return "FULFILLING", 5, [self._consignment(items, "LAST_MILE", shipped=3.5, seen=0.1, due=0)], []

    def _delivered(self, items: list[Doc], total: int) -> tuple[str, float, list[Doc], list[Doc]]:
        ago = self.rng.choice((1, 2, 5, 9, 20, 45, 80))
        parcel = self._consignment(items, "RECEIVED", shipped=ago + 4, seen=ago, due=-ago)
        return "COMPLETE", ago + 5, [parcel], []

    def _split_delivered(self, items: list[Doc], total: int) -> tuple[str, float, list[Doc], list[Doc]]:
        first = self._consignment(items[:1], "RECEIVED", shipped=4, seen=1, due=-1, ref="1")
        second = self._consignment(items[1:], "LINEHAUL", shipped=2, seen=0.5, due=2, ref="2")
        return "FULFILLING", 6, [first, second], []

    def _split_waiting(self, items: list[Doc], total: int) -> tuple[str, float, list[Doc], list[Doc]]:
        first = self._consignment(items[:1], "LINEHAUL", shipped=2, seen=0.5, due=1, ref="1")
        second = self._consignment(items[1:], "READY", shipped=0.4, seen=0.4, due=4, ref="2")
        return "FULFILLING", 3, [first, second], []

    def _sent_back(self, items: list[Doc]) -> list[Doc]:
        return [self._consignment(items, "RECEIVED", shipped=22, seen=18, due=-18)]

    def _return_requested(self, items: list[Doc], total: int) -> tuple[str, float, list[Doc], list[Doc]]:
        return "COMPLETE", 24, self._sent_back(items), [self._aftersale("REFUND", "OPENED", items, opened=2, back=None)]

    def _return_received(self, items: list[Doc], total: int) -> tuple[str, float, list[Doc], list[Doc]]:
        case = self._aftersale("REFUND", "GOODS_BACK", items, opened=8, back=2, due=5)
        return "COMPLETE", 24, self._sent_back(items), [case]

    def _refunded(self, items: list[Doc], total: int) -> tuple[str, float, list[Doc], list[Doc]]:
        case = self._aftersale("REFUND", "PAID_BACK", items, opened=12, back=5, due=2)
        return "COMPLETE", 24, self._sent_back(items), [case]

    def _refund_late(self, items: list[Doc], total: int) -> tuple[str, float, list[Doc], list[Doc]]:
        case = self._aftersale("REFUND", "GOODS_BACK", items, opened=17, back=12, due=-5)
        return "COMPLETE", 24, self._sent_back(items), [case]

    def _exchange(self, items: list[Doc], total: int) -> tuple[str, float, list[Doc], list[Doc]]:
        stage, back = self.rng.choice((("GOODS_BACK", 2.0), ("SWAP_SENT", 4.0)))
        case = self._aftersale("SWAP", stage, items, opened=10, back=back)
        if stage == "SWAP_SENT":
            case["swap"]["waybill"] = f"SW{self.rng.randrange(10**9, 10**10)}"
        return "COMPLETE", 24, self._sent_back(items), [case]

    def _cancelled(self, items: list[Doc], total: int) -> tuple[str, float, list[Doc], list[Doc]]:
        return "VOID", self.rng.randrange(1, 20), [], []
