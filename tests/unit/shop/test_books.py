"""The sample shop's books: every kind is there, the same each time, and life goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from app.shop.books import Books, number_of, open_books
from app.shop.faults import FAILS, Faults, Knobs
from app.shop.stories import KINDS

NOW = datetime(2026, 11, 24, 18, 0, tzinfo=timezone(timedelta(hours=8)))


def _books(orders: int = 400, seed: int = 1, now: datetime = NOW) -> Books:
    return Books(orders=orders, seed=seed, opened=now)


def _doc(books: Books, number: str) -> dict[str, Any]:
    raw = books.document(number)
    assert raw is not None
    doc: dict[str, Any] = json.loads(raw)
    return doc


def _all(books: Books, since: str = "", size: int = 70) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    mark: str | None = ""
    while mark is not None:
        page, mark = books.changed(since, mark, size)
        found += [json.loads(document) for document in page]
    return found


def test_the_same_seed_and_day_give_the_same_books_and_another_seed_others() -> None:
    assert _all(_books()) == _all(_books())
    assert _all(_books()) != _all(_books(seed=2))


def test_every_kind_is_sampled_in_both_languages_and_then_customers_with_several() -> None:
    samples = _books(orders=50).samples
    assert Counter((s["kind"], s["language"]) for s in samples if s["kind"] != "several") == {
        (kind, language): 1 for kind in KINDS for language in ("en", "zh")
    }
    several = [s for s in samples if s["kind"] == "several"]
    assert Counter(s["ani"] for s in several) == {ani: 3 for ani in {s["ani"] for s in several}}
    assert len({s["status"] for s in samples}) >= 15


def test_a_sampled_caller_of_one_kind_has_exactly_that_order() -> None:
    books = _books(orders=5000)
    for sample in books.samples:
        mine = [json.loads(document)["number"] for document in books.by_mobile(sample["ani"])]
        assert sample["order_no"] in mine
        assert len(mine) == (3 if sample["kind"] == "several" else 1)
        assert sample["second_factor"] == sample["ani"][-4:]


def test_numbers_can_be_typed_on_a_phone_and_no_two_are_alike() -> None:
    numbers = [number_of(index, 20261124) for index in range(100_000)]
    assert len(set(numbers)) == 100_000
    assert {len(number) for number in numbers} == {8}
    assert all(number.isdigit() for number in numbers)


def test_paging_meets_every_purchase_once_in_the_order_of_change() -> None:
    docs = _all(_books(), size=37)
    assert len({doc["number"] for doc in docs}) == len(docs) == 400
    assert [doc["modified"] for doc in docs] == sorted(doc["modified"] for doc in docs)


def test_nothing_has_happened_in_the_future_and_nothing_before_the_order() -> None:
    for doc in _all(_books()):
        scans = [scan["t"] for parcel in doc["consignments"] for scan in parcel["scans"]]
        assert doc["created"] <= doc["modified"] <= NOW.isoformat()
        assert all(doc["created"] <= at <= NOW.isoformat() for at in scans)


def test_amounts_add_up() -> None:
    for doc in _all(_books()):
        total = sum(int(item["price"].replace(".", "")) * item["qty"] for item in doc["items"])
        assert int(doc["sum"].replace(".", "")) == total


def test_a_purchase_goes_its_way_step_by_step_and_its_revision_grows() -> None:
    books = _books()
    number = next(s["order_no"] for s in books.samples if s["kind"] == "placed")
    seen = []
    for hour in range(8):
        rev = _doc(books, number)["rev"]
        later = NOW + timedelta(hours=hour + 1)
        books.advance(number, later)
        doc = _doc(books, number)
        assert doc["rev"] == rev + 1
        assert doc["modified"] == later.isoformat()
        assert [d["number"] for d in _all(books, since=later.isoformat())] == [number]
        seen.append((doc["state"], doc["consignments"][0]["stage"] if doc["consignments"] else ""))
    assert seen == [
        ("ACCEPTED", ""),
        ("PICKED", "READY"),
        ("FULFILLING", "HANDED_OVER"),
        ("FULFILLING", "LINEHAUL"),
        ("FULFILLING", "LAST_MILE"),
        ("COMPLETE", "RECEIVED"),
        ("COMPLETE", "RECEIVED"),
        ("COMPLETE", "RECEIVED"),
    ]
    assert books.advance("99999999", NOW) is None


def test_a_restart_keeps_the_books_for_two_days_and_then_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "shop.json"
    books = open_books(orders=60, seed=1, now=NOW, file=file)
    number = books.samples[5]["order_no"]
    books.advance(number, NOW)
    books.save(file)
    again = open_books(orders=60, seed=1, now=NOW + timedelta(hours=40), file=file)
    assert _all(again) == _all(books)
    for other in (
        open_books(orders=60, seed=1, now=NOW + timedelta(hours=49), file=file),
        open_books(orders=60, seed=2, now=NOW + timedelta(hours=1), file=file),
        open_books(orders=61, seed=1, now=NOW + timedelta(hours=1), file=file),
    ):
        assert other.opened > NOW
        # Whoever keeps copies must be able to trust the higher revision.
        assert min(doc["rev"] for doc in _all(other)) > max(doc["rev"] for doc in _all(books))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"opened": 1}', '{"opened": "2026-11-24T18:00:00"}'])
def test_a_state_file_that_cannot_be_read_does_not_keep_the_shop_shut(tmp_path: Path, content: str) -> None:
    file = tmp_path / "shop.json"
    file.write_text(content)
    assert len(open_books(orders=50, seed=1, now=NOW, file=file)) == 50


def test_too_few_orders_for_every_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 50"):
        _books(orders=49)


# --- knobs


@pytest.mark.parametrize(
    "values",
    [
        {"latency": 1},
        {"latency_ms": -1},
        {"latency_ms": "10"},
        {"fail": "explode"},
        {"fail_share": 2},
        {"fail_share": True},
        {"fail_share": None},
    ],
)
def test_a_knob_that_is_none_is_refused_and_nothing_turned(values: dict[str, Any]) -> None:
    knobs = Knobs()
    with pytest.raises(ValueError):
        knobs.turn({"latency_ms": 5} | values)
    assert knobs == Knobs()


def test_knobs_turn_one_by_one() -> None:
    knobs = Knobs()
    for fail in FAILS:
        knobs.turn({"fail": fail})
    knobs.turn({"latency_ms": 250, "fail_share": 0.5})
    assert knobs == Knobs(250, FAILS[-1], 0.5)


@pytest.mark.parametrize(("share", "of_hundred"), [(0, 0), (0.25, 25), (0.5, 50), (0.1, 10), (1, 100)])
def test_a_share_of_failures_is_exact(share: float, of_hundred: int) -> None:
    faults = Faults()
    faults.knobs.turn({"fail": "500", "fail_share": share})
    assert sum(faults._hits() for _ in range(100)) == of_hundred


def test_importing_the_shop_loads_nothing_of_the_product() -> None:
    code = "import app.shop.__main__, sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"core", "orders_bridge", "pbx", "pydantic", "sqlalchemy", "structlog"} & set(done.stdout.split())
