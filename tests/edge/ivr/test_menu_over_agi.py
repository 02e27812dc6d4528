"""The menu over FastAGI, with a scripted Asterisk at the other end of a loopback socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from statistics import median

import pytest

from core.events.ivr import FlowEnded
from ivr.agi_line import AgiLine, MenuCalls
from ivr.ports import Digit, HungUp, NoDigit, Played
from pbx.agi_server import AgiServer, AgiSession
from tests.unit.ivr.build import DID, FOUND, Desk, Events, runner

PROMPT = ("EXEC", "STREAM")


class Asterisk:
    """Answers every command with 200; `keys`: (part of a prompt's command, keys) in order, as a caller would press."""

    def __init__(self, *keys: tuple[str, str], variables: dict[str, str] | None = None) -> None:
        self.keys = list(keys)
        self.variables = variables or {}
        self.commands: list[str] = []
        self.gaps: list[float] = []
        self._pending = ""
        self._pressed = 0.0

    async def call(self, port: int, *, close_at: str = "") -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        env = {
            "network": "yes",
            "channel": "PJSIP/trunk-1",
            "uniqueid": "n1-1.1",
            "callerid": "13800138000",
            "dnid": DID,
        }
        writer.write("".join(f"agi_{name}: {value}\n" for name, value in env.items()).encode() + b"\n")
        try:
            while line := (await reader.readline()).decode():
                command = line.rstrip("\n")
                self.commands.append(command)
                if close_at and close_at in command:
                    return
                writer.write(f"{self._reply(command)}\n".encode())
        finally:
            writer.close()
            await writer.wait_closed()

    def _reply(self, command: str) -> str:
        words = command.split()
        if words[0] in PROMPT:
            if self._pressed:
                self.gaps.append(time.perf_counter() - self._pressed)
                self._pressed = 0.0
            self._pending = ""
            if self.keys and self.keys[0][0] in command:
                self._pending = self.keys.pop(0)[1]
                if "Playback" not in command:
                    return f"200 result={self._press()} endpos=4000"
            return "200 result=0 endpos=8000"
        if words[0] == "WAIT":
            return f"200 result={self._press() if self._pending else 0}"
        if words[0] == "SET":
            self.variables[words[2]] = words[3].strip('"')
        if words[0] == "GET":
            value = self.variables.get(words[2])
            return "200 result=0" if value is None else f"200 result=1 ({value})"
        return "200 result=0"

    def _press(self) -> int:
        key, self._pending = self._pending[0], self._pending[1:]
        self._pressed = time.perf_counter()
        return ord(key)


@asynccontextmanager
async def serving(desk: Desk | None = None) -> AsyncIterator[tuple[int, Events]]:
    made, events, _ = runner(desk or Desk(FOUND))
    async with AgiServer(MenuCalls(made)) as server:
        yield server.port, events


KEYS = (
    ("menu-main", "1"),
    ("ask-order-number", "20261234#"),
    ("ask-second-factor", "5678#"),
    ("menu-after-status", "0"),
)


async def test_the_whole_call_on_the_wire() -> None:
    asterisk = Asterisk(*KEYS)
    async with serving() as (port, events):
        await asterisk.call(port)
    assert [event.exit for event in events.of(FlowEnded)] == ["handoff"]
    assert asterisk.variables["AC_NEXT"] == "queue" and asterisk.variables["AC_QUEUE"] == "service"
    assert asterisk.variables["AC_DONE"] == "1" and asterisk.variables["AC_LEVEL"] == "second_factor"
    assert asterisk.commands[-1].startswith("SET VARIABLE AC_DONE")
    status = next(command for command in asterisk.commands if "order-your-order" in command)
    assert status.startswith("EXEC Background ") and status.count("&") > 10, (
        "one command: no key is lost between sounds"
    )


async def test_a_key_is_answered_by_the_next_prompt_within_ten_milliseconds_of_ours() -> None:
    asterisk = Asterisk(*([("menu-main", "9")] * 25), ("menu-main", "0"))
    async with serving() as (port, _):
        await asterisk.call(port)
    assert len(asterisk.gaps) >= 20
    assert median(asterisk.gaps) < 0.010, f"{median(asterisk.gaps) * 1000:.1f} ms"


@pytest.mark.parametrize(
    "close_at", ["ANSWER", "welcome", "AC_NODE main", "menu-main", "ask-order-number", "WAIT", "connecting", "AC_QUEUE"]
)
async def test_a_connection_that_ends_anywhere_ends_the_flow_once(close_at: str) -> None:
    asterisk = Asterisk(*KEYS)
    async with serving() as (port, events):
        await asterisk.call(port, close_at=close_at)
        if close_at != "ANSWER":
            await events.until(FlowEnded)
    assert [event.exit for event in events.of(FlowEnded)] == ([] if close_at == "ANSWER" else ["caller_gone"])


async def test_a_caller_who_fell_out_is_taken_up_at_the_node_on_the_channel() -> None:
    asterisk = Asterisk(
        ("menu-person-or-main", "0"), variables={"AC_NODE": "returns-menu", "AC_LANG": "zh", "AC_IX": "n1-1.1"}
    )
    async with serving() as (port, events):
        await asterisk.call(port)
    first = next(command for command in asterisk.commands if command.startswith(PROMPT))
    assert "/zh/returns-how" in first
    assert events.of(FlowEnded)[0].exit == "handoff"


async def scripted(reply: Callable[[str], str], use: Callable[[AgiLine], object]) -> tuple[object, list[str]]:
    """What a verb of the line makes of one reply."""
    told: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    commands: list[str] = []

    async def handler(session: AgiSession) -> None:
        told.set_result(await use(AgiLine(session)))  # type: ignore[misc]

    async with AgiServer(handler) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"agi_network: yes\n\n")
        while line := await reader.readline():
            commands.append(line.decode().strip())
            answer = reply(commands[-1])
            if not answer:
                break
            writer.write(answer.encode() + b"\n")
        writer.close()
        await writer.wait_closed()
        async with asyncio.timeout(5):
            return await told, commands


