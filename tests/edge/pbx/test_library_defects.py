"""Proven defects of the libraries we use, each shown on the bare library, and the same story told to our own part.

The reason why of panoramisk only the wording of actions is used, and of pyst2 only its manager (as a second opinion).
When an upgrade makes one of these fail, the defect is mended there: look whether our part is still needed.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import io
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import panoramisk
import pytest
from asterisk.agi import AGI
from asterisk.config import Config, ParseError
from panoramisk import fast_agi

import pbx
from pbx.agi_server import AgiServer, AgiSession, HungUp
from pbx.ami import LinkDown
from pbx.ami_events import ChannelSeen
from pbx.ami_wire import UnsafeValue, first
from tests.edge.pbx.manager import Manager, Ours, block, error_of, hangup, linked, until
from tests.virtual import virtual_time

GREETING = b"agi_network_script: flow\nagi_uniqueid: n1-1.1\n"


@asynccontextmanager
async def bare(manager: Manager, faults: list[dict[str, Any]] | None = None) -> AsyncIterator[panoramisk.Manager]:
    """panoramisk's own client, logged in. `faults`: what it does to the loop is kept there."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: (faults if faults is not None else []).append(context))
    client = panoramisk.Manager(loop=loop, host="127.0.0.1", port=manager.port, username="u", secret="s" * 16)
    await client.connect()
    await until(lambda: client.authenticated)
    try:
        yield client
    finally:
        client.close()
        await asyncio.sleep(0.1)


# --- panoramisk's FastAGI server


class SpinningReader(asyncio.StreamReader):
    """Counts the reads, and ends a loop that would have no end."""

    reads = 0

    async def read(self, n: int = -1) -> bytes:
        self.reads += 1
        if self.reads > 10_000:
            raise RecursionError("read ten thousand times at the end of the file")
        return await super().read(n)


class NoWriter:
    def get_extra_info(self, _name: str) -> None:
        return None

    def write(self, _data: bytes) -> None:
        return None

    async def drain(self) -> None:
        return None

    def close(self) -> None:
        return None


@virtual_time
async def test_a_caller_gone_before_the_headers_end_makes_panoramisk_spin_for_ever_and_ours_let_go() -> None:
    reader = SpinningReader()
    reader.feed_data(GREETING)
    reader.feed_eof()
    with pytest.raises(RecursionError):
        await fast_agi.Application(loop=asyncio.get_running_loop()).handler(reader, NoWriter())

    async with AgiServer(lambda _session: asyncio.sleep(0)) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GREETING)
        writer.close()
        await until(lambda: server.refused == 1)
        assert server.sessions == 0


@virtual_time
async def test_a_cancelled_call_goes_on_in_panoramisk_as_if_nothing_was_and_ends_in_ours() -> None:
    began = asyncio.Event()

    async def route(_request: object) -> None:
        began.set()
        await asyncio.Event().wait()

    application = fast_agi.Application(loop=asyncio.get_running_loop())
    application.add_route("flow", route)
    reader = asyncio.StreamReader()
    reader.feed_data(GREETING + b"\n")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(application.handler(reader, NoWriter()))
        await began.wait()
        task.cancel()
        await asyncio.wait([task])
    assert not task.cancelled(), "the cancellation was swallowed"

    ended: list[bool] = []

    began.clear()

    async def handler(_session: AgiSession) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append(True)
            raise

    async with AgiServer(handler) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GREETING + b"\n")
        await began.wait()
    assert ended == [True] and server.sessions == 0
    writer.close()


@virtual_time
async def test_a_close_in_the_middle_of_a_call_is_an_error_in_panoramisk_and_a_value_in_ours() -> None:
    reader = asyncio.StreamReader()
    request = fast_agi.Request(None, {}, reader, NoWriter())
    reader.feed_eof()
    with pytest.raises(ValueError, match="invalid literal"):
        await request.send_command("ANSWER")

    results: list[object] = []

    async def handler(session: AgiSession) -> None:
        results.append(await session.answer())

    async with AgiServer(handler) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GREETING + b"\n")
        await reader.readline()
        writer.close()
        await until(lambda: results != [])
    assert results == [HungUp()]


# --- panoramisk's AMI client


@virtual_time
async def test_panoramisk_rings_a_phone_again_after_a_lost_link_and_ours_never_does() -> None:
    def rings(manager: Manager) -> int:
        return manager.names().count("Originate")

    async with Manager().listening() as manager:
        manager.drop_after = lambda action: first(action, "action") == "Originate" and rings(manager) == 1
        async with bare(manager) as client:
            client.send_action({"Action": "Originate", "Channel": "PJSIP/101"})
            await until(lambda: rings(manager) == 2)
            assert [number for number, action in manager.got if first(action, "action") == "Originate"] == [1, 2]

    async with linked() as (manager, ours):
        manager.drop_after = lambda action: first(action, "action") == "Originate"
        assert isinstance(await error_of(ours.link.send("Originate", {"Channel": "PJSIP/101"})), LinkDown)
        await ours.is_up()
        await asyncio.sleep(30)
        assert rings(manager) == 1 and ours.ups == 2


@virtual_time
async def test_an_exception_in_a_callback_breaks_panoramisks_link_and_loses_the_events_behind_it() -> None:
    def fail_first(seen: list[int], cause: int) -> None:
        seen.append(cause)
        if cause == 1:
            raise KeyError("a fault of ours")

    faults: list[dict[str, Any]] = []
    seen: list[int] = []
    async with Manager().listening() as manager, bare(manager, faults) as client:
        client.register_event("Hangup", lambda _manager, event: fail_first(seen, int(event.cause)))
        manager.tell(hangup(1), hangup(2))
        await until(lambda: manager.connections == 2)
        assert seen == [1] and "data_received" in faults[0]["message"]

    seen = []
    async with linked() as (manager, ours):
        ours.handle = lambda event: fail_first(seen, getattr(event, "cause", 0))
        manager.tell(hangup(1), hangup(2))
        await until(lambda: seen == [1, 2])
        await asyncio.sleep(10)
        assert manager.connections == 1 and ours.downs == []


