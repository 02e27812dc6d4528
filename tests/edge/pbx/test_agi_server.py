"""FastAGI's door: what is no Asterisk costs one socket for two seconds, and whoever hangs up is a value."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from pbx import agi_server
from pbx.agi_server import (
    GREET_S,
    SLACK_S,
    STEP_S,
    AgiServer,
    AgiSession,
    Digit,
    Done,
    Failed,
    HungUp,
    NoDigit,
    Played,
    Value,
)
from pbx.agi_wire import ENV_BOUND
from tests.virtual import now, virtual_time

ENV = b"agi_network: yes\nagi_uniqueid: n1-1.1\nagi_callerid: 138\nagi_dnid: 400\nagi_extension: s\n\n"


class Peer:
    """The other end of one connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def command(self) -> str:
        return (await self.reader.readline()).decode().rstrip("\n")

    async def end(self) -> bytes:
        """What came until the other side let go."""
        try:
            return await self.reader.read()
        except ConnectionResetError:
            return b""

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            return  # the other side was quicker


@asynccontextmanager
async def connected(server: AgiServer) -> AsyncIterator[Peer]:
    peer = Peer(*await asyncio.open_connection("127.0.0.1", server.port))
    try:
        yield peer
    finally:
        await peer.close()


class Calls:
    """A handler that keeps what its sessions came to; `steps` is what each of them does."""

    def __init__(self, steps: Callable[[AgiSession], Awaitable[object]] | None = None) -> None:
        self.steps = steps
        self.results: list[object] = []
        self.sessions: list[AgiSession] = []

    async def __call__(self, session: AgiSession) -> None:
        self.sessions.append(session)
        if self.steps is not None:
            self.results.append(await self.steps(session))