SOUNDS = ["/s/en/a", "/s/en/b"]


@pytest.mark.parametrize(
    ("reply", "use", "value"),
    [
        ("200 result=49", lambda line: line.play(SOUNDS, "1"), Played("1")),
        ("200 result=0", lambda line: line.play(SOUNDS, "1"), Played()),
        ("200 result=-1", lambda line: line.play(SOUNDS, "1"), HungUp()),
        ("200 result=49", lambda line: line.play(SOUNDS, ""), Played()),
        ("200 result=53 endpos=80", lambda line: line.play(SOUNDS[:1], "5"), Played("5")),
        ("200 result=0 endpos=0", lambda line: line.play(SOUNDS[:1], "5"), Played()),
        ("200 result=-1 endpos=800", lambda line: line.play(SOUNDS[:1], "5"), HungUp()),
        ("510 Invalid or unknown command", lambda line: line.play(SOUNDS, "1"), Played()),
        ("511 Command Not Permitted on a dead channel", lambda line: line.play(SOUNDS, "1"), HungUp()),
        ("", lambda line: line.play(SOUNDS, "1"), HungUp()),
        ("HANGUP\n200 result=0", lambda line: line.play([], "1"), Played()),
        ("200 result=35", lambda line: line.digit(1.0), Digit("#")),
        ("200 result=0", lambda line: line.digit(1.0), NoDigit()),
        ("200 result=-1", lambda line: line.digit(1.0), HungUp()),
        ("520-Invalid command syntax.\n520 End of proper usage.", lambda line: line.digit(1.0), NoDigit()),
        ("200 result=1 (sun shine)", lambda line: line.get_variable("X"), "sun shine"),
        ("200 result=0", lambda line: line.get_variable("X"), ""),
        ("", lambda line: line.get_variable("X"), ""),
        ("200 result=1", lambda line: line.set_variable("X", 'a "b"'), None),
        ("511 Command Not Permitted on a dead channel", lambda line: line.set_variable("X", "1"), HungUp()),
        ("200 result=0", lambda line: line.answer(), None),
        ("200 result=-1", lambda line: line.answer(), HungUp()),
        ("200 result=1", lambda line: line.hang_up(), None),
    ],
)  # fmt: skip
async def test_what_asterisk_says_becomes_a_value(reply: str, use: Callable[[AgiLine], object], value: object) -> None:
    told, _ = await scripted(lambda _command: reply, use)
    assert told == value


async def test_sounds_whose_path_cannot_stand_in_a_list_are_played_one_by_one() -> None:
    replies = iter(["200 result=0 endpos=100", "200 result=50 endpos=100"])
    told, commands = await scripted(lambda _command: next(replies), lambda line: line.play(["/a&b/x", "/a&b/y"], "2"))
    assert told == Played("2")
    assert [command.split()[0] for command in commands] == ["STREAM", "STREAM"]
