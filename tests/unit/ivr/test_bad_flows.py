"""A flow with a fault is refused whole: every fault with its line, in one clear sentence, all at once."""

from __future__ import annotations

import random
import re
import resource
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.catalogue import SAMPLE
from ivr.check import check_text
from ivr.loader import FlowRefused, load
from ivr.tree import MAX_BYTES
from tests.unit.ivr.build import KNOWN

BAD = sorted((Path(__file__).parent / "bad").glob("*.yaml"))
GOOD = SAMPLE.read_text(encoding="utf-8")


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_bad_file(file: Path) -> None:
    """The file's first comment lines say what must be told: `# LINE: part of the sentence`."""
    text = file.read_text(encoding="utf-8")
    wanted = []
    for line in text.splitlines():
        if not line.startswith("# "):
            break
        number, _, part = line.removeprefix("# ").partition(": ")
        wanted.append((int(number), part))
    told = [str(issue) for issue in check_text(text, "flow.yaml", KNOWN)]
    assert len(told) == len(wanted), told
    for number, part in wanted:
        where = f"flow.yaml:{number}: "
        assert any(one.startswith(where) and part in one for one in told), (where, part, told)
    for one in told:
        assert "\n" not in one and len(one) < 300, one
    with pytest.raises(FlowRefused):
        load(text, "flow.yaml", KNOWN)


def test_every_fault_is_told_at_once_in_the_order_of_the_file() -> None:
    text = (
        GOOD.replace("[welcome]", "[wellcome]")
        .replace("to: other", "to: latin")
        .replace("queue: service", "queue: nowhere")
    )
    issues = check_text(text, "sample.yaml", KNOWN)
    assert len(issues) == 4
    assert [issue.line for issue in issues] == sorted(issue.line for issue in issues)
    assert {issue.node for issue in issues} == {"welcome", "other-language", "late-person", "person"}


def test_the_sample_is_good() -> None:
    assert check_text(GOOD, "sample.yaml", KNOWN) == []


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        pytest.param(b"x" * (MAX_BYTES + 1), "the most a flow may have", id="too big"),
        pytest.param(b"x" * 50_000_000, "the most a flow may have", id="50 MB"),
        pytest.param("[" * 10_000, "nested more than 12 deep", id="10,000 lists deep"),
        pytest.param("{a: " * 10_000, "nested more than 12 deep", id="10,000 tables deep"),
        pytest.param("- " * 60_000, "nested more than 12 deep", id="60,000 dashes deep"),
        pytest.param("\n".join(" " * n + "a:" for n in range(700)), "nested more than 12 deep", id="700 blocks deep"),
        pytest.param(BOMB, "anchors and aliases", id="alias bomb"),
        pytest.param("a: [" + "x," * 50_000 + "]", "more than 20000 values", id="too many values"),
        pytest.param(b"\xff\xfe\x00", "not UTF-8", id="not UTF-8"),
        pytest.param("name: a\x00b", "cannot stand in a flow", id="NUL"),
        pytest.param("name: \ud800", "not UTF-8", id="half a character"),
        pytest.param("", "a flow is a table", id="empty"),
        pytest.param("<<: {name: x}\n", "'<<' is not a key", id="merge key"),
    ],
)
def test_a_text_that_wants_to_hurt_is_refused_quickly(text: str | bytes, part: str) -> None:
    began = time.perf_counter()
    issues = check_text(text, "evil.yaml")
    assert any(part in issue.message for issue in issues), issues
    assert time.perf_counter() - began < 3


def test_ten_thousand_nodes_are_too_many() -> None:
    nodes = "".join(f"  n{n}: {{}}\n" for n in range(5000))
    (issue, *_) = check_text(f"name: a\nstart: n1\nperson: n1\nnodes:\n{nodes}", "big.yaml")
    assert "at most 400 nodes" in issue.message


def test_a_long_circle_is_found_without_recursion() -> None:
    nodes = "".join(f"  n{n}: {{type: set, variable: x, value: 1, next: n{(n + 1) % 390}}}\n" for n in range(390))
    text = f"name: a\nstart: n0\nperson: p\nnodes:\n{nodes}  p: {{type: voicemail}}\n"
    began = time.perf_counter()
    issues = check_text(text, "long.yaml")
    assert len([issue for issue in issues if "a circle without a wait" in issue.message]) == 1
    assert time.perf_counter() - began < 3


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_sample_is_good_or_refused_but_never_an_exception(data: st.DataObject) -> None:
    lines = GOOD.splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        how = data.draw(st.sampled_from(["drop", "double", "cut", "indent", "junk", "swap"]))
        if how == "drop":
            lines[at] = ""
        elif how == "double":
            lines.insert(at, lines[at])
        elif how == "cut":
            lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))]
        elif how == "indent":
            lines[at] = "  " + lines[at]
        elif how == "junk":
            lines[at] += data.draw(
                st.sampled_from([" ]", " }", ": x", " &a", " *a", " !!t x", " [", "\t", " #", '"', "'", " null"])
            )
        else:
            other = data.draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
    for issue in check_text("\n".join(lines), "damaged.yaml", KNOWN):
        assert issue.message and "\n" not in str(issue)


SMALL = """\
name: small
start: ask
person: person
nodes:
  ask: {type: menu, say: [menu-main], tries: 2, exits: {1: found, 2: closed}}
  found: {type: set, variable: seen, value: 1, next: ask}
  closed: {type: hours, calendar: shop, exits: {open: ask, closed: bye}}
  bye: {type: hangup, say: [goodbye]}
  person: {type: handoff, queue: service}
"""
DAMAGE = ("{", "}", "[", ":", "&a ", "*a", "!!x ", '"', "\x07", "zz", "  ", "\n", "-1", "9" * 30, "é", "a" * 300)


def test_two_hundred_damaged_files_are_refused_with_file_and_line_in_little_memory() -> None:
    chance = random.Random(20261124)
    refused = 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(200):
        at, text = chance.randrange(len(SMALL)), SMALL
        damaged = text[:at] + chance.choice(DAMAGE) + text[at + chance.randrange(4) :]
        issues = [issue for issue in check_text(damaged, "f.yaml", KNOWN) if issue.severity == "error"]
        refused += bool(issues)
        assert all(re.match(r"f\.yaml:[0-9]+: .", str(issue)) and issue.line for issue in issues), (damaged, issues)
    assert refused > 150
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000, "kilobytes"


@pytest.mark.parametrize("text", [BOMB, "[" * 20_000], ids=["bomb", "deep"])
def test_what_wants_to_grow_is_stopped_while_it_is_small(text: str) -> None:
    tracemalloc.start()
    try:
        assert check_text(text, "evil.yaml")
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()
