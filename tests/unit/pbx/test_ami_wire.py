"""Bytes to blocks and back: nothing a stranger writes can become an action, an event, or a lost character."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx import ami_actions
from pbx.ami_wire import BLOCK_BOUND, Block, Framer, UnsafeValue, encode, every, first, headers_of

TEXT = st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=("Cs",)), max_size=12)
NAMES = st.text("abcXYZ-", min_size=1, max_size=6)
BLOCKS = st.lists(st.lists(st.tuples(NAMES, TEXT), min_size=1, max_size=4), max_size=6)
BREAKS = ["\r", "\n", "\0", "\r\n\r\nAction: Originate"]


@pytest.fixture(autouse=True, scope="module")
def _a_loop() -> Iterator[None]:
    """panoramisk's Action makes a future of its own, and a future wants a loop."""
    with asyncio.Runner() as runner:
        runner.get_loop()
        yield


def wire(blocks: list[list[tuple[str, str]]]) -> bytes:
    return "".join("".join(f"{name}: {text}\r\n" for name, text in block) + "\r\n" for block in blocks).encode()


def fed(data: bytes, cuts: list[int], bound: int = BLOCK_BOUND) -> tuple[list[Block], int]:
    framer = Framer(bound)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    blocks = [block for begin, end in zip(edges, edges[1:], strict=False) for block in framer.feed(data[begin:end])]
    return blocks, framer.dropped


# --- in


@given(BLOCKS, st.lists(st.integers(0, 10_000), max_size=12))
def test_the_same_blocks_come_out_however_the_bytes_were_cut(blocks: list, cuts: list[int]) -> None:
    data = wire(blocks)
    whole, _ = fed(data, [])
    assert fed(data, cuts) == (whole, 0)
    assert len(whole) == len(blocks)
    for block, written in zip(whole, blocks, strict=True):
        for name, _ in written:
            assert every(block, name.lower()) == [text.strip() for n, text in written if n.lower() == name.lower()]


@given(
    st.lists(st.sampled_from(["a: 1", "b: " + "x" * 30, "b: " + "x" * 29, "c: 李", "", "no colon", ": y"]), max_size=8),
    st.lists(st.integers(0, 10_000), max_size=12),
)
def test_what_is_too_large_is_dropped_and_counted_the_same_however_it_was_cut(
    lines: list[str], cuts: list[int]
) -> None:
    data = "".join(f"{line}\r\n" for line in lines).encode() + b"\r\nEvent: Next\r\n\r\n"
    assert fed(data, cuts, bound=32) == fed(data, [], bound=32)


@given(st.binary(max_size=300), st.lists(st.integers(0, 10_000), max_size=8))
def test_any_bytes_at_all_are_borne(data: bytes, cuts: list[int]) -> None:
    assert fed(data, cuts) == fed(data, [])


def test_a_character_split_across_two_reads_arrives_whole() -> None:
    data = "Event: UserEvent\r\nName: 李娜\r\n\r\n".encode()
    for cut in range(len(data)):
        (block,), _ = fed(data, [cut])
        assert first(block, "name") == "李娜"


def test_an_event_of_a_megabyte_is_dropped_counted_and_forgotten_and_the_next_one_arrives() -> None:
    framer = Framer()
    huge = b"Event: VarSet\r\nValue: " + b"x" * (BLOCK_BOUND + 5)
    assert framer.feed(huge) == []
    assert framer.feed(b"y" * 100_000 + b"\r\n\r\nEvent: Hangup\r\n\r\nEv") == [{"event": "Hangup"}]
    assert framer.dropped == 1
    assert framer.feed(b"ent: Next\r\n\r\n") == [{"event": "Next"}]
    (block,) = Framer().feed(b"Event: VarSet\r\nValue: " + b"x" * (BLOCK_BOUND - 100) + b"\r\n\r\n")
    assert len(first(block, "value")) == BLOCK_BOUND - 100


