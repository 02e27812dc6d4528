"""FastAGI's lines: what Asterisk answers, what it says of a call, and commands that stay one line."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.agi_wire import COMMAND_BOUND, BadAgi, Reply, command, environment, reply_of


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("200 result=0", Reply(200, "0")),
        ("200 result=-1", Reply(200, "-1")),
        ("200 result=", Reply(200, "")),
        ("200 result=49 endpos=8000", Reply(200, "49", endpos=8000)),
        ("200 result=1 (sun shine)", Reply(200, "1", "sun shine")),
        ("200 result=1 ()", Reply(200, "1", "")),
        ("200 result=1 (late (twice) and (broken))", Reply(200, "1", "late (twice) and (broken)")),
        ("200 result=1 (a) endpos=5)", Reply(200, "1", "a) endpos=5")),
        ("200 result= (timeout)", Reply(200, "", "timeout")),
        ("200 result=0 (hangup) endpos=320", Reply(200, "0", "hangup", 320)),
        ("100 result=0 Trying...", Reply(100, data="result=0 Trying...")),
        ("510 Invalid or unknown command", Reply(510, data="Invalid or unknown command")),
        ("511 Command Not Permitted on a dead channel", Reply(511, data="Command Not Permitted on a dead channel")),
        ("520 End of proper usage.", Reply(520, data="End of proper usage.")),
        ("510", Reply(510)),
    ],
)
def test_a_reply_is_read(line: str, reply: Reply) -> None:
    assert reply_of(line) == reply


@pytest.mark.parametrize(
    "line", ["", "HANGUP", "hello", "200", "200 ok", "2000 result=0", "5100 x", "\0", "99 result=0"]
)
def test_a_line_that_is_no_reply_is_refused(line: str) -> None:
    with pytest.raises(BadAgi):
        reply_of(line)


@given(st.text(st.characters(blacklist_characters="\r\n"), max_size=80))
def test_a_variables_value_comes_back_whole_whatever_is_in_it(value: str) -> None:
    assert reply_of(f"200 result=1 ({value})") == Reply(200, "1", value)


@given(st.text(max_size=80))
def test_any_line_is_a_reply_or_refused(line: str) -> None:
    try:
        assert reply_of(line).code in (200, *range(100, 200), *range(500, 600))
    except BadAgi as error:
        assert len(str(error)) < 300


def test_what_asterisk_says_of_a_call_is_read_with_colons_in_values() -> None:
    lines = ["agi_request: agi://127.0.0.1:4573/flow", "agi_callerid: 138", "agi_dnid:", "agi_arg_1: a: b"]
    assert environment(lines) == {
        "request": "agi://127.0.0.1:4573/flow",
        "callerid": "138",
        "dnid": "",
        "arg_1": "a: b",
    }


@pytest.mark.parametrize("line", ["agi_callerid 138", "callerid: 138", "GET / HTTP/1.1", "\x16\x03\x01", " agi_x: y"])
def test_an_environment_with_a_line_that_is_none_is_refused_whole(line: str) -> None:
    with pytest.raises(BadAgi):
        environment(["agi_network: yes", line])
    with pytest.raises(BadAgi):
        environment([])


@given(
    st.lists(
        st.text(st.characters(blacklist_characters="\r\n\0", blacklist_categories=("Cs",)), max_size=20),
        min_size=1,
        max_size=5,
    )
)
def test_words_arrive_as_they_were_given(words: list[str]) -> None:
    data = command(*words)
    assert data.endswith(b"\n") and data.count(b"\n") == 1
    assert shlex.split(data.decode()[:-1]) == words


@pytest.mark.parametrize("word", ["a\nb", "a\r", "\0", "x\nHANGUP"])
def test_a_word_with_a_line_break_or_nul_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="line break or NUL"):
        command("SET", "VARIABLE", "X", word)


def test_a_command_that_asterisk_would_cut_in_two_is_refused() -> None:
    longest = COMMAND_BOUND - len(command("VERBOSE", ""))
    assert len(command("VERBOSE", " " * longest)) == COMMAND_BOUND
    for word in (" " * (longest + 1), "李" * (longest // 3 + 1)):
        with pytest.raises(ValueError, match="too long"):
            command("VERBOSE", word)