async def turns(count: int = 20) -> None:
    """Lets everybody do what they can do without time going by."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(fits: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not fits():
            await asyncio.sleep(0.1)


# --- who knocks


@pytest.mark.parametrize(
    "said",
    [
        b"agi_network yes\n\n",
        b"agi_network: yes\nno colon here\n\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n",
        b"agi_network: yes\nagi_callerid: a\0b\n\n",
        b"\0\n\n",
        b"agi_x: " + b"y" * 10_000 + b"\n\n",
        b"".join(b"agi_arg_%d: %s\n" % (n, b"z" * 1000) for n in range(2000)) + b"\n",
        b"x" * 2_000_000,
        b"\r\n" * 3 + b"agi_network: yes\n\n",
    ],
    ids=["no colon", "one line without colon", "http", "tls", "NUL", "only NUL", "long line", "2 MB of lines", "2 MB",
         "blank first"],
)  # fmt: skip
@virtual_time
async def test_what_is_no_asterisk_is_let_go_of_at_once_and_reaches_no_handler(said: bytes) -> None:
    calls = Calls()
    with capture_logs() as logs:
        async with AgiServer(calls) as server, connected(server) as peer:
            begun = now()
            peer.say(said)
            assert await peer.end() == b""
            await until(lambda: server.sessions == 0)
            assert calls.sessions == [] and server.refused == 1 and now() - begun < GREET_S
    assert [entry for entry in logs if entry["log_level"] == "error"] == []


@pytest.mark.parametrize(
    "said", [b"", b"agi_network: yes\n", b"agi_network: yes\nagi_call"], ids=["nothing", "no end", "half"]
)
@pytest.mark.parametrize("closes", [True, False])
@virtual_time
async def test_who_does_not_finish_the_greeting_is_gone_after_two_seconds(said: bytes, closes: bool) -> None:
    calls = Calls()
    async with AgiServer(calls) as server, connected(server) as peer:
        begun = now()
        peer.say(said)
        if closes:
            await peer.close()
        await until(lambda: server.refused == 1)
        assert server.sessions == 0 and calls.sessions == []
        assert now() - begun == pytest.approx(0 if closes else GREET_S, abs=0.3)


@virtual_time
async def test_a_greeting_that_drips_is_not_endless() -> None:
    async with AgiServer(Calls()) as server, connected(server) as peer:
        begun = now()
        for number in range(100):
            peer.say(b"agi_arg_%d: x\n" % number)
            await asyncio.sleep(0.1)
            if server.refused:
                break
        assert now() - begun <= GREET_S + 0.2


@virtual_time
async def test_five_hundred_who_say_nothing_keep_nobody_else_waiting_and_are_all_freed() -> None:
    calls = Calls(lambda session: session.answer())
    async with AgiServer(calls) as server:
        before = len(os.listdir("/proc/self/fd"))
        silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(500)]
        async with connected(server) as peer:
            begun = now()
            peer.say(ENV)
            assert await peer.command() == "ANSWER"
            peer.say(b"200 result=0\n")
            assert await peer.end() == b"" and now() - begun < 0.5
        await until(lambda: server.refused == 500)
        assert server.sessions == 0 and calls.results == [Done("0")]
        for _, writer in silent:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in silent), return_exceptions=True)
        del silent, writer
        await turns()
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) <= before + 5


@virtual_time
async def test_beyond_the_bound_new_connections_are_refused_and_there_is_room_again_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agi_server, "MAX_SESSIONS", 3)
    calls = Calls(lambda session: session.wait_for_digit(3600))
    async with AgiServer(calls) as server:
        held = [Peer(*await asyncio.open_connection("127.0.0.1", server.port)) for _ in range(3)]
        for peer in held:
            peer.say(ENV)
            assert (await peer.command()).startswith("WAIT FOR DIGIT")
        async with connected(server) as late:
            late.say(ENV)
            assert await late.end() == b"" and server.refused == 1
        await held[0].close()
        await until(lambda: server.sessions == 2)
        async with connected(server) as again:
            again.say(ENV)
            assert (await again.command()).startswith("WAIT FOR DIGIT")
        for peer in held[1:]:
            await peer.close()


@virtual_time
async def test_the_largest_greeting_that_is_allowed_is_read_and_says_who_calls() -> None:
    calls = Calls()
    filler = b"".join(b"agi_arg_%d: %s\n" % (n, b"z" * 500) for n in range(ENV_BOUND // 600))
    async with AgiServer(calls) as server, connected(server) as peer:
        for piece in (filler, ENV[:20], ENV[20:]):
            peer.say(piece)
            await turns()
        await peer.end()
    (session,) = calls.sessions
    assert (session.interaction_id, session.ani, session.did, session.env["arg_3"]) == (
        "n1-1.1",
        "138",
        "400",
        "z" * 500,
    )


# --- what is answered


@pytest.mark.parametrize(
    ("reply", "steps", "value"),
    [
        (b"200 result=0\n", lambda s: s.answer(), Done("0")),
        (b"200 result=-1\n", lambda s: s.answer(), HungUp()),
        (b"100 result=0 Trying...\n200 result=0\n", lambda s: s.answer(), Done("0")),
        (b"510 Invalid or unknown command\n", lambda s: s.answer(), Failed(510, "Invalid or unknown command")),
        (b"511 Command Not Permitted on a dead channel or intercept routine\n", lambda s: s.answer(), HungUp()),
        (b"520-Invalid command syntax.  Proper usage follows:\nUsage: X\n Y\n520 End of proper usage.\n",
         lambda s: s.answer(), Failed(520, "wrong words")),
        (b"520 Invalid command syntax.\n", lambda s: s.answer(), Failed(520, "Invalid command syntax.")),
        (b"HANGUP\n200 result=0\n", lambda s: s.answer(), Done("0")),
        (b"HANGUP\n200 result=-1\n", lambda s: s.stream_file("x"), HungUp()),
        (b"200 result=-1 endpos=0\n", lambda s: s.stream_file("x"), Failed(200, "there is no sound x")),
        (b"200 result=-1 endpos=400\n", lambda s: s.stream_file("x"), HungUp()),
        (b"200 result=35 endpos=400\n", lambda s: s.stream_file("x", "#"), Played("#", 400)),
        (b"200 result=42\n", lambda s: s.wait_for_digit(1), Digit("*")),
        (b"200 result=0\n", lambda s: s.wait_for_digit(1), NoDigit()),
        (b"200 result=9999\n", lambda s: s.wait_for_digit(1), Digit("")),
        (b"200 result=1 (a (b) c)\n", lambda s: s.get_variable("X"), Value("a (b) c")),
        (b"200 result=1 ()\n", lambda s: s.get_variable("X"), Value("")),
        (b"200 result=0\n", lambda s: s.get_variable("X"), Value(None)),
        (b"200 result=-2\n", lambda s: s.execute("NoSuch"), Failed(200, "there is no application NoSuch")),
        (b"200 result=\xff\xfe\n", lambda s: s.get_variable("X"), Value(None)),
        (b"not a reply\n", lambda s: s.answer(), HungUp()),
        (b"200 resu", lambda s: s.answer(), HungUp()),
        (b"", lambda s: s.answer(), HungUp()),
        (b"\n", lambda s: s.answer(), HungUp()),
        (b"520-never ends\nmore\n", lambda s: s.answer(), HungUp()),
        (b"200 result=1 (" + b"v" * 20_000 + b")\n", lambda s: s.get_variable("X"), HungUp()),
    ],
)  # fmt: skip
@virtual_time
async def test_every_answer_is_a_value_and_none_is_an_error_of_ours(
    reply: bytes, steps: Callable[[AgiSession], Awaitable[object]], value: object
) -> None:
    calls = Calls(steps)
    with capture_logs() as logs:
        async with AgiServer(calls) as server, connected(server) as peer:
            peer.say(ENV)
            assert await peer.command()
            peer.say(reply)
            await turns()
            await peer.close()  # and after the answer, or in the middle of it, the peer is gone
            await until(lambda: server.sessions == 0)
    assert calls.results == [value] and logs == []


@virtual_time
async def test_once_hung_up_no_further_command_is_sent() -> None:
    async def steps(session: AgiSession) -> list[object]:
        return [
            await session.answer(),
            await session.stream_file("x"),
            await session.get_variable("X"),
            session.hung_up,
        ]

    calls = Calls(steps)
    async with AgiServer(calls) as server, connected(server) as peer:
        peer.say(ENV)
        assert await peer.command() == "ANSWER"
        peer.say(b"HANGUP\n200 result=0\n")
        assert await peer.end() == b""
    assert calls.results == [[Done("0"), HungUp(), HungUp(), True]]


@virtual_time
async def test_a_peer_that_stalls_in_the_middle_of_a_command_costs_one_step_and_its_socket_and_task_are_freed() -> None:
    async def steps(session: AgiSession) -> tuple[object, object]:
        return await session.answer(), await session.verbose("are you there")

    calls = Calls(steps)
    with capture_logs() as logs:
        async with AgiServer(calls) as server, connected(server) as peer:
            begun = now()
            peer.say(ENV)
            assert await peer.command() == "ANSWER"
            peer.say(b"200 resu")
            assert await peer.end() == b""
            assert now() - begun == pytest.approx(STEP_S, abs=0.1) and server.sessions == 0
    assert calls.results == [(Failed(0, f"no answer within {STEP_S:g} s"), HungUp())]
    assert logs == []


@virtual_time
async def test_a_late_answer_is_never_taken_for_that_to_another_question() -> None:
    async def steps(session: AgiSession) -> tuple[object, object]:
        first = await session.get_variable("AC_LEVEL")
        await asyncio.sleep(1)
        return first, await session.get_variable("AC_QUEUE")

    calls = Calls(steps)
    async with AgiServer(calls) as server, connected(server) as peer:
        peer.say(ENV)
        await peer.command()
        await asyncio.sleep(STEP_S + 0.5)
        peer.say(b"200 result=1 (second_factor)\n200 result=1 (second_factor)\n")
        await peer.end()
    assert calls.results == [(Failed(0, f"no answer within {STEP_S:g} s"), HungUp())]


@virtual_time
async def test_a_wait_for_a_key_may_last_as_long_as_was_asked_and_not_much_longer() -> None:
    calls = Calls(lambda session: session.wait_for_digit(20))
    async with AgiServer(calls) as server, connected(server) as peer:
        begun = now()
        peer.say(ENV)
        assert await peer.command() == "WAIT FOR DIGIT 20000"
        await peer.end()
        assert now() - begun == pytest.approx(20 + SLACK_S, abs=0.1)
    assert isinstance(calls.results[0], Failed)


# --- ourselves


@virtual_time
async def test_a_handler_that_fails_is_logged_once_with_the_call_and_others_go_on() -> None:
    async def steps(session: AgiSession) -> object:
        if len(calls.sessions) == 1:
            raise RuntimeError("a fault of ours")
        return await session.answer()

    calls = Calls(steps)
    with capture_logs() as logs:
        async with AgiServer(calls) as server:
            async with connected(server) as peer:
                peer.say(ENV)
                assert await peer.end() == b""
            async with connected(server) as peer:
                peer.say(ENV)
                assert await peer.command() == "ANSWER"
                peer.say(b"200 result=0\n")
                await peer.end()
            assert server.sessions == 0
    assert [entry["event"] for entry in logs] == ["agi_handler_failed"] and calls.results == [Done("0")]


@virtual_time
async def test_when_the_server_ends_so_does_every_session() -> None:
    ended: list[str] = []

    async def steps(session: AgiSession) -> object:
        try:
            return await session.wait_for_digit(3600)
        finally:
            ended.append(session.interaction_id)

    peers = []
    async with AgiServer(Calls(steps)) as server:
        for _ in range(5):
            peer = Peer(*await asyncio.open_connection("127.0.0.1", server.port))
            peer.say(ENV)
            await peer.command()
            peers.append(peer)
    assert server.sessions == 0 and ended == ["n1-1.1"] * 5
    for peer in peers:
        assert await peer.end() == b""
        await peer.close()
    with pytest.raises(OSError, match="refused|Connect call failed"):
        await asyncio.open_connection("127.0.0.1", server.port)


class TestDeadline:
    async def test_a_shorter_step_after_a_longer_one_ends_in_its_own_time(self) -> None:
        reader = asyncio.StreamReader()
        deadline = agi_server._Deadline(reader)
        deadline.set(30)
        deadline.clear()
        deadline.set(0.02)
        async with asyncio.timeout(5):
            with pytest.raises(TimeoutError):
                await reader.readline()

    async def test_a_longer_step_is_not_ended_by_the_timer_of_an_earlier_one(self) -> None:
        reader = asyncio.StreamReader()
        deadline = agi_server._Deadline(reader)
        deadline.set(0.02)
        deadline.clear()
        deadline.set(0.3)
        begun = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            await reader.readline()
        assert asyncio.get_running_loop().time() - begun >= 0.29

    async def test_between_two_steps_nothing_is_due(self) -> None:
        reader = asyncio.StreamReader()
        deadline = agi_server._Deadline(reader)
        deadline.set(0.02)
        deadline.clear()
        await asyncio.sleep(0.06)
        reader.feed_data(b"200 result=0\n")
        assert await reader.readline() == b"200 result=0\n"
        deadline.set(30)
        deadline.close()
        assert deadline._timer is None