@virtual_time
async def test_a_character_split_across_two_reads_is_lost_in_panoramisk_and_whole_in_ours() -> None:
    told = block("Event: Newchannel", "Uniqueid: n1-1.1", "Channel: c", "CallerIDName: 李娜").encode()
    cut = told.index("李".encode()) + 1

    async with Manager().listening() as manager, bare(manager) as client:
        names: list[str] = []
        client.register_event("Newchannel", lambda _manager, event: names.append(event.calleridname))
        manager.tell(told[:cut])
        await asyncio.sleep(0.1)
        manager.tell(told[cut:])
        await until(lambda: names != [])
        assert names == ["娜"]

    async with linked() as (manager, ours):
        manager.tell(told[:cut])
        await asyncio.sleep(0.1)
        manager.tell(told[cut:])
        await until(lambda: ours.events != [])
        assert [event.name for event in ours.events if isinstance(event, ChannelSeen)] == ["李娜"]


@virtual_time
async def test_a_line_break_in_a_value_is_a_second_action_in_panoramisk_and_refused_by_ours() -> None:
    value = "x\r\n\r\nAction: Originate\r\nChannel: Local/x"
    async with Manager().listening() as manager, bare(manager) as client:
        client.send_action({"Action": "Setvar", "Variable": "AC_PROBLEM", "Value": value})
        await until(lambda: "Originate" in manager.names())

    async with linked() as (manager, ours):
        before = manager.raw
        with pytest.raises(UnsafeValue):
            await ours.link.send("Setvar", {"Variable": "AC_PROBLEM", "Value": value})
        assert manager.raw == before


@virtual_time
async def test_coroutine_callbacks_finish_in_any_order_in_panoramisk_and_ours_are_called_one_after_the_other() -> None:
    async with Manager().listening() as manager, bare(manager) as client:
        done: list[int] = []

        async def callback(_manager: object, event: Any) -> None:
            await asyncio.sleep(0.5 if event.cause == "1" else 0)  # the first has something to look up
            done.append(int(event.cause))

        client.register_event("Hangup", callback)
        manager.tell(hangup(1), hangup(2))
        await until(lambda: len(done) == 2)
        assert done == [2, 1]

    async with linked() as (manager, ours):
        manager.tell(hangup(1), hangup(2))
        await until(lambda: len(ours.events) == 2)
        assert ours.causes() == [1, 2]


@virtual_time
async def test_a_closed_panoramisk_comes_back_and_goes_on_pinging_and_ours_stays_away() -> None:
    async with Manager().listening() as manager, bare(manager) as client:
        manager.drop()
        await asyncio.sleep(0.5)
        client.close()
        await until(lambda: "Ping" in manager.names(), step_s=1)
        assert manager.connections == 2 and client.pinger is not None

    async with Manager().listening() as manager:
        ours = Ours(manager)
        async with ours.running():
            manager.drop()
            await until(lambda: not ours.link.up)
        before = manager.connections
        await asyncio.sleep(60)
        assert manager.connections == before <= 2


# --- pyst2


def test_pyst2s_fastagi_does_not_import() -> None:
    with pytest.raises(ModuleNotFoundError, match="SocketServer"):
        importlib.import_module("asterisk.fastagi")


def test_pyst2s_agi_cannot_be_made_outside_the_main_thread_and_ours_serves_from_any() -> None:
    errors: list[BaseException] = []
    answers: list[object] = []

    async def serve() -> None:
        async def handler(session: AgiSession) -> None:
            answers.append(session.interaction_id)

        async with AgiServer(handler) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(GREETING + b"\n")
            await reader.read()
            writer.close()
            await writer.wait_closed()

    def in_a_thread() -> None:
        try:
            AGI(stdin=io.BytesIO(GREETING + b"\n"), stdout=io.StringIO(), stderr=io.StringIO())
        except ValueError as error:
            errors.append(error)
        asyncio.run(serve())

    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join(20)
    assert "main thread" in str(errors[0]) and answers == ["n1-1.1"]


@pytest.mark.filterwarnings("ignore:unclosed file")
def test_pyst2s_config_does_not_read_a_section_with_a_template(tmp_path: Path) -> None:
    file = tmp_path / "pjsip.conf"
    file.write_text("[phone](!)\ntype=endpoint\n[101](phone)\nauth=101\n", encoding="utf-8")
    with pytest.raises(ParseError):
        Config(str(file))
    file.write_text("[phone]\ntype=endpoint\n", encoding="utf-8")
    assert [category.name for category in Config(str(file)).categories] == ["phone"]


# --- what of them is used


def test_nothing_of_them_is_used_but_the_wording_of_actions_and_the_second_opinions_manager() -> None:
    used = set()
    root = Path(pbx.__file__).parents[1]
    for room in ("core", "pbx", "orders_bridge", "ivr", "routing", "recordings", "desk", "app"):
        for file in (root / room).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            for node in ast.walk(ast.parse(text)) if "panoramisk" in text or "asterisk" in text else ():
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [str(node.module)] if isinstance(node, ast.ImportFrom) and not node.level else []
                used |= {name for name in names if name.split(".")[0] in ("panoramisk", "asterisk")}
    assert used == {"panoramisk.actions", "asterisk.manager"}
