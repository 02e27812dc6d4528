"""What is logged carries no secret and no personal data, whoever logs it and in whatever form."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.logs import mask, masked

SECRET = "kX9-planted-Zq7"


def written(**entry: object) -> str:
    return json.dumps(mask(None, "info", dict(entry)), default=repr, ensure_ascii=False)


@pytest.mark.parametrize(
    "text",
    [
        "Caller +8613800138000.",
        "caller 13800138000: gone",
        "sip:13800138000@trunk",
        "tel:+86 138 0013 8000",
        "from 138-0013-8000",
        "(0571) 8765 4321",
        "PJSIP/trunk/+493012344567",
        "ani=13800138000,dnis=95588",
        "card 4111 1111 1111 1111",
        "leg x-13800138000",
        "queue 2:13800138000",
        "13800138000:5060",
    ],
)
def test_a_long_number_is_cut_to_its_last_four_digits(text: str) -> None:
    shown = "".join(c for c in masked(text) if c.isdigit() or c == "…")
    assert "…8000" in shown or "…4321" in shown or "…1111" in shown or "…4567" in shown
    for digits in ("13800138", "05718765", "49301234", "41111111"):
        assert digits not in shown


@pytest.mark.parametrize(
    "text",
    [
        "n1-1764000000.12",
        "leg n1-1764000000.12-0a1b2c3d4e5f ended",
        "2026-11-24T09:00:00.000Z",
        "since 2026-11-24 09:00:00.123456",
        "at 12:13:14.123456789",
        "127.0.0.1:45678",
        "took 0.123456789 s",
        "01933e1b-7c44-7abc-a123-0a2b3c4d5e6f",
        "agent 1001 in queue service, position 12",
    ],
)
def test_times_addresses_and_ids_stay_readable(text: str) -> None:
    assert masked(text) == text


REGIONS = [r for r in sorted(phonenumbers.SUPPORTED_REGIONS) if phonenumbers.example_number(r)]
FORMATS = [phonenumbers.PhoneNumberFormat.E164, phonenumbers.PhoneNumberFormat.INTERNATIONAL,
           phonenumbers.PhoneNumberFormat.NATIONAL]  # fmt: skip


@given(
    st.sampled_from(REGIONS), st.sampled_from(FORMATS),
    st.sampled_from(["{}", "caller {}.", "{}: no answer", "({})", "sip:{}@shop", "said '{}'", "ani={};"]),
)  # fmt: skip
def test_no_phone_number_of_any_country_is_shown_whole(region: str, form: int, sentence: str) -> None:
    number = phonenumbers.format_number(phonenumbers.example_number(region), form)
    digits = "".join(c for c in number if c.isdigit())
    if len(digits) >= 8 and not set(number) & set("/.*"):
        assert digits not in "".join(c for c in masked(sentence.format(number)) if c.isdigit())


@pytest.mark.parametrize(
    "text",
    [
        f"cannot connect to postgresql://aftercall:{SECRET}@db.example/aftercall",
        f"redis://:{SECRET}@127.0.0.1:6379/0 refused",
        f"401 for Authorization: Bearer {SECRET}",
        f"Action: Login Username: doctor Secret: {SECRET} refused",
        f"GET /calls?token={SECRET}&limit=5",
        f"{{'password': '{SECRET}', 'login': 'anna'}}",
        f"second_factor={SECRET}",
    ],
)
def test_secrets_inside_a_sentence_are_hidden(text: str) -> None:
    assert SECRET not in masked(text)


def test_mail_addresses_are_hidden() -> None:
    assert "wei.zhang" not in masked("no mail to wei.zhang+shop@example.com")


class Odd:
    def __repr__(self) -> str:
        return f"Odd(token='{SECRET}', ani='+8613800138000')"


@pytest.mark.parametrize(
    "entry",
    [
        {"password": SECRET},
        {"api_token": SECRET},
        {"headers": {"Authorization": SECRET, "Cookie": SECRET}},
        {"outer": {"inner": [{"deep": ({"admin_secret": SECRET},)}]}},
        {"reason": OSError(f"redis://:{SECRET}@localhost")},
        {"thing": Odd()},
        {"raw": f"token={SECRET}".encode()},
        {"tokens": [SECRET]},
    ],
)
def test_a_secret_is_hidden_however_deep_it_lies(entry: dict[str, object]) -> None:
    assert SECRET not in written(**entry)


@pytest.mark.parametrize(
    "entry",
    [
        {"calls": [{"ani": "+8613800138000"}]},
        {"by_number": {"+8613800138000": 2}},
        {"reason": ValueError("bad number +8613800138000")},
        {"thing": Odd()},
        {"numbers": {"+8613800138000"}},
    ],
)
def test_a_caller_is_hidden_however_deep_they_lie(entry: dict[str, object]) -> None:
    assert "138001" not in written(**entry)


@pytest.mark.parametrize("key", ["caller_name", "customer", "email", "address", "note"])
def test_who_somebody_is_does_not_appear_under_its_usual_keys(key: str) -> None:
    assert "张伟" not in written(**{key: "张伟", "more": {key: ["张伟"]}})


def test_a_figure_stays_a_figure_and_what_joins_stays_whole() -> None:
    entry = {"pid": 123456789, "took_s": 0.25, "up": True, "none": None, "interaction_id": "13800138000-1"}
    assert mask(None, "info", dict(entry)) == entry


def test_a_ring_of_values_ends() -> None:
    ring: list[object] = []
    ring.append(ring)
    assert written(ring=ring)


@pytest.mark.parametrize("piece", ["a", "a.", "pass", "x@", "1", "1 ", "1-1.", "://", "http://a:", "token = ", " "])
def test_no_text_makes_masking_slow(piece: str) -> None:
    begun = time.perf_counter()
    shown = masked(piece * (1_000_000 // len(piece)))
    assert time.perf_counter() - begun < 1.0
    assert len(shown) < 100_000


PROGRAM = """
import asyncio, logging, sys, threading, warnings
import structlog
from core import logs
logs.set_up("debug", sys.argv[1])
secret, number = sys.argv[2], "+8613800138000"
log = structlog.get_logger()
log.info("said", reason=f"token={secret}", ani=number, nested=[{"password": secret}])
try:
    try:
        raise OSError(f"postgresql://a:{secret}@db for {number}")
    except OSError as error:
        raise ExceptionGroup("both", [ValueError(f"Bearer {secret}")]) from error
except ExceptionGroup:
    log.exception("caught")
    logging.getLogger("somebody.else").exception("caught too: %s", number)
logging.getLogger("somebody.else").error("Secret: %s", secret, stack_info=True)
warnings.warn(f"password={secret}", stacklevel=1)
thread = threading.Thread(target=lambda: (_ for _ in ()).throw(ValueError(f"secret={secret} {number}")))
thread.start(); thread.join()
async def lost():
    asyncio.get_running_loop().call_exception_handler({"message": f"token={secret}", "exception": ValueError(number)})
asyncio.run(lost())
raise RuntimeError(f"password: {secret}, caller {number}")
"""


@pytest.mark.parametrize("form", ["json", "text"])
def test_planted_secrets_and_numbers_appear_nowhere_in_a_whole_process_log(form: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, form, SECRET], capture_output=True, text=True, timeout=60, check=False,
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    shown = ran.stdout + ran.stderr
    assert ran.returncode == 1
    for said in ("said", "caught", "caught too", "ExceptionGroup", "RuntimeError", "ValueError"):
        assert said in shown
    assert SECRET not in shown
    assert "138001" not in shown
    if form == "json":
        lines = [json.loads(line) for line in ran.stderr.splitlines()]
        assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
        assert len(lines) >= 8
