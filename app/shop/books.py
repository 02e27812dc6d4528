"""The shop's books: all purchases, found by number, by mobile, or in order of change; and the samples of each kind.

Does not serve them. Invariants: the same seed, count and moment of opening give the same books; every kind is there in
both languages, each with a number of its own, then two customers with several purchases; revisions grow with every
change and with every opening, so that a reader may trust the higher one.
"""

from __future__ import annotations

import bisect
import json
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from app.shop import goods, people
from app.shop.people import Buyer
from app.shop.stories import KINDS, STAGES, Doc, Story, stamp

LEAST = 50
SEVERAL = ("in_transit", "delivered", "refund_late")
_NEXT = {
    "AWAITING_PAYMENT": "ACCEPTED",
    "ACCEPTED": "PICKED",
    "PICKED": "FULFILLING",
    "FULFILLING": "FULFILLING",
}


def number_of(index: int, seed: int) -> str:
    """Eight digits, no two alike: a walk through all of them with a step that shares no factor with their count."""
    return str(10_000_000 + (index * 61_803_399 + seed % 90_000_000 * 7) % 90_000_000)


def packed(doc: Doc) -> bytes:
    return json.dumps(doc, ensure_ascii=False, separators=(",", ":")).encode()


class Books:
    """All purchases. Documents are kept as JSON bytes: a few thousand are a few megabytes."""

    def __init__(self, *, orders: int, seed: int, opened: datetime) -> None:
        if orders < LEAST:
            raise ValueError(f"the sample shop has at least {LEAST} orders, so that every kind is there")
        self.opened = opened
        self.seed = seed
        self._docs: dict[str, bytes] = {}
        self._modified: dict[str, str] = {}
        self._by_mobile: dict[str, list[str]] = {}
        self._order: list[tuple[str, str]] = []  # (modified, number), sorted
        self._rev = int(opened.timestamp()) * 16
        self._changed: dict[str, Doc] = {}
        self.samples: list[dict[str, str]] = []
        self._write_all(orders)

    def _write_all(self, orders: int) -> None:
        index = 0
        # Callers of English samples first: the demo's recogniser understands English.
        for language in ("en", "zh"):
            for at, kind in enumerate(KINDS):
                who = people.buyer(at, language, self._rng(f"{language}{at}"))
                self._add(index, kind, who)
                self._sample(index, kind, KINDS[kind][1], who)
                index += 1
        for language in ("en", "zh"):
            who = people.buyer(len(KINDS), language, self._rng(f"{language}several"))
            for kind in SEVERAL:
                self._add(index, kind, who)
                self._sample(index, "several", KINDS[kind][1], who)
                index += 1
        names, weights = list(KINDS), [weight for weight, _ in KINDS.values()]
        first = len(KINDS) + 1
        for at in range(index, orders):
            rng = self._rng(str(at))
            language = "zh" if rng.random() < 0.6 else "en"
            # Few customers have many purchases, many have one.
            customers = min(orders * 0.7, people.MOST[language] - first)
            customer = first + int(customers * rng.random() ** 1.5)
            who = people.buyer(customer, language, self._rng(f"{language}{customer}"))
            self._add(at, rng.choices(names, weights)[0], who)
        self._order.sort()

    def _rng(self, what: str) -> random.Random:
        return random.Random(f"{self.seed}/{what}")  # noqa: S311 - invented orders, not secrets

    def _add(self, index: int, kind: str, who: Buyer) -> None:
        number = number_of(index, self.seed)
        doc = Story(number, self._rev, who, self.opened, self._rng(f"story{index}")).tell(kind)
        self._docs[number] = packed(doc)
        self._modified[number] = doc["modified"]
        self._by_mobile.setdefault(who.e164, []).append(number)
        self._order.append((doc["modified"], number))

    def _sample(self, index: int, kind: str, status: str, who: Buyer) -> None:
        self.samples.append(
            {
                "order_no": number_of(index, self.seed),
                "second_factor": who.e164[-4:],
                "ani": who.e164,
                "status": status,
                "language": who.locale[:2],
                "kind": kind,
            }
        )

    # --- reading

    def __len__(self) -> int:
        return len(self._docs)

    def document(self, number: str) -> bytes | None:
        return self._docs.get(number)

    def another(self, number: str) -> bytes:
        """Some other purchase than this one (for the fault that mixes them up)."""
        return next(doc for other, doc in self._docs.items() if other != number)

    def by_mobile(self, e164: str) -> list[bytes]:
        """Purchases of that mobile number, the newest first."""
        numbers = sorted(self._by_mobile.get(e164, []), key=lambda n: self._modified[n], reverse=True)
        return [self._docs[number] for number in numbers]

    def changed(self, since: str, after: str, limit: int) -> tuple[list[bytes], str | None]:
        """Purchases modified at or after `since` (as the books write it), from behind the mark `after`; with the mark
        for the next page, None at the end."""
        if after:
            modified, _, number = after.partition("|")
            start = bisect.bisect_right(self._order, (modified, number))
        else:
            start = bisect.bisect_left(self._order, (since, ""))
        page = self._order[start : start + limit]
        more = start + limit < len(self._order)
        return [self._docs[number] for _, number in page], "|".join(page[-1]) if page and more else None

    # --- life goes on

    def advance(self, number: str, now: datetime) -> Doc | None:
        """Moves a purchase one step on: payment, packing, then the carrier's stages. None = no such purchase."""
        raw = self._docs.get(number)
        if raw is None:
            return None
        doc: Doc = json.loads(raw)
        if doc["state"] in _NEXT:
            self._move(doc, now.astimezone(self.opened.tzinfo))
        self._replace(doc, now.astimezone(self.opened.tzinfo))
        return doc

    def _move(self, doc: Doc, now: datetime) -> None:
        was, doc["state"] = doc["state"], _NEXT[doc["state"]]
        if was == "AWAITING_PAYMENT":
            for tender in doc["tenders"]:
                tender |= {"state": "SETTLED", "when": stamp(now)}
        elif was == "ACCEPTED":
            doc["consignments"] = [self._parcel(doc, now)]
        elif doc["consignments"]:
            slowest = min(doc["consignments"], key=lambda c: STAGES.index(c["stage"]))
            self._scan(slowest, now)
            if all(c["stage"] == "RECEIVED" for c in doc["consignments"]):
                doc["state"] = "COMPLETE"

    def _parcel(self, doc: Doc, now: datetime) -> Doc:
        chinese = doc["buyer"]["locale"].startswith("zh")
        carrier = (goods.CARRIERS_ZH if chinese else goods.CARRIERS_EN)[0]
        en, zh = goods.NOTES["READY"]
        return {
            "ref": f"{doc['number']}-1",
            "carrier": {"code": carrier.code, "label": {"en": carrier.en, "zh": carrier.zh}},
            "waybill": f"{carrier.prefix}{doc['number']}0001",
            "stage": "READY",
            "promised": (now + timedelta(days=3)).date().isoformat(),
            "handed_over": None,
            "received": None,
            "articles": [{"article": item["article"], "qty": item["qty"]} for item in doc["items"]],
            "scans": [{"t": stamp(now), "stage": "READY", "place": "", "note": {"en": en, "zh": zh}}],
        }

    def _scan(self, parcel: Doc, now: datetime) -> None:
        stage = STAGES[min(STAGES.index(parcel["stage"]) + 1, len(STAGES) - 1)]
        en, zh = goods.NOTES[stage]
        place = parcel["scans"][0]["place"] if parcel["scans"] else ""
        parcel["stage"] = stage
        parcel["scans"].insert(0, {"t": stamp(now), "stage": stage, "place": place, "note": {"en": en, "zh": zh}})
        if stage == "HANDED_OVER":
            parcel["handed_over"] = stamp(now)
        elif stage == "RECEIVED":
            parcel["received"] = stamp(now)

    def _replace(self, doc: Doc, now: datetime) -> None:
        number = doc["number"]
        self._order.remove((self._modified[number], number))
        doc["rev"] += 1
        doc["modified"] = stamp(max(now, datetime.fromisoformat(doc["modified"])))
        self._put(doc)

    def _put(self, doc: Doc) -> None:
        number = doc["number"]
        self._docs[number] = packed(doc)
        self._modified[number] = doc["modified"]
        bisect.insort(self._order, (doc["modified"], number))
        self._changed[number] = doc

    # --- remembered over a restart

    def save(self, file: Path) -> None:
        """When the shop opened and what changed since, in one move."""
        state = {"seed": self.seed, "orders": len(self), "opened": stamp(self.opened), "changed": self._changed}
        fresh = file.with_suffix(".new")
        fresh.write_bytes(packed(state))
        fresh.replace(file)

    def restore(self, changed: dict[str, Any]) -> None:
        """Puts back what had been changed before a restart."""
        for number, doc in changed.items():
            if number in self._docs:
                self._order.remove((self._modified[number], number))
                self._put(doc)


def open_books(*, orders: int, seed: int, now: datetime, file: Path | None) -> Books:
    """The books as they were at the last closing, when that was the same shop less than two days ago; else new ones.

    Older ones would be full of parcels that stand still: the stories are told relative to the opening.
    """
    if file is not None and file.exists():
        try:
            state = json.loads(file.read_bytes())
            opened = datetime.fromisoformat(state["opened"])
            same = state["seed"] == seed and state["orders"] == orders
            if same and timedelta(0) <= now - opened < timedelta(days=2):
                books = Books(orders=orders, seed=seed, opened=opened)
                books.restore(state["changed"])
                return books
        except (ValueError, KeyError, TypeError):
            pass  # a state file that cannot be read is no reason to stay shut
    return Books(orders=orders, seed=seed, opened=now)