def test_a_megabyte_in_small_pieces_is_read_in_linear_time() -> None:
    framer = Framer()
    began = time.process_time()
    for _ in range(BLOCK_BOUND // 64):
        framer.feed(b"x" * 64)
    assert time.process_time() - began < 1.0


def test_a_header_told_twice_keeps_both_and_the_first_counts() -> None:
    block = headers_of(b"Event: Hangup\r\nUniqueid: 1.1\r\nevent: UserEvent\r\nEVENT: Reload")
    assert every(block, "event") == ["Hangup", "UserEvent", "Reload"]
    assert first(block, "event") == "Hangup" and first(block, "missing") == "" and every(block, "missing") == []


def test_bytes_that_are_no_utf8_become_a_mark_and_the_rest_stays() -> None:
    assert headers_of(b"CallerIDName: Li \xff\xfe Na\r\nExten: 400") == {"calleridname": "Li �� Na", "exten": "400"}


# --- out


@pytest.mark.parametrize("mark", BREAKS)
@pytest.mark.parametrize("where", ["value", "item of a list", "name", "action", "action id"])
def test_a_line_break_or_nul_anywhere_in_an_action_is_refused(mark: str, where: str) -> None:
    bad = f"a{mark}b"
    said = {
        "value": ("1", "Setvar", {"Value": bad}),
        "item of a list": ("1", "Setvar", {"Variable": ["good", bad]}),
        "name": ("1", "Setvar", {bad: "1"}),
        "action": ("1", bad, {}),
        "action id": (bad, "Setvar", {}),
    }
    with pytest.raises(UnsafeValue):
        encode(*said[where])  # type: ignore[arg-type]


@given(st.dictionaries(NAMES, st.text(max_size=20), max_size=4), st.text(max_size=10))
def test_whatever_is_put_into_an_action_one_action_goes_out_or_none(headers: dict[str, str], name: str) -> None:
    try:
        data = encode("ac-1", name, headers)
    except UnsafeValue:
        assert any(mark in text for text in (name, *headers.values()) for mark in "\r\n\0")
        return
    (block,) = Framer().feed(data)
    assert every(block, "action") == [name.strip()] and every(block, "actionid") == ["ac-1"]
    assert data.count(b"\r\n\r\n") == 1


def test_headers_whose_names_differ_only_in_case_are_refused_instead_of_one_being_lost() -> None:
    with pytest.raises(UnsafeValue):
        encode("1", "Originate", {"Variable": "a=1", "variable": "b=2"})
    with pytest.raises(UnsafeValue):
        encode("1", "Setvar", {"action": "Originate"})
    with pytest.raises(UnsafeValue):
        encode("1", "Setvar", {"ActionId": "2"})


# --- strangers' text in our own actions

HOSTILE = [
    '"',
    "\\",
    "<100>",
    "a\r\nAction: Originate",
    "\0",
    "${SHELL(id)}",
    "x,y",
    "(z)",
    "; drop",
    "\u202eevil",
    "李娜",
]


@given(st.text(max_size=200) | st.sampled_from(HOSTILE), st.text(max_size=200) | st.sampled_from(HOSTILE))
def test_an_offer_with_any_strangers_name_and_number_is_one_action(name: str, number: str) -> None:
    order = ami_actions.ring(
        "101", "n1-1.1-o1", ring_s=5, context="ac-bridge", variables={"AC_IX": "n1-1.1"},
        caller_number=number, caller_name=name, sip_headers={"X-Aftercall-Name": name},
    )  # fmt: skip
    (block,) = Framer().feed(encode("1", *order))
    shown = first(block, "callerid")
    assert shown.count('"') == 2 and shown.count("<") == shown.count(">") == 1 and "\\" not in shown
    assert len(shown) <= ami_actions.LONGEST_NAME + ami_actions.LONGEST_NUMBER + 5
    assigned, header = every(block, "variable")
    assert assigned == "AC_IX=n1-1.1"
    value = header.removeprefix("PJSIP_HEADER(add,X-Aftercall-Name)=")
    assert value != header and not set(value) & set(',"()${}\\;') and len(value) <= ami_actions.LONGEST_HEADER


@pytest.mark.parametrize("name", ["X Bad", "X-Bad:", "", "X-A,B)=1", "1X"])
def test_a_sip_header_with_an_odd_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name for a SIP header"):
        ami_actions.ring(
            "101", "l", ring_s=1, context="c", variables={}, caller_number="", caller_name="", sip_headers={name: "1"}
        )
